"""From a YAML file and `--set` overrides to a checked `Spec`; every complaint names file, key, nearest key, remedy.

YAML is read as version 1.2 means it: only `true` and `false` are booleans (a category `no` stays a text), `1e-3` is a
number, dates and codes such as `007` stay texts, and a key that stands twice is an error.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from flows import spec as model
from flows.errors import SpecError
from flows.notices import NotifySpec
from flows.runners import RunnerSpec
from flows.schedule import ScheduleSpec
from flows.spec import Spec
from sources.errors import UserError, did_you_mean
from sources.locations import without_secrets

Key = str | int
SECRET_KEYS = frozenset({"url", "options", "password", "sign", "c2pa"})
_TAGS = frozenset({*model.SOURCE_KINDS, "str", "int", "float", "bool", "list", "dict", "dict[str,any]", "tuple"})
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."]+)')


class _Loader(yaml.SafeLoader):
    """The library's own way to change what plain words mean: a loader class with its own table of resolvers."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        name = str(key.value)
        if name in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key {name!r} stands twice (first in line {seen[name]})", problem_mark=key.start_mark
            )
        seen[name] = key.start_mark.line + 1
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_REPLACED = frozenset(f"tag:yaml.org,2002:{name}" for name in ("bool", "timestamp", "int", "float"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("float", r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$", "-+."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), list(_first))
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_spec(path: str | Path, overrides: Sequence[str] = (), *, check_candidates: bool = True) -> Spec:
    """Return the spec in the file `path`, with `overrides` such as `budget.minutes=1` put on top.

    Args:
        path: the YAML file.
        overrides: `dotted.key=value`; the value is YAML, keys with dots are quoted (`schema.columns."a.b".role=id`).
        check_candidates: also check the candidates' options against their families, which imports the generators.

    Raises:
        SpecError: the file cannot be read, is no YAML, or holds a key or value that means nothing.

    """
    place = str(path)
    raw = _read(Path(path))
    for override in overrides:
        _override(raw, override)
    return check_spec(raw, place=place, check_candidates=check_candidates)


def check_spec(raw: Mapping[str, Any], *, place: str, check_candidates: bool = True) -> Spec:
    """Return the spec that `raw` (plain YAML values) means.

    Args:
        raw: the content of a spec file.
        place: how complaints name it.
        check_candidates: see `load_spec`.

    Raises:
        SpecError: a key or value means nothing.

    """
    try:
        spec = Spec.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise _complaint(place, raw, error) from None
    _check_policy(spec, place)
    if check_candidates:
        from flows.candidates import check_candidate  # noqa: PLC0415 - knows the generators, which import torch

        for position, candidate in enumerate(spec.candidates):
            check_candidate(candidate, place=f"{place}: candidates.{position}")
    return spec


OPERATIONS = ("schedule", "runner", "drift", "notify")
"""Keys of a spec that say when, where and before whose eyes a release is made, and nothing of what it is."""


def made_spec(spec: Spec) -> dict[str, Any]:
    """Return `kept_spec` without `OPERATIONS`: what decides on the content of a release, for its provenance."""
    return {key: value for key, value in kept_spec(spec).items() if key not in OPERATIONS}


def kept_spec(spec: Spec) -> dict[str, Any]:
    """Return `plain_spec` as files may hold it: the source has lost passwords, queries and options of its store.

    Options of the store that is published to are kept: a credential there is a `$NAME`, or refused.
    """
    plain = plain_spec(spec)
    return {**plain, "source": without_secrets(plain["source"])}


def plain_spec(spec: Spec) -> dict[str, Any]:
    """Return the spec as plain JSON values that `check_spec` reads back: with defaults, without what is left open."""
    plain: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    for candidate, given in zip(plain["candidates"], spec.candidates, strict=True):
        del candidate["options"]
        candidate.update(given.options)  # an option may be given as null, which is a value
    return plain


def _read(path: Path) -> dict[str, Any]:
    remedy = "give a YAML file; `understudy init SOURCE -o spec.yaml` writes one"
    if path.is_dir():
        raise SpecError(f"{path}: a folder, not a spec", remedy=remedy)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = (
            did_you_mean(path.name, [entry.name for entry in path.parent.glob("*.y*ml")])
            if path.parent.is_dir()
            else ""
        )
        raise SpecError(f"{path}: no such file{near}", remedy=remedy) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text", seen=f"a strange byte at {error.start}", remedy=remedy) from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read", seen=error.strerror, remedy="look at its permissions") from None
    raw = parse(text, str(path), "mind indents, quotes and colons there")
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: not a mapping of keys to values", seen=_kind_word(raw), remedy=remedy)
    return raw


def parse(text: str, place: str, remedy: str) -> Any:
    """Return the plain value that YAML text means; `place` and `remedy` are for the complaint, a `SpecError`."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with fewer conversions
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}, line {mark.line + 1}, column {mark.column + 1}" if mark else place
        raise SpecError(f"{where}: not YAML: {error.problem or error.context}", remedy=remedy) from None
    except yaml.YAMLError as error:
        raise SpecError(f"{place}: not YAML", seen=str(error).splitlines()[0], remedy=remedy) from None


def _override(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    path = [json.loads(f'"{quoted}"') if quoted else plain.strip() for quoted, plain in _PART.findall(key)]
    if not equals or not path or not all(path):
        raise SpecError(
            "--set: not of the form key=value",
            seen=override[:80],
            remedy="write --set budget.minutes=1, with dots inside",
        )
    value = parse(text, f"--set {key}", "quote the value for the shell and for YAML")
    here: Any = raw
    for depth, part in enumerate(path[:-1]):
        step = _index(here, part, key)
        inner = here[step] if isinstance(here, list) else here.get(step)
        if inner is None:
            inner = {}
        elif isinstance(inner, str):  # the short forms: a candidate's or source's name, a policy's preset
            inner = {"source": {"path": inner}, "policy": {"preset": inner}}.get(path[0], {"kind": inner})
        elif not isinstance(inner, dict | list):
            raise SpecError(
                f"--set {key}: nothing can stand below {'.'.join(path[: depth + 1])}",
                seen=_kind_word(inner),
                remedy="name a key of the spec; `understudy schema` lists them",
            )
        here[step] = inner
        here = inner
    here[_index(here, path[-1], key)] = value


def _index(here: dict[str, Any] | list[Any], part: str, key: str) -> Any:
    if isinstance(here, dict):
        return part
    if part.isdigit() and int(part) < len(here):
        return int(part)
    raise SpecError(f"--set {key}: no such entry", seen=part, remedy=f"entries are 0 to {len(here) - 1}")


def _check_policy(spec: Spec, place: str) -> None:
    from validators.policy import Policy  # noqa: PLC0415 - not needed to print --help

    try:
        Policy.from_spec(spec.policy)
    except UserError as error:
        raise SpecError(f"{place}: {error.what}", seen=error.seen, remedy=error.remedy) from None


def _complaint(place: str, raw: Any, error: ValidationError) -> SpecError:
    """Return the first complaint in full; the further ones by their keys."""
    found: list[tuple[tuple[Key, ...], Any]] = []
    problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")  # typos first
    for problem in problems:
        names_a_key = problem["type"] in ("missing", "extra_forbidden")
        path = _spec_path(raw, problem["loc"], keep_last=names_a_key)
        if not any(path == earlier[: len(path)] for earlier, _ in found):
            found.append((path, problem))
    path, problem = found[0]
    further = f" (also wrong: {', '.join(dotted(other) for other, _ in found[1:6])})" if found[1:] else ""
    what, remedy = _words(path, problem, raw)
    secret = any(str(part) in SECRET_KEYS for part in path)
    unseen = secret or problem["type"] in ("missing", "extra_forbidden")
    seen = None if unseen else _shown(problem["input"])
    return SpecError(f"{place}: {dotted(path) or 'the spec'}: {what}", seen=seen, remedy=remedy + further)


def _words(path: tuple[Key, ...], problem: Any, raw: Any) -> tuple[str, str]:
    """Return what is wrong and what to do."""
    known = _keys_at(path[:-1], raw)
    if problem["type"] == "extra_forbidden":
        return f"no such key{did_you_mean(str(path[-1]), known)}", "keys here: " + ", ".join(known)
    if problem["type"] == "missing":
        return "missing", f"write it into the spec, or give --set {dotted(path)}=…"
    if problem["type"] == "union_tag_invalid":
        kind = str(problem["ctx"]["tag"])
        return f"no such kind{did_you_mean(kind, model.SOURCE_KINDS)}", "kinds: " + ", ".join(model.SOURCE_KINDS)
    if problem["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"unknown word{did_you_mean(str(problem['input']), choices)}", "one of: " + ", ".join(choices)
    if problem["type"] == "string_pattern_mismatch":
        return "not a plain name", "use letters, digits, dot, dash and underscore, beginning with a letter or digit"
    if problem["type"].endswith("_type"):
        words = {"string": "a text (in quotes)", "int": "a whole number", "float": "a number", "bool": "true or false"}
        words |= {"tuple": "a list", "dict": "keys and values", "model": "keys and values"}
        kind = problem["type"].removesuffix("_type").removeprefix("model_attributes")
        wanted = words.get(kind, problem["msg"].removeprefix("Input should be "))
        return "wrong type", f"give {wanted}"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return "not allowed", f"give a value {message}" if message.startswith(("greater", "less")) else message


def _keys_at(path: tuple[Key, ...], raw: Any) -> list[str]:
    """Return the keys that may stand below `path`."""
    sources: dict[str, type[BaseModel]] = {
        "file": model.FileSource,
        "folder": model.FolderSource,
        "arrays": model.ArraysSource,
        "sql": model.SqlSource,
        "statsmodels": model.StatsmodelsSource,
        "sklearn": model.SklearnSource,
    }
    found: type[BaseModel] | None = None
    match path:
        case ():
            found = Spec
        case ("source",):
            source = raw.get("source") if isinstance(raw, dict) else None
            kind = model.with_kind(source)["kind"] if isinstance(source, dict) else "file"
            found = sources.get(str(kind))
        case ("schema",):
            found = model.SchemaSpec
        case ("schema", "columns", _):
            found = model.ColumnSpec
        case ("schema", "columns", _, "rules"):
            found = model.RulesSpec
        case ("schema", "rules", _):
            found = model.TableRuleSpec
        case ("budget",) | ("candidates", _, "budget"):
            found = model.BudgetSpec
        case ("rebalance",):
            found = model.RebalanceSpec
        case ("rebalance", "equal_rates"):
            found = model.EqualRatesSpec
        case ("publish",):
            found = model.PublishSpec
        case ("publish", "approval"):
            found = model.ApprovalSpec
        case ("publish", "c2pa"):
            found = model.C2paSpec
        case ("schedule",):
            found = ScheduleSpec
        case ("runner",):
            found = RunnerSpec
        case ("notify",):
            found = NotifySpec
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _spec_path(raw: Any, location: Sequence[Key], *, keep_last: bool) -> tuple[Key, ...]:
    """Return pydantic's location without the names of union members, which the file does not hold."""
    path: list[Key] = []
    here = raw
    if location[:1] == ("source",) and location[1:2] and location[1] in model.SOURCE_KINDS:
        location = ("source", *location[2:])  # the kind, which may be the name of a key as well
    for position, part in enumerate(location):
        if (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        ):
            here = here[part]  # type: ignore[index]
            path.append(part)
        elif (keep_last and position == len(location) - 1) or not (str(part) in _TAGS or "[" in str(part)):
            path.append(part)
            here = None
    return tuple(path)


def dotted(path: Iterable[Key]) -> str:
    """Return a key path as `--set` takes it.

    >>> dotted(("schema", "columns", "a.b", "role"))
    'schema.columns."a.b".role'
    """
    return ".".join(
        str(part) if re.fullmatch(r"[^.\"=]+", str(part)) else json.dumps(part, ensure_ascii=False) for part in path
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "…"  # noqa: PLR2004 - a line of a terminal


def _kind_word(value: Any) -> str:
    words = {dict: "keys and values", list: "a list", str: "a text", type(None): "nothing", bool: "true or false"}
    return words.get(type(value), "a number")
