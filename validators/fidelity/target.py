"""What is predicted: the target column of the three sides as an outcome or as a number.

Legend: N rows, F features, K classes.
"""

from dataclasses import dataclass

import numpy as np

from sources.schema import Column
from validators.encoding import EncodedColumn
from validators.fidelity.sides import Sides

MAX_CLASSES = 6  # the five most frequent labels and the rest; each class costs trees of its own


@dataclass(frozen=True, kw_only=True)
class Task:
    """One side's features and target, rows without a target left out.

    Args:
        X: float64 N F.
        y: class codes 0 .. K - 1, or numbers as shares of train below them (float64 N).

    """

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    def take(self, rows: np.ndarray) -> "Task":
        """Return the rows at `rows` (positions or mask)."""
        return Task(X=self.X[rows], y=self.y[rows])


@dataclass(frozen=True, kw_only=True)
class Target:
    """The prediction task on all sides.

    Args:
        name: of the column.
        num_classes: K, or None when the target is a number.
        event: the class whose prediction is scored when there are two.
        categorical: which features hold codes (bool F).
        train, holdout, synthetic: the tasks.

    """

    name: str
    num_classes: int | None
    event: int
    categorical: np.ndarray
    train: Task
    holdout: Task
    synthetic: Task

    def as_outcome(self) -> "Target":
        """Return the same task with a numeric target cut at train's median; classes stay."""
        if self.num_classes is not None:
            return self
        cut = [Task(X=task.X, y=(task.y > 0.5).astype(np.float64)) for task in self._tasks]  # noqa: PLR2004 - a rank
        return Target(
            name=self.name,
            num_classes=2,
            event=1,
            categorical=self.categorical,
            train=cut[0],
            holdout=cut[1],
            synthetic=cut[2],
        )

    @property
    def _tasks(self) -> tuple[Task, Task, Task]:
        return self.train, self.holdout, self.synthetic


def target_of(sides: Sides, column: Column) -> Target | None:
    """Return the task of predicting `column` from all other measured columns, or None when it is not measured."""
    at = next((i for i, encoded in enumerate(sides.columns) if encoded.name == column.name), None)
    if at is None or len(sides.columns) < 2:  # noqa: PLR2004 - something to predict it from
        return None
    raw = [part.values[:, at] for part in (sides.train, sides.holdout, sides.synthetic)]
    values, num_classes, event = _outcomes(raw, column, sides.columns[at])
    others = np.arange(len(sides.columns)) != at
    tasks = []
    for part, y in zip((sides.train, sides.holdout, sides.synthetic), values, strict=True):
        known = ~np.isnan(y)
        tasks.append(Task(X=part.values[known][:, others], y=y[known]))
    return Target(
        name=column.name,
        num_classes=num_classes,
        event=event,
        categorical=sides.categorical[others],
        train=tasks[0],
        holdout=tasks[1],
        synthetic=tasks[2],
    )


def _outcomes(
    raw: list[np.ndarray], column: Column, encoded: EncodedColumn
) -> tuple[list[np.ndarray], int | None, int]:
    """Return the target of each side, the number of classes (None for a number) and the class that is the event."""
    if encoded.categorical:
        positive = column.positive
        if positive is not None and positive in encoded.labels:
            code = encoded.labels.index(positive)
            return [_marked(values, values == code) for values in raw], 2, 1
        num_classes = min(max(len(encoded.labels), 2), MAX_CLASSES)
        # Codes fall in frequency, so of two classes the rarer one, 1, is the event.
        return [np.minimum(values, num_classes - 1) for values in raw], num_classes, 1
    if column.threshold is not None:
        return [_marked(values, values > column.threshold) for values in raw], 2, 1
    known = raw[0][~np.isnan(raw[0])]
    distinct = np.unique(known)
    if len(distinct) <= 2:  # noqa: PLR2004 - an outcome written as a number
        top = distinct[-1] if len(distinct) else 0.0
        return [_marked(values, values >= top) for values in raw], 2, 1
    ordered = np.sort(known)
    return [_rank(values, ordered) for values in raw], None, 1


def _marked(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), np.nan, positive.astype(np.float64))


def _rank(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return the share of train's values below each (ties count half): ranks tame heavy tails."""
    below = np.searchsorted(ordered, values, side="left") + np.searchsorted(ordered, values, side="right")
    return np.where(np.isnan(values), np.nan, below / (2 * len(ordered)))
