"""`understudy init` and `understudy schema`: from a table or pictures to a commented spec; the JSON Schema of specs.

A commented spec names columns, kinds and reasons, and the rules that hold between columns in all rows. Of values it
shows labels that many rows hold, and nothing else: no extremes, no rare label, no cell.
"""

import copy
import json
import re
import sys
from math import inf, prod
from pathlib import Path
from typing import Any

import pandas as pd

from flows.errors import Exit, FlowInputError
from flows.judging import check_folder, say_json
from flows.opening import UNMODELLED
from flows.pictures import has_pictures
from flows.spec import Spec
from sources.conform import conform
from sources.dataset import Dataset
from sources.files import write_text
from sources.inference import Finding, empty_columns, examine
from sources.overrides import ColumnOverrides, SchemaOverrides
from sources.readers import read_path, source_at
from sources.relations import find_deciding_labels, find_relations
from sources.schema import Column, Schema
from validators.limits.limits import LIMITS
from validators.policy import KNOBS, PRESETS
from validators.report_schema import report_schema

SCHEMA_FILE = "understudy.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
TRIED = ("image.autoregressive", "image.gan")
"""The families that a spec for pictures begins with."""
MINUTES: tuple[tuple[float, int], ...] = ((0, 5), (256, 3), (1024, 10), (4096, 15), (inf, 30))
"""Numbers in one picture, at most: minutes for the fits on two cores."""
SHOWN_LABELS = 8
HELD_BY_SHARE = 0.01
"""Only labels that at least this share of the rows, and `HELD_BY_ROWS` rows, hold are written into a spec."""
HELD_BY_ROWS = 20


def init_command(source: str, output: Path | None, *, force: bool) -> Exit:
    """Write a commented spec for what lies at `source` (see `sources.readers.source_at`) to `output`, or print it.

    Raises:
        UserError: the source cannot be read, or `output` exists and `force` is not given.

    """
    if output is not None:
        if output.is_dir():
            raise FlowInputError(f"{output}: a folder, not a file", remedy="give a file name, such as -o spec.yaml")
        if output.exists() and not force:
            raise FlowInputError(f"{output}: exists already", remedy="give another name, or --force to overwrite it")
        check_folder(output.absolute().parent, option="--output")
    frame = read_path(source)
    empty = empty_columns(frame) if len(frame) else ()
    schema, findings = examine(frame, SchemaOverrides(columns={name: ColumnOverrides(drop=True) for name in empty}))
    text = spec_text(source, frame, schema, findings)
    if output is None:
        sys.stdout.write(text)
        return Exit.OK
    write_text(output, text)
    sys.stdout.write(
        f"{output}: {len(frame):,} rows × {len(schema.columns)} columns described; set the roles in it, then:\n"
        f"  understudy schema > {output.absolute().parent / SCHEMA_FILE}   (help for editors)\n"
        f"  understudy run {output}\n"
    )
    return Exit.OK


def spec_text(source: str, frame: pd.DataFrame, schema: Schema, findings: tuple[Finding, ...]) -> str:
    """Return the commented spec."""
    dataset = conform(frame, schema)
    lines = [
        MODELINE,
        f"# Written by understudy init from {len(frame):,} rows × {len(schema.columns)} columns. Edit it, then run it.",
        f"name: {_release_name(source)}",
        f"source: {_source_words(source)}",
        "",
        "# What the columns are. Roles are yours to give: target (what a recipient will predict; at most one),",
        "# protected (groups that must be treated alike), quasi_identifier, secret, plain.",
        "schema:",
        *_locale_lines(schema),
        "  # entity_key: …    a column that names the person or thing: its rows are never split over parts",
        "  columns:",
    ]
    for column, finding in zip(schema.columns, findings, strict=True):
        lines += _column_lines(column, finding, dataset.frame[column.name])
    lines += [
        f"    {_quoted(name)}: {{drop: true}}   # every cell is missing; it is left out" for name in schema.dropped
    ]
    lines += _rule_lines(dataset)
    lines += [
        "",
        *_candidate_lines(schema),
        "# For the fits of all candidates together; those that train share it equally. {steps: 2000} works as well.",
        f"budget: {{minutes: {_minutes(schema)}}}",
        f"rows: {len(frame)}",
        "seed: 7",
        f"# {' | '.join(PRESETS)}, or {{preset: standard, c2st: [0.4, 0.6]}}; what differs is shown in the report.",
        "policy: standard",
        *_canary_lines(schema),
        '# rebalance: {shares: {column: {"label": 0.5}}}    other shares than the source has; the release says so',
        *_publish_lines(schema),
        '# schedule: "0 3 * * 1"    when understudy deploy lets it run; drift: refuse stops at a changed source',
        "",
        "# Words for the card.",
        'title: ""',
        'description: ""',
        "license: other",
    ]
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a spec, with the families and limits that exist."""
    from flows.candidates import candidates_schema  # noqa: PLC0415 - knows the generators, which import torch

    plain: dict[str, Any] = copy.deepcopy(Spec.model_json_schema(by_alias=True))
    definitions = plain["$defs"]
    budget = definitions["BudgetSpec"]
    properties = plain["properties"]
    properties["candidates"]["items"] = candidates_schema(budget)
    definitions.pop("CandidateSpec", None)
    bound = {
        "anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}]
    }
    limits: dict[str, Any] = {name: {**bound, "description": limit.reason} for name, limit in LIMITS.items()}
    limits |= {name: {"type": "number", "description": words} for name, words in KNOBS.items()}
    properties["policy"] = {
        "description": properties["policy"].get("description", ""),
        "default": "standard",
        "anyOf": [
            {"enum": list(PRESETS)},
            {
                "type": "object",
                "properties": {"preset": {"enum": list(PRESETS)}, **limits},
                "additionalProperties": False,
            },
        ],
    }
    properties["source"] = {"anyOf": [{"type": "string"}, *_forms(properties["source"])]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **plain, "title": "understudy spec"}


def schema_command(of: str) -> Exit:
    """Print the JSON Schema of a `spec` or of a `report`."""
    say_json(json_schema() if of == "spec" else report_schema())
    return Exit.OK


def _forms(source: dict[str, Any]) -> list[dict[str, Any]]:
    forms: list[dict[str, Any]] = source.get("oneOf") or source.get("anyOf") or [source]
    return forms


def _source_words(source: str) -> str:
    """Return the `source:` that `sources.readers.source_at` means, as one line of YAML."""
    found = source_at(source)
    said = {"folder": found.folder, "arrays": found.arrays, "path": found.path, "dataset": found.dataset}
    bundled = [f"kind: {found.kind}"] if found.dataset is not None else []
    return "{" + ", ".join([*bundled, *(f"{key}: {_quoted(one)}" for key, one in said.items() if one)]) + "}"


def _candidate_lines(schema: Schema) -> list[str]:
    if not has_pictures(schema):
        return [
            "# Synthesizers to try; the best that passes is released. Options: {kind: tabular.vae, latent: 64}.",
            "candidates: [tabular.autoregressive, tabular.vae, sdv.gaussian_copula]",
        ]
    return [
        "# Synthesizers to try; the best that passes is released. Other columns: by a tabular family inside.",
        f"candidates: [{', '.join(TRIED)}]",
    ]


def _minutes(schema: Schema) -> int:
    """Return minutes for the fits: for tables five, for pictures by the numbers in one."""
    pixels = sum(prod(column.shape) for column in schema.columns if column.shape is not None)
    return next(minutes for most, minutes in MINUTES if pixels <= most)


def _canary_lines(schema: Schema) -> list[str]:
    if has_pictures(schema):
        return []
    return ["# canaries: 50    made-up rows planted in training, to see whether single rows are remembered"]


def _publish_lines(schema: Schema) -> list[str]:
    if not has_pictures(schema):
        return ["publish: {to: releases/, formats: [parquet, csv]}"]
    return [
        "# parquet holds pictures encoded; png or webp (lossless) write a folder of files and a table of the rest.",
        "publish: {to: releases/, formats: [parquet, png]}",
    ]


def _locale_lines(schema: Schema) -> list[str]:
    """Return the line that says in which language personal details are made, where there are any."""
    locales = {column.locale for column in schema.columns if column.locale is not None}
    words = "language and country of made names and addresses (Faker's locales: de_DE, ja_JP, …)"
    return [f"  locale: {locale}   # {words}" for locale in sorted(locales)]


def _column_lines(column: Column, finding: Finding, cells: pd.Series) -> list[str]:
    notes = "; ".join((finding.reason, *finding.notes))
    missing = float(cells.isna().mean())
    if missing > 0:
        notes += f"; {100 * missing:.1f} % missing" if missing >= 0.001 else "; hardly any missing"  # noqa: PLR2004
    if column.kind in UNMODELLED:
        notes += "; no synthesizer learns it: make it id (made anew) or categorical, or leave it out by drop: true"
    settings = [f"kind: {column.kind}", "role: plain"]
    if column.pii is not None:
        notes += "; personal details, made anew"
        settings.insert(1, f"pii: {column.pii}")
    if column.missing_marks:
        settings.append(f"missing_marks: [{', '.join(_quoted(mark) for mark in column.missing_marks)}]")
    lines = [f"    {_quoted(column.name)}: {{{', '.join(settings)}}}   # {_one_line(notes)}"]
    labels = _frequent_labels(column, cells)
    if labels:
        lines.append(f"      # labels of many rows: {_one_line(', '.join(_quoted(label) for label in labels))}")
    return lines


def _rule_lines(dataset: Dataset) -> list[str]:
    """Return the rules between columns that hold in all rows, each with its reason; labels that decide others."""
    lines = []
    for found in find_relations(dataset):
        columns = ", ".join(_quoted(name) for name in found.columns)
        lines.append(f"    - {found.kind}: [{columns}]   # {_one_line(found.reason)}")
    if lines:
        head = "  # Found between columns, true in all rows; tabular.* keep them in every row. Take out what is chance."
        lines = [head, "  rules:", *lines]
    return lines + [
        f"  # {_one_line(_quoted(decider))} decides {_one_line(_quoted(decided))}: kept without a rule"
        for decider, decided in find_deciding_labels(dataset)
    ]


def _frequent_labels(column: Column, cells: pd.Series) -> list[str]:
    """Return labels that so many rows hold that they tell nothing of anybody, the most frequent first."""
    if column.kind != "categorical":
        return []
    counts = cells.value_counts()
    enough = max(HELD_BY_ROWS, HELD_BY_SHARE * len(cells))
    return [str(label) for label, count in counts.items() if count >= enough][:SHOWN_LABELS]


def _quoted(text: str) -> str:
    """Return `text` as YAML reads it back, in double quotes unless it is a plain word."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./-]*", text)
    reserved = text.lower() in ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
    return text if plain and not reserved else json.dumps(text, ensure_ascii=True)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _release_name(source: str) -> str:
    stem = Path(source.split("?", maxsplit=1)[0].rpartition(":")[2]).stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._").lower()
    return name or "release"
