"""A mixture of latent classes over a table's tokens: what small tables can teach.

Each row is of one class z of K, and given z its columns are independent (Lazarsfeld and Henry 1968, Latent structure
analysis; Goodman 1974, doi 10.1093/biomet/61.2.215): p(row) = sum_z w_z prod_c p_c(coarse | z) p_c(fine | coarse). Fine
tokens know no class. One class is independent columns. Likelihoods and conditionals are exact sums over K classes.

# N rows, T tokens of a row, K classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from generators.nn.segments import draw
from generators.tabular.row_tokens import Token
from sources.randomness import stream

PIECE_ROWS = 16_384  # drawn at a time


@dataclass(frozen=True, kw_only=True)
class LatentClasses:
    """A fitted mixture.

    Args:
        shares: w, float64 K, each positive, in all 1.
        laws: of each place, float64: of a coarse token K size, of a fine one parent-size size; rows sum to 1.
        tokens: what the T places mean.

    """

    shares: np.ndarray
    laws: tuple[np.ndarray, ...]
    tokens: tuple[Token, ...]

    @property
    def parameters(self) -> int:
        """Numbers that were learnt."""
        return len(self.shares) + sum(law.size for law in self.laws)

    def row_nats(self, rows: np.ndarray) -> np.ndarray:
        """Return the negative log likelihood, float64 N, of whole rows of tokens (int N T)."""
        logs = self._evidence(rows, {})
        fine = np.zeros(len(rows))
        for place, token in enumerate(self.tokens):
            if token.parent is not None:
                fine += np.log(self.laws[place][rows[:, token.parent], rows[:, place]])
        most = logs.max(axis=1, keepdims=True)
        total: np.ndarray = -(np.log(np.exp(logs - most).sum(axis=1)) + most[:, 0] + fine)
        return total

    def draw(
        self,
        known: np.ndarray,
        allowed: Mapping[int, np.ndarray],
        *,
        seed: int,
        wanted: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return tokens, N T in the type of `known`, the unknown ones drawn from their exact law given the known.

        The class is drawn from its posterior, then each place from the law of its class. Tokens that may not be
        emitted are left out of that law; they do not change how often a class is drawn.

        Args:
            known: integers N T, -1 where unknown, which may be other places in each row.
            allowed: coarse place -> bool N size, tokens that may be drawn there, which the posterior accounts for.
                Where a row allows none nothing is drawn.
            seed: same seed, same tokens.
            wanted: bool N T, which unknown ones to draw; None is all.

        """
        n = len(known)
        result = known.astype(np.int64)
        asked = (known < 0) if wanted is None else wanted & (known < 0)
        uniforms = _stratified(np.zeros(n, dtype=np.int64), stream(seed, "classes"))
        classes = np.empty(n, dtype=np.int64)
        for piece in _pieces(n):
            masks = {place: np.where(asked[piece, place, None], mask[piece], True) for place, mask in allowed.items()}
            logs = self._evidence(result[piece], masks)
            odds = np.exp(logs - logs.max(axis=1, keepdims=True))
            classes[piece] = _drawn(odds, uniforms[piece])
        for place, token in enumerate(self.tokens):  # all coarse ones come before all fine ones
            rows = asked[:, place]
            if place in allowed:
                rows &= allowed[place].any(axis=1)
            below = classes if token.parent is None else result[:, token.parent]
            numbers = np.flatnonzero(rows & (below >= 0))  # nothing is finer than what was not drawn
            rng = stream(seed, "draw", token.column, token.level)
            uniforms = _stratified(below[numbers], rng)
            for piece in _pieces(len(numbers)):
                here = numbers[piece]
                law = self.laws[place][below[here]] * token.emit
                if place in allowed:
                    law = law * allowed[place][here]
                result[here, place] = _drawn(law, uniforms[piece])
        return result.astype(known.dtype)

    def _evidence(self, rows: np.ndarray, masks: Mapping[int, np.ndarray]) -> np.ndarray:
        """Return log w_z + log p(known coarse tokens, tokens within `masks` | z), float64 N K."""
        logs = np.repeat(np.log(self.shares)[None], len(rows), axis=0)
        for place, token in enumerate(self.tokens):
            if token.parent is not None:
                continue
            known = rows[:, place] >= 0
            logs[known] += np.log(self.laws[place].T)[rows[known, place]]
            if place in masks:
                open_ = ~known & masks[place].any(axis=1) & ~masks[place].all(axis=1)
                logs[open_] += np.log(masks[place][open_] @ self.laws[place].T)
        return logs

    def tensors(self) -> dict[str, Tensor]:
        """Return the mixture as tensors by name."""
        laws = {f"law.{place}": torch.from_numpy(law) for place, law in enumerate(self.laws)}
        return {"shares": torch.from_numpy(self.shares), **laws}

    @staticmethod
    def load(tensors: Mapping[str, Tensor], tokens: Sequence[Token]) -> "LatentClasses":
        """Return what `tensors` described."""
        laws = tuple(tensors[f"law.{place}"].numpy() for place in range(len(tokens)))
        return LatentClasses(shares=tensors["shares"].numpy(), laws=laws, tokens=tuple(tokens))


def _pieces(n: int) -> list[slice]:
    return [slice(start, start + PIECE_ROWS) for start in range(0, n, PIECE_ROWS)]


def _drawn(weights: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return categories, int64 N, for weights (float64 N size) and uniforms (float64 N)."""
    found: np.ndarray = draw(torch.from_numpy(weights), torch.from_numpy(uniforms)).numpy()
    return found


def _stratified(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return uniforms, float64 N, spread evenly over [0, 1) within each of the `groups` (int64 N), in random order."""
    n = len(groups)
    order = np.lexsort((rng.random(n), groups))
    counts = np.bincount(groups)
    place = np.empty(n)
    place[order] = np.arange(n) - (counts.cumsum() - counts)[groups[order]]
    return np.asarray((place + rng.random(n)) / counts[groups])
