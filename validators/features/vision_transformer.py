"""The vision transformer, from weights under the names of DINO and DINOv2; its features are the class token.

Dosovitskiy et al. 2021 (arXiv 2010.11929, equations 1 to 4): patches are projected, a class token is put before them,
positions are added, and blocks of attention and of a perceptron follow, each after a norm and beside an identity.
DINOv2 (Oquab et al. 2023) scales both branches by learnt numbers (`ls1`, `ls2`), may gate the perceptron (`w12`, `w3`),
and may hold further tokens (registers, Darcet et al. 2023). All sizes but the heads follow from the weights' shapes.

Legend: B batch, C channels, H height, W width, D features, T tokens, G side of the learnt grid of positions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional

from validators.errors import ValidatorInputError
from validators.features.weight_files import PLACE, check_weights

HEAD_FEATURES = 64
"""Of every DINO and DINOv2 (384 / 6, 768 / 12, 1024 / 16, 1536 / 24)."""

EPS = 1e-6
SPARE = r"mask_token$|head\."
"""Weights that serve training alone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VisionTransformer:
    """A frozen network: float B C H W -> float B D.

    Args:
        weights: by name.
        depth: number of blocks.
        heads: of attention.

    """

    weights: Mapping[str, Tensor]
    depth: int
    heads: int

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return the class token after the last norm."""
        tokens = self._tokens(pictures)
        for position in range(self.depth):
            tokens = self._block(f"blocks.{position}.", tokens)
        return self._norm("norm", tokens)[:, 0]

    def _tokens(self, pictures: Tensor) -> Tensor:
        """Return B T D."""
        w = self.weights
        patch = w["patch_embed.proj.weight"]
        grid = functional.conv2d(pictures, patch, w["patch_embed.proj.bias"], stride=patch.shape[-2:])
        height, width = grid.shape[-2:]
        first = w["cls_token"].expand(len(grid), -1, -1)
        tokens = torch.cat([first, grid.flatten(2).transpose(1, 2)], dim=1) + self._positions(height, width)
        if "register_tokens" in w:
            registers = w["register_tokens"].expand(len(grid), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        return tokens

    def _positions(self, height: int, width: int) -> Tensor:
        """Return 1 T D, the learnt grid scaled (bicubic) to that of the picture where it is another."""
        learnt = self.weights["pos_embed"]
        side = isqrt(learnt.shape[1] - 1)
        if (height, width) == (side, side):
            return learnt
        grid = learnt[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, size=(height, width), mode="bicubic", align_corners=False)
        return torch.cat([learnt[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)

    def _block(self, at: str, tokens: Tensor) -> Tensor:
        w = self.weights
        seen = self._scaled(f"{at}ls1.gamma", self._attention(at, self._norm(f"{at}norm1", tokens)))
        tokens = tokens + seen
        inner = self._norm(f"{at}norm2", tokens)
        if f"{at}mlp.w12.weight" in w:
            gate, value = self._linear(f"{at}mlp.w12", inner).chunk(2, dim=-1)
            told = self._linear(f"{at}mlp.w3", functional.silu(gate) * value)
        else:
            told = self._linear(f"{at}mlp.fc2", functional.gelu(self._linear(f"{at}mlp.fc1", inner)))
        return tokens + self._scaled(f"{at}ls2.gamma", told)

    def _attention(self, at: str, tokens: Tensor) -> Tensor:
        num, length, width = tokens.shape
        parts = self._linear(f"{at}attn.qkv", tokens).reshape(num, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self._linear(f"{at}attn.proj", seen.transpose(1, 2).reshape(num, length, width))

    def _linear(self, name: str, values: Tensor) -> Tensor:
        return functional.linear(values, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"))

    def _norm(self, name: str, values: Tensor) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(values, weight.shape, weight, bias, EPS)

    def _scaled(self, name: str, values: Tensor) -> Tensor:
        gamma = self.weights.get(name)
        return values if gamma is None else values * gamma


def vision_transformer(
    weights: Mapping[str, Tensor], *, size: tuple[int, int], heads: int | None = None
) -> VisionTransformer:
    """Return the network that `weights` are of.

    Args:
        weights: by DINO's names.
        size: height and width of the pictures that it will see.
        heads: of attention; None is one for `HEAD_FEATURES` features.

    Raises:
        ValidatorInputError: a weight is missing, has another shape or no use; patches or heads do not fit.

    """
    patch = weights.get("patch_embed.proj.weight")
    learnt = weights.get("pos_embed")
    if patch is None or patch.ndim != 4 or learnt is None or learnt.ndim != 3:  # noqa: PLR2004 - D C p p, 1 T D
        raise ValidatorInputError(
            f"{PLACE}.kind: not the weights of a vision transformer under DINO's names",
            seen=", ".join(list(weights)[:5]),
            remedy="they begin with cls_token, pos_embed, patch_embed.proj.weight; other networks come as torchscript",
        )
    features, _, tall, wide = patch.shape
    depth = len({name.split(".")[1] for name in weights if name.startswith("blocks.")})
    check_weights(weights, _shapes(weights, depth, features), spare=SPARE)
    if isqrt(learnt.shape[1] - 1) ** 2 != learnt.shape[1] - 1:
        raise ValidatorInputError(f"{PLACE}.kind: positions are no square grid", seen=f"{learnt.shape[1] - 1} of them")
    if size[0] % tall or size[1] % wide:
        raise ValidatorInputError(
            f"{PLACE}.size: no whole number of patches", seen=list(size), remedy=f"give multiples of {tall} and {wide}"
        )
    heads = heads or max(1, features // HEAD_FEATURES)
    if features % heads:
        raise ValidatorInputError(
            f"{PLACE}.heads: {features} features are not shared evenly", seen=heads, remedy="give the heads it has"
        )
    return VisionTransformer(weights=weights, depth=depth, heads=heads)


def _shapes(weights: Mapping[str, Tensor], depth: int, features: int) -> dict[str, tuple[int, ...]]:
    """Return the shape that each weight must have, given the sizes that some of them show."""
    patch = tuple(weights["patch_embed.proj.weight"].shape)
    found: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, features),
        "pos_embed": (1, weights["pos_embed"].shape[1], features),
        "patch_embed.proj.weight": (features, 3, *patch[2:]),
        "patch_embed.proj.bias": (features,),
    }
    if "register_tokens" in weights:
        found["register_tokens"] = (1, *weights["register_tokens"].shape[1:2], features)

    def norm(name: str) -> None:
        found.update({f"{name}.weight": (features,), f"{name}.bias": (features,)})

    def linear(name: str, out: int, into: int) -> None:
        found[f"{name}.weight"] = (out, into)
        if f"{name}.bias" in weights or not name.endswith("qkv"):
            found[f"{name}.bias"] = (out,)

    for position in range(depth):
        at = f"blocks.{position}."
        norm(f"{at}norm1")
        linear(f"{at}attn.qkv", 3 * features, features)
        linear(f"{at}attn.proj", features, features)
        norm(f"{at}norm2")
        for name in ("ls1", "ls2"):
            if f"{at}{name}.gamma" in weights:
                found[f"{at}{name}.gamma"] = (features,)
        if f"{at}mlp.w12.weight" in weights:
            hidden = weights[f"{at}mlp.w12.weight"].shape[0] // 2
            linear(f"{at}mlp.w12", 2 * hidden, features)
            linear(f"{at}mlp.w3", features, hidden)
        else:
            hidden = weights[f"{at}mlp.fc1.weight"].shape[0] if f"{at}mlp.fc1.weight" in weights else 0
            linear(f"{at}mlp.fc1", hidden, features)
            linear(f"{at}mlp.fc2", features, hidden)
    norm("norm")
    return found
