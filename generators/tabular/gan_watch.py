"""What is watched while `tabular.gan` trains: how far drawn rows are from real ones, and which labels they have lost.

The distance is the mean total variation of the shares of three columns at a time, in few bins a column; 0 would be
equal, and rows of the same law are apart by chance as well, the more the fewer there are. It chooses the weights that
are kept. A generator that forgets a frequent label, or jumps away from the best distance, has collapsed.

# N rows, T tokens of a row, K sets of columns
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from generators.tabular.codec import Token
from generators.tabular.gan_networks import Generator
from sources.randomness import stream

UNIT = "mean total variation of three columns at a time"
MOST_BINS = 8  # of a column
MAX_SETS = 200  # sets of three columns, drawn where there are more
ROWS_PER_REAL = 4  # drawn rows for each of the validation part
MIN_ROWS, MAX_ROWS = 1_000, 8_192  # drawn rows
FREQUENT_SHARE, FREQUENT_ROWS = 0.01, 25  # what makes a label frequent among validation rows
LOST_RECALL = 0.2  # a frequent label that is drawn at less than this part of its share is lost
LOW_RECALL = 0.5  # of a frequent label: what is less is told
JUMP = 1.5  # times the best distance is too far


@dataclass
class Watch:
    """Compares drawn rows with real ones of the validation part.

    Args:
        tokens: of the codec.
        real: int64 N T.
        seed: of the sets of columns.

    `figures` holds what the last comparison found: `label_recall`, the lowest share of a frequent label among drawn
    rows over that among real ones, 1 at most; `mode_coverage`, the part of all coarse tokens of as many real rows that
    are drawn at all.

    """

    tokens: Sequence[Token]
    real: Tensor
    seed: int
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Choose bins and sets of columns, and count the real rows."""
        self._coarse = [place for place, token in enumerate(self.tokens) if token.parent is None]
        self._real_counts = [self._counts(self.real, place) for place in self._coarse]
        num_together = min(3, len(self._coarse))
        most = int((len(self.real) / 2) ** (1 / num_together))  # about two real rows to a cell
        self._bins = [
            _bins(self.tokens[place], counts, max(2, min(MOST_BINS, most))).to(self.real.device)
            for place, counts in zip(self._coarse, self._real_counts, strict=True)
        ]
        self._sets = torch.tensor(_sets(len(self._coarse), num_together, self.seed), device=self.real.device)
        self._real_cells = self._cells(self.real)

    def distance(self, g_net: Generator, generator: torch.Generator) -> Tensor:
        """Draw rows, note `figures`, and return the distance, a scalar between 0 and 1."""
        drawn = g_net.sample(min(max(ROWS_PER_REAL * len(self.real), MIN_ROWS), MAX_ROWS), generator)
        recalls = self.recalls(drawn).values()
        self.figures = {"label_recall": min(recalls, default=1.0), "mode_coverage": self._coverage(drawn)}
        return (self._cells(drawn) - self._real_cells).abs().sum(1).mean() / 2

    def recalls(self, drawn: Tensor) -> dict[str, float]:
        """Return the lowest recall of a frequent label for each column of labels that has one; rows are int64 N T."""
        found = {}
        for place, counts in zip(self._coarse, self._real_counts, strict=True):
            token = self.tokens[place]
            shares = counts / len(self.real)
            frequent = (shares >= FREQUENT_SHARE) & (counts >= FREQUENT_ROWS) & torch.from_numpy(token.emit)
            if token.ranks is None and frequent.any():
                ratios = self._counts(drawn, place) / len(drawn) / shares
                found[token.column] = min(float(ratios[frequent].min()), 1.0)
        return found

    @torch.no_grad()
    def notes(self, g_net: Generator, collapsed_step: int | None, kept_step: int) -> tuple[str, ...]:
        """Return sentences about a collapse and about labels drawn too rarely; names and shares, no values."""
        notes = []
        if collapsed_step is not None:
            notes.append(
                f"training collapsed by step {collapsed_step}: drawn rows lost a frequent label or moved away from "
                f"real ones; the model is that of step {kept_step}, the best"
            )
        generator = torch.Generator(self.real.device)
        generator.manual_seed(self.seed)
        notes.extend(
            f"{column}: a frequent label is drawn at {recall:.0%} of its share"
            for column, recall in self.recalls(g_net.sample(MAX_ROWS, generator)).items()
            if recall < LOW_RECALL
        )
        return tuple(notes)

    def _coverage(self, drawn: Tensor) -> float:
        seen = total = 0
        for place, counts in zip(self._coarse, self._real_counts, strict=True):
            modes = (counts >= FREQUENT_ROWS) & torch.from_numpy(self.tokens[place].emit)
            seen += int((self._counts(drawn, place)[modes] > 0).sum())
            total += int(modes.sum())
        return seen / total if total else 1.0

    def _counts(self, rows: Tensor, place: int) -> Tensor:
        return torch.bincount(rows[:, place], minlength=self.tokens[place].size).cpu()

    def _cells(self, rows: Tensor) -> Tensor:
        """Return the shares of the cells that each set of columns has, float64 K cells."""
        binned = torch.stack([bins[rows[:, place]] for bins, place in zip(self._bins, self._coarse, strict=True)])
        num_sets, num_together = self._sets.shape
        base = MOST_BINS**num_together
        cells = torch.zeros((num_sets, len(rows)), dtype=torch.int64, device=rows.device)
        for member in range(num_together):
            cells = cells * MOST_BINS + binned[self._sets[:, member]]
        cells += base * torch.arange(num_sets, device=rows.device)[:, None]
        return torch.bincount(cells.flatten(), minlength=base * num_sets).view(num_sets, base) / len(rows)


def collapsed(history: Sequence[Mapping[str, float]]) -> bool:
    """Return whether the last row of history has lost a frequent label that the best had, or jumped away from it."""
    best, last = min(history, key=lambda row: row["validation_loss"]), history[-1]
    lost = last["label_recall"] < LOST_RECALL <= best["label_recall"] / 2
    return lost or last["validation_loss"] > JUMP * best["validation_loss"]


def _bins(token: Token, counts: Tensor, num_bins: int) -> Tensor:
    """Return the bin of each token, int64: in the order of numbers, or of falling frequency, with about equal mass."""
    if token.ranks is None:
        order = np.argsort(-counts.numpy(), kind="stable")
    else:
        order = np.argsort(np.nan_to_num(token.ranks, nan=np.inf), kind="stable")  # missing ones last
    ordered = counts.numpy()[order].astype(np.float64)
    middles = (np.cumsum(ordered) - ordered / 2) / max(ordered.sum(), 1.0)
    bins = np.empty(token.size, dtype=np.int64)
    bins[order] = np.minimum((middles * num_bins).astype(np.int64), num_bins - 1)
    return torch.from_numpy(bins)


def _sets(num_columns: int, num_together: int, seed: int) -> list[tuple[int, ...]]:
    """Return sets of columns: all of them, or `MAX_SETS` drawn ones."""
    rng = stream(seed, "sets of columns")
    possible = 1
    for member in range(num_together):
        possible = possible * (num_columns - member) // (member + 1)
    if possible <= MAX_SETS:
        return list(itertools.combinations(range(num_columns), num_together))
    return [tuple(sorted(rng.choice(num_columns, num_together, replace=False).tolist())) for _ in range(MAX_SETS)]
