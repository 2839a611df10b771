"""The rule for one measurement, and what a dataset must have for it."""

from dataclasses import dataclass
from typing import Literal

from validators.measurement import Direction, Family

Bound = float | tuple[float, float]
Need = Literal[
    "always",
    "columns",
    "pairs",
    "triples",
    "target",
    "protected",
    "protected_and_target",
    "protected_and_pairs",
    "rows",
    "order",
    "canaries",
    "images",
    "images_and_labels",
    "images_and_protected",
]
IMAGE_NEEDS: frozenset[Need] = frozenset({"images", "images_and_labels", "images_and_protected"})
IMAGE_SHARE = 8
"""A check of pictures has an eighth of another check's share of `alarm`: together they live on the three shares that
the checks of tables leave, so pictures change no judgement of a table."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The rule for one named measurement.

    Args:
        family, direction: as in `Measurement`; the gate refuses a measurement that says otherwise.
        bound: the limit of the preset `standard`.
        strict, research: the limit of the other presets; None is the same as `bound`.
        needs: what a dataset must have for the measurement to be required of it.
        reason: why this bound.

    """

    family: Family
    direction: Direction
    bound: Bound
    reason: str
    strict: Bound | None = None
    research: Bound | None = None
    needs: Need = "always"
