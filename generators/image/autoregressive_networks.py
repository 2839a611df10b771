"""A causal transformer over the cells of a picture, with a light autoregression inside each cell.

    cells before -> what they add to their neighbours to the right and below -> causal trunk -> context of a cell
    context, symbols before in the cell -> `MaskedBlocks` -> logits of each symbol

A position is fed with the cells beside it that are already there (before, above left, above, above right), so edges
go on without attention having to find them; what is farther comes through attention. Attributes modulate every block.

# B pictures, R rows and C columns of cells, N = R C, D symbols of a cell, K categories, H width, T attribute tokens
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.nn.attributes import AttributeInput
from generators.nn.causal import CausalTrunk
from generators.nn.masked_blocks import BlockDrawing, MaskedBlocks, SymbolTable

BELOW = (-1, 0, 1)  # columns from a cell to those of the next row that it is fed to
FED = 1 + len(BELOW)  # and the next cell, which begins the next row after the last of a row


class CellTransformer(nn.Module):
    """p(cells | attributes) as a product over all symbols in order.

    Args:
        rows, columns: of cells.
        sizes: categories of each of the D symbols of a cell.
        inside: bool N D, symbols that belong to the picture; the others are 0 and cost nothing.
        attributes: categories of each of the T attribute tokens.
        ranks: of the attributes, as in `AttributeInput`.
        width: H.
        depth: blocks of the trunk.
        units: of a group in `MaskedBlocks`.
        embedding: numbers of a symbol.
        dropout: in the trunk.

    """

    inside: Tensor
    unknown: Tensor

    def __init__(
        self,
        *,
        rows: int,
        columns: int,
        sizes: Sequence[int],
        inside: np.ndarray,
        attributes: Sequence[int],
        ranks: Sequence[np.ndarray | None],
        width: int,
        depth: int,
        units: int,
        embedding: int,
        dropout: float,
    ) -> None:
        """Build everything; logits begin as the bias of each symbol alone."""
        super().__init__()
        self.rows, self.columns, self.width = rows, columns, width
        self.table = SymbolTable(sizes, embedding)
        self.give = nn.Linear(len(sizes) * embedding, FED * width, bias=False)
        self.row = nn.Parameter(torch.randn(rows, 1, width) * 0.5)
        self.column = nn.Parameter(torch.randn(1, columns, width) * 0.5)
        self.attributes = AttributeInput(attributes, ranks, width)
        self.enter = nn.Linear(width, width)
        self.trunk = CausalTrunk(rows, columns, width, depth, dropout)
        self.blocks = MaskedBlocks(sizes, width, units, embedding)
        self.register_buffer("inside", torch.from_numpy(inside), persistent=False)
        self.register_buffer("unknown", torch.tensor(list(attributes), dtype=torch.int64), persistent=False)

    def condition(self, tokens: Tensor) -> Tensor:
        """Return the vector, B H, of attribute tokens, int64 B T; a token equal to its size is unknown."""
        return nn.functional.silu(self.attributes(tokens))

    def forward(self, cells: Tensor, tokens: Tensor) -> Tensor:
        """Return logits, float32 B N D K, of cells, int64 B N D, each from the symbols before it alone."""
        condition = self.condition(tokens)
        given = self.given(cells).view(len(cells), self.rows, self.columns, FED, self.width)
        x = self.row + self.column + self.enter(condition)[:, None, None]
        before = nn.functional.pad(given[:, :, :, 0].flatten(1, 2)[:, :-1], (0, 0, 1, 0))
        x = x + before.view(-1, self.rows, self.columns, self.width)
        for number, right in enumerate(BELOW, start=1):
            part = given[:, :-1, max(-right, 0) : self.columns - max(right, 0), number]
            x = x + nn.functional.pad(part, (0, 0, max(right, 0), max(-right, 0), 1, 0))
        context = self.trunk(x.flatten(1, 2), condition)
        logits: Tensor = self.blocks(context, cells)
        return logits

    def hidden_and_others(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Return the matrices of hidden layers, and every other parameter: tables, vectors, heads, modulation."""
        layers = (self.give, self.blocks.context, self.blocks.first, self.blocks.second)
        matrices = [*self.trunk.matrices(), *(layer.get_parameter("weight") for layer in layers)]
        chosen = {id(matrix) for matrix in matrices}
        return matrices, [parameter for parameter in self.parameters() if id(parameter) not in chosen]

    def given(self, cells: Tensor) -> Tensor:
        """Return what cells, int64 ... D, add to their neighbours, ... 4H."""
        out: Tensor = self.give(self.table(cells).flatten(-2))
        return out

    def nats(self, cells: Tensor, tokens: Tensor) -> Tensor:
        """Return -log p(cells | tokens) of each picture, B, in nats."""
        logits = self(cells, tokens)
        losses = nn.functional.cross_entropy(logits.flatten(0, 2), cells.flatten(), reduction="none")
        return (losses.view(cells.shape) * self.inside).sum(dim=(1, 2))


@torch.no_grad()
def draw_cells(
    network: CellTransformer,
    tokens: Tensor,
    uniforms: Tensor,
    *,
    guidance: float = 1.0,
    temperature: float = 1.0,
) -> Tensor:
    """Draw one picture for each row of attribute tokens.

    Keys and values of earlier cells are kept (`nn.causal.Cache`), so a cell costs one step of the trunk.

    Args:
        network: in evaluation mode.
        tokens: int64 B T.
        uniforms: float32 B N D in [0, 1), one for each symbol.
        guidance: how far logits are moved from the unconditional ones through the conditional ones; 1 is none (Ho and
            Salimans 2022, arXiv 2207.12598, equation 6, with 1 + w for this number).
        temperature: that logits are divided by.

    Returns:
        Cells, int64 B N D.

    """
    guided = guidance != 1.0 and tokens.shape[1] > 0
    num, columns = len(tokens), network.columns
    asked = torch.cat([tokens, network.unknown.expand_as(tokens)]) if guided else tokens
    condition = network.condition(asked)
    enter = network.enter(condition)
    dtype = enter.dtype
    cache = network.trunk.cache(len(asked), tokens.device, dtype)
    cells = torch.zeros((num, *network.inside.shape), dtype=torch.int64, device=tokens.device)
    fed = torch.zeros((num, network.rows + 1, columns + 2, network.width), dtype=dtype, device=tokens.device)
    inside = network.inside.tolist()
    for position, symbols in enumerate(inside):
        row, column = divmod(position, columns)
        place = (network.row[row, 0] + network.column[0, column]).to(dtype)
        x = fed[:, row, column + 1] + place
        x = (torch.cat([x, x]) if guided else x) + enter
        context = network.trunk.step(x[:, None], condition, cache, position)[:, 0]
        drawing = BlockDrawing(network.blocks, context)
        for number, is_inside in enumerate(symbols):
            logits = drawing.logits(number)
            if guided:
                conditional, unconditional = logits.chunk(2)
                logits = unconditional + guidance * (conditional - unconditional)
            if is_inside:
                cells[:, position, number] = _drawn(logits / temperature, uniforms[:, position, number])
            symbol = cells[:, position, number]
            drawing.put(number, torch.cat([symbol, symbol]) if guided else symbol)
        given = network.given(cells[:, position]).view(num, FED, -1)
        next_row, next_column = divmod(position + 1, columns)
        fed[:, next_row, next_column + 1] += given[:, 0]
        for which, right in enumerate(BELOW, start=1):
            fed[:, row + 1, column + 1 + right] += given[:, which]
    return cells


def _drawn(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Return a category for each row of logits, M K, by inverting the distribution function at uniforms, M."""
    sums = logits.softmax(dim=-1).cumsum(dim=-1)
    below = sums <= uniforms[:, None] * sums[:, -1:]
    return below.sum(dim=-1).clamp_(max=logits.shape[-1] - 1)
