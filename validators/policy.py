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
from typing import Any

from sources.errors import did_you_mean
from sources.schema import Kind, Role
from validators.errors import ValidatorInputError
from validators.features.extractor import Extractor, read_extractor
from validators.limits.limit import IMAGE_NEEDS, IMAGE_SHARE, Bound, Limit, Need
from validators.limits.limits import LIMITS

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
