"""The dataset card: `README.md` of a release, for its recipient, with Hugging Face front matter.

Names come from strangers, so every text is escaped for where it stands: front matter is JSON (which YAML reads),
running text and table cells escape Markdown and HTML.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from releases.approvals import Approval
from releases.contact_sheet import FILE_NAME as SHEET
from releases.croissant import one_line
from releases.data_files import DataFiles, has_pictures, is_metadata
from releases.licences import hub_fields, licence_url
from releases.provenance import Provenance
from releases.public import ALL_ROWS, PublicMeasurement, badness
from releases.report import words
from releases.report.glossary import entry_of
from sources.images import words_of
from sources.schema import Column, Schema
from sources.targets import Targets
from validators.policy import Policy

_SPECIAL = re.compile(r"([\\`*{}\[\]|<>&~^$!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+=#:.])")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_SIZES = (
    (10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"), (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip
"""The hub's words for numbers of rows."""
NUM_GAPS = 3
_SHEET = (
    f"![Synthetic pictures of this release]({SHEET})\n\nPictures of this release, drawn blindly: all are synthetic."
)
VERIFY = """No file has changed since the manifest was written, and the verdict follows from the published measurements,
when this ends with exit code 0. It needs no network:

```
understudy verify .
```

With the publisher's public key, from the publisher and not from this folder, it also shows who signed:
`understudy verify . --key PUB`."""


def card(
    *,
    schema: Schema,
    rows: int,
    measurements: Sequence[PublicMeasurement],
    policy: Policy,
    provenance: Provenance,
    data: DataFiles,
    version: str,
    created: datetime,
    targets: Targets | None = None,
    approvals: Sequence[Approval] = (),
) -> str:
    """Return the card as Markdown.

    Args:
        schema: of the released columns.
        rows: number of released rows.
        measurements: coarse ones, see `releases.public`.
        policy: the limits they were held against.
        provenance: name, title, description, licence, model, warnings.
        data: which files hold the rows.
        version: of the release.
        created: the moment of publishing.
        targets: the law that the rows were altered to on purpose, or None.
        approvals: of people.

    """
    title = provenance.title or provenance.name
    parts = [
        _front_matter(schema, provenance, title, rows, data),
        f"# {escape(title)}",
        _opening(schema, rows, version, created),
        "" if targets is None else _altered(targets),
        escape(provenance.description),
        _SHEET if has_pictures(schema) else "",
        "## Read it\n\n" + _reading(schema, data),
        "## Columns\n\n" + _columns(schema),
        "## How it was made\n\n" + _made(provenance, pictures=has_pictures(schema)),
        "## What was checked\n\n" + _checks(measurements, policy),
        "## Known gaps\n\n" + _gaps(measurements),
        "## Approved\n\n" + "\n".join(map(_approved, approvals)) if approvals else "",
        "## Do not use it for\n\n" + "\n".join(f"- {escape(text)}" for text in provenance.warnings),
        "## Verify\n\n" + VERIFY,
        "## Licence\n\n" + _licence(provenance.license),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str) -> str:
    r"""Return `text` as Markdown that shows it literally, on one line.

    >>> print(escape("<b>yrs_married|b</b>"))
    \<b\>yrs_married\|b\</b\>
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain))


def _opening(schema: Schema, rows: int, version: str, created: datetime) -> str:
    return (
        f"**Synthetic data.** {words.count(rows, 'row')} in {words.count(len(schema.columns), 'column')} that stand in "
        "for a real dataset. No row is a record of a real person or thing. "
        f"Version {escape(version)}, {words.day(created)}."
    )


def _approved(approval: Approval) -> str:
    day, asked = escape(approval.approved[:10]), escape(approval.requested_by)
    who = "who also asked for it" if approval.by_requester else f"asked by {asked}"
    return f"- **{escape(approval.by)}**, {who}, on {day}: {escape(approval.reason)}"


def _altered(targets: Targets) -> str:
    return (
        "## Altered on purpose\n\n**These rows do not have the shares of the real data.** "
        + " ".join(escape(sentence) for sentence in targets.sentences())
        + " Whatever depends on these shares, such as averages over all rows or how common a combination is, differs "
        "from the real data as well. Among rows that agree in these columns everything else is as it was learnt. The "
        "checks below compare with real rows in the stated shares, those of privacy with the real rows as they are."
    )


def _front_matter(schema: Schema, provenance: Provenance, title: str, rows: int, data: DataFiles) -> str:
    """Return the metadata that the hub documents for dataset cards, as JSON, which YAML reads."""
    size = next((name for most, name in _SIZES if rows < most), "n>1T")
    pictures = has_pictures(schema)
    fields: dict[str, object] = {
        **hub_fields(provenance.license),
        "pretty_name": one_line(title),
        "annotations_creators": ["machine-generated"],
        "tags": ["synthetic", "image" if pictures else "tabular", "understudy"],
        "size_categories": [size],
    }
    if schema.target is not None:
        regression = schema.target.kind == "numeric" and schema.target.threshold is None
        if not (pictures and regression):
            kind = "image" if pictures else "tabular"
            fields["task_categories"] = [f"{kind}-{'regression' if regression else 'classification'}"]
    path = "data/**" if is_metadata(data.tables[0]) else data.tables[0]
    fields["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": path}]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "---\n" + "\n".join(lines) + "\n---"


def _reading(schema: Schema, data: DataFiles) -> str:
    parquet = [table for table in data.tables if table.endswith(".parquet")]
    csv = [table for table in data.tables if table.endswith(".csv")]
    first = "read_parquet" if parquet else "read_csv"
    lines = [
        "```python",
        "import pandas",
        "",
        f'rows = pandas.{first}("{(parquet or csv)[0]}")',
        *_opening_pictures(schema, data),
        "```",
        "",
        "`croissant.json` describes the files for tools that read Croissant (mlcommons.org/croissant).",
    ]
    if has_pictures(schema):
        lines += ["", _pictures_words(schema, data)]
    if csv:
        lines += [
            "",
            f"In `{csv[0]}` a text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`, "
            "a tab or a line break) has one apostrophe in front, as has one that begins with an apostrophe; names of "
            "columns likewise. Take one apostrophe off every text that begins with one to have the data back. Numbers "
            "are as they are" + (", and so is the Parquet file." if parquet else "."),
        ]
    return "\n".join(lines)


def _opening_pictures(schema: Schema, data: DataFiles) -> list[str]:
    """Return the lines of Python that open the first picture."""
    names = [column.name for column in schema.columns if column.kind == "image"]
    if not names:
        return []
    if is_metadata(data.tables[0]):
        return ["", "from PIL import Image", "", 'picture = Image.open("data/" + rows["file_name"][0])']
    cell = f'rows.iloc[0, {schema.names.index(names[0])}]["bytes"]'
    return ["", "import io", "", "from PIL import Image", "", f"picture = Image.open(io.BytesIO({cell}))"]


def _pictures_words(schema: Schema, data: DataFiles) -> str:
    sentences = []
    for column in schema.columns:
        if column.kind == "image" and column.shape is not None:
            shape = words_of(np.zeros(column.shape, dtype=column.storage))
            sentences.append(f"`{escape(column.name)}` holds pictures of {shape}.")
    if data.pictures is not None:
        sentences.append(
            f"They are files in `data/images`; `{data.tables[-1]}` names the file of each row, which is what "
            "`datasets.load_dataset('imagefolder', data_dir='data')` reads."
        )
    if any(table.endswith(".parquet") and not is_metadata(table) for table in data.tables):
        sentences.append("In Parquet each cell is an encoded PNG in the layout of Hugging Face's `Image`.")
    if data.pictures == "webp" and any(column.shape and column.shape[2] == 1 for column in schema.columns):
        sentences.append("WebP knows no grey: its three colours are equal.")
    sentences.append(
        "Each picture says in its metadata (XMP, the IPTC's `DigitalSourceType`: `trainedAlgorithmicMedia`) that a "
        "model made it, and holds no other metadata."
        + (
            " The pictures that are files, `contact-sheet.png` too, also hold a signed C2PA manifest that says the "
            "same (`c2pa.created`); cells of Parquet hold the XMP alone."
            if data.c2pa
            else " There is no C2PA manifest."
        )
    )
    return " ".join(sentences)


def _made(provenance: Provenance, *, pictures: bool) -> str:
    model = provenance.model
    learnt = provenance.split_rows.get("train")
    held = provenance.split_rows.get("holdout")
    rows = f" It saw {words.count(learnt, 'real row')}." if learnt else ""
    rows += f" {words.count(held, 'other real row')} were kept from it, to judge what it drew." if held else ""
    learnt_from = "the real pictures and what is said of them" if pictures else "the real table"
    return (
        f"A model ({escape(model.family)}) learnt {learnt_from} and drew every row of this one anew.{rows} "
        "The real rows are not part of this release. `MANIFEST.json` names the settings, seeds and versions of the "
        "programs."
    )


def _licence(licence: str) -> str:
    if licence.strip().lower() in ("", "other", "unknown"):
        return "None was named: ask whoever gave you this data before you pass it on."
    url = licence_url(licence)
    return f"{escape(licence)}: {url}" if url else escape(licence)


_PERSONAL = (
    "Personal details are made up: e-mail addresses, telephone numbers and other numbers from ranges where none is "
    "real; names and addresses from public lists, so that one may be somebody's by chance. They relate to no other "
    "column."
)


def _columns(schema: Schema) -> str:
    rows = ["| column | kind | role | meaning | unit |", "|---|---|---|---|---|"]
    rows += [
        f"| {escape(column.name) or ' '} | {_kind(column)} | {'' if column.role == 'plain' else escape(column.role)} "
        f"| {escape(column.description)} | {escape(column.unit)} |"
        for column in schema.columns
    ]
    if schema.dropped:
        rows += ["", "Columns of the source that are left out: " + ", ".join(map(escape, schema.dropped)) + "."]
    if any(column.pii is not None for column in schema.columns):
        rows += ["", _PERSONAL]
    return "\n".join(rows)


def _kind(column: Column) -> str:
    if column.pii is not None:
        return f"personal detail ({column.pii.replace('_', ' ')})"
    if column.kind == "numeric":
        return "whole number" if column.integer else "number"
    return {
        "image": "picture",
        "boolean": "yes or no",
        "datetime": "time",
        "id": "identifier",
        "categorical": "label",
    }.get(column.kind, column.kind)


def _checks(measurements: Sequence[PublicMeasurement], policy: Policy) -> str:
    head = (
        f"The rows were judged against real rows that the model never saw, under the policy "
        f"{escape(policy.name)}; all {len(measurements)} measurements are inside their limits. "
        "`report.html` shows each with a sentence on what it means. Values are rounded on purpose."
    )
    use = next((one for one in measurements if one.name == "tstr" and one.value is not None), None)
    if use is not None:
        unit = entry_of(use.name).unit
        head += (
            f"\n\nWhat it is good for: a model that predicts {escape(use.subject)} loses about "
            f"{words.quantity(use.value, unit)} in score (AUC, or R² for a number) by being trained on these rows "
            f"in place of real ones, at most {words.quantity(use.high, unit)}."
        )
    if policy.extractor is not None:
        head += f"\n\nPictures were judged by features of the publisher's own network too: {policy.extractor.words}."
    if policy.overrides:
        head += "\n\n**The limits were changed from the preset:** " + "; ".join(map(escape, policy.overrides)) + "."
    rows = ["| measurement | about | value | limit |", "|---|---|---|---|"]
    for measurement in measurements:
        entry = entry_of(measurement.name)
        value = words.quantity(measurement.value, entry.unit)
        allowed = words.limit(measurement.limit, measurement.direction, entry.unit)
        rows.append(f"| {escape(entry.title)} | {escape(measurement.subject)} | {value} | {allowed} |")
    return head + "\n\n" + "\n".join(rows)


def gaps(measurements: Sequence[PublicMeasurement]) -> list[PublicMeasurement]:
    """Return the measurements of likeness that come nearest to their limits, the worst first."""
    measured = [one for one in measurements if one.value is not None and one.family in ("fidelity", "bias")]
    return sorted(measured, key=badness, reverse=True)[:NUM_GAPS]


def gap_sentence(measurement: PublicMeasurement) -> str:
    """Return a gap in plain words, with the name of its column where it has one; not escaped."""
    entry = entry_of(measurement.name)
    about = "" if measurement.subject == ALL_ROWS else f" ({measurement.subject})"
    value = words.quantity(measurement.value, entry.unit)
    allowed = words.limit(measurement.limit, measurement.direction, entry.unit)
    return f"{entry.title}{about}: {value}; allowed is {allowed}."


def _gaps(measurements: Sequence[PublicMeasurement]) -> str:
    worst = gaps(measurements)
    if not worst:
        return "None was found, which is no proof that there is none."
    lines = [f"- {escape(gap_sentence(one))} {escape(entry_of(one.name).meaning)}" for one in worst]
    return "The measurements that come nearest to their limits:\n\n" + "\n".join(lines)
