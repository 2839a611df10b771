"""Fitting a mixture of latent classes: expectation and maximisation, and how many classes the rows can bear.

EM (Dempster, Laird and Rubin 1977, doi 10.1111/j.2517-6161.1977.tb01600.x) with a Dirichlet prior around the law of all
rows, so that a class of few rows differs little from the whole. The law of a number may be smoothed along its ranks in
each step (Silverman, Jones, Wilson and Nychka 1990, doi 10.1111/j.2517-6161.1990.tb01788.x), so that neighbouring
numbers learn from each other. How many classes, how strong a prior and whether to smooth is what makes rows that were
not learnt from likeliest. No class has an expected weight of fewer than `MIN_CLASS_ROWS` rows.

# N rows, T tokens of a row, K classes, V coarse tokens of all columns together
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy import sparse

from generators.nn.segments import offsets_of
from generators.tabular.latent_classes import LatentClasses
from generators.tabular.row_tokens import Token
from sources.randomness import derive, stream

MIN_CLASS_ROWS = 20.0  # as for a leaf of numbers: a class of fewer rows would describe persons
NUM_CLASSES = (2, 4, 8, 16, 32)
PRIORS = (4.0, 16.0)
WIDTHS = (0.0, 0.04)
LAPLACE = 0.5  # added to each token's count in the law of all rows
PARTS = 4  # of the rows, each of which is held out in turn
CHECKED_ROWS = 2_500  # where there are more rows than this has parts, fewer parts are held out
MAX_ITERATIONS, SETTLING = 60, 4
TOLERANCE = 2e-3  # nats per row that an iteration must gain
NEAR = 1e-6  # part of a count that is still handed to a token
MEANS_MOVED = 4  # times that the means of a start move to their rows
STARTS = 3  # of the last fit, of which the likeliest is kept


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What is chosen by rows that were not learnt from.

    Args:
        num_classes: K to begin with.
        prior: rows that the law of all rows counts for in each class.
        width: standard deviation, in ranks of 0 to 1, by which the laws of numbers are smoothed; 0 leaves them.

    """

    num_classes: int = 1
    prior: float = PRIORS[0]
    width: float = 0.0


def fit_latent_classes(
    rows: np.ndarray, tokens: Sequence[Token], shape: Shape, *, seed: int, starts: int = STARTS
) -> LatentClasses:
    """Fit the classes that `shape` asks for, or as many fewer as have the rows.

    Args:
        rows: int N T.
        tokens: what the T places mean.
        shape: of the mixture.
        seed: of the starts.
        starts: how many, of which the likeliest is kept.

    """
    fit = _Fit(rows, tokens, shape)
    found = [fit.run(stream(seed, "latent classes", start)) for start in range(1 if shape.num_classes == 1 else starts)]
    return min(found, key=lambda one: one[0])[1]


def choose_shape(rows: np.ndarray, tokens: Sequence[Token], *, seed: int, groups: np.ndarray | None = None) -> Shape:
    """Return the shape under which rows that were not learnt from are likeliest.

    Args:
        rows: int N T.
        tokens: what the T places mean.
        seed: of the parts and the starts.
        groups: array N naming the entity of each row, whose rows stay in one part, or None.

    """
    units = np.arange(len(rows)) if groups is None else np.unique(groups.astype(str), return_inverse=True)[1]
    parts = (stream(seed, "latent classes", "parts").permutation(int(units.max()) + 1) % PARTS)[units]
    in_turn = range(min(max(CHECKED_ROWS // len(rows), 1), PARTS))
    checked = [part for part in in_turn if 0 < (parts == part).sum() < len(rows)]

    def nats(shape: Shape) -> float:
        """Return the sum over all rows that are held out in turn."""
        total = 0.0
        for part in checked:
            mixture = fit_latent_classes(rows[parts != part], tokens, shape, seed=derive(seed, "part", part), starts=1)
            total += float(mixture.row_nats(rows[parts == part]).sum())
        return total

    best, least = Shape(), nats(Shape())
    ordered = any(token.parent is None and token.ranks is not None for token in tokens)
    for number in NUM_CLASSES:
        shapes = [Shape(num_classes=number, width=width) for width in (WIDTHS if ordered else WIDTHS[:1])]
        scores = [nats(shape) for shape in shapes] if number * MIN_CLASS_ROWS <= len(rows) else []
        if min(scores, default=least) >= least:
            break
        least = min(scores)
        best = shapes[scores.index(least)]
    for prior in PRIORS[1:] if best.num_classes > 1 else ():
        shape = replace(best, prior=prior)
        if nats(shape) < least:
            best = shape
    return best


class _Fit:
    """The rows as a sparse matrix of ones, and the law of all of them."""

    def __init__(self, rows: np.ndarray, tokens: Sequence[Token], shape: Shape) -> None:
        self.rows, self.tokens, self.shape = rows, tuple(tokens), shape
        self.coarse = [place for place, token in enumerate(tokens) if token.parent is None]
        self.offsets = offsets_of([tokens[place].size for place in self.coarse])
        places = (rows[:, self.coarse] + np.array(self.offsets[:-1])).ravel()
        n, width = len(rows), len(self.coarse)
        starts = np.arange(0, n * width + 1, width)
        self.ones = sparse.csr_matrix((np.ones(n * width), places, starts), shape=(n, self.offsets[-1]))
        self.transposed = self.ones.T.tocsr()
        counts = np.asarray(self.ones.sum(axis=0)).ravel() + LAPLACE
        self.whole = np.concatenate([part / part.sum() for part in self._split(counts)])
        self.smooth = self._smoothing() if shape.width else sparse.identity(self.offsets[-1], format="csr")

    def run(self, rng: np.random.Generator) -> tuple[float, LatentClasses]:
        """Return (nats per row, mixture)."""
        if self.shape.num_classes == 1:
            return -float((self.ones @ np.log(self.whole)).mean()), self._mixture(np.ones(1), self.whole[:, None])
        members = self._start(self.shape.num_classes, rng)
        logs = np.log(members + np.finfo(float).tiny)
        before = np.inf
        for iteration in range(MAX_ITERATIONS):
            weights = members.sum(axis=0)
            dropped = False
            while iteration >= SETTLING and len(weights) > 1 and weights.min() < MIN_CLASS_ROWS:
                logs = np.delete(logs, weights.argmin(), axis=1)  # one at a time, because its rows strengthen others
                members, _ = _posterior(logs)
                weights, dropped = members.sum(axis=0), True
            shares = (weights + 1) / (weights + 1).sum()  # none is 0, though a start may leave a class without rows
            counts = self.smooth @ (self.transposed @ members) + self.shape.prior * self.whole[:, None]
            laws = counts / (weights + self.shape.prior)
            logs = self.ones @ np.log(laws) + np.log(shares)
            members, evidence = _posterior(logs)
            nats = -float(evidence.mean())
            if iteration > SETTLING and not dropped and before - nats < TOLERANCE:
                break
            before = nats
        return nats, self._mixture(shares, laws)

    def _start(self, num_classes: int, rng: np.random.Generator) -> np.ndarray:
        """Return memberships, float64 N K: of the nearest of K means that begin at random rows."""
        features = self._features()
        means = features[rng.permutation(len(features))[:num_classes]]
        for _ in range(MEANS_MOVED):
            nearest = (features @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)
            members = np.eye(len(means))[nearest]
            weights = members.sum(axis=0)[:, None]
            means = np.where(weights > 0, members.T @ features / np.maximum(weights, 1), means)
        return np.asarray(members)

    def _features(self) -> np.ndarray:
        """Return the rows as float64 N F, each column of the table with a variance of one."""
        parts = []
        for number, place in enumerate(self.coarse):
            codes, ranks = self.rows[:, place], self.tokens[place].ranks
            if ranks is not None:
                values = np.where(np.isnan(ranks), np.nanmean(ranks) if np.isfinite(ranks).any() else 0.0, ranks)
                part = (values.astype(np.float64)[codes] - values.mean())[:, None]
            else:
                part = self.ones[:, self.offsets[number] : self.offsets[number + 1]].toarray()
            parts.append(part / max(float(np.sqrt(part.var(axis=0).sum())), np.finfo(np.float32).tiny))
        return np.concatenate(parts, axis=1)

    def _smoothing(self) -> sparse.csr_matrix:
        """Return V V: where a count of each token goes, to tokens of its column near in rank; columns sum to 1."""
        parts = []
        for place, share in zip(self.coarse, self._split(self.whole), strict=True):
            ranks = self.tokens[place].ranks
            part = np.eye(len(share))
            if ranks is not None:
                known = np.flatnonzero(np.isfinite(ranks))
                distance = (ranks[known, None].astype(np.float64) - ranks[None, known]) / self.shape.width
                near = np.exp(-(distance**2) / 2) * share[known, None]
                near *= near > NEAR * near.sum(axis=0)
                part[np.ix_(known, known)] = near / near.sum(axis=0)
            parts.append(sparse.csr_matrix(part))
        return sparse.block_diag(parts, format="csr")

    def _mixture(self, shares: np.ndarray, laws: np.ndarray) -> LatentClasses:
        """Return the mixture of classes with these laws (float64 V K)."""
        found = dict(zip(self.coarse, self._split(laws), strict=True))
        by_place = [found[place].T.copy() if place in found else self._fine(place) for place in range(len(self.tokens))]
        return LatentClasses(shares=shares, laws=tuple(by_place), tokens=self.tokens)

    def _fine(self, place: int) -> np.ndarray:
        """Return the law of a fine token given its coarse one, float64 parent-size size."""
        token = self.tokens[place]
        assert token.parent is not None
        assert token.valid is not None
        counts = np.zeros(token.valid.shape)
        np.add.at(counts, (self.rows[:, token.parent], self.rows[:, place]), 1.0)
        counts += LAPLACE * token.valid
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))

    def _split(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the parts of values (V first) that belong to each coarse place."""
        return [values[start:stop] for start, stop in pairwise(self.offsets)]


def _posterior(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (memberships, float64 N K; log evidence, float64 N) of joint logarithms, float64 N K."""
    most = logs.max(axis=1, keepdims=True)
    odds = np.exp(logs - most)
    total = odds.sum(axis=1, keepdims=True)
    return odds / total, (np.log(total) + most)[:, 0]
