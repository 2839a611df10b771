"""Attributes as features, hidden at times."""

import torch

from generators.nn.attributes import AttributeInput, hidden
from generators.training.streams import isolated_rng


def test_features_tell_tokens_apart_and_unknown_from_known() -> None:
    with isolated_rng(1, torch.device("cpu")):
        network = AttributeInput((3, 2), (None, None), 8)
    features = network(torch.tensor([[0, 0], [1, 0], [0, 1], [3, 2]]))
    assert features.shape == (4, 8)
    assert torch.pdist(features).min() > 1e-3


def test_without_attributes_every_row_has_the_same_features() -> None:
    network = AttributeInput((), (), 8)
    assert network(torch.zeros((3, 0), dtype=torch.int64)).shape == (3, 8)


def test_hidden_rows_are_wholly_unknown_and_as_many_as_asked() -> None:
    tokens = torch.zeros((10_000, 2), dtype=torch.int64)
    some = hidden(tokens, (3, 2), 0.2, torch.Generator().manual_seed(1))
    gone = (some == torch.tensor([3, 2])).all(dim=1)
    assert bool((some[~gone] == 0).all())
    assert abs(float(gone.float().mean()) - 0.2) < 0.02  # five standard errors
    assert not bool(hidden(tokens, (3, 2), 0.0, torch.Generator().manual_seed(1)).any())
