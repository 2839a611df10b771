"""What the author of a spec says about the columns: kinds, roles, keys, rules; inference decides the rest."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, get_args

import pandas as pd

from sources.errors import SourceInputError, did_you_mean
from sources.schema import KINDS, ROLES, Kind, Pii, Role, Severity, Storage, TableRule, TableRuleKind

LOCALE = "en_US"  # Faker's own default
_LOCALE_FORM = re.compile(r"[a-z]{2,3}_[A-Z][A-Za-z]{1,3}")
_TEXT, _NUMBER, _COUNT, _FLAG, _TEXTS, _NUMBERS = "text", "number", "whole number", "true or false", "texts", "numbers"


@dataclass(frozen=True, kw_only=True)
class RuleOverrides:
    """The rules that a spec sets for one column; None leaves a rule to inference (see `sources.schema.Rules`)."""

    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    pattern: str | None = None
    unique: bool | None = None
    max_missing: float | None = None
    severity: Severity | None = None


@dataclass(frozen=True, kw_only=True)
class ColumnOverrides:
    """What a spec says about one column; None is silence (see `sources.schema.Column` for the meaning).

    A column with `drop` is left out: nothing else that is said of it counts, and none of its cells is looked at.
    """

    drop: bool | None = None
    kind: Kind | None = None
    pii: Pii | None = None
    role: Role | None = None
    positive: str | None = None
    threshold: float | None = None
    bins: tuple[float, ...] | None = None
    integer: bool | None = None
    decimals: int | None = None
    storage: Storage | None = None
    missing_marks: tuple[str, ...] | None = None
    timezone: str | None = None
    datetime_format: str | None = None
    truth: tuple[str, str] | None = None
    description: str | None = None
    unit: str | None = None
    rules: RuleOverrides = field(default_factory=RuleOverrides)


@dataclass(frozen=True, kw_only=True)
class SchemaOverrides:
    """The `schema:` section of a spec.

    Args:
        columns: column name -> what the spec says about it.
        entity_key, order_key: see `sources.schema.Schema`.
        rules: rules over several columns.
        locale: language and country of made personal details, such as `de_DE`.
        place: where the section stands, for messages.

    """

    columns: Mapping[str, ColumnOverrides] = field(default_factory=dict)
    entity_key: str | None = None
    order_key: str | None = None
    rules: tuple[TableRule, ...] = ()
    locale: str = LOCALE
    place: str = "schema"

    @property
    def dropped(self) -> tuple[str, ...]:
        """The columns that are left out."""
        return tuple(name for name, said in self.columns.items() if said.drop)

    def check_names(self, known: Iterable[str]) -> None:
        """Raise `SourceInputError` where the overrides name a column that the table does not have."""
        names = list(known)
        wanted = [(f"{self.place}.columns.{name}", name) for name in self.columns]
        wanted += [
            (f"{self.place}.{key}", value) for key in ("entity_key", "order_key") if (value := getattr(self, key))
        ]
        wanted += [(f"{self.place}.rules.{rule.kind}", name) for rule in self.rules for name in rule.columns]
        for where, name in wanted:
            if name not in names:
                raise SourceInputError(
                    f"{where}: no such column{did_you_mean(name, names)}",
                    seen=name,
                    remedy="columns: " + ", ".join(names[:12]) + (", …" if len(names) > 12 else ""),  # noqa: PLR2004
                )


_COLUMN_KEYS: dict[str, str | tuple[str, ...]] = {
    "drop": _FLAG, "kind": KINDS, "pii": get_args(Pii),
    "role": ROLES, "positive": _TEXT, "threshold": _NUMBER, "bins": _NUMBERS, "integer": _FLAG,
    "decimals": _COUNT, "storage": get_args(Storage), "missing_marks": _TEXTS, "timezone": _TEXT,
    "datetime_format": _TEXT, "truth": _TEXTS, "description": _TEXT, "unit": _TEXT,
}  # fmt: skip
_RULE_KEYS: dict[str, str | tuple[str, ...]] = {
    "minimum": _NUMBER, "maximum": _NUMBER, "values": _TEXTS, "pattern": _TEXT, "unique": _FLAG,
    "max_missing": _NUMBER, "severity": get_args(Severity),
}  # fmt: skip
_COLUMNS_OF = {
    "unique": ("at least one column, each once", 1, 4096),
    "sum": ("a total and at least one part, each once", 2, 4096),
}
assert set(_COLUMN_KEYS) | {"rules"} == {entry.name for entry in fields(ColumnOverrides)}
assert set(_RULE_KEYS) == {entry.name for entry in fields(RuleOverrides)}


def from_mapping(plain: Mapping[str, Any], *, place: str = "schema") -> SchemaOverrides:
    """Return the overrides written as plain mappings (the `schema:` section of a spec as YAML gives it).

    Raises:
        SourceInputError: an unknown key (with the nearest known one) or a value of the wrong type.

    """
    _known_keys(plain, ("columns", "entity_key", "order_key", "rules", "locale"), place)
    locale = _typed(plain.get("locale"), _TEXT, f"{place}.locale") or LOCALE
    if _LOCALE_FORM.fullmatch(locale) is None:
        raise SourceInputError(
            f"{place}.locale: not a language and a country", seen=locale, remedy="write en_US, de_DE or ja_JP"
        )
    columns = {}
    for name, entry in _mapping(plain.get("columns"), f"{place}.columns").items():
        columns[str(name)] = _column(_mapping(entry, f"{place}.columns.{name}"), f"{place}.columns.{name}")
    return SchemaOverrides(
        columns=columns,
        entity_key=_typed(plain.get("entity_key"), _TEXT, f"{place}.entity_key"),
        order_key=_typed(plain.get("order_key"), _TEXT, f"{place}.order_key"),
        rules=_table_rules(plain.get("rules"), f"{place}.rules"),
        locale=locale,
        place=place,
    )


def _column(entry: Mapping[str, Any], place: str) -> ColumnOverrides:
    _known_keys(entry, (*_COLUMN_KEYS, "rules"), place)
    values = {key: _typed(entry.get(key), shape, f"{place}.{key}") for key, shape in _COLUMN_KEYS.items()}
    if values["drop"] and values["role"] not in (None, "plain"):
        raise SourceInputError(
            f"{place}: a column that is left out has no role", seen=values["role"], remedy="take out drop, or the role"
        )
    if values["pii"] is not None and values["kind"] not in (None, "id"):
        raise SourceInputError(
            f"{place}.pii: personal details are made anew, which columns of kind {values['kind']} are not",
            seen=values["pii"],
            remedy="leave the kind out, or set kind: id",
        )
    if values["truth"] is not None and len(set(values["truth"])) != 2:  # noqa: PLR2004 - false and true
        raise SourceInputError(f"{place}.truth: needs two different texts", remedy="write [no, yes]: false, then true")
    if values["timezone"] is not None and not _is_zone(values["timezone"]):
        raise SourceInputError(
            f"{place}.timezone: no such zone", seen=values["timezone"], remedy="write UTC, Europe/Prague or +02:00"
        )
    if values["bins"] is not None and list(values["bins"]) != sorted(set(values["bins"])):
        raise SourceInputError(f"{place}.bins: edges must rise", seen=values["bins"], remedy="write [25, 35, 45]")
    rules = _mapping(entry.get("rules"), f"{place}.rules")
    _known_keys(rules, _RULE_KEYS, f"{place}.rules")
    typed = {key: _typed(rules.get(key), shape, f"{place}.rules.{key}") for key, shape in _RULE_KEYS.items()}
    return ColumnOverrides(**values, rules=_checked(RuleOverrides(**typed), f"{place}.rules"))


def _is_zone(name: str) -> bool:
    try:
        pd.Timestamp(0, tz="UTC").tz_convert(f"UTC{name}" if name[:1] in ("+", "-") else name)
    except (KeyError, ValueError, OSError):  # zoneinfo and pandas each have their own
        return False
    return True


def _checked(rules: RuleOverrides, place: str) -> RuleOverrides:
    import re  # noqa: PLC0415 - one use

    if rules.minimum is not None and rules.maximum is not None and rules.minimum > rules.maximum:
        raise SourceInputError(
            f"{place}: minimum is above maximum", seen=f"{rules.minimum} > {rules.maximum}", remedy="exchange them"
        )
    if rules.max_missing is not None and not 0 <= rules.max_missing <= 1:
        raise SourceInputError(f"{place}.max_missing: not a share", seen=rules.max_missing, remedy="give 0 to 1")
    if rules.pattern is not None:
        try:
            re.compile(rules.pattern)
        except re.error as error:
            raise SourceInputError(
                f"{place}.pattern: not a regular expression ({error.msg})", seen=rules.pattern, remedy="mend it"
            ) from error
    return rules


def _table_rules(plain: Any, place: str) -> tuple[TableRule, ...]:
    if plain is None:
        return ()
    if not isinstance(plain, (list, tuple)):
        raise SourceInputError(f"{place}: not a list", seen=type(plain).__name__, remedy="write - unique: [a, b]")
    kinds = get_args(TableRuleKind)
    rules = []
    for position, entry in enumerate(plain):
        here = f"{place}[{position}]"
        entry = _mapping(entry, here)  # noqa: PLW2901 - checked in place
        _known_keys(entry, (*kinds, "severity"), here)
        named = [kind for kind in kinds if kind in entry]
        if len(named) != 1:
            raise SourceInputError(f"{here}: needs exactly one of {', '.join(kinds)}", seen=", ".join(map(str, entry)))
        columns = _typed(entry[named[0]], _TEXTS, f"{here}.{named[0]}") or ()
        needs, fewest, most = _COLUMNS_OF.get(named[0], ("two different columns", 2, 2))
        if not fewest <= len(columns) <= most or len(set(columns)) != len(columns):
            example = "[total, a, b]" if named[0] == "sum" else "[a, b]"
            raise SourceInputError(
                f"{here}.{named[0]}: needs {needs}", seen=", ".join(columns), remedy=f"write {named[0]}: {example}"
            )
        severity: Severity = _typed(entry.get("severity"), get_args(Severity), f"{here}.severity") or "error"
        rules.append(TableRule(kind=named[0], columns=columns, severity=severity))
    return tuple(rules)


def _known_keys(plain: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    known = tuple(known)
    for key in plain:
        if key not in known:
            hint = did_you_mean(str(key), known)
            raise SourceInputError(f"{place}.{key}: no such key{hint}", remedy="keys: " + ", ".join(known))


def _mapping(plain: Any, place: str) -> Mapping[str, Any]:
    if plain is None:
        return {}
    if not isinstance(plain, Mapping):
        raise SourceInputError(f"{place}: not a mapping", seen=type(plain).__name__, remedy="write key: value pairs")
    return plain


def _typed(value: Any, shape: str | tuple[str, ...], place: str) -> Any:
    """Return `value` in the shape that a key wants; texts may be written as bare numbers or truth values."""
    if value is None:
        return None
    if isinstance(shape, tuple):
        if value not in shape:
            hint = did_you_mean(str(value), shape)
            raise SourceInputError(f"{place}: unknown{hint}", seen=value, remedy="one of " + ", ".join(shape))
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value  # noqa: PLR0124 - NaN
    fits = {
        _TEXT: isinstance(value, (str, int, float, bool)),
        _NUMBER: number,
        _COUNT: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 15,  # noqa: PLR2004
        _FLAG: isinstance(value, bool),
        _TEXTS: isinstance(value, (list, tuple)) and all(isinstance(item, (str, int, float, bool)) for item in value),
        _NUMBERS: isinstance(value, (list, tuple))
        and all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value),
    }[shape]
    if not fits:
        raise SourceInputError(f"{place}: not {shape}", seen=type(value).__name__, remedy=f"give {shape}")
    if shape == _TEXT:
        return _text(value)
    if shape == _TEXTS:
        return tuple(_text(item) for item in value)
    return tuple(float(item) for item in value) if shape == _NUMBERS else float(value) if shape == _NUMBER else value


def _text(value: Any) -> str:
    """Return a bare YAML number as the label that such a cell has: 1.0 and 1 are `1`."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
