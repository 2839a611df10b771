"""Small random networks as files of users: a vision transformer and Inception under their standard names, programs."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from validators.features.inception import BLOCKS, BRANCHES, STEM

WIDTHS = {
    "Conv2d_1a_3x3": 32,
    "Conv2d_2a_3x3": 32,
    "Conv2d_2b_3x3": 64,
    "Conv2d_3b_1x1": 80,
    "Conv2d_4a_3x3": 192,
}
A, C = {"branch1x1": [64], "branch5x5": [48, 64], "branch3x3dbl": [64, 96, 96]}, (128, 160, 160, 192)
BLOCK_WIDTHS: dict[str, dict[str, list[int]]] = {
    **{f"Mixed_5{x}": {**A, "branch_pool": [pool]} for x, pool in zip("bcd", (32, 64, 64), strict=True)},
    "Mixed_6a": {"branch3x3": [384], "branch3x3dbl": [64, 96, 96]},
    **{
        f"Mixed_6{x}": {
            "branch1x1": [192],
            "branch7x7": [c, c, 192],
            "branch7x7dbl": [c, c, c, c, 192],
            "branch_pool": [192],
        }
        for x, c in zip("bcde", C, strict=True)
    },
    "Mixed_7a": {"branch3x3": [192, 320], "branch7x7x3": [192, 192, 192, 192]},
    **{
        f"Mixed_7{x}": {
            "branch1x1": [320],
            "branch3x3": [384, 384, 384],
            "branch3x3dbl": [448, 384, 384, 384],
            "branch_pool": [192],
        }
        for x in "bc"
    },
}
"""Channels as Szegedy et al. 2015 and the published weights have them."""


def transformer_weights(
    *, width: int = 24, patch: int = 4, depth: int = 2, side: int = 4, dino2: bool = False, seed: int = 0
) -> dict[str, Tensor]:
    """Return random weights under the names of DINO; with `dino2` also registers, scales and a gated perceptron."""
    rng = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng) / shape[-1] ** 0.5

    found = {
        "cls_token": drawn(1, 1, width),
        "pos_embed": drawn(1, 1 + side * side, width),
        "patch_embed.proj.weight": drawn(width, 3, patch, patch),
        "patch_embed.proj.bias": drawn(width),
        "mask_token": drawn(1, width),
    }
    if dino2:
        found["register_tokens"] = drawn(1, 3, width)
    for position in range(depth):
        at = f"blocks.{position}."
        sizes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        sizes |= {"mlp.w12": (4 * width, width), "mlp.w3": (width, 2 * width)} if dino2 else {}
        sizes |= {} if dino2 else {"mlp.fc1": (2 * width, width), "mlp.fc2": (width, 2 * width)}
        for name, (out, into) in sizes.items():
            found |= {f"{at}{name}.weight": drawn(out, into), f"{at}{name}.bias": drawn(out)}
        for name in ("norm1", "norm2"):
            found |= {f"{at}{name}.weight": 1 + drawn(width), f"{at}{name}.bias": drawn(width)}
        found |= {f"{at}{name}.gamma": drawn(width) for name in ("ls1", "ls2") if dino2}
    return found | {"norm.weight": 1 + drawn(width), "norm.bias": drawn(width)}


def inception_weights(share: float = 1.0, *, seed: int = 0) -> dict[str, Tensor]:
    """Return random weights under torchvision's names, with a share of the published channels."""
    rng = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}

    def convolution(name: str, into: int, out: int, kernel: tuple[int, int]) -> int:
        out = max(1, round(out * share))
        found[f"{name}.conv.weight"] = torch.randn(out, into, *kernel, generator=rng) / (into * kernel[0]) ** 0.5
        found[f"{name}.bn.weight"] = 1 + 0.1 * torch.randn(out, generator=rng)
        found[f"{name}.bn.bias"] = 0.1 * torch.randn(out, generator=rng)
        found[f"{name}.bn.running_mean"] = 0.1 * torch.randn(out, generator=rng)
        found[f"{name}.bn.running_var"] = 0.5 + torch.rand(out, generator=rng)
        found[f"{name}.bn.num_batches_tracked"] = torch.tensor(7)
        return out

    channels = 3
    for name in filter(None, STEM):
        channels = convolution(name, channels, WIDTHS[name], (1, 1) if name.endswith("1x1") else (3, 3))
    for name, kind in BLOCKS.items():
        total = 0
        for branch, kernels in BRANCHES[kind].items():
            here = channels
            for (step, kernel), out in zip(kernels.items(), BLOCK_WIDTHS[name][branch], strict=True):
                made = convolution(f"{name}.{branch}{step}", here, out, kernel)
                ends = step.endswith(("a", "b"))
                total += made if ends or step == list(kernels)[-1] else 0
                here = here if ends else made
        pool = BLOCK_WIDTHS[name].get("branch_pool")
        channels = total + (convolution(f"{name}.branch_pool", channels, pool[0], (1, 1)) if pool else channels)
    return found | {"fc.weight": torch.zeros(1000, channels), "fc.bias": torch.zeros(1000)}


class Summary(nn.Module):
    """Means over a grid of some random convolutions: float B C H W -> float B 96."""

    def __init__(self, channels: int = 3, num: int = 24) -> None:
        """Draw the weights from a seed of its own."""
        super().__init__()
        self.body = nn.Conv2d(channels, num, 3, stride=2)
        rng = torch.Generator().manual_seed(3)
        self.body.weight.data = torch.randn(self.body.weight.shape, generator=rng) / 5

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features."""
        return nn.functional.adaptive_avg_pool2d(torch.relu(self.body(pictures)), 2).flatten(1)


def program(module: nn.Module) -> bytes:
    """Return the bytes of a module as a TorchScript program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        held = io.BytesIO()
        torch.jit.save(torch.jit.script(module), held)
    return held.getvalue()


def weights(tensors: dict[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file."""
    return save(tensors)


def written(folder: Path, data: bytes, kind: str, name: str = "own.bin", **more: Any) -> dict[str, Any]:
    """Write the file and return what a policy says of it."""
    (folder / name).write_bytes(data)
    return {"kind": kind, "path": str(folder / name), "sha256": hashlib.sha256(data).hexdigest(), **more}
