"""Grids of pictures for the report: synthetic ones, and real ones beside them in private.

A grid has strips, one a label of the column that the pictures are told apart by. What `GridPicture.public` leaves is
synthetic alone: real strips are gone, and so are labels that few synthetic rows have.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.images import png
from sources.picture_sheets import sheet, thumbnails, top_of
from sources.randomness import stream
from sources.schema import Column
from sources.synthetic_mark import XMP
from validators.evidence import Evidence
from validators.privacy.neighbours import as_labels

MOST_STRIPS = 12
MOST_IN_STRIP, FEWEST_IN_STRIP = 12, 4
MOST_SIDE = 48
FLAT_SIDE = 16
GRID_BYTES = 250_000
"""Of one side's pixels in a grid, before compression; a page stays below 2 MB."""


@dataclass(frozen=True, kw_only=True)
class StripPicture:
    """Pictures of one label.

    Args:
        label: or None where the pictures are not told apart.
        rows: synthetic rows of the label; 0 in public.
        synthetic, real: PNG sheets of one row of pictures, base64; None where no row has the label, and `real` in
            public.

    """

    label: str | None
    rows: int
    synthetic: str | None
    real: str | None


@dataclass(frozen=True, kw_only=True)
class GridPicture:
    """Pictures of one image column.

    Args:
        column: its name.
        by: the column that tells them apart, or None.
        height, width: pixels of one picture on the sheets.
        columns: pictures that fit into a strip.
        strips: at most `MOST_STRIPS`.

    """

    column: str
    by: str | None
    height: int
    width: int
    columns: int
    strips: tuple[StripPicture, ...]

    def public(self, *, least_rows: int) -> "GridPicture":
        """Return the synthetic strips of labels that so many synthetic rows have."""
        shown = [one for one in self.strips if one.rows >= least_rows and one.synthetic is not None]
        return replace(self, strips=tuple(replace(one, rows=0, real=None) for one in shown))


def grids(evidence: Evidence, seed: int) -> tuple[GridPicture, ...]:
    """Return one grid for each image column; none where either side has no rows.

    Args:
        evidence: the real rows shown are of train: what the synthetic ones were learnt from.
        seed: draws the rows.

    """
    if not len(evidence.synthetic) or not len(evidence.train):
        return ()
    by = _label_column(evidence)
    return tuple(_grid(column, by, evidence, seed) for column in evidence.schema.columns if column.kind == "image")


def flat_pixels(part: Dataset, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return pixels of at most `most` rows of the first image column, large pictures scaled down (float32 n D)."""
    name = next(column.name for column in part.schema.columns if column.kind == "image")
    rows = np.sort(rng.choice(len(part), size=min(most, len(part)), replace=False))
    pixels = part.media[name][part.frame[name].to_numpy()[rows]]
    scale = np.iinfo(pixels.dtype).max
    small = thumbnails(pixels, most=FLAT_SIDE, top=scale).reshape(len(rows), -1)
    return small.astype(np.float32) / 255


def _label_column(evidence: Evidence) -> Column | None:
    """Return the target, or else the first column of few labels."""
    columns = sorted(evidence.schema.columns, key=lambda column: column.role != "target")
    for column in columns:
        if column.kind in ("categorical", "boolean") and 1 < evidence.train.frame[column.name].nunique() <= MOST_STRIPS:
            return column
    return None


def _grid(column: Column, by: Column | None, evidence: Evidence, seed: int) -> GridPicture:
    labels: Sequence[str | None] = [None]
    if by is not None:
        labels = sorted(as_labels(evidence.train.frame[by.name]).dropna().unique())[:MOST_STRIPS]
    height, width, channels = _size(evidence.synthetic, column.name)
    in_all = GRID_BYTES // (height * width * channels)
    num = min(MOST_IN_STRIP, max(FEWEST_IN_STRIP, in_all // len(labels)))
    top = top_of(evidence.synthetic.media[column.name])
    strips = []
    for place, label in enumerate(labels):
        name = by.name if by is not None and label is not None else None
        sheets, rows = [], 0
        for side, part in (("synthetic", evidence.synthetic), ("real", evidence.train)):
            found = _rows_of(part, name, label)
            rows = len(found) if side == "synthetic" else rows
            rng = stream(seed, "pictures", "grids", column.name, side, place)
            sheets.append(_strip(part, column.name, found, num, rng, top=top, synthetic=side == "synthetic"))
        strips.append(StripPicture(label=label, rows=rows, synthetic=sheets[0], real=sheets[1]))
    return GridPicture(
        column=column.name,
        by=None if by is None else by.name,
        height=height,
        width=width,
        columns=num,
        strips=tuple(strips),
    )


def _size(part: Dataset, name: str) -> tuple[int, int, int]:
    """Return height, width and channels of a picture on a sheet."""
    height, width, channels = thumbnails(part.media[name][:1], most=MOST_SIDE).shape[1:]
    return height, width, channels


def _rows_of(part: Dataset, name: str | None, label: str | None) -> np.ndarray:
    if name is None:
        return np.arange(len(part))
    cells: pd.Series = as_labels(part.frame[name])
    return np.flatnonzero((cells == label).to_numpy(dtype=bool, na_value=False))


def _strip(
    part: Dataset, name: str, rows: np.ndarray, num: int, rng: np.random.Generator, *, top: int | None, synthetic: bool
) -> str | None:
    if not len(rows):
        return None
    chosen = rng.choice(rows, size=min(num, len(rows)), replace=False)
    pixels = part.media[name][part.frame[name].to_numpy()[chosen]]
    row = sheet(thumbnails(pixels, most=MOST_SIDE, top=top), columns=num)
    return b64encode(png(row, xmp=XMP if synthetic else b"")).decode()
