"""The likelihood is one, causal, and drawn from as it is written."""

import itertools
import time

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.image.autoregressive_networks import CellTransformer, draw_cells
from generators.image.cells import Cells
from generators.training.streams import isolated_rng


def network(
    height: int, width: int, side: int, symbols: tuple[int, ...], *, attributes: tuple[int, ...] = (3,), h: int = 32
) -> CellTransformer:
    """Return one whose weights are random throughout: those that begin at zero would hide what is wrong."""
    cells = Cells(height=height, width=width, symbols=len(symbols), side=side)
    with isolated_rng(1, torch.device("cpu")) as generator:
        made = CellTransformer(
            rows=cells.rows,
            columns=cells.columns,
            sizes=symbols * side**2,
            inside=cells.inside(),
            attributes=attributes,
            ranks=[None] * len(attributes),
            width=h,
            depth=2,
            units=4,
            embedding=3,
            dropout=0.0,
        )
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.data += torch.randn(parameter.shape, generator=generator)
    return made.eval()


def uniforms(made: CellTransformer, n: int) -> Tensor:
    generator = torch.Generator()
    generator.manual_seed(5)
    return torch.rand((n, *made.inside.shape), generator=generator)


@torch.no_grad()
def drawn_without_cache(made: CellTransformer, tokens: Tensor, uniform: Tensor, guidance: float) -> Tensor:
    """Draw symbol after symbol, each from the logits of a whole forward pass."""
    cells = torch.zeros(uniform.shape, dtype=torch.int64)
    unknown = made.unknown.expand_as(tokens)
    for position, symbol in itertools.product(*map(range, uniform.shape[1:])):
        if made.inside[position, symbol]:
            logits = made(cells, tokens)[:, position, symbol]
            free = made(cells, unknown)[:, position, symbol]
            chances = torch.cumsum(torch.softmax(free + guidance * (logits - free), dim=-1), dim=-1)
            cells[:, position, symbol] = torch.searchsorted(
                chances, uniform[:, position, symbol, None].contiguous(), right=True
            ).squeeze(1)
    return cells


@pytest.mark.parametrize(
    ("shape", "side", "symbols"),
    [((2, 3), 1, (2,)), ((2, 3), 2, (2,)), ((1, 2), 1, (3, 4)), ((1, 3), 2, (2, 3))],
    ids=["pixels", "cells beyond the edge", "digits", "digits in cells"],
)
def test_the_chances_of_all_pictures_sum_to_one(shape: tuple[int, int], side: int, symbols: tuple[int, ...]) -> None:
    made = network(*shape, side, symbols)
    cut = Cells(height=shape[0], width=shape[1], symbols=len(symbols), side=side)
    every = np.array(list(itertools.product(*(range(size) for size in symbols * (shape[0] * shape[1])))))
    cells = torch.from_numpy(cut.cut(every.reshape(-1, *shape, len(symbols))))
    with torch.no_grad():
        nats = made.nats(cells, torch.ones(len(cells), 1, dtype=torch.int64)).double()
    assert float(torch.exp(-nats).sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(nats.std()) > 0.1  # or it would only show that a constant was normalised


def test_a_later_symbol_changes_no_earlier_logits_and_an_earlier_one_does() -> None:
    made = network(6, 6, 2, (4, 4))
    generator = torch.Generator()
    generator.manual_seed(2)
    cells = torch.randint(4, (2, 9, 8), generator=generator)
    tokens = torch.zeros(2, 1, dtype=torch.int64)
    with torch.no_grad():
        before = made(cells, tokens).flatten(1, 2)
        for place in range(9 * 8):
            other = cells.clone()
            other.view(2, -1)[:, place] = (other.view(2, -1)[:, place] + 1) % 4
            after = made(other, tokens).flatten(1, 2)
            torch.testing.assert_close(after[:, : place + 1], before[:, : place + 1], rtol=0, atol=1e-6)
            assert place == 9 * 8 - 1 or not torch.allclose(after[:, place + 1], before[:, place + 1], atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 2.5])
@pytest.mark.parametrize(("shape", "side"), [((6, 6), 2), ((5, 7), 4), ((3, 4), 1)])
def test_the_cache_changes_nothing(shape: tuple[int, int], side: int, guidance: float) -> None:
    made = network(*shape, side, (3, 4))
    uniform = uniforms(made, 12)
    tokens = torch.arange(12).remainder(4)[:, None]  # 3 is unknown
    drawn = draw_cells(made, tokens, uniform, guidance=guidance)
    assert torch.equal(drawn, drawn_without_cache(made, tokens, uniform, guidance))
    assert len(drawn.unique(dim=0)) > 1


def test_guidance_moves_draws_and_needs_attributes() -> None:
    made, alone = network(4, 4, 2, (4,)), network(4, 4, 2, (4,), attributes=())
    uniform, tokens = uniforms(made, 20), torch.zeros(20, 1, dtype=torch.int64)
    assert not torch.equal(draw_cells(made, tokens, uniform), draw_cells(made, tokens, uniform, guidance=3.0))
    nothing = torch.zeros(20, 0, dtype=torch.int64)
    assert torch.equal(draw_cells(alone, nothing, uniform), draw_cells(alone, nothing, uniform, guidance=3.0))


def test_draws_have_the_frequencies_of_the_likelihood() -> None:
    made = network(1, 2, 1, (3,))
    n = 20_000
    drawn = draw_cells(made, torch.ones(n, 1, dtype=torch.int64), uniforms(made, n)).flatten(1)
    every = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    with torch.no_grad():
        chances = torch.exp(-made.nats(every[:, :, None], torch.ones(9, 1, dtype=torch.int64)))
    counted = torch.bincount(drawn[:, 0] * 3 + drawn[:, 1], minlength=9) / n
    bound = 5 * (chances * (1 - chances) / n).sqrt()  # five standard errors: one false alarm in 10^5
    assert bool(((counted - chances).abs() <= bound).all())


def test_drawing_with_the_cache_is_twenty_times_as_fast_as_without() -> None:
    made = network(28, 28, 4, (16, 16), h=64)
    tokens, uniform = torch.zeros(32, 1, dtype=torch.int64), uniforms(made, 32)
    draw_cells(made, tokens[:1], uniform[:1])
    began = time.process_time()
    cells = draw_cells(made, tokens, uniform)
    with_cache_s = time.process_time() - began
    began = time.process_time()
    with torch.no_grad():
        for _ in range(10):
            made(cells, tokens)
    without_s = (time.process_time() - began) / 10 * cells[0].numel()  # a whole pass for every symbol
    assert without_s > 20 * with_cache_s
