"""Drawing again what a classifier can still tell apart: rows are kept in proportion to p / q.

A fitted network q of the training law p leaves differences behind, sharp ones above all. Boosted trees that tell
training rows from drawn ones estimate log p / q, and a drawn row that is kept with probability min(1, w / c), where
w = p / q and c is a cap, follows p more closely (Azadi et al. 2019, Discriminator rejection sampling, arXiv 1810.06758;
Grover et al. 2019, arXiv 1906.09531). The trees see tokens, hence nothing that the codec does not protect, and are kept
only as far as they tell apart rows that they did not learn from.

# N rows, T tokens of a row, F columns
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.base import GeneratorError
from generators.tabular.boosting import BINS, Trees, fit_trees, growing_s
from generators.tabular.codec import Token
from sources.randomness import derive, stream

MIN_ROWS = 5_000  # fewer training rows teach the trees themselves: who was in training was easier to single out
SURE = 3.0  # standard errors by which the trees must help on rows that they did not learn from
MAX_ROWS = 60_000  # training rows that the trees look at
POOL = 2  # rows drawn for the trees, for each training row
CHECKED = 0.1  # of the rows are not learnt from, where nothing is held out already
CAP = 0.99  # share of drawn rows whose weight lies under the cap
MAX_LOG_WEIGHT = 4.0
CANDIDATES = 4  # rows drawn for each row that is given in part
MOST_CORRECTION = 0.5  # of a time budget that is kept back for all this, at most
MIN_STEPS_CORRECTED = (
    100  # of training; what fewer have taught is not worth correcting, and a tiny budget not spent on it
)
GLANCES, GLANCE_ROWS, GLANCE_CELLS = 2, 2_048, 65_536  # drawn to see how long it takes, at most
PIECE_ROWS = 131_072  # rows drawn at a time, at most
MAX_PIECES = 10_000

Draw = Callable[[int, int], np.ndarray]
"""(number of rows, seed) -> tokens, int N T."""


@dataclass(frozen=True, kw_only=True)
class DensityRatio:
    """How much likelier a row is in the training data than in what the network draws.

    Args:
        trees: on the columns of `places`.
        places: (coarse position, fine position or -1, number of fine tokens) of each column.
        edges: float64 of each column, between its bins.
        cap: c, the weight from which on a row is always kept.
        kept: share of drawn rows that is kept.

    """

    trees: Trees
    places: tuple[tuple[int, int, int], ...]
    edges: tuple[np.ndarray, ...]
    cap: float
    kept: float

    def weights(self, tokens: np.ndarray) -> np.ndarray:
        """Return w, float64 N, up to a factor, of rows of tokens (int N T)."""
        logs = self.trees(_binned(tokens, self.places, self.edges)).astype(np.float64)
        return np.asarray(np.exp(np.clip(logs, -MAX_LOG_WEIGHT, MAX_LOG_WEIGHT)))

    def draw(self, draw: Draw, n: int, *, seed: int) -> np.ndarray:
        """Return `n` rows of tokens, int N T, of those that `draw` gives.

        Raises:
            GeneratorError: hardly a row is kept, which is a defect.

        """
        pieces, missing = [draw(0, seed)], n
        for number in range(MAX_PIECES):
            if missing <= 0:
                return np.concatenate(pieces)[:n]
            size = min(int(missing / self.kept * 1.02) + 64, PIECE_ROWS)
            rows = draw(size, derive(seed, "density ratio", "draw", number))
            uniforms = stream(seed, "density ratio", "keep", number).random(len(rows))
            pieces.append(rows[uniforms * self.cap < self.weights(rows)])
            missing -= len(pieces[-1])
        raise GeneratorError(f"density ratio: {missing} of {n} rows are missing after {MAX_PIECES} draws")

    def choose(self, candidates: np.ndarray, *, seed: int) -> np.ndarray:
        """Return one of each `CANDIDATES` rows that follow each other, drawn by weight: int N T of int N * K T.

        So rows that are given in part are corrected too (importance resampling, Rubin 1988, Using the SIR algorithm).
        """
        weights = self.weights(candidates).reshape(-1, CANDIDATES).cumsum(axis=1)
        uniforms = stream(seed, "density ratio", "choose").random((len(weights), 1)) * weights[:, -1:]
        chosen = (weights <= uniforms).sum(axis=1)
        return np.asarray(candidates[np.arange(len(weights)) * CANDIDATES + chosen])

    def tensors(self) -> dict[str, Tensor]:
        """Return the trees as tensors by name."""
        return {
            "columns": torch.from_numpy(self.trees.columns),
            "thresholds": torch.from_numpy(self.trees.thresholds),
            "values": torch.from_numpy(self.trees.values),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the rest as JSON values."""
        return {
            "places": [list(place) for place in self.places],
            "edges": [edge.tolist() for edge in self.edges],
            "cap": self.cap,
            "kept": self.kept,
        }

    @staticmethod
    def load(state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> "DensityRatio":
        """Return what `to_json` and `tensors` described."""
        return DensityRatio(
            trees=Trees(
                columns=tensors["columns"].numpy(),
                thresholds=tensors["thresholds"].numpy(),
                values=tensors["values"].numpy(),
            ),
            places=tuple((coarse, fine, size) for coarse, fine, size in state["places"]),
            edges=tuple(np.array(edge, dtype=np.float64) for edge in state["edges"]),
            cap=state["cap"],
            kept=state["kept"],
        )


def fit_density_ratio(
    draw: Draw, train: np.ndarray, held_out: np.ndarray, tokens: Sequence[Token], *, seed: int
) -> DensityRatio | None:
    """Learn how training rows differ from drawn ones; None where that cannot be told, or there are too few rows.

    Args:
        draw: of the fitted network.
        train: int N T, training rows.
        held_out: bool N, rows that are not learnt from, such as those that ended the network's training.
        tokens: what the T positions mean.
        seed: of the draws and the trees.

    """
    drawable = np.all([token.emit[train[:, place]] for place, token in enumerate(tokens)], axis=0)
    train, held_out = train[drawable], held_out[drawable]  # pooled rare labels are never drawn
    if len(train) < MIN_ROWS:
        return None
    rng = stream(seed, "density ratio", "fit")
    order = rng.permutation(len(train))[:MAX_ROWS]
    train, checked = train[order], held_out[order]
    if not checked.any():
        checked = rng.random(len(train)) < CHECKED
    places = _places(tokens)
    edges = tuple(_edges(_numbers(train, place)) for place in places)
    pool = draw(POOL * len(train), derive(seed, "density ratio", "pool"))
    cut = round(len(pool) * float(checked.mean()))
    real, made = _binned(train, places, edges), _binned(pool, places, edges)
    trees, help_se = fit_trees(real[:, ~checked], made[:, cut:], (real[:, checked], made[:, :cut]), rng)
    if help_se < SURE:
        return None
    bare = DensityRatio(trees=trees, places=places, edges=edges, cap=1.0, kept=1.0)
    weights = bare.weights(pool[:cut])
    cap = float(np.quantile(weights, CAP))
    return replace(bare, cap=cap, kept=float(np.minimum(weights / cap, 1.0).mean()))


def correction_s(draw: Draw, num_rows: int, num_columns: int) -> float:
    """Return the seconds that `fit_density_ratio` may take at most, by a look at how fast rows are drawn.

    Args:
        draw: of the network, fitted or not.
        num_rows: of the training part.
        num_columns: of its tokens.

    """
    if num_rows < MIN_ROWS:
        return 0.0
    glance = min(GLANCE_ROWS, max(GLANCE_CELLS // num_columns, 1))
    seconds = []
    for number in range(GLANCES):
        began_s = time.monotonic()
        draw(glance, number)
        seconds.append(time.monotonic() - began_s)
    drawing_s = min(seconds) / glance * POOL * min(num_rows, MAX_ROWS)
    return drawing_s + growing_s((1 + POOL) * min(num_rows, MAX_ROWS), num_columns)


def _places(tokens: Sequence[Token]) -> tuple[tuple[int, int, int], ...]:
    fine = {token.parent: place for place, token in enumerate(tokens) if token.parent is not None}
    coarse = [place for place, token in enumerate(tokens) if token.parent is None]
    return tuple((place, fine.get(place, -1), tokens[fine[place]].size if place in fine else 1) for place in coarse)


def _numbers(tokens: np.ndarray, place: tuple[int, int, int]) -> np.ndarray:
    """Return a column as one number, int64 N, in the order of its values."""
    coarse, fine, size = place
    numbers = tokens[:, coarse].astype(np.int64) * size
    return numbers if fine < 0 else numbers + tokens[:, fine]


def _edges(numbers: np.ndarray) -> np.ndarray:
    """Return edges between at most `BINS` bins of about equal mass."""
    distinct = np.unique(numbers)
    if len(distinct) <= BINS:
        return np.asarray((distinct[1:] + distinct[:-1]) / 2)
    cuts = np.quantile(numbers, np.arange(1, BINS) / BINS, method="lower")
    return np.unique(cuts) + 0.5


def _binned(tokens: np.ndarray, places: Sequence[tuple[int, int, int]], edges: Sequence[np.ndarray]) -> np.ndarray:
    """Return uint8 F N, a row per column."""
    bins = [np.searchsorted(edge, _numbers(tokens, place)) for place, edge in zip(places, edges, strict=True)]
    return np.stack(bins).astype(np.uint8)
