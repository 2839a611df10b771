"""Grids of pictures: real ones stand in private alone, and a strip shows its own label."""

import io
from base64 import b64decode
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from sources.dataset import Dataset
from sources.images import MODES
from sources.picture_sheets import GAP
from sources.schema import Column, Schema
from sources.synthetic_mark import XMP
from validators.evidence import Evidence
from validators.picture_grids import GridPicture, grids
from validators.picture_pairs import nearest_pairs
from validators.policy import Policy

SCHEMA = Schema(
    columns=(
        Column(name="scan", kind="image", shape=(4, 6, 1), storage="uint8"),
        Column(name="sex", kind="categorical"),
        Column(name="organ", kind="categorical", role="target"),
    )
)
SHADES = {("synthetic", "lung"): 10, ("synthetic", "heart"): 20, ("real", "lung"): 110, ("real", "heart"): 120}


def rows_of(side: str, organs: list[str], schema: Schema = SCHEMA) -> Dataset:
    """Return pictures of one shade each, which tells side and organ."""
    shades_of = [SHADES.get((side, organ), 77) for organ in organs]
    pixels = np.array(shades_of, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(4, axis=1).repeat(6, axis=2)
    frame = pd.DataFrame({"scan": np.arange(len(organs)), "sex": "f", "organ": pd.Series(organs, dtype=object)})
    return Dataset(frame=frame[list(schema.names)], schema=schema, media={"scan": pixels})


def evidence_of(synthetic: list[str], schema: Schema = SCHEMA) -> Evidence:
    real = rows_of("real", ["lung"] * 30 + ["heart"] * 30, schema)
    drawn = rows_of("synthetic", synthetic, schema)
    policy = Policy.preset("standard")
    return Evidence(train=real, holdout=real, reference=None, synthetic=drawn, schema=schema, policy=policy)


def shades(sheet: str | None) -> set[int]:
    assert sheet is not None
    with Pillow.open(io.BytesIO(b64decode(sheet))) as picture:
        pixels = np.asarray(picture)
    return set(pixels[..., 0][pixels[..., 3] > 0].tolist())


def test_a_strip_shows_its_own_label_and_side() -> None:
    (grid,) = grids(evidence_of(["lung"] * 15 + ["heart"] * 15), seed=3)
    assert (grid.column, grid.by, grid.height, grid.width) == ("scan", "organ", 4, 6)
    assert [strip.label for strip in grid.strips] == ["heart", "lung"]
    for strip in grid.strips:
        assert strip.label is not None
        assert shades(strip.synthetic) == {SHADES["synthetic", strip.label]}
        assert shades(strip.real) == {SHADES["real", strip.label]}


def test_the_public_part_holds_no_real_picture_and_no_rare_label() -> None:
    (grid,) = grids(evidence_of(["lung"] * 15 + ["heart"] * 9), seed=3)
    public = grid.public(least_rows=10)
    assert [strip.label for strip in public.strips] == ["lung"]
    assert public.strips[0].real is None
    assert public.strips[0].rows == 0
    assert shades(public.strips[0].synthetic) == {10}
    synthetic, real = (b64decode(one or "") for one in (grid.strips[1].synthetic, grid.strips[1].real))
    assert XMP in synthetic
    assert XMP not in real


def test_a_label_that_was_never_drawn_has_an_empty_side() -> None:
    (grid,) = grids(evidence_of(["lung"] * 15), seed=3)
    assert [strip.synthetic is None for strip in grid.strips] == [True, False]


def test_pictures_without_labels_are_one_strip() -> None:
    schema = Schema(columns=SCHEMA.columns[:2])
    real = rows_of("real", ["lung"] * 20)
    real = Dataset(frame=real.frame[["scan", "sex"]], schema=schema, media=real.media)
    evidence = replace(evidence_of([]), train=real, holdout=real, synthetic=real, schema=schema)
    (grid,) = grids(evidence, seed=3)
    assert (grid.by, [strip.label for strip in grid.strips], grid.columns) == (None, [None], 12)
    assert len(grid.public(least_rows=10).strips) == 1


def test_no_rows_no_grid_and_the_same_seed_the_same_grid() -> None:
    assert grids(evidence_of([]), seed=3) == ()
    evidence = evidence_of(["lung"] * 40 + ["heart"] * 40)
    assert grids(evidence, seed=3) == grids(evidence, seed=3)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [8, 64, 300])
def test_a_grid_fits_into_a_page(side: int, channels: int) -> None:
    shape = (side, side, channels)
    assert len(MODES) == 3
    columns = (replace(SCHEMA.columns[0], shape=shape), *SCHEMA.columns[1:])
    schema = Schema(columns=columns)
    noise = np.random.default_rng(4).integers(0, 256, (60, *shape)).astype(np.uint8)
    frame = pd.DataFrame({"scan": np.arange(60), "sex": "f", "organ": [f"o{row % 12}" for row in range(60)]})
    rows = Dataset(frame=frame, schema=schema, media={"scan": noise})
    (grid,) = grids(replace(evidence_of([]), train=rows, synthetic=rows, schema=schema), seed=3)
    assert max(grid.height, grid.width) <= 48
    evidence = replace(evidence_of([]), train=rows, holdout=rows, synthetic=rows, schema=schema)
    sheets = [one or "" for strip in grid.strips for one in (strip.synthetic, strip.real)]
    assert sum(map(len, [*sheets, *(one.sheet for one in nearest_pairs(evidence, seed=3))])) < 1_850_000
    assert isinstance(grid, GridPicture)
    with Pillow.open(io.BytesIO(b64decode(grid.strips[0].synthetic or ""))) as picture:
        assert picture.size == (grid.columns * (grid.width + GAP) - GAP, grid.height)


def test_nearest_pairs_stand_over_each_other_and_train_is_looked_at_as_often_as_fresh() -> None:
    rng = np.random.default_rng(8)
    pixels = rng.integers(0, 256, (60, 4, 6, 1)).astype(np.uint8)
    frame = pd.DataFrame({"scan": np.arange(20), "sex": "f", "organ": ["lung"] * 20})
    parts = [Dataset(frame=frame, schema=SCHEMA, media={"scan": pixels[at : at + 20]}) for at in (0, 20, 40)]
    copied = Dataset(frame=frame, schema=SCHEMA, media={"scan": np.concatenate([pixels[5:8], pixels[43:60]])})
    evidence = replace(evidence_of([]), train=parts[0], holdout=parts[1], synthetic=copied)
    train, fresh = nearest_pairs(evidence, seed=3)
    assert (train.side, fresh.side, train.columns, train.height, train.width) == ("train", "fresh", 12, 4, 6)
    with Pillow.open(io.BytesIO(b64decode(train.sheet))) as picture:
        drawn = np.asarray(picture)[:, :, 0]
    above, below = drawn[:4], drawn[4 + GAP :]
    for place in range(12):
        at = place * (6 + GAP)
        same = np.array_equal(above[:, at : at + 6], below[:, at : at + 6])
        assert same == (place < 3)  # the three that were copied come first
    alone = replace(evidence, holdout=None)
    assert [one.side for one in nearest_pairs(alone, seed=3)] == ["train"]
    assert nearest_pairs(evidence_of([]), seed=3) == ()
