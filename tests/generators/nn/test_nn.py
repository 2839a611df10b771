"""Networks' parts against naive references."""

import numpy as np
import pytest
import torch
from scipy import stats

from generators.nn.residual import Dropout, Trunk
from generators.nn.segments import draw, segmented_cross_entropy, stratified_uniforms
from generators.nn.tokens import KNOTS, TokenHeads, TokenInput, TokenTable
from generators.training.streams import isolated_rng


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_segmented_cross_entropy_and_its_gradient_are_those_of_torch(rng: torch.Generator) -> None:
    sizes = (3, 1, 5)
    logits = torch.randn(7, 9, generator=rng, requires_grad=True)
    targets = torch.stack([torch.randint(size, (7,), generator=rng) for size in sizes], dim=1)
    weights = torch.rand(7, 3, generator=rng) * (torch.rand(7, 3, generator=rng) < 0.7)
    (2 * segmented_cross_entropy(logits, targets, weights, sizes)).backward()
    ours = logits.grad.clone()
    logits.grad = None
    parts = [
        torch.nn.functional.cross_entropy(part, targets[:, place], reduction="none") * weights[:, place]
        for place, part in enumerate(logits.split(sizes, dim=1))
    ]
    (2 * sum(part.sum() for part in parts)).backward()
    torch.testing.assert_close(ours, logits.grad)
    torch.testing.assert_close(
        segmented_cross_entropy(logits, targets, weights, sizes), sum(part.sum() for part in parts)
    )


def test_draw_follows_the_distribution_and_never_takes_what_has_none(rng: torch.Generator) -> None:
    shares = torch.tensor([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    n = 20_000
    drawn = draw(shares.expand(n, -1), torch.rand(n, generator=rng, dtype=torch.float64))
    counts = torch.bincount(drawn, minlength=6).numpy()
    assert counts[[0, 2, 5]].tolist() == [0, 0, 0]
    assert stats.chisquare(counts[[1, 3, 4]], np.array([0.2, 0.5, 0.3]) * n).pvalue > 1e-6
    edges = draw(shares.expand(2, -1), torch.tensor([0.0, 1.0 - 2**-53], dtype=torch.float64))
    assert edges.tolist() == [1, 4]


def test_stratified_uniforms_fall_one_into_each_interval(rng: torch.Generator) -> None:
    uniforms = stratified_uniforms(1_000, rng)
    assert sorted((uniforms * 1_000).long().tolist()) == list(range(1_000))
    assert stratified_uniforms(0, rng).shape == (0,)


def test_dropout_drops_its_share_keeps_the_mean_and_is_seeded() -> None:
    layer, x = Dropout(0.1), torch.ones(999, 101)
    with isolated_rng(1, x.device):
        first = layer(x)
    with isolated_rng(1, x.device):
        assert torch.equal(first, layer(x))
    n, share = x.numel(), 26 / 256
    dropped = int((first == 0).sum())
    assert stats.binomtest(dropped, n, share).pvalue > 1e-6
    assert float(first.max()) == pytest.approx(1 / (1 - share))
    assert layer.eval()(x) is x


def test_trunk_begins_as_a_normalisation(rng: torch.Generator) -> None:
    x = torch.randn(4, 8, generator=rng)
    trunk = Trunk(8, 16, 2, 0.0)
    torch.testing.assert_close(trunk(x), torch.nn.functional.layer_norm(x, (8,)))


def test_ordered_tokens_share_a_piecewise_linear_function_of_rank() -> None:
    ranks = np.array([0.0, 0.3, 1.0, np.nan], dtype=np.float32)
    table = TokenTable([2, 4], [None, ranks], 5, scale=1.0)
    with torch.no_grad():
        table.own.zero_()
    vectors, knots = table(), table.shared
    expected = [np.interp(rank, np.linspace(0, 1, KNOTS), column) for rank in ranks[:3] for column in knots.detach().T]
    assert vectors[2:5].detach().flatten().tolist() == pytest.approx(expected, abs=1e-5)
    assert vectors[[0, 1, 5]].detach().abs().max() == 0


def test_gains_of_tokens_add_up_to_the_input_layer(rng: torch.Generator) -> None:
    leaves = {2: (1, np.array([[0.1, 0.3], [0.6, np.nan]], dtype=np.float32))}
    clusters = {3: (0, np.array([[True, False], [True, True], [True, True]]))}
    ordered = np.linspace(0, 1, 2, dtype=np.float32)
    layer = TokenInput([3, 2, 2, 2], [None, ordered, ordered, None], 4, 6, leaves=leaves, clusters=clusters)
    tokens = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 1], [2, 0, 0, 1], [3, 1, 2, 2], [2, 2, 2, 2]])
    unknown = torch.tensor([3, 2, 2, 2])
    for row in tokens:
        expected = layer.start()
        for place in torch.nonzero(row < unknown)[:, 0].tolist():
            expected = expected + layer.gain(place, row[None])[0]
        torch.testing.assert_close(layer(row[None])[0], expected, rtol=1e-4, atol=1e-5)


def test_heads_begin_at_their_bias() -> None:
    heads = TokenHeads([2, 3], [None, np.linspace(0, 1, 3, dtype=np.float32)], 4)
    assert torch.equal(heads(torch.ones(2, 4)), torch.zeros(2, 5))
