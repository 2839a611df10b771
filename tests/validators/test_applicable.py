"""Which checks of tables join in where rows have pictures."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.applicable import ROWS_BY_CELLS, applicable, cells_identify
from validators.evidence import Evidence
from validators.policy import ROWS_BY_CELLS as MEASUREMENTS
from validators.policy import Policy
from validators.registry import VALIDATORS

EvidenceOf = Callable[..., Evidence]


def with_column(evidence: Evidence, column: Column, values: Callable[[int], pd.Series]) -> Evidence:
    """Return the evidence with one more column in every part."""
    schema = Schema(columns=(*evidence.schema.columns, column))

    def widened(part: Dataset | None) -> Dataset:
        assert part is not None
        frame = part.frame.assign(**{column.name: values(len(part))})
        return Dataset(frame=frame, schema=schema, media=part.media)

    parts = {name: widened(getattr(evidence, name)) for name in ("train", "holdout", "reference", "synthetic")}
    return replace(evidence, schema=schema, features=None, **parts)  # type: ignore[arg-type]


def test_a_table_is_judged_by_every_check(evidence_of: EvidenceOf) -> None:
    assert applicable(evidence_of(), VALIDATORS) == VALIDATORS


def test_labels_that_hundreds_share_are_not_taken_for_rows(pictures_of: EvidenceOf) -> None:
    assert VALIDATORS.keys() - applicable(pictures_of(seed=1), VALIDATORS).keys() == ROWS_BY_CELLS


def test_cells_that_tell_rows_apart_are_judged_as_in_a_table(pictures_of: EvidenceOf) -> None:
    rng = stream(1, "weights")
    column = Column(name="weight", kind="numeric")
    evidence = with_column(pictures_of(seed=1), column, lambda n: pd.Series(rng.normal(size=n)))
    assert cells_identify(evidence)
    assert applicable(evidence, VALIDATORS) == VALIDATORS


def test_of_pictures_alone_no_cell_is_a_copy(pictures_of: EvidenceOf) -> None:
    evidence = pictures_of(seed=1)
    schema = Schema(columns=evidence.schema.columns[:1])
    parts = {
        name: Dataset(frame=part.frame[["scan"]], schema=schema, media=part.media)
        for name in ("train", "holdout", "reference", "synthetic")
        if (part := getattr(evidence, name)) is not None
    }
    bare = replace(evidence, schema=schema, **parts)  # type: ignore[arg-type]
    assert VALIDATORS.keys() - applicable(bare, VALIDATORS).keys() == ROWS_BY_CELLS | {"privacy.exact_copies"}


def test_what_the_left_out_checks_measure_is_not_required(pictures_of: EvidenceOf, evidence_of: EvidenceOf) -> None:
    kinds = [(c.kind, c.role) for c in pictures_of(seed=1).schema.columns]
    assert not MEASUREMENTS & Policy.preset("standard").required(kinds)
    measured = {
        m.name for name in ROWS_BY_CELLS for m in VALIDATORS[name](evidence_of(seed=1), np.random.default_rng(1))
    }
    assert measured == MEASUREMENTS
