"""How a source differs from the one that the last release was made from, measured before anything is trained.

Columns are compared by counts in the bins of the last time (`flows.source_summary`) with Pearson's test of homogeneity
(*On the criterion ...*, 1900; expected counts of five or more, Cochran 1954), corrected over columns by Holm (1979). A
difference is told when it is more than chance and takes in more than `LEAST_SHARE` of the rows. Rows that both sources
share make the test conservative; rows of one entity are alike, so counts are weighed as entities.

No finding holds a value of the source: columns are named, labels are counted.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from flows.source_summary import ColumnSummary, SourceSummary, counts_within, form_of, hashed, labels_in, values_of
from sources.contract import ContractResult, numbers_of
from sources.dataset import Dataset
from validators.statistics.multiple import holm

LEVEL = 0.01
LEAST_SHARE = 0.02
LEAST_EXPECTED = 5.0
FEWEST_OF_ROWS = 0.5
"""Fewer rows than this share of the last time's are told: an extract that was cut short looks like that."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference.

    Args:
        what: `rows`, `columns`, `kind`, `labels`, `missing`, `distribution` or `rule`.
        column: that differs, or empty.
        words: for a person, without a value of the source.
        share: of the rows that would have to change for the columns to be alike (total variation), or None.
        p_value: corrected over all columns, or None.
        expected: it moves on by itself (a time), so it never refuses.

    """

    what: str
    column: str
    words: str
    share: float | None = None
    p_value: float | None = None
    expected: bool = False


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The comparison with the last release.

    Args:
        against: its version.
        compared: columns that both sources have.
        findings: what differs; nothing when empty.

    """

    against: str
    compared: int
    findings: tuple[Finding, ...]

    @property
    def refuses(self) -> bool:
        """Whether a spec that says `drift: refuse` makes nothing."""
        return any(not one.expected for one in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"against": self.against, "compared": self.compared, "findings": [asdict(one) for one in self.findings]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Drift":
        """Return what `to_json` made."""
        return cls(**{**plain, "findings": tuple(Finding(**one) for one in plain["findings"])})

    def lines(self) -> tuple[str, ...]:
        """Return what the terminal says, a line a finding."""
        head = f"{self.compared} columns against the source of version {self.against}"
        if not self.findings:
            return (f"none   {head}",)
        return (f"{len(self.findings)} differences   {head}", *(one.words for one in self.findings))


def drift_of(dataset: Dataset, contract: ContractResult, last: SourceSummary, *, against: str, key: bytes) -> Drift:
    """Return how `dataset` differs from `last`.

    Args:
        dataset: the source as it is now.
        contract: what the declared rules make of it; none of severity error is broken.
        last: the summary of the source of the last release.
        against: the version of that release.
        key: the one that `last` was made with.

    """
    findings = [*_of_rows(dataset, last), *_of_columns(dataset, last), *_of_rules(contract, last)]
    tables: dict[str, np.ndarray] = {}
    for column in dataset.schema.columns:
        before = last.columns.get(column.name)
        if before is None or before.kind != column.kind:
            continue
        tables[column.name] = _table(before, dataset, column.name, last.rows)
        findings += _of_labels(before, dataset, column.name, key)
    findings += _of_distributions(tables, dataset, last)
    return Drift(against=against, compared=len(tables), findings=tuple(findings))


def _of_rows(dataset: Dataset, last: SourceSummary) -> list[Finding]:
    if len(dataset) >= FEWEST_OF_ROWS * last.rows:
        return []
    return [Finding(what="rows", column="", words=f"{len(dataset):,} rows, {last.rows:,} last time: fewer than half")]


def _of_columns(dataset: Dataset, last: SourceSummary) -> list[Finding]:
    names = dataset.schema.names
    new = [Finding(what="columns", column=name, words=f'"{name}" is new') for name in names if name not in last.columns]
    gone = [
        Finding(what="columns", column=name, words=f'"{name}" is gone') for name in last.columns if name not in names
    ]
    kinds = [
        Finding(
            what="kind",
            column=column.name,
            words=f'"{column.name}" is {column.kind}, was {last.columns[column.name].kind}',
        )
        for column in dataset.schema.columns
        if column.name in last.columns and last.columns[column.name].kind != column.kind
    ]
    forms = [
        Finding(
            what="kind",
            column=column.name,
            words=f'"{column.name}" holds pictures of {form_of(column)}, was {last.columns[column.name].form}',
        )
        for column in dataset.schema.columns
        if column.kind == "image" and column.name in last.columns
        if last.columns[column.name].kind == "image" and last.columns[column.name].form != form_of(column)
    ]
    return [*new, *gone, *kinds, *forms]


def _of_rules(contract: ContractResult, last: SourceSummary) -> list[Finding]:
    return [
        Finding(what="rule", column=rule.column or "", words=f"rule {rule.rule} holds no more")
        for rule in contract.broken
        if rule.rule not in last.broken
    ]


def _of_labels(before: ColumnSummary, dataset: Dataset, name: str, key: bytes) -> list[Finding]:
    if before.labels is None:
        return []
    counts = labels_in(dataset.frame[name])
    findings = []
    if before.known is not None:
        known = frozenset(before.known)
        unseen = [label for label in counts.index if hashed(label, key) not in known]
        if unseen:
            rows = int(counts[unseen].sum())
            words = f'"{name}" has {len(unseen):,} labels that it did not have, in {rows:,} rows'
            findings.append(Finding(what="labels", column=name, words=words, share=rows / len(dataset)))
    lost = sum(1 for label in before.labels if label not in counts.index)
    if lost:
        rows = sum(count for label, count in before.labels.items() if label not in counts.index)
        words = f'"{name}" has lost {lost:,} labels, which {rows:,} rows had'
        findings.append(Finding(what="labels", column=name, words=words))
    return findings


def _table(before: ColumnSummary, dataset: Dataset, name: str, last_rows: int) -> np.ndarray:
    """Return counts, float 2 B: the last time's and now's, the missing ones last; both rows add up to all rows."""
    values = values_of(dataset, name)
    missing = int(values.isna().sum())
    if before.counts:
        now = counts_within(numbers_of(values.dropna()), before.edges)
        pair = [[*before.counts, before.missing], [*now, missing]]
    elif before.labels is not None:
        counts = labels_in(values)
        held = [int(counts.get(label, 0)) for label in before.labels]
        pair = [
            [*before.labels.values(), before.rest, before.missing],
            [*held, int(counts.sum()) - sum(held), missing],
        ]
    else:
        pair = [[last_rows - before.missing, before.missing], [len(values) - missing, missing]]
    return np.array(pair, dtype=float)


def _of_distributions(tables: Mapping[str, np.ndarray], dataset: Dataset, last: SourceSummary) -> list[Finding]:
    if not tables:
        return []
    weight = _independent_share(dataset, last)
    names = list(tables)
    corrected = holm(np.array([_p_value(tables[name] * weight) for name in names]))
    findings = []
    for name, p_value in zip(names, corrected.tolist(), strict=True):
        table = tables[name]
        shares = table / table.sum(axis=1, keepdims=True)
        moved = float(np.abs(shares[0] - shares[1]).sum() / 2)
        if p_value >= LEVEL or moved < LEAST_SHARE:
            continue
        gone = float(shares[1, -1] - shares[0, -1])
        only_missing = abs(gone) > moved / 2
        words = (
            f'"{name}" is missing in {100 * shares[1, -1]:.1f} % of the rows, was {100 * shares[0, -1]:.1f} %'
            if only_missing
            else f"{_what(dataset, name)} is distributed otherwise: {100 * moved:.1f} % of rows would have to change"
        )
        findings.append(
            Finding(
                what="missing" if only_missing else "distribution",
                column=name,
                words=f"{words}   p = {p_value:.1g}" + ("; times move on" if name in last.apart else ""),
                share=moved,
                p_value=p_value,
                expected=name in last.apart,
            )
        )
    return sorted(findings, key=lambda one: -(one.share or 0.0))


def _what(dataset: Dataset, name: str) -> str:
    return f'the brightness of "{name}"' if name in dataset.media else f'"{name}"'


def _independent_share(dataset: Dataset, last: SourceSummary) -> float:
    """Return the share of rows that count as independent: one an entity, where entities have most rows."""
    entity = dataset.schema.entity_key
    entities = len(dataset) if entity is None else int(dataset.frame[entity].nunique())
    return min(entities / len(dataset), last.entities / last.rows)


def _p_value(table: np.ndarray) -> float:
    """Return Pearson's p-value for counts, float 2 B, bins of small expected counts taken together."""
    table = _merged(table)
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():  # noqa: PLR2004 - one bin cannot differ
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, table.shape[1] - 1))


def _merged(table: np.ndarray) -> np.ndarray:
    """Return the table with its rarest bins added up until each expects `LEAST_EXPECTED` in both rows."""
    smaller = table.sum(axis=1).min() / max(table.sum(), 1.0)
    columns = [table[:, place] for place in np.argsort(-table.sum(axis=0), kind="stable")]
    columns = [column for column in columns if column.sum() > 0]
    while len(columns) > 1 and columns[-1].sum() * smaller < LEAST_EXPECTED:
        last = columns.pop()
        columns[-1] = columns[-1] + last
        columns.sort(key=lambda column: -column.sum())
    return np.stack(columns, axis=1) if columns else np.zeros((2, 0))
