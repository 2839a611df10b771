"""Inception-v3 up to its last pooling, from weights under torchvision's names: 2,048 features of a picture.

Szegedy et al. 2015 (arXiv 1512.00567, table 1 and figures 5 to 7; the order of blocks is that of published weights).
Every convolution is followed by batch normalisation and a ReLU. Two variants have the same names: torchvision's own,
and the port of the network by which the Fréchet distance is defined (Heusel et al. 2017), whose average pools leave the
border out and whose last block pools by the maximum.

Legend: B batch, H height, W width. Pictures are in [-1, 1], three channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from validators.errors import ValidatorInputError
from validators.features.weight_files import PLACE, check_weights

EPS = 1e-3
SPARE = r"AuxLogits\.|fc\.|.*\.num_batches_tracked$"
"""Weights beyond the last pooling, and a counter of training."""

LEAST_SIDE = 75
"""Of a picture: under it nothing is left after the last halving."""

CLASSES_OF_PORT = 1008
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "")
"""Convolutions in order; where no name stands, the grid is halved by the maximum."""

WIDE, TALL = (1, 7), (7, 1)
BLOCKS: Mapping[str, str] = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), "A"),
    "Mixed_6a": "B",
    **dict.fromkeys(("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"), "C"),
    "Mixed_7a": "D",
    **dict.fromkeys(("Mixed_7b", "Mixed_7c"), "E"),
}
Kernel = tuple[int, int]
BRANCHES: Mapping[str, Mapping[str, Mapping[str, Kernel]]] = {
    "A": {
        "branch1x1": {"": (1, 1)},
        "branch5x5": {"_1": (1, 1), "_2": (5, 5)},
        "branch3x3dbl": {"_1": (1, 1), "_2": (3, 3), "_3": (3, 3)},
    },
    "B": {
        "branch3x3": {"": (3, 3)},
        "branch3x3dbl": {"_1": (1, 1), "_2": (3, 3), "_3": (3, 3)},
    },
    "C": {
        "branch1x1": {"": (1, 1)},
        "branch7x7": {"_1": (1, 1), "_2": WIDE, "_3": TALL},
        "branch7x7dbl": {"_1": (1, 1), "_2": TALL, "_3": WIDE, "_4": TALL, "_5": WIDE},
    },
    "D": {
        "branch3x3": {"_1": (1, 1), "_2": (3, 3)},
        "branch7x7x3": {"_1": (1, 1), "_2": WIDE, "_3": TALL, "_4": (3, 3)},
    },
    "E": {
        "branch1x1": {"": (1, 1)},
        "branch3x3": {"_1": (1, 1), "_2a": (1, 3), "_2b": (3, 1)},
        "branch3x3dbl": {"_1": (1, 1), "_2": (3, 3), "_3a": (1, 3), "_3b": (3, 1)},
    },
}
"""Kind of block -> branch -> convolutions, one after another; `a` and `b` both follow the one before them."""

HALVING = ("B", "D")
"""Blocks whose branches end with a stride of two without padding, beside a maximum; the others pool and project."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inception:
    """A frozen network: float B 3 H W -> float B 2048.

    Args:
        weights: by name.
        port: whether it is the port by which the Fréchet distance is defined.

    """

    weights: Mapping[str, Tensor]
    port: bool

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return the mean over the last grid."""
        grid = pictures
        for name in STEM:
            if name:
                padding = (1, 1) if name == "Conv2d_2b_3x3" else (0, 0)
                grid = self._convolved(name, grid, stride=2 if name == STEM[0] else 1, padding=padding)
            else:
                grid = functional.max_pool2d(grid, 3, stride=2)
        for name, kind in BLOCKS.items():
            grid = self._block(name, kind, grid)
        return grid.mean(dim=(2, 3))

    def _block(self, name: str, kind: str, grid: Tensor) -> Tensor:
        found = []
        for branch, kernels in BRANCHES[kind].items():
            here, ends = grid, []
            last = list(kernels)[-1]
            for step, kernel in kernels.items():
                halves = kind in HALVING and step == last
                padding = (0, 0) if halves else ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2)
                seen = self._convolved(f"{name}.{branch}{step}", here, stride=2 if halves else 1, padding=padding)
                if step.endswith(("a", "b")):
                    ends.append(seen)
                else:
                    here = seen
            found += ends or [here]
        if kind in HALVING:
            return torch.cat([*found, functional.max_pool2d(grid, 3, stride=2)], dim=1)
        if self.port and name == "Mixed_7c":
            pooled = functional.max_pool2d(grid, 3, stride=1, padding=1)
        else:
            pooled = functional.avg_pool2d(grid, 3, stride=1, padding=1, count_include_pad=not self.port)
        return torch.cat([*found, self._convolved(f"{name}.branch_pool", pooled)], dim=1)

    def _convolved(self, name: str, grid: Tensor, *, stride: int = 1, padding: Kernel = (0, 0)) -> Tensor:
        w = self.weights
        grid = functional.conv2d(grid, w[f"{name}.conv.weight"], stride=stride, padding=padding)
        law = w[f"{name}.bn.running_mean"], w[f"{name}.bn.running_var"]
        grid = functional.batch_norm(grid, *law, w[f"{name}.bn.weight"], w[f"{name}.bn.bias"], eps=EPS)
        return functional.relu(grid)


def inception(weights: Mapping[str, Tensor], *, size: tuple[int, int], port: bool) -> Inception:
    """Return the network that `weights` are of; `size` is that of the pictures that it will see, `port` which variant.

    Raises:
        ValidatorInputError: a weight is missing, has another shape or no use; pictures are too small.

    """
    check_weights(weights, _shapes(weights), spare=SPARE)
    classes = weights["fc.weight"].shape[0] if "fc.weight" in weights else 0
    if classes == CLASSES_OF_PORT and not port:
        raise ValidatorInputError(
            f"{PLACE}.kind: weights with {classes:,} classes are of the port for the Fréchet distance",
            seen="inception_v3",
            remedy="write kind: inception_fid",
        )
    if min(size) < LEAST_SIDE:
        raise ValidatorInputError(
            f"{PLACE}.size: too small for Inception-v3", seen=list(size), remedy=f"at least {LEAST_SIDE}; 299 is usual"
        )
    return Inception(weights=weights, port=port)


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight: channels as its own convolution shows them, kernels as they must be."""
    found: dict[str, tuple[int, ...]] = {}

    def out_of(name: str, into: int, kernel: Kernel) -> int:
        weight = weights.get(f"{name}.conv.weight")
        out = 0 if weight is None or weight.ndim == 0 else int(weight.shape[0])
        found[f"{name}.conv.weight"] = (out, into, *kernel)
        found.update({f"{name}.bn.{one}": (out,) for one in ("weight", "bias", "running_mean", "running_var")})
        return out

    channels = 3
    for name in filter(None, STEM):
        channels = out_of(name, channels, (1, 1) if name.endswith("1x1") else (3, 3))
    for name, kind in BLOCKS.items():
        total = 0
        for branch, kernels in BRANCHES[kind].items():
            here, ends = channels, []
            for step, kernel in kernels.items():
                out = out_of(f"{name}.{branch}{step}", here, kernel)
                if step.endswith(("a", "b")):
                    ends.append(out)
                else:
                    here = out
            total += sum(ends) or here
        total += channels if kind in HALVING else out_of(f"{name}.branch_pool", channels, (1, 1))
        channels = total
    return found
