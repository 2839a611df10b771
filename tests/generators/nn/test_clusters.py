"""Labels in clusters against naive references."""

import numpy as np
import pytest
import torch

from generators.nn.clusters import NEVER, ClusterHead, ClusterHeads, ClusterInput

VALID = np.array([[True, False, False], [True, True, True], [True, True, False], [True, False, False]])
"""A label of its own, a cluster of three, a cluster of two, missing."""


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_a_label_has_a_vector_of_its_own_only_in_a_cluster_that_is_known() -> None:
    layer = ClusterInput(VALID, 5)
    coarse = torch.tensor([0, 1, 1, 2, 3, 4, 1])
    fine = torch.tensor([0, 0, 2, 1, 0, 1, 3])  # 4 and 3 are the unknown ones
    vectors = layer(coarse, fine).detach()
    assert vectors[[0, 4, 5, 6]].abs().max() == 0
    torch.testing.assert_close(vectors[[1, 2, 3]], layer.vectors.detach()[[0, 2, 4]])


def test_a_head_begins_at_the_frequencies_within_each_cluster() -> None:
    head = ClusterHead(VALID, 4)
    coarse, fine = torch.tensor([0, 1, 1, 1, 2]), torch.tensor([0, 0, 2, 2, 1])
    head.begin_at(coarse, fine, 0.5)
    shares = torch.softmax(head(torch.ones(4, 4), torch.arange(4)), 1).detach()
    expected = [[1, 0, 0], [1.5 / 4.5, 0.5 / 4.5, 2.5 / 4.5], [0.25, 0.75, 0], [1, 0, 0]]
    torch.testing.assert_close(shares, torch.tensor(expected))


def test_a_head_is_a_product_for_each_label_and_pieces_change_nothing(
    rng: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = ClusterHead(VALID, 6)
    with torch.no_grad():
        head.keys.normal_(generator=rng)
        head.bias.normal_(generator=rng)
    features, coarse = torch.randn(9, 6, generator=rng), torch.randint(4, (9,), generator=rng)
    logits = head(features, coarse).detach()
    keys = head.keys.detach().view(2, 3, -1)
    for row, token in enumerate(coarse.tolist()):
        query, bias = head.query(features[row]).detach(), head.bias.detach()
        for fine in range(3):
            own = float(keys[token - 1, fine] @ query + bias[token - 1, fine]) if token in {1, 2} else 0.0
            assert float(logits[row, fine]) == pytest.approx(own if VALID[token, fine] else NEVER, abs=1e-5)
    monkeypatch.setattr("generators.nn.clusters.PIECE_ROWS", 2)
    with torch.no_grad():
        torch.testing.assert_close(head(features, coarse), logits)


def test_heads_add_to_their_own_segment_where_the_coarse_token_is_known(rng: torch.Generator) -> None:
    heads = ClusterHeads([4, 2, 3], {2: (0, VALID)}, 6)
    heads.begin_at(torch.tensor([[1, 0, 2], [1, 1, 2], [2, 0, 0]]))
    features, logits = torch.randn(3, 6, generator=rng), torch.randn(3, 9, generator=rng)
    tokens = torch.tensor([[1, 2, 3], [4, 0, 3], [2, 1, 0]])  # 4, 2 and 3 are the unknown ones
    added = heads.add_to(logits, features, tokens).detach() - logits
    assert added[:, :6].abs().max() == 0
    assert added[1].abs().max() == 0
    alone = heads.add_at(2, torch.zeros(2, 3), features[[0, 2]], tokens[[0, 2]]).detach()
    torch.testing.assert_close(added[[0, 2], 6:], alone, rtol=1e-4, atol=1e-3)
    assert torch.equal(heads.add_at(1, logits[:, 4:6], features, tokens), logits[:, 4:6])
