"""What a release must reach: one limit for each measurement, three presets, and overrides that show.

Two error rates rule every interval in this room, and they belong to its two ends.

- *Passing* needs every check to be inside its limit. For such an intersection-union test no correction is due
  (Berger 1982, *Technometrics* 24, 295): the bad end of each interval is one-sided at `doubt`. A release as bad as
  one of the limits passes in at most `doubt` of all runs.
- *Refusing* needs only one alarm out of many, so false alarms of fresh real rows add up: the level `alarm` is shared
  among the `checks` (Bonferroni), and within a check among its subjects (Bonferroni, or Holm where p-values are at
  hand). The good end of an interval is beyond the limit only when the value is beyond it with one-sided error
  `doubt` and differs from fresh real rows at that simultaneous level (`validators.statistics.intervals.gate_ends`).
  Fresh real rows are refused in at most `alarm` of all runs, fewer as far as the limits leave them room.

The limits are non-inferiority margins: a value may be worse than what fresh real rows score, by so much.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sources.errors import did_you_mean
from sources.schema import Kind, Role
from validators.errors import ValidatorInputError
from validators.features.extractor import Extractor, read_extractor
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

MEASURED_KINDS: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "datetime", "text")
"""Kinds whose cells the fidelity checks look at; identifiers carry no law and images have judges of their own."""

ROWS_BY_CELLS: frozenset[str] = frozenset(
    {
        "repeats",
        "excess_matches",
        "atypical_matches",
        "detectable_leak",
        "dcr_share",
        "group_matches",
        "singling_out",
        "linkability",
        "controls",
        "membership",
        "membership_atypical",
        "attribute_inference",
    }
)
"""Measurements that take cells for the whole row: not required where it has a picture (`validators.applicable`)."""


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


LIMITS: Mapping[str, Limit] = {
    "contract_rules": Limit(
        family="contract",
        direction="lower_is_better",
        bound=0.0,
        reason="A broken rule breaks the recipient's pipeline; the schema's author says which rules matter.",
    ),
    "kway_1": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.03,
        strict=0.015,
        research=0.06,
        needs="columns",
        reason="Good models lose under one point on single columns; three are where CTGAN and TVAE begin on Adult.",
    ),
    "kway_2": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.04,
        strict=0.02,
        research=0.08,
        needs="pairs",
        reason="Good models lose one or two points on pairs; a product of marginals loses five to fifteen.",
    ),
    "kway_3": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.05,
        strict=0.025,
        research=0.10,
        needs="triples",
        reason="Good models lose one or two points on triples; a product of marginals loses ten to twenty.",
    ),
    "column_shape": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.07,
        research=0.20,
        needs="columns",
        reason="An average hides one spoilt column: at most a tenth of any column's mass may lie in the wrong bin.",
    ),
    "lost_values": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.001,
        needs="columns",
        reason="A p-value, at the share of `alarm` that one check has; a value may lose half of its rows or double.",
    ),
    "repeats": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.05,
        research=0.20,
        needs="rows",
        reason="Repeated rows say less than their number; a tenth is what the interval takes in tables of few values.",
    ),
    "near_twins": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.001,
        needs="columns",
        reason="A p-value, at the share of `alarm` that one check has; twice as many clusters as real are tolerated.",
    ),
    "image_repeats": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.001,
        needs="images",
        reason="A p-value, at the share of `alarm` that one check has; twice as many repeated as real are tolerated.",
    ),
    "missingness": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.001,
        needs="columns",
        reason="A p-value, at the share of `alarm` that one check has; a pattern may be halved or doubled.",
    ),
    "precision": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.06,
        research=0.20,
        needs="columns",
        reason="At most a tenth of the rows may be unlike any real row; the interval at 2,000 rows takes three points.",
    ),
    "recall": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.06,
        research=0.20,
        needs="columns",
        reason="At most a tenth of the real rows may be left without a near synthetic one where fresh rows have one.",
    ),
    "time_order": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.001,
        needs="order",
        reason="A p-value, at the share of `alarm` that one check has; a correlation may change by a tenth.",
    ),
    "association": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.25,
        strict=0.18,
        research=0.40,
        needs="pairs",
        reason="A relation that is off by 0.25 turns a weak one into none, or a strong one into a medium one.",
    ),
    "dependence": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.08,
        strict=0.05,
        research=0.15,
        needs="pairs",
        reason="Rows must hang together nearly as well as real ones; independent columns lose all, 0.1 to 0.5.",
    ),
    "c2st": Limit(
        family="fidelity",
        direction="inside_is_better",
        bound=(0.35, 0.65),
        strict=(0.42, 0.58),
        research=(0.25, 0.80),
        needs="columns",
        reason="The best published models stand at 0.52 to 0.60 and are useful; far under 0.5 means copies.",
    ),
    "tstr": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.05,
        strict=0.03,
        research=0.10,
        needs="target",
        reason="Good models lose one or two points of AUC; five make a recipient's model visibly worse.",
    ),
    "label_noise": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.06,
        research=0.20,
        needs="target",
        reason="What is not sure must be inside a tenth: the interval of a weak target at 2,000 rows takes six points.",
    ),
    "wrong_labels": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.005,
        needs="target",
        reason="A p-value: of fresh rows one run in two hundred is refused; one wrong label in forty is tolerated.",
    ),
    "image_kid": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.05,
        research=0.20,
        needs="images",
        reason="A tenth of the spread of real pictures: a lost class of ten is under it, blurred pictures beyond.",
    ),
    "image_frechet": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=5.0,
        strict=4.0,
        research=10.0,
        needs="images",
        reason="At 300 pictures a side, where chance alone gives 1 and the interval of two hundred reaches 4.",
    ),
    "image_density": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.30,
        strict=0.20,
        research=0.50,
        needs="images",
        reason="Fresh pictures have about 1 and are known to a tenth at 300; pictures off the real ones lose it all.",
    ),
    "image_coverage": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.20,
        strict=0.10,
        research=0.35,
        needs="images",
        reason="At most a fifth of the real pictures may have no near synthetic one where fresh ones have one.",
    ),
    "image_precision": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.20,
        strict=0.10,
        research=0.35,
        needs="images",
        reason="At most a fifth of the pictures may lie off the real ones; the interval at 300 pictures takes a tenth.",
    ),
    "image_recall": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.20,
        strict=0.10,
        research=0.35,
        needs="images",
        reason="At most a fifth of the real pictures may lie off the synthetic ones; at 300 the interval takes half.",
    ),
    "image_c2st": Limit(
        family="fidelity",
        direction="inside_is_better",
        bound=(0.30, 0.95),
        strict=(0.35, 0.85),
        research=(0.20, 0.99),
        needs="images",
        reason="Networks' pictures are nearly always told apart by something; below half is what copies cause.",
    ),
    "image_agreement": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.05,
        research=0.20,
        needs="images_and_labels",
        reason="A tenth of the labels may be wrong to the eye of a network; at 300 pictures the interval takes half.",
    ),
    "image_tstr": Limit(
        family="fidelity",
        direction="lower_is_better",
        bound=0.10,
        strict=0.05,
        research=0.20,
        needs="images_and_labels",
        reason="Who trains on synthetic pictures may be wrong on one real picture in ten more than after real ones.",
    ),
    "image_modes": Limit(
        family="fidelity",
        direction="higher_is_better",
        bound=0.0001,
        needs="images",
        reason="A p-value, within the share of `alarm` that a check of pictures has; a kind may be halved or doubled.",
    ),
    "image_sharpness": Limit(
        family="fidelity",
        direction="inside_is_better",
        bound=(0.5, 2.0),
        strict=(0.67, 1.5),
        research=(0.25, 4.0),
        needs="images",
        reason="A ratio of power: a blur of one pixel halves the fine band, noise that the eye sees doubles it.",
    ),
    "exact_copies": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        reason="A p-value, at the share of `alarm` that one check has: fresh rows copy by chance, train no more often.",
    ),
    "excess_matches": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        reason="A p-value, at the share of `alarm` that one check has; twelve copied rows cross it.",
    ),
    "atypical_matches": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        reason="A p-value, at the share of `alarm` that one check has; the strangest rows are the ones recognised.",
    ),
    "detectable_leak": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.02,
        strict=0.01,
        research=0.05,
        reason="A test that could not have seen one copied training row in fifty has not shown that there are none.",
    ),
    "dcr_share": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.60,
        strict=0.55,
        research=0.65,
        reason="The best published models stand at 0.50 to 0.55 on Adult, copies with a tenth of noise above 0.9.",
    ),
    "group_matches": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        needs="protected",
        reason="A p-value, at the share of `alarm` that one check has: a leak of one small group drowns in all rows.",
    ),
    "singling_out": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.05,
        strict=0.03,
        research=0.10,
        needs="columns",
        reason="One description in twenty may fit one person for being in train; the interval at 2,000 rows takes two.",
    ),
    "linkability": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.07,
        strict=0.04,
        research=0.12,
        needs="pairs",
        reason="Where half of all are linked anyway, 2,000 rows are known to that; a tenth copied is more.",
    ),
    "controls": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.0,
        reason="A number of controls that misbehave: instruments that fail on this very table show nothing about it.",
    ),
    "membership": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.04,
        strict=0.03,
        research=0.10,
        reason="Chance finds 0.01 of the members at as many false accusations; the interval at 2,000 rows takes two.",
    ),
    "membership_atypical": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.20,
        strict=0.12,
        research=0.30,
        reason="Chance finds 0.05 at this rate; strange rows are few: the interval of 300 takes up to twelve points.",
    ),
    "attribute_inference": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.08,
        strict=0.05,
        research=0.15,
        needs="pairs",
        reason="Train may be guessed right that much more often than fresh rows; the interval at 2,000 rows takes six.",
    ),
    "canaries": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        needs="canaries",
        reason="A p-value, at the share of `alarm` that one check has: rows that mean nothing must not be remembered.",
    ),
    "image_matches": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        needs="images",
        reason="A p-value, at the share of `alarm` that one check has; six copies among any number cross it.",
    ),
    "image_leak": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.02,
        strict=0.01,
        research=0.05,
        needs="images",
        reason="As `detectable_leak`: one copied picture in fifty must have been seen, or nothing was shown.",
    ),
    "image_controls": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=0.0,
        needs="images",
        reason="A number of controls that misbehave: planted copies of these very pictures must be seen.",
    ),
    "image_group_matches": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        needs="images_and_protected",
        reason="A p-value, at the share of `alarm` that one check has: a small group's leak drowns in all pictures.",
    ),
    "image_copies": Limit(
        family="privacy",
        direction="higher_is_better",
        bound=0.001,
        needs="images",
        reason="A p-value, at the share of `alarm` that one check has: small icons are equal by chance, photos never.",
    ),
    "image_membership": Limit(
        family="privacy",
        direction="lower_is_better",
        bound=4.0,
        strict=3.0,
        research=6.0,
        needs="images",
        reason="As for rows: four times what chance finds; the intervals of few strangers take about three.",
    ),
    "representation": Limit(
        family="bias",
        direction="inside_is_better",
        bound=(0.5, 2.0),
        strict=(0.67, 1.5),
        research=(0.33, 3.0),
        needs="protected",
        reason="A ratio of shares: no group may be halved or doubled. Smaller losses are for `group_loss`.",
    ),
    "group_loss": Limit(
        family="bias",
        direction="higher_is_better",
        bound=0.005,
        needs="protected",
        reason="A p-value: of fresh rows one run in two hundred is refused, far fewer as the four fifths are slack.",
    ),
    "outcome_gap": Limit(
        family="bias",
        direction="inside_is_better",
        bound=(-0.2, 0.2),
        strict=(-0.1, 0.1),
        research=(-0.3, 0.3),
        needs="protected_and_target",
        reason="A group's rate of positive outcomes must be known to a fifth. Smaller shifts are for `outcome_shift`.",
    ),
    "outcome_shift": Limit(
        family="bias",
        direction="higher_is_better",
        bound=0.01,
        needs="target",
        reason="A p-value: of fresh rows one run in a hundred is refused at most, fewer as the tolerance is slack.",
    ),
    "group_dependence": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.20,
        strict=0.15,
        research=0.30,
        needs="protected_and_pairs",
        reason="A group of a few hundred rows is known to so much; independent or averaged rows lose 0.3 to 0.5.",
    ),
    "group_shape": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.10,
        strict=0.07,
        research=0.20,
        needs="protected_and_pairs",
        reason="A group of two hundred rows is known to so much, whatever its columns; averaged rows lose 0.4.",
    ),
    "group_column": Limit(
        family="bias",
        direction="higher_is_better",
        bound=0.001,
        needs="protected_and_pairs",
        reason="A p-value, at the share of `alarm` that one check has; a twentieth of a group may lie elsewhere.",
    ),
    "bias_amplification": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.15,
        strict=0.10,
        research=0.25,
        needs="protected_and_target",
        reason="A rare outcome's groups are known to so much at 2,000 rows. Smaller ones are for `widened_gaps`.",
    ),
    "widened_gaps": Limit(
        family="bias",
        direction="higher_is_better",
        bound=0.002,
        needs="protected_and_target",
        reason="A p-value: of fresh rows one run in five hundred is refused at most, fewer as a fifth is tolerated.",
    ),
    "parity_shift": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.10,
        strict=0.06,
        research=0.20,
        needs="protected_and_target",
        reason="A model must not treat groups a tenth more unequally; 2,000 rows are known to that.",
    ),
    "odds_shift": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.20,
        strict=0.15,
        research=0.30,
        needs="protected_and_target",
        reason="As `parity_shift`, in the fewer rows that have one outcome: fifty of a group are known to a fifth.",
    ),
    "image_group_coverage": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.25,
        strict=0.15,
        research=0.40,
        needs="images_and_protected",
        reason="As `image_coverage`, in the fewer pictures of a group: 200 are known to a tenth.",
    ),
    "image_group_agreement": Limit(
        family="bias",
        direction="lower_is_better",
        bound=0.15,
        strict=0.10,
        research=0.25,
        needs="images_and_protected",
        reason="As `image_agreement`, in the fewer pictures of a group: 200 are known to a tenth.",
    ),
}
PRESETS: tuple[str, ...] = ("standard", "strict", "research")
PRESETS_VERSION = 3
"""Raised with every change of `LIMITS` or of a default, so that old releases are held against their own presets."""
KNOBS: Mapping[str, str] = {
    "alarm": "largest share of runs in which fresh real rows may be refused, over all checks",
    "doubt": "one-sided error of each pass",
    "checks": "number of named checks that share `alarm`",
    "min_rows": "parts with fewer rows are not judged: inconclusive",
    "min_group_rows": "groups with fewer rows in train are not judged on their own",
}


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Limits and error rates of one judgement; `Policy.preset("standard")` is the usual one.

    Args:
        name: the preset it started from.
        limits: measurement -> bound, for every name in `LIMITS`.
        alarm, doubt, checks, min_rows, min_group_rows: see `KNOBS`.
        extractor: a user's own network that judges pictures beside those made here, or None.

    """

    name: str
    limits: Mapping[str, Bound]
    alarm: float = 0.05
    doubt: float = 0.05
    checks: int = 45
    min_rows: int = 100
    min_group_rows: int = 30
    extractor: Extractor | None = None

    @classmethod
    def preset(cls, name: str) -> "Policy":
        """Return the preset called `name`.

        Raises:
            ValidatorInputError: there is no such preset.

        """
        if name not in PRESETS:
            raise ValidatorInputError(
                f"policy: no such preset{did_you_mean(name, PRESETS)}",
                seen=name,
                remedy="presets: " + ", ".join(PRESETS),
            )
        limits = {key: _bound_of(limit, name) for key, limit in LIMITS.items()}
        return cls(name=name, limits=limits)

    @classmethod
    def from_spec(cls, spec: "str | Mapping[str, Any]") -> "Policy":
        """Return the policy that a spec asks for: a preset's name, or `{preset: ..., <limit or knob>: value, ...}`.

        Raises:
            ValidatorInputError: unknown preset, limit or knob, or a value of the wrong shape.

        """
        if isinstance(spec, str):
            return cls.preset(spec)
        if not isinstance(spec, Mapping):
            raise ValidatorInputError(
                "policy: neither a preset nor overrides", seen=type(spec).__name__, remedy="write `policy: standard`"
            )
        base = cls.preset(spec.get("preset", "standard"))
        limits, knobs = dict(base.limits), {knob: getattr(base, knob) for knob in KNOBS}
        for key, value in spec.items():
            if key in LIMITS:
                limits[key] = _read_bound(key, value, pair=isinstance(limits[key], tuple))
            elif key in KNOBS:
                knobs[key] = _read_knob(key, value, whole=isinstance(knobs[key], int))
            elif key not in ("preset", "extractor"):
                known = [*LIMITS, *KNOBS]
                raise ValidatorInputError(
                    f"policy.{key}: no such limit{did_you_mean(str(key), ['preset', 'extractor', *known])}",
                    seen=key,
                    remedy="limits: " + ", ".join(known),
                )
        extractor = None if spec.get("extractor") is None else read_extractor(spec["extractor"])
        return cls(name=base.name, limits=limits, extractor=extractor, **knobs)

    @property
    def overrides(self) -> tuple[str, ...]:
        """What differs from the preset, as `name: preset -> now`: worked out, so that no change can hide."""
        preset = Policy.preset(self.name)
        before: dict[str, Any] = {**preset.limits, **{knob: getattr(preset, knob) for knob in KNOBS}}
        now: dict[str, Any] = {**self.limits, **{knob: getattr(self, knob) for knob in KNOBS}}
        return tuple(
            f"{name}: {_plain(before.get(name))} -> {_plain(now.get(name))}"
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        )

    def alarm_share(self, subjects: int = 1) -> float:
        """Return the one-sided error of the good end of an interval when a check has `subjects` of them."""
        return self.alarm / self.checks / max(subjects, 1)

    def alarm_share_of(self, name: str, subjects: int = 1) -> float:
        """Return the same for the measurement `name`: checks of pictures have smaller shares (`IMAGE_SHARE`)."""
        return self.alarm_share(subjects) / (IMAGE_SHARE if LIMITS[name].needs in IMAGE_NEEDS else 1)

    def required(self, columns: Iterable[tuple[Kind, Role]]) -> frozenset[str]:
        """Return the names that a report on a dataset with these columns must hold."""
        columns = list(columns)
        num_measured = sum(kind in MEASURED_KINDS for kind, _ in columns)
        target = any(role == "target" and kind in MEASURED_KINDS for kind, role in columns)
        protected = any(role == "protected" for _, role in columns)
        images = any(kind == "image" for kind, _ in columns)
        has: dict[Need, bool] = {
            "always": True,
            "columns": num_measured >= 1,
            "pairs": num_measured >= 2,  # noqa: PLR2004 - a pair
            "triples": num_measured >= 3,  # noqa: PLR2004 - a triple
            "target": target and num_measured >= 2,  # noqa: PLR2004 - something to predict it from
            "protected": protected,
            "rows": any(kind not in ("id", "image") for kind, _ in columns),
            "order": False,  # kind and role do not say which column it is: the report does (`validators.gate`)
            "canaries": False,  # planted or not: the sizes of the report say it (`validators.gate`)
            "protected_and_pairs": protected and num_measured >= 2,  # noqa: PLR2004 - a pair
            "protected_and_target": protected and any(role == "target" for _, role in columns),
            "images": images,
            "images_and_labels": images and any(kind in ("categorical", "boolean") for kind, _ in columns),
            "images_and_protected": images and protected,
        }
        required = frozenset(name for name, limit in LIMITS.items() if has[limit.needs])
        if not images:
            return required
        only_pictures = all(kind == "image" for kind, _ in columns)
        return required - ROWS_BY_CELLS - ({"exact_copies"} if only_pictures else set()) - _average_of_one(num_measured)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, equal for equal policies."""
        return {
            "name": self.name,
            "presets_version": PRESETS_VERSION,
            "limits": {name: list(bound) if isinstance(bound, tuple) else bound for name, bound in self.limits.items()},
            "overrides": list(self.overrides),
            **{knob: getattr(self, knob) for knob in KNOBS},
            **({} if self.extractor is None else {"extractor": self.extractor.to_json()}),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Policy":
        """Return the policy that `to_json` wrote.

        Raises:
            ValidatorInputError: it rests on other presets than these, so what differs from them cannot be told.

        """
        if plain["presets_version"] != PRESETS_VERSION:
            raise ValidatorInputError(
                "policy: judged under other presets than this version has",
                seen=f"presets {plain['presets_version']}, here {PRESETS_VERSION}",
                remedy="judge the data again, or use the version of understudy that wrote it",
            )
        limits = {name: tuple(bound) if isinstance(bound, list) else bound for name, bound in plain["limits"].items()}
        return cls(
            name=plain["name"],
            limits=limits,
            extractor=Extractor.from_json(plain["extractor"]) if "extractor" in plain else None,
            **{knob: plain[knob] for knob in KNOBS},
        )


def _average_of_one(num_measured: int) -> set[str]:
    """Return the average over columns where a picture has one attribute: `column_shape` judges that."""
    return {"kway_1"} if num_measured == 1 else set()


def _bound_of(limit: Limit, preset: str) -> Bound:
    other = {"strict": limit.strict, "research": limit.research}.get(preset)
    return limit.bound if other is None else other


def _read_bound(key: str, value: Any, *, pair: bool) -> Bound:
    if pair:
        if not (isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_finite, value))):  # noqa: PLR2004
            raise ValidatorInputError(
                f"policy.{key}: not a pair of numbers", seen=value, remedy="give [lowest, highest]"
            )
        if value[0] >= value[1]:
            raise ValidatorInputError(f"policy.{key}: empty interval", seen=value, remedy="give [lowest, highest]")
        return float(value[0]), float(value[1])
    if not _is_finite(value):
        raise ValidatorInputError(f"policy.{key}: not a number", seen=value, remedy="give one number")
    return float(value)


def _read_knob(key: str, value: Any, *, whole: bool) -> Any:
    right = _is_finite(value) and (isinstance(value, int) if whole else value < 1) and value > 0
    if not right:
        remedy = "give a positive whole number" if whole else "give a number between 0 and 1"
        raise ValidatorInputError(f"policy.{key}: out of range", seen=value, remedy=remedy)
    return value


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    return f"[{value[0]:g}, {value[1]:g}]" if isinstance(value, tuple) else f"{value:g}"
