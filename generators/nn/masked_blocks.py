"""A light autoregression over the symbols of one cell: masked matrices, all symbols' logits in one pass.

A cell has D symbols in a fixed order. Hidden units come in D groups; group j sees the context and symbols before j
alone, because the weights from later symbols and groups are masked (Germain et al. 2015, arXiv 1502.03509, equation
10). So the product of the D conditional distributions is an exact likelihood, at the cost of three matrix products.
Drawing fills symbol after symbol and computes each group once.

# M cells, D symbols of a cell, K largest number of categories of a symbol, E embedding, U units of a group, H width
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

NEVER = -1e9  # logit of a category that a symbol does not have; finite, so that guidance may subtract it


class SymbolTable(nn.Module):
    """One vector for every category of every symbol, beginning with the category's rank as its first number.

    Args:
        sizes: categories of each of the D symbols.
        embedding: E.

    """

    starts: Tensor

    def __init__(self, sizes: Sequence[int], embedding: int) -> None:
        """Begin ordered: levels that lie beside each other begin alike in one number of E."""
        super().__init__()
        self.symbols = len(sizes)
        most = max(sizes)
        table = torch.randn(len(sizes), most, embedding) * 0.5
        for place, size in enumerate(sizes):
            table[place, :, 0] = torch.arange(most) / max(size - 1, 1) * 3.4 - 1.7  # a uniform rank's variance is 1
        self.table = nn.Parameter(table.flatten(0, 1))
        self.register_buffer("starts", torch.arange(len(sizes)) * most, persistent=False)

    def forward(self, symbols: Tensor) -> Tensor:
        """Return vectors, ... D E, of int64 symbols, ... D."""
        return nn.functional.embedding(symbols + self.starts, self.table)

    def one(self, place: int, symbols: Tensor) -> Tensor:
        """Return the vectors, ... E, of symbols at one place."""
        return nn.functional.embedding(symbols + self.starts[place], self.table)


class MaskedBlocks(nn.Module):
    """p(symbols of a cell | context) as a product over the symbols, in order.

    Args:
        sizes: categories of each of the D symbols.
        width: H, of the context.
        units: U.
        embedding: E.

    """

    first_mask: Tensor
    second_mask: Tensor
    third_mask: Tensor
    missing: Tensor

    def __init__(self, sizes: Sequence[int], width: int, units: int, embedding: int) -> None:
        """Build three masked matrices; the last begins at zero, so logits begin as the bias."""
        super().__init__()
        self.sizes, self.units, self.embedding = tuple(sizes), units, embedding
        symbols, most = len(sizes), max(sizes)
        self.most = most
        hidden = symbols * units
        self.table = SymbolTable(sizes, embedding)
        self.context = nn.Linear(width, 2 * hidden)
        self.first = nn.Linear(symbols * embedding, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden, bias=False)
        self.third = nn.Linear(hidden, symbols * most)
        order = torch.arange(symbols)
        strictly, upto = order[None] < order[:, None], order[None] <= order[:, None]
        for name, allowed, rows, columns in (
            ("first_mask", strictly, units, embedding),
            ("second_mask", upto, units, units),
            ("third_mask", upto, most, units),
        ):
            mask = allowed.repeat_interleave(rows, 0).repeat_interleave(columns, 1)
            self.register_buffer(name, mask.float(), persistent=False)
        absent = torch.arange(most)[None] >= torch.tensor(self.sizes)[:, None]
        self.register_buffer("missing", absent.float() * NEVER, persistent=False)
        with torch.no_grad():  # a row's fan-in is about half of its columns
            self.first.weight.mul_(2**0.5)
            self.second.weight.mul_(2**0.5)
            self.third.weight.zero_()
            self.third.bias.zero_()

    def forward(self, context: Tensor, symbols: Tensor) -> Tensor:
        """Return logits, ... D K, of contexts ... H and int64 symbols ... D; those of j see symbols before j alone."""
        of_first, of_second = self.context(context).chunk(2, dim=-1)
        known = self.table(symbols).flatten(-2)
        inner = nn.functional.silu(nn.functional.linear(known, self.first.weight * self.first_mask) + of_first)
        outer = inner + nn.functional.silu(
            nn.functional.linear(inner, self.second.weight * self.second_mask) + of_second
        )
        logits = nn.functional.linear(outer, self.third.weight * self.third_mask, self.third.bias)
        every: Tensor = logits.float().view(*logits.shape[:-1], len(self.sizes), self.most) + self.missing
        return every


class BlockDrawing:
    """Draws the symbols of one cell after the other, computing each group of units once.

    Args:
        blocks: the network.
        context: M H.

    """

    def __init__(self, blocks: MaskedBlocks, context: Tensor) -> None:
        """Compute what the context adds; the rest follows symbol by symbol."""
        self.blocks = blocks
        self.of_first, self.of_second = (part.contiguous() for part in blocks.context(context).chunk(2, dim=-1))
        rows, hidden = self.of_first.shape
        self.known = self.of_first.new_zeros(rows, len(blocks.sizes) * blocks.embedding)
        self.inner = self.of_first.new_zeros(rows, hidden)
        self.outer = self.of_first.new_zeros(rows, hidden)

    def logits(self, place: int) -> Tensor:
        """Return the logits of the symbol at `place`, M K, those before it having been `put`."""
        blocks, units, linear = self.blocks, self.blocks.units, nn.functional.linear
        begin, end = place * units, (place + 1) * units
        seen = place * blocks.embedding
        inner = self.of_first[:, begin:end]
        if place:
            inner = inner + linear(self.known[:, :seen], blocks.first.weight[begin:end, :seen])
        self.inner[:, begin:end] = nn.functional.silu(inner)
        outer = linear(self.inner[:, :end], blocks.second.weight[begin:end, :end]) + self.of_second[:, begin:end]
        self.outer[:, begin:end] = self.inner[:, begin:end] + nn.functional.silu(outer)
        rows = slice(place * blocks.most, (place + 1) * blocks.most)
        logits = linear(self.outer[:, :end], blocks.third.weight[rows, :end], blocks.third.bias[rows])
        return logits.float() + blocks.missing[place]

    def put(self, place: int, symbols: Tensor) -> None:
        """Set the symbols, int64 M, that were drawn at `place`."""
        begin = place * self.blocks.embedding
        self.known[:, begin : begin + self.blocks.embedding] = self.blocks.table.one(place, symbols)
