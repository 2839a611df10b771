"""Which checks of whole rows are asked where rows hold pictures.

A row of a table with pictures is told by its picture. Where its attributes alone do not tell it (a label, a sex and an
age are shared by hundreds), a check that looks for copied, linked or recognised rows by attributes alone has nothing to
find: every row has natural duplicates, and the answer can only be that nothing can be told. Such checks are asked of
tables, and of pictures whose attributes tell at least half of the rows apart; the checks of pictures are always asked.
"""

from collections.abc import Mapping

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.policy import MEASURED_KINDS
from validators.registry import Validator

OF_ROWS = frozenset(
    {
        "fidelity.near_twins",
        "fidelity.repeats",
        "privacy.excess_matches",
        "privacy.group_matches",
        "privacy.linkability",
        "privacy.controls",
        "privacy.membership",
    }
)
"""Validators that compare whole rows by their attributes; `validators.policy.OF_ROWS` holds what they measure."""

OF_ATTRIBUTES = frozenset(
    {
        "fidelity.kway",
        "fidelity.lost_values",
        "fidelity.missingness",
        "fidelity.coverage",
        "fidelity.c2st",
        "privacy.exact_copies",
        "privacy.singling_out",
    }
)
"""Validators that have nothing to look at where a row is a picture and nothing else."""

TOLD_SHARE = 0.5


def applicable(validators: Mapping[str, Validator], evidence: Evidence) -> dict[str, Validator]:
    """Return the validators that are asked, in their order: all of them where no column holds pictures."""
    columns = evidence.schema.columns
    if not any(column.kind == "image" for column in columns):
        return dict(validators)
    left_out = frozenset[str]() if told_by_attributes(evidence.train) else OF_ROWS
    if not any(column.kind in MEASURED_KINDS for column in columns):
        left_out |= OF_ATTRIBUTES
    return {name: validator for name, validator in validators.items() if name not in left_out}


def told_by_attributes(rows: Dataset) -> bool:
    """Return whether at least half of the rows have attributes that no other row has."""
    names = [column.name for column in rows.schema.columns if column.kind in MEASURED_KINDS]
    if not names or not len(rows):
        return False
    return float((~rows.frame[names].duplicated(keep=False)).mean()) >= TOLD_SHARE
