"""The dataset card: `README.md` of a release, for its recipient, with Hugging Face front matter.

Names come from strangers, so every text is escaped for where it stands: front matter is JSON (which YAML reads),
running text and table cells escape Markdown and HTML.
"""

import json
import re
from collections.abc import Sequence
from datetime import datetime

from releases.approvals import Approval
from releases.provenance import Provenance
from releases.public import ALL_ROWS, PublicMeasurement, badness
from releases.report import words
from releases.report.glossary import entry_of
from sources.schema import Column, Schema
from sources.targets import Targets
from validators.policy import Policy

_SPECIAL = re.compile(r"([\\`*{}\[\]|<>&~^$!]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+=#:.])")
_NUMBERED = re.compile(r"^(\d+)([.)])")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"))
NUM_GAPS = 3
VERIFY = """The files have not changed since they were judged, and the verdict follows from the published measurements,
when this ends with exit code 0:

```
understudy verify .
```

With the publisher's public key, from the publisher and not from this folder, it also shows who signed:
`understudy verify . --key PUB`."""
_FORMAT_NAMES = {"parquet": "Parquet", "csv": "CSV"}


def card(
    *,
    schema: Schema,
    rows: int,
    measurements: Sequence[PublicMeasurement],
    policy: Policy,
    provenance: Provenance,
    formats: Sequence[str],
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
        formats: of the data files.
        version: of the release.
        created: the moment of publishing.
        targets: the law that the rows were altered to on purpose, or None.
        approvals: of people.

    """
    title = provenance.title or provenance.name
    parts = [
        _front_matter(provenance, title, rows, formats),
        f"# {escape(title)}",
        _opening(schema, rows, version, created),
        "" if targets is None else _altered(targets),
        escape(provenance.description),
        "## Columns\n\n" + _columns(schema),
        "## What was checked\n\n" + _checks(measurements, policy, provenance),
        "## Known gaps\n\n" + _gaps(measurements),
        "## Approved\n\n" + "\n".join(map(_approved, approvals)) if approvals else "",
        "## Do not use it for\n\n" + "\n".join(f"- {escape(text)}" for text in provenance.warnings),
        "## Verify\n\n" + VERIFY,
        f"## Licence\n\n{escape(provenance.license)}",
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


def _front_matter(provenance: Provenance, title: str, rows: int, formats: Sequence[str]) -> str:
    size = next((name for most, name in _SIZES if rows < most), "n>10M")
    first = formats[0]
    fields = {
        "license": provenance.license,
        "pretty_name": title,
        "tags": ["synthetic", "tabular", "understudy"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": f"data/*.{first}"}],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in fields.items()]
    return "---\n" + "\n".join(lines) + "\n---"


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
    return {"boolean": "yes or no", "datetime": "time", "id": "identifier", "categorical": "label"}.get(
        column.kind, column.kind
    )


def _checks(measurements: Sequence[PublicMeasurement], policy: Policy, provenance: Provenance) -> str:
    head = (
        f"The rows were made by {escape(provenance.model.family)} and judged under the policy "
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
    if policy.overrides:
        head += "\n\n**The limits were changed from the preset:** " + "; ".join(map(escape, policy.overrides)) + "."
    rows = ["| measurement | about | value | limit |", "|---|---|---|---|"]
    for measurement in measurements:
        entry = entry_of(measurement.name)
        value = words.quantity(measurement.value, entry.unit)
        allowed = words.limit(measurement.limit, measurement.direction, entry.unit)
        rows.append(f"| {escape(entry.title)} | {escape(measurement.subject)} | {value} | {allowed} |")
    return head + "\n\n" + "\n".join(rows)


def _gaps(measurements: Sequence[PublicMeasurement]) -> str:
    """Return the measurements nearest to their limits, worst first, in words."""
    measured = [one for one in measurements if one.value is not None and one.family in ("fidelity", "bias")]
    worst = sorted(measured, key=badness, reverse=True)[:NUM_GAPS]
    if not worst:
        return "None was found, which is no proof that there is none."
    lines = []
    for measurement in worst:
        entry = entry_of(measurement.name)
        value = words.quantity(measurement.value, entry.unit)
        allowed = words.limit(measurement.limit, measurement.direction, entry.unit)
        about = "" if measurement.subject == ALL_ROWS else f" ({escape(measurement.subject)})"
        lines.append(f"- **{escape(entry.title)}**{about}: {value}; allowed is {allowed}. {escape(entry.meaning)}")
    return "The measurements that come nearest to their limits:\n\n" + "\n".join(lines)
