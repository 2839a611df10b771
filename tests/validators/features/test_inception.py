"""Inception-v3 as published: its size, its shapes, and each kind of block beside one built of torch's modules."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.validators.features.own_files import inception_weights
from validators.errors import ValidatorInputError
from validators.features.inception import inception

PARAMETERS = 27_161_264 - 3_326_696 - 2_049_000
"""What torchvision states for the whole network, without the auxiliary classifier and the last layer."""


class Layer(nn.Module):
    """A convolution, batch normalisation and ReLU, the names of whose weights are torchvision's."""

    def __init__(self, weights: dict[str, Tensor], name: str, stride: int, padding: tuple[int, int]) -> None:
        """Take the weights under `name`."""
        super().__init__()
        out, into, *kernel = weights[f"{name}.conv.weight"].shape
        self.conv = nn.Conv2d(into, out, (kernel[0], kernel[1]), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=1e-3)
        self.load_state_dict(
            {key.removeprefix(f"{name}."): one for key, one in weights.items() if key.startswith(f"{name}.")}
        )
        self.eval()

    def forward(self, grid: Tensor) -> Tensor:
        """Return the layer's grid."""
        return torch.relu(self.bn(self.conv(grid)))


def reference(w: dict[str, Tensor], grid: Tensor, *, port: bool) -> Tensor:
    """Return the features, every block written out as its figure in the paper shows it."""

    def layer(name: str, values: Tensor, padding: tuple[int, int] = (0, 0), stride: int = 1) -> Tensor:
        return Layer(w, name, stride, padding)(values)

    def mean(values: Tensor) -> Tensor:
        return nn.AvgPool2d(3, 1, 1, count_include_pad=not port)(values)

    most = nn.MaxPool2d(3, 2)
    grid = layer("Conv2d_2a_3x3", layer("Conv2d_1a_3x3", grid, stride=2))
    grid = most(layer("Conv2d_2b_3x3", grid, (1, 1)))
    grid = most(layer("Conv2d_4a_3x3", layer("Conv2d_3b_1x1", grid)))
    for at in ("Mixed_5b.", "Mixed_5c.", "Mixed_5d."):
        five = layer(at + "branch5x5_2", layer(at + "branch5x5_1", grid), (2, 2))
        three = layer(at + "branch3x3dbl_2", layer(at + "branch3x3dbl_1", grid), (1, 1))
        three = layer(at + "branch3x3dbl_3", three, (1, 1))
        grid = torch.cat([layer(at + "branch1x1", grid), five, three, layer(at + "branch_pool", mean(grid))], 1)
    at = "Mixed_6a."
    three = layer(at + "branch3x3dbl_2", layer(at + "branch3x3dbl_1", grid), (1, 1))
    three = layer(at + "branch3x3dbl_3", three, stride=2)
    grid = torch.cat([layer(at + "branch3x3", grid, stride=2), three, most(grid)], 1)
    wide, tall = (0, 3), (3, 0)
    for at in ("Mixed_6b.", "Mixed_6c.", "Mixed_6d.", "Mixed_6e."):
        seven = layer(at + "branch7x7_3", layer(at + "branch7x7_2", layer(at + "branch7x7_1", grid), wide), tall)
        double = layer(at + "branch7x7dbl_2", layer(at + "branch7x7dbl_1", grid), tall)
        double = layer(at + "branch7x7dbl_4", layer(at + "branch7x7dbl_3", double, wide), tall)
        double = layer(at + "branch7x7dbl_5", double, wide)
        grid = torch.cat([layer(at + "branch1x1", grid), seven, double, layer(at + "branch_pool", mean(grid))], 1)
    at = "Mixed_7a."
    three = layer(at + "branch3x3_2", layer(at + "branch3x3_1", grid), stride=2)
    seven = layer(at + "branch7x7x3_2", layer(at + "branch7x7x3_1", grid), wide)
    seven = layer(at + "branch7x7x3_4", layer(at + "branch7x7x3_3", seven, tall), stride=2)
    grid = torch.cat([three, seven, most(grid)], 1)
    for at in ("Mixed_7b.", "Mixed_7c."):
        three = layer(at + "branch3x3_1", grid)
        both = [layer(at + "branch3x3_2a", three, (0, 1)), layer(at + "branch3x3_2b", three, (1, 0))]
        double = layer(at + "branch3x3dbl_2", layer(at + "branch3x3dbl_1", grid), (1, 1))
        both += [layer(at + "branch3x3dbl_3a", double, (0, 1)), layer(at + "branch3x3dbl_3b", double, (1, 0))]
        pooled = functional.max_pool2d(grid, 3, 1, 1) if port and at == "Mixed_7c." else mean(grid)
        grid = torch.cat([layer(at + "branch1x1", grid), *both, layer(at + "branch_pool", pooled)], 1)
    return nn.AdaptiveAvgPool2d(1)(grid).flatten(1)


@torch.no_grad()
def test_it_is_the_network_of_the_paper_in_both_variants() -> None:
    weights = inception_weights(0.06)
    pictures = torch.randn(2, 3, 107, 96, generator=torch.Generator().manual_seed(1))
    found = [inception(weights, size=(107, 96), port=port)(pictures) for port in (False, True)]
    for port, mine in zip((False, True), found, strict=True):
        torch.testing.assert_close(mine, reference(weights, pictures, port=port), atol=1e-5, rtol=1e-4)
    assert found[0].std() > 1e-3
    assert not torch.allclose(found[0], found[1], atol=1e-3)


@torch.no_grad()
def test_at_full_width_it_has_the_published_size_and_2048_features() -> None:
    weights = inception_weights()
    counted = sum(
        one.numel() for name, one in weights.items() if ".conv." in name or name.endswith(("n.weight", "n.bias"))
    )
    assert counted == PARAMETERS
    assert inception(weights, size=(299, 299), port=False)(torch.zeros(1, 3, 75, 75)).shape == (1, 2048)


def test_weights_of_another_network_are_refused() -> None:
    weights = inception_weights(0.03)
    name = "Mixed_7b.branch3x3_2b.conv.weight"
    wrong = {
        f"lack {name}": {key: one for key, one in weights.items() if key != name},
        "another shape": {**weights, name: weights[name].transpose(2, 3)},
        "has no Mixed_8a": {**weights, "Mixed_8a.x": torch.ones(1)},
        "of the port": {**weights, "fc.weight": torch.zeros(1008, weights["fc.weight"].shape[1])},
    }
    for words, given in wrong.items():
        with pytest.raises(ValidatorInputError, match=words):
            inception(given, size=(299, 299), port=False)
    with pytest.raises(ValidatorInputError, match="too small"):
        inception(weights, size=(74, 299), port=False)
