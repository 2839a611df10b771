"""Which checks of tables have something to say of rows that are pictures with attributes.

A row with a picture is told from others by its picture, and checks of pictures judge whether that was copied, guessed
or repeated. Checks that take the other cells for the whole row (was it copied, can it be singled out, linked, repeated)
conclude nothing from a label and a sex that hundreds share; they join in where cells alone tell nearly all rows apart,
as they do in any table. All other checks of columns, relations and groups judge attributes as they judge tables.
"""

from collections.abc import Mapping

import pandas as pd

from validators.evidence import Evidence
from validators.registry import Validator

ROWS_BY_CELLS: frozenset[str] = frozenset(
    {
        "fidelity.repeats",
        "privacy.excess_matches",
        "privacy.group_matches",
        "privacy.singling_out",
        "privacy.linkability",
        "privacy.controls",
        "privacy.membership",
        "privacy.attribute_inference",
    }
)
"""Checks that take the cells for the whole row."""

UNIQUE = 0.9
"""Share of the real rows whose cells no other real row has, from which on cells count as the row."""


def applicable(evidence: Evidence, validators: Mapping[str, Validator]) -> dict[str, Validator]:
    """Return the checks that judge `evidence`: all of them where there are no pictures."""
    kinds = [column.kind for column in evidence.schema.columns]
    if "image" not in kinds:
        return dict(validators)
    left_out = set() if cells_identify(evidence) else set(ROWS_BY_CELLS)
    if all(kind == "image" for kind in kinds):
        left_out.add("privacy.exact_copies")
    return {name: validator for name, validator in validators.items() if name not in left_out}


def cells_identify(evidence: Evidence) -> bool:
    """Return whether nearly all real rows differ from all others in their cells; the synthetic rows have no say."""
    names = [column.name for column in evidence.schema.columns if column.kind not in ("image", "id")]
    if not names:
        return False
    parts = [part.frame[names] for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
    real = pd.concat(parts, ignore_index=True)
    return len(real) > 0 and float((~real.duplicated(keep=False)).mean()) >= UNIQUE
