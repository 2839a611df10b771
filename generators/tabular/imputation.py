"""Missing cells of real rows, drawn from p(missing | present) by `tabular.autoregressive`.

Each missing cell is drawn from its exact conditional law given what its row has and what was drawn before it, in the
model's order; that it might be missing is left out of the law. A row may lack any cells: every place is drawn for all
rows that lack it at once, so the passes through the network are at most two for each place and piece of rows, whatever
the number of patterns.

Where the model derives a column from others (`relations`) and it is these that a row lacks, the network cannot be told
of the column. Such rows are drawn anew until they keep the rule, some times, and else stay as they were: what they are
given is that the rule holds, not by how much.

What comes out are real rows with a few drawn cells. They are no synthetic data.

# N rows, T tokens of a row
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from generators.base import GeneratorInputError
from generators.nn.segments import draw
from generators.tabular.autoregressive import Autoregressive, Fitted
from generators.tabular.cells import numbers_of
from generators.tabular.codec import TableCodec
from generators.tabular.identifiers import IdCodec
from generators.tabular.labels import LabelCodec
from generators.tabular.masked import SAMPLE_ROWS, Painter
from generators.tabular.numeric import NumericCodec
from sources.errors import did_you_mean
from sources.randomness import derive

REDRAWS = 40
"""Of rows whose drawn cells break a rule with present ones."""


def impute(model: Autoregressive, frame: pd.DataFrame, seed: int, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return `frame` with its missing cells drawn; cells that are present stay as they are.

    A cell stays missing where the model knows no value for it: of a column that it learnt nothing else of, where
    another column decides that there is none, or where no draw kept a rule.

    Args:
        model: fitted.
        frame: canonical rows, all or some of the columns of the training data. Absent columns say nothing.
        seed: same seed, same cells.
        columns: to be filled; None is all but identifiers. Missing cells of the others say nothing.

    Raises:
        NotFitted: before a fit.
        GeneratorInputError: an unknown column, or an identifier that shall be filled.

    """
    fitted = model.fitted
    asked = _asked(frame, fitted.codec, columns)
    rows = frame.reset_index(drop=True)
    filled = _filled(fitted, rows, asked, derive(seed, "impute"))
    for attempt in range(REDRAWS):
        broken = _broken(fitted.codec, rows, filled).any(axis=1).to_numpy()
        if not broken.any():
            break
        lacking = rows[broken].reset_index(drop=True)
        again = _filled(fitted, lacking, asked, derive(seed, "impute again", attempt))
        again = again.set_axis(np.flatnonzero(broken))
        for name in asked:
            filled.loc[broken, name] = again[name]
    given_up = _broken(fitted.codec, rows, filled)
    for name in asked:
        filled[name] = filled[name].mask(given_up[name])
    return filled.set_axis(frame.index)


def cells_not_read(model: Autoregressive, frame: pd.DataFrame) -> dict[str, int]:
    """Return how many present cells of each column hold what the model never saw, where there are any.

    Such cells say nothing of the others in their row. Numbers outside the model's range are read as the nearest.
    """
    codec = model.fitted.codec
    found = {}
    for name, cells in codec.relations.separate(frame).items():
        if name in codec.columns and not isinstance(codec.columns[str(name)], IdCodec):
            unseen = (codec.encode_column(str(name), cells) < 0) & cells.notna().to_numpy()
            if unseen.any():
                found[str(name)] = int(unseen.sum())
    return found


def _asked(frame: pd.DataFrame, codec: TableCodec, columns: Iterable[str] | None) -> list[str]:
    """Return the columns to fill, in the order of the schema."""
    chosen = None if columns is None else list(columns)
    for place, names, known in (
        ("impute", frame.columns, codec.columns),
        ("impute: columns", chosen or [], frame.columns),
    ):
        for name in names:
            if name not in known:
                raise GeneratorInputError(
                    f"{place}: no such column{did_you_mean(str(name), map(str, known))}",
                    seen=str(name),
                    remedy="name columns of the training data that the rows have",
                )
    for name in chosen or []:
        if isinstance(codec.columns[name], IdCodec):
            raise GeneratorInputError(
                f"impute: column {name!r} is an identifier, which relates to nothing that the row has",
                remedy="leave it out",
            )
    return [
        name
        for name, column in codec.columns.items()
        if name in frame.columns and not isinstance(column, IdCodec) and (chosen is None or name in chosen)
    ]


def _filled(fitted: Fitted, frame: pd.DataFrame, asked: Sequence[str], seed: int) -> pd.DataFrame:
    """Return the rows, whose index is a fresh one, with the missing cells of the `asked` columns drawn."""
    codec = fitted.codec
    gaps = {name: frame[name].isna().to_numpy() for name in asked}
    tokens, wanted, allowed = _places(frame, gaps, codec)
    if codec.tokens and len(frame):
        tokens = _fill(fitted, tokens, wanted, allowed, seed=seed)
    unknown = tokens < 0
    complete = np.where(unknown, 0, tokens).astype(codec.dtype)
    drawn = codec.decode(complete, seed=seed, present=frame)
    made = {rule.column: rule.anchors for rule in codec.relations.derivations}
    if made:  # from what the rows have, where they have it
        anchors = [name for name in codec.schema.names if name in frame and name not in made]
        own = {name: frame[name].where(frame[name].notna(), drawn[name]) for name in anchors}
        given = pd.DataFrame(own, index=drawn.index).astype({name: drawn[name].dtype for name in own})
        drawn = codec.decode(complete, seed=seed, given=given, present=frame)
    result = frame.copy()
    for name, gap in gaps.items():
        place = codec.position(codec.derived[name][0] if name in codec.derived else name)
        rows = gap if place is None else gap & ~unknown[:, place]
        for anchor in made.get(name, ()):
            below = codec.position(anchor)
            rows = rows if below is None else rows & ~unknown[:, below]
        result[name] = frame[name].where(~rows, drawn[name]).astype(frame[name].dtype)
    return result


def _broken(codec: TableCodec, frame: pd.DataFrame, filled: pd.DataFrame) -> pd.DataFrame:
    """Return which cells, bool like the rows, were drawn and break a rule of the model."""
    drawn = frame.isna() & filled.notna()
    found = drawn & False
    for rule in codec.relations.derivations:
        names = [name for name in (rule.column, *rule.anchors) if name in frame.columns]
        if rule.column not in names or (rule.how == "sum" and len(names) <= len(rule.anchors)):
            continue
        numbers = {name: numbers_of(codec.schema[name], filled[name]) for name in names}
        rows = rule.broken(numbers, codec.schema[rule.column])
        for name in names:
            found[name] |= drawn[name] & rows
    return found


def _places(
    frame: pd.DataFrame, gaps: Mapping[str, np.ndarray], codec: TableCodec
) -> tuple[np.ndarray, np.ndarray, dict[int, np.ndarray]]:
    """Return known tokens, int64 N T (-1 unknown), which to draw, bool N T, and what decided columns allow.

    The last is place -> bool N size: tokens of a place that may be drawn there. A missing cell is unknown to the
    network, not known to be missing. Where a decided column is known and the one that decides it is not, that one is
    drawn too, whether or not it was asked for: what it may be is all that the network can be told. So are the columns
    that an asked one is derived from.
    """
    modelled = codec.relations.separate(frame)
    tokens = codec.encode_modelled(modelled).astype(np.int64)
    needed = dict(gaps)
    for rule in reversed(codec.relations.derivations):
        for anchor in rule.anchors if rule.column in needed else ():
            needed[anchor] = needed.get(anchor, False) | needed[rule.column]
    aside = {rule.rest for rule in codec.relations.derivations}
    wanted = np.zeros(tokens.shape, dtype=bool)
    for place, token in enumerate(codec.tokens):
        if token.column in aside:
            tokens[:, place] = -1
        elif token.column in modelled:
            tokens[modelled[token.column].isna().to_numpy(), place] = -1
        if token.column in needed and token.column not in aside:
            wanted[:, place] = needed[token.column]
    allowed: dict[int, np.ndarray] = {}
    for name, (determinant, table) in codec.derived.items():
        decider = codec.position(determinant)
        if decider is None or name not in modelled:
            continue
        absent = modelled[name].isna().to_numpy()
        possible = np.where(
            absent[:, None],
            _not_missing(codec, name)[table][None, :],
            table[None, :] == codec.encode_column(name, modelled[name])[:, None],
        )
        possible &= allowed.get(decider, codec.tokens[decider].emit)
        told = (tokens[:, decider] < 0) & possible.any(axis=1) & (~absent | needed.get(name, np.zeros_like(absent)))
        wanted[:, decider] |= told
        possible[~told] = allowed[decider][~told] if decider in allowed else True
        allowed[decider] = possible
    wanted &= tokens < 0
    return tokens, wanted, allowed


def _not_missing(codec: TableCodec, name: str) -> np.ndarray:
    """Return which coarse tokens of a column hold a value, bool size."""
    column = codec.columns[name]
    assert not isinstance(column, IdCodec)
    size = column.size if isinstance(column, LabelCodec) else column.num_coarse
    present = np.ones(size, dtype=bool)
    if column.missing:
        present[-1] = False
    if isinstance(column, NumericCodec) and not len(column.knots):
        present[:] = False
    return present


@torch.inference_mode()
def _fill(
    fitted: Fitted, tokens: np.ndarray, wanted: np.ndarray, allowed: Mapping[int, np.ndarray], *, seed: int
) -> np.ndarray:
    """Return tokens, int64 N T, the `wanted` ones drawn; -1 stays where nothing may be drawn."""
    codec = fitted.codec
    masks = []  # bool 1 size, or N size
    for place, token in enumerate(codec.tokens):
        mask = token.emit & (_not_missing(codec, token.column) if token.level == "coarse" else True)
        masks.append(mask[None, :] & allowed.get(place, np.ones((1, token.size), dtype=bool)))
    if fitted.mixture is not None:
        coarse = [place for place, token in enumerate(codec.tokens) if token.level == "coarse"]
        shown = {place: np.broadcast_to(masks[place], (len(tokens), masks[place].shape[1])) for place in coarse}
        return fitted.mixture.draw(tokens, shown, seed=seed, wanted=wanted)
    assert fitted.network is not None
    painter = Painter(fitted.network, codec.tokens, fitted.device)
    uniforms = []
    for token in codec.tokens:
        generator = torch.Generator()
        generator.manual_seed(derive(seed, token.column, token.level))
        uniforms.append(torch.rand(len(tokens), generator=generator, dtype=torch.float64))
    restricted = {place: ~mask.all(axis=1) & wanted[:, place] for place, mask in allowed.items()}
    turns = [(place, restricted[place]) for place in fitted.order if place in restricted]  # they condition all others
    turns += [
        (place, wanted[:, place] & ~restricted.get(place, np.zeros_like(wanted[:, place]))) for place in fitted.order
    ]
    result = tokens.copy()
    for start in range(0, len(tokens), SAMPLE_ROWS):
        piece = slice(start, start + SAMPLE_ROWS)
        known = torch.from_numpy(result[piece]).to(fitted.device.torch)
        features = painter.start.repeat(len(known), 1)
        for place in range(known.shape[1]):
            rows = torch.nonzero(known[:, place] >= 0)[:, 0]
            features[rows] += painter.gain(place, known[rows])
        for place, lacking in turns:
            mask = masks[place] if len(masks[place]) == 1 else masks[place][piece]
            numbers = np.flatnonzero(lacking[piece] & mask.any(axis=1))
            mask = mask if len(mask) == 1 else mask[numbers]
            drawn_by = uniforms[place][piece][numbers]
            _draw_place(painter, known, features, place, numbers=numbers, mask=mask, uniforms=drawn_by)
        result[piece] = known.cpu().numpy()
    return result


def _draw_place(
    painter: Painter,
    tokens: Tensor,
    features: Tensor,
    place: int,
    *,
    numbers: np.ndarray,
    mask: np.ndarray,
    uniforms: Tensor,
) -> None:
    """Draw one place of some rows into `tokens` and `features`.

    Args:
        painter: knows the network.
        tokens: of all rows, int64 B T; changed.
        features: of all rows, float B H; changed.
        place: the position.
        numbers: the rows, int64 R.
        mask: tokens that may be drawn (bool R size, or 1 size).
        uniforms: float64 R.

    """
    device, token = tokens.device, painter.tokens[place]
    rows = torch.from_numpy(numbers).to(device)
    if token.parent is not None:  # nothing is finer than what was not drawn
        drawn_parent = tokens[rows, token.parent] >= 0
        rows, uniforms = rows[drawn_parent], uniforms[drawn_parent.cpu()]
        assert len(mask) == 1, "only coarse tokens are restricted row by row"
    if not len(rows):
        return
    probabilities = painter.probabilities(features[rows], place, tokens[rows]) * torch.from_numpy(mask).to(device)
    if token.valid is not None and token.parent is not None:
        probabilities = probabilities * torch.from_numpy(token.valid).to(device)[tokens[rows, token.parent]]
    tokens[rows, place] = draw(probabilities, uniforms.to(device))
    features[rows] += painter.gain(place, tokens[rows])
