"""Made-up rows that are planted among the training rows, to see whether a synthesizer remembers single rows.

Each cell of a canary is drawn by itself from the reference part, so a canary is as odd as a row can be and none of its
values is. Half of them are planted, the other half is kept as a control: a model that learns the law and not the rows
knows both equally little (Carlini et al. 2019, *The Secret Sharer*). No canary is a real row, so none tells of anybody.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.randomness import stream
from sources.split import Split

FEWEST = 20
"""Fewer could not show anything at the level of the gate, even if every single one were remembered."""

MOST_DRAWS = 20
"""Times as many rows as asked for are drawn before giving up on a table in which every combination is a real row."""


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """Rows of one law, as many `planted` among the training rows as kept aside for `control`."""

    planted: Dataset
    control: Dataset


def canaries_for(split: Split, num: int, *, seed: int) -> Canaries:
    """Return `num` rows to plant and as many to compare them with.

    Raises:
        SourceInputError: fewer than `FEWEST` are asked for, the reference part has too few rows, or nearly every
            combination of its cells is a real row.

    """
    if num < FEWEST:
        raise SourceInputError(
            "canaries: too few to show anything", seen=num, remedy=f"plant at least {FEWEST}; 50 is a good number"
        )
    reference, schema = split.reference.frame, split.train.schema
    if len(reference) < 2 * num:
        raise SourceInputError(
            "canaries: more than the reference part can make",
            seen=f"{num:,}, of {len(reference):,} rows",
            remedy=f"ask for at most {len(reference) // 2:,}",
        )
    rng = stream(seed, "canaries")
    keys = [column.name for column in schema.columns if column.kind == "id" or column.rules.unique]
    compared = [column.name for column in schema.columns if column.name not in keys and column.kind != "image"]
    real = pd.concat([part.frame[compared] for part in (split.train, split.holdout, split.reference)])
    known = set(pd.util.hash_pandas_object(real, index=False))
    found: list[pd.DataFrame] = []
    for _ in range(MOST_DRAWS):
        rows = pd.DataFrame({name: _cells(reference[name], 2 * num, rng) for name in reference})
        codes = pd.util.hash_pandas_object(rows[compared], index=False).to_numpy()
        new = np.array([code not in known for code in codes], dtype=bool) & ~pd.Series(codes).duplicated().to_numpy()
        known.update(codes[new])
        found.append(rows[new])
        if sum(map(len, found)) >= 2 * num:
            break
    drawn = pd.concat(found, ignore_index=True).iloc[: 2 * num]
    if len(drawn) < 2 * num:
        raise SourceInputError(
            "canaries: nearly every combination of cells is a real row, so made-up rows show nothing",
            seen=f"{len(drawn):,} of {2 * num:,} rows in {MOST_DRAWS} draws",
            remedy="leave `canaries` out for this table, or ask for fewer",
        )
    whole = reference.iloc[rng.permutation(len(reference))[: 2 * num]]
    drawn = drawn.assign(**{key: whole[key].array for key in keys})
    halves = [drawn.iloc[part * num : (part + 1) * num].reset_index(drop=True) for part in (0, 1)]
    planted, control = (Dataset(frame=half, schema=schema) for half in halves)
    return Canaries(planted=planted, control=control)


def plant(train: Dataset, canaries: Canaries, *, seed: int) -> Dataset:
    """Return the training rows with the planted canaries at random places among them."""
    frame = pd.concat([train.frame, canaries.planted.frame], ignore_index=True)
    order = stream(seed, "canaries", "places").permutation(len(frame))
    return Dataset(frame=frame.iloc[order].reset_index(drop=True), schema=train.schema)


def _cells(column: pd.Series, num: int, rng: np.random.Generator) -> pd.Series:
    return column.iloc[rng.integers(0, len(column), num)].reset_index(drop=True)
