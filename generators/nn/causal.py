"""A causal transformer over a grid of positions, read row by row, modulated by one vector a picture.

Blocks normalise before they act; queries and keys are normalised by themselves (QK-norm: Dehghani et al. 2023, arXiv
2302.05442, section 2.1), rotated by row in one half of a head and by column in the other (rotary positions: Su et al.
2021, arXiv 2104.09864, equation 34, here in two dimensions), and both normalisations are scaled and shifted by the
condition (Peebles and Xie 2023, arXiv 2212.09748, section 3.2, "adaLN-Zero" without its gates).

# B batch, N positions, H width, A heads, E numbers of a head
"""

import math

import torch
from torch import Tensor, nn

from generators.nn.residual import Dropout

ROTARY_BASE = 30.0  # the slowest rotation turns by 1/30 radian a cell: grids have tens of rows, not thousands
HEAD_WIDTH = 32


class Rotations(nn.Module):
    """Cosines and sines of the angles by which a head's pairs are turned at each position of the grid.

    Args:
        rows, columns: of the grid.
        head: numbers of a head, a multiple of 4.

    """

    cosines: Tensor
    sines: Tensor

    def __init__(self, rows: int, columns: int, head: int) -> None:
        """Make both tables, N E; number i is turned together with number i + E/2."""
        super().__init__()
        assert head % 4 == 0
        quarter = head // 4
        speeds = ROTARY_BASE ** (-torch.arange(quarter) / max(quarter - 1, 1))
        row = torch.arange(rows).repeat_interleave(columns)
        column = torch.arange(columns).repeat(rows)
        angles = torch.cat([row[:, None] * speeds, column[:, None] * speeds], dim=1)
        self.register_buffer("cosines", torch.cat([angles.cos(), angles.cos()], dim=1), persistent=False)
        self.register_buffer("sines", torch.cat([-angles.sin(), angles.sin()], dim=1), persistent=False)

    def forward(self, x: Tensor, first: int = 0) -> Tensor:
        """Return x, B A N E, turned as at the positions from `first` on."""
        positions = slice(first, first + x.shape[2])
        cosines, sines = self.cosines[positions].to(x.dtype), self.sines[positions].to(x.dtype)
        return torch.addcmul(x * cosines, x.roll(x.shape[-1] // 2, dims=-1), sines)


class Cache:
    """Keys and values of the positions so far, of all blocks: allocated once, filled position by position.

    Args:
        blocks: number of blocks.
        shape: B A N E.
        device, dtype: of the tensors.

    """

    def __init__(self, blocks: int, shape: tuple[int, int, int, int], device: torch.device, dtype: torch.dtype) -> None:
        """Allocate everything."""
        self.keys = [torch.empty(shape, device=device, dtype=dtype) for _ in range(blocks)]
        self.values = [torch.empty(shape, device=device, dtype=dtype) for _ in range(blocks)]

    def extended(self, block: int, position: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store key and value (B A 1 E) of `position`; return those of all positions up to it."""
        self.keys[block][:, :, position : position + 1] = key
        self.values[block][:, :, position : position + 1] = value
        return self.keys[block][:, :, : position + 1], self.values[block][:, :, : position + 1]


class CausalBlock(nn.Module):
    """Attention to earlier positions and itself, then a two-layer network, each added to what came in.

    Args:
        width: H, a multiple of `HEAD_WIDTH`.
        dropout: share of the units that are dropped before each addition in training.

    """

    def __init__(self, width: int, dropout: float) -> None:
        """Begin as the identity: what is added begins at zero, and so does the modulation."""
        super().__init__()
        self.num_heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.query_norm = nn.LayerNorm(HEAD_WIDTH)
        self.key_norm = nn.LayerNorm(HEAD_WIDTH)
        self.mix = nn.Linear(width, width, bias=False)
        self.widen = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)
        self.modulate = nn.Linear(width, 4 * width)
        self.dropout = Dropout(dropout)
        for layer in (self.mix, self.narrow, self.modulate):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(
        self, x: Tensor, condition: Tensor, rotations: Rotations, cache: tuple[Cache, int, int] | None = None
    ) -> Tensor:
        """Return B N H.

        Args:
            x: B N H; with a cache N = 1.
            condition: B H.
            rotations: of the grid.
            cache: (where earlier keys and values are, number of this block, position of x), or None for all positions
                at once.

        """
        scale_a, shift_a, scale_b, shift_b = self.modulate(condition)[:, None].chunk(4, dim=-1)
        normal = torch.addcmul(shift_a, _normalised(x), 1 + scale_a)
        query, key, value = (
            part.unflatten(-1, (self.num_heads, HEAD_WIDTH)).transpose(1, 2)
            for part in self.qkv(normal).chunk(3, dim=-1)
        )
        first = 0 if cache is None else cache[2]
        query, key = rotations(self.query_norm(query), first), rotations(self.key_norm(key), first)
        if cache is not None:
            key, value = cache[0].extended(cache[1], cache[2], key, value)
        attended = _attended(query, key, value, is_causal=cache is None)
        x = x + self.dropout(self.mix(attended.transpose(1, 2).flatten(2)))
        normal = torch.addcmul(shift_b, _normalised(x), 1 + scale_b)
        out: Tensor = x + self.dropout(self.narrow(self.widen(normal).relu().square()))
        return out


class CausalTrunk(nn.Module):
    """A chain of causal blocks over a grid: B N H -> B N H, position n a function of positions up to n alone.

    Args:
        rows, columns: of the grid, N = rows * columns.
        width: H.
        depth: number of blocks.
        dropout: see `CausalBlock`.

    """

    def __init__(self, rows: int, columns: int, width: int, depth: int, dropout: float) -> None:
        """Build the chain."""
        super().__init__()
        self.num_positions = rows * columns
        self.num_heads = width // HEAD_WIDTH
        self.rotations = Rotations(rows, columns, HEAD_WIDTH)
        self.blocks = nn.ModuleList(CausalBlock(width, dropout) for _ in range(depth))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return features of all positions, B N H, of inputs B N H and a condition B H."""
        for block in self.blocks:
            x = block(x, condition, self.rotations)
        return _normalised(x)

    def matrices(self) -> list[nn.Parameter]:
        """Return the weights of all hidden layers but those that modulate."""
        hidden = ("qkv", "mix", "widen", "narrow")
        return [weight for name, weight in self.named_parameters() if name.split(".")[-2] in hidden]

    def cache(self, batch: int, device: torch.device, dtype: torch.dtype) -> Cache:
        """Return an empty cache for `batch` pictures."""
        return Cache(len(self.blocks), (batch, self.num_heads, self.num_positions, HEAD_WIDTH), device, dtype)

    def step(self, x: Tensor, condition: Tensor, cache: Cache, position: int) -> Tensor:
        """Return the features of one position, B 1 H, the earlier ones being in the cache."""
        for number, block in enumerate(self.blocks):
            x = block(x, condition, self.rotations, (cache, number, position))
        return _normalised(x)


def _normalised(x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, (x.shape[-1],))


def _attended(query: Tensor, key: Tensor, value: Tensor, *, is_causal: bool) -> Tensor:
    """Return softmax(query key^T / sqrt(E)) value, B A N E; causal, or one query that sees all keys."""
    if query.device.type != "cpu" or query.dtype != torch.bfloat16:
        return nn.functional.scaled_dot_product_attention(query, key, value.to(query.dtype), is_causal=is_causal)
    # torch's fused attention takes six times as long as plain products in bfloat16 on a CPU, at 49 positions
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if is_causal:
        scores = scores + torch.full(scores.shape[-2:], -math.inf, dtype=scores.dtype).triu(1)
    attended: Tensor = scores.softmax(dim=-1) @ value
    return attended
