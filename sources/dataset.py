"""The one dataset type: a table with a schema, and arrays for its image columns.

How each kind is held in `Dataset.frame` (the canonical form; `sources.conform.conform` makes it, and
`sources.conform.to_storage` turns it back into the types that files have):

| kind        | dtype                                 | missing |
|-------------|---------------------------------------|---------|
| numeric     | float64 (whole numbers too)           | NaN     |
| categorical | object of str labels (`1.0` is `1`)   | None    |
| boolean     | boolean (pandas, nullable)            | <NA>    |
| datetime    | datetime64[us], UTC where zoned       | NaT     |
| text, id    | object of str                         | None    |
| image       | int64 index into `media[column]`      | -       |

Blank cells of any kind are missing. Zoned times hold UTC in a dtype without zone; the zone is in the schema.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sources.schema import Schema


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows in canonical form with the schema that describes them.

    Args:
        frame: one row an example, columns exactly `schema.names` in that order, a fresh RangeIndex.
        schema: what the columns are.
        media: image column -> uint8 or uint16 array N H W C.

    """

    frame: pd.DataFrame
    schema: Schema
    media: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that frame and schema name the same columns."""
        assert tuple(self.frame.columns) == self.schema.names, "frame and schema differ; use sources.conform.conform"

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    def take(self, rows: np.ndarray) -> "Dataset":
        """Return the rows at the integer positions `rows` (int array N, repeats allowed), in that order."""
        frame = self.frame.iloc[rows].reset_index(drop=True)
        media = {name: array[frame[name].to_numpy()] for name, array in self.media.items()}
        for name in media:
            frame[name] = np.arange(len(frame))
        return Dataset(frame=frame, schema=self.schema, media=media)


def concatenated(parts: Sequence[Dataset]) -> Dataset:
    """Return the rows of all parts, which have one schema, in their order; pictures go with their rows."""
    first, *rest = parts
    if not rest:
        return first
    media = {
        name: np.concatenate([part.media[name][part.frame[name].to_numpy()] for part in parts]) for name in first.media
    }
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    for name in media:
        frame[name] = np.arange(len(frame))
    return Dataset(frame=frame, schema=first.schema, media=media)


def with_hashes(dataset: Dataset) -> pd.DataFrame:
    """Return the frame with the SHA-256 (hex) of its pixels in place of each picture, so that equal rows are equal."""
    frame = dataset.frame
    for name, pixels in dataset.media.items():
        hashes = [hashlib.sha256(pixels[row].tobytes()).hexdigest() for row in frame[name]]
        frame = frame.assign(**{name: hashes})
    return frame
