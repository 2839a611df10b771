"""Where rows are pictures with a few attributes, the attributes alone are nobody's: then pictures are judged instead.

The checks of rows ask whether a row can be recognised. A label, or a label and a sex, is shared by many pictures: there
is nothing to recognise, and nothing that a check could be shown to work on. Where attributes single out half of the
real rows or more, they are a person's trace of their own and the checks of rows run on them as on any table.

What it cannot see: the few rare combinations of attributes in a dataset where most are common.
"""

from collections.abc import Callable, Sequence

import numpy as np

from validators.evidence import Evidence
from validators.measurement import Measurement
from validators.privacy.copies import row_codes
from validators.privacy.real_rows import real_parts

SINGLED_OUT = 0.5
"""The share of real rows with attributes like nobody else's from which on the checks of rows run."""

Validator = Callable[[Evidence, np.random.Generator], Sequence[Measurement]]


def of_attributes(validator: Validator) -> Validator:
    """Return the check of rows that measures nothing where there are pictures and the attributes are nobody's."""

    def checked(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
        return [] if attributes_are_common(evidence) else validator(evidence, rng)

    return checked


def attributes_are_common(evidence: Evidence) -> bool:
    """Return whether there are pictures, and under half of the real rows have attributes that no other row has."""
    if not any(column.kind == "image" for column in evidence.schema.columns):
        return False
    names = [column.name for column in evidence.schema.columns if column.kind not in ("image", "id")]
    if not names:
        return True
    (codes,) = row_codes([real_parts(evidence)], names)
    return bool(np.mean(np.bincount(codes)[codes] == 1) < SINGLED_OUT)
