"""Judging: evidence in, verdict out; for candidates of a run and, as `understudy judge`, for data made elsewhere.

This module knows neither Prefect nor torch.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from flows.ending import end_if_interrupted
from flows.errors import Exit, FlowInputError
from flows.opening import check_roles, check_target, names_of, overrides_of, targets_of
from flows.pictures import check_extractor, with_extractor
from flows.progress import Bars, Narrator, narrator
from flows.spec_file import load_spec
from releases.report.page import render_private
from sources.canaries import Canaries
from sources.conform import conform, conform_loosely
from sources.dataset import Dataset, with_hashes
from sources.errors import SourceInputError, did_you_mean
from sources.files import write_text
from sources.inference import infer_common
from sources.overrides import ColumnOverrides, SchemaOverrides
from sources.readers import read_path
from sources.schema import Role, Schema
from sources.targets import Targets
from validators.contract import unfit_report
from validators.evidence import Evidence
from validators.gate import Outcome, Reason, Verdict, decide
from validators.judge import judge
from validators.measurement import FAMILIES, Status
from validators.pictures import Pictures, pictures
from validators.policy import Policy
from validators.report import Report
from validators.stated_law import under_stated_law

EXITS = {
    Outcome.PASS: Exit.OK,
    Outcome.REFUSE: Exit.REFUSED,
    Outcome.INCONCLUSIVE: Exit.INCONCLUSIVE,
    Outcome.INVALID: Exit.INCONCLUSIVE,
}
MOST_REASONS = 8
MOST_OVERRIDES = 3
FEWEST_DIFFERENT = 20


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One table of synthetic rows, judged.

    Args:
        report, verdict: of the judge and of the gate.
        evidence: what was looked at; None where the table did not have the columns of the schema.

    """

    report: Report
    verdict: Verdict
    evidence: Evidence | None

    def pictures(self) -> Pictures | None:
        """Return the plain numbers of the plots, or None where there is nothing to draw."""
        if self.evidence is None:
            return None
        seed = self.report.seed
        return pictures(under_stated_law(self.evidence, seed=seed), self.report, seed)


def judge_table(
    table: pd.DataFrame,
    *,
    train: Dataset,
    holdout: Dataset | None,
    reference: Dataset | None,
    policy: Policy,
    seed: int,
    bars: Bars,
    name: str,
    canaries: Canaries | None = None,
    targets: Targets | None = None,
    row_nats: Callable[[pd.DataFrame], np.ndarray] | None = None,
) -> Judgement:
    """Return the judgement on a raw table of synthetic rows.

    Args:
        table: as it was read; cells that do not fit the schema break the contract.
        train: what the synthesizer saw.
        holdout: real rows that it did not see, or None.
        reference: further real rows, or None.
        policy: limits and knobs.
        seed: of the judgement.
        bars: where progress is shown.
        name: under which name.
        canaries: made-up rows that the synthesizer saw beside `train`, and their control.
        targets: the law that the rows are stated to have, or None for that of the real ones.
        row_nats: the likelihood of rows under the model that drew the table, where it is at hand and has one.

    """
    schema = train.schema
    synthetic, mismatches = conform_loosely(table, schema)
    if synthetic is None or mismatches:
        holdout_rows = 0 if holdout is None else len(holdout)
        report = unfit_report(table, mismatches, train=train, holdout_rows=holdout_rows, policy=policy, seed=seed)
        return Judgement(report=report, verdict=decide(report, policy), evidence=None)
    evidence = Evidence(
        train=train,
        holdout=holdout,
        reference=reference,
        synthetic=synthetic,
        schema=schema,
        policy=policy,
        canaries=canaries,
        targets=targets,
        row_nats=row_nats,
    )

    def on_step(metrics: Mapping[str, Any]) -> None:
        end_if_interrupted()
        bars.step(name, metrics)

    report = judge(evidence, seed=seed, on_step=on_step)
    return Judgement(report=report, verdict=decide(report, policy), evidence=evidence)


def judge_command(
    *,
    train: str,
    holdout: str | None,
    synthetic: str,
    target: str | None,
    protected: Sequence[str],
    spec: str | None,
    policy: str | None,
    extractor: str | None = None,
    report: Path | None,
    out: Path,
    seed: int,
    quiet: bool,
    as_json: bool,
) -> Exit:
    """Judge files; see `understudy judge --help`.

    Raises:
        UserError: a file cannot be read, a role names no column, a folder cannot be written.

    """
    from flows import gate_ledger  # noqa: PLC0415 - which imports this module's neighbours, and they this module

    voice = narrator(quiet=quiet or as_json)
    ledger = out / "runs"
    check_folder(ledger, option="--out")
    gate_ledger.check(ledger)
    loaded = None if spec is None else load_spec(spec, check_candidates=False)
    rules = with_extractor(Policy.from_spec(policy or (loaded.policy if loaded else "standard")), extractor)
    overrides = overrides_of(loaded.table, place=str(spec)) if loaded else SchemaOverrides()
    if report is not None:
        check_folder(report, option="--report")
    table = _synthetic_table(synthetic)
    frames = [read_path(path) for path in (train, holdout) if path is not None]
    schema = infer_common(frames, _with_roles(overrides, [str(name) for name in frames[0].columns], target, protected))
    check_roles(schema, place=train)
    check_extractor(rules, schema, place="--extractor" if extractor else str(spec))
    parts = [conform(frame, schema) for frame in frames]
    if len(parts) > 1 and _same_rows(*parts):
        raise FlowInputError(
            "--holdout: the same rows as --train, which hide every copy",
            seen=f"{len(parts[1]):,} rows",
            remedy="give real rows that the synthesizer never saw, or leave --holdout out",
        )
    check_target(parts[0], place=train, column=f"--target {target}" if target else "")
    targets = targets_of(loaded.rebalance, parts, place=str(spec)) if loaded else None
    rows = " · ".join(f"{label} {len(part):,}" for label, part in zip(("train", "holdout"), parts, strict=False))
    voice.line("judge", f"{rows} · synthetic {len(table):,} rows × {len(table.columns)} columns   policy {rules.name}")
    say_targets(voice, targets)
    with voice.bars("", ("checks",)) as bars:
        judgement = judge_table(
            table,
            train=parts[0],
            holdout=parts[1] if len(parts) > 1 else None,
            reference=None,
            policy=rules,
            seed=seed,
            bars=bars,
            name="checks",
            targets=targets,
        )
        bars.done("checks", tally(judgement.report))
    made = judgement.evidence
    asked_of = gate_ledger.table_digest(table) if made is None else gate_ledger.rows_digest(made.synthetic)
    call = gate_ledger.call_of(asked_of, rules, seed=seed)
    calls = gate_ledger.note(ledger, gate_ledger.rows_digest(parts[0]), [call])  # before the answer is given
    say_verdict(voice, judgement.verdict)
    asked = f"{calls:,} judgement{'s' * (calls > 1)} against these training rows so far, this one included"
    voice.line("asked", f"{asked}   counted in {ledger / gate_ledger.FILE_NAME}")
    evidence = None
    if report is not None:
        evidence = write_evidence(report, judgement, schema, title=Path(synthetic).name, gate_calls=calls)
        voice.line("evidence", str(evidence))
    code = EXITS[judgement.verdict.outcome]
    if as_json:
        plain = {**verdict_json(judgement.verdict), "exit": int(code), "evidence": evidence and str(evidence)}
        plain["gate_calls"] = calls
        say_json({**plain, "measurements": [one.to_json() for one in judgement.report.measurements]})
    return code


def write_evidence(folder: Path, judgement: Judgement, schema: Schema, *, title: str, **story: Any) -> Path:
    """Write `evidence.html` and `report.json` into `folder` and return the page; both are private.

    Args:
        folder: made when absent.
        judgement: whose evidence it is.
        schema: of the judged columns.
        title: heading of the page.
        story: further arguments of `render_private`.

    """
    page = render_private(
        report=judgement.report,
        verdict=judgement.verdict,
        pictures=judgement.pictures(),
        schema=schema,
        title=title,
        **story,
    )
    write_text(folder / "report.json", judgement.report.dumps())
    write_text(folder / "evidence.html", page)
    return folder / "evidence.html"


def tally(report: Report) -> str:
    """Return how many measurements of each family passed, and the smallest leak that would have been seen."""
    counts = []
    for family in FAMILIES:
        statuses = [one.status for one in report.measurements if one.family == family]
        if statuses:
            counts.append(f"{family} {sum(status is Status.PASS for status in statuses)}/{len(statuses)}")
    leak = next((one.detail for one in report.measurements if one.name == "detectable_leak"), {})
    sees = f"   sees a leak of ≥ {leak['rows']:,} rows in {leak['of']:,}" if leak.get("rows") else ""
    return " · ".join(counts) + sees


def say_verdict(voice: Narrator, verdict: Verdict, *, of: str = "") -> None:
    """Say the outcome and, one a line, the reasons."""
    voice.line("verdict", verdict.outcome.value + (f"   {of}" if of else ""))
    if verdict.overrides:
        rest = len(verdict.overrides) - MOST_OVERRIDES
        shown = "; ".join(verdict.overrides[:MOST_OVERRIDES]) + (f"; and {rest} more" if rest > 0 else "")
        voice.line("", f"policy changed: {shown}")
    rows = reason_rows(verdict.reasons)
    widths = [max((len(row[place]) for row in rows[:MOST_REASONS]), default=0) for place in (0, 1)]
    for family, name, text in rows[:MOST_REASONS]:
        voice.line("", f"{family:<{widths[0]}}  {name:<{widths[1]}}  {text}")
    if len(rows) > MOST_REASONS:
        voice.line("", f"and {len(rows) - MOST_REASONS} more reasons")


def say_targets(voice: Narrator, targets: Targets | None) -> None:
    """Say, where a law is stated, what it is and that it is what the rows are judged against."""
    if targets is not None:
        first, *more = targets.sentences()
        voice.line("rebalanced", first)
        for sentence in [*more, "Judged against this stated law, not against the shares of the source."]:
            voice.line("", sentence)


def reason_rows(reasons: Sequence[Reason]) -> list[tuple[str, str, str]]:
    """Return (family, name, text) a line; checks that say the same with the same status share one."""
    alike: dict[tuple[str, str], list[Reason]] = {}
    for reason in reasons:
        alike.setdefault((reason.status, reason.reading), []).append(reason)
    rows = []
    for (_, reading), group in alike.items():
        families = list(dict.fromkeys(reason.family for reason in group))
        if len(group) == 1:
            rows.append((families[0], group[0].name.replace("_", " "), f"{group[0].subject}: {reading}"))
        else:
            rows.append((", ".join(families), f"{len(group)} checks", reading))
    return rows


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain JSON values."""
    reasons = [
        {
            "family": one.family,
            "name": one.name,
            "subject": one.subject,
            "status": one.status.value,
            "reading": one.reading,
        }
        for one in verdict.reasons
    ]
    return {"outcome": verdict.outcome.value, "reasons": reasons, "overrides": list(verdict.overrides)}


def say_json(plain: dict[str, Any]) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def check_folder(folder: Path, *, option: str) -> None:
    """Refuse a folder that cannot be made or written, before any work is done; make nothing.

    Raises:
        FlowInputError: a file stands in its way, or its rights forbid.

    """
    import os  # noqa: PLC0415 - one use

    here = folder.absolute()
    while not os.path.lexists(here) and here != here.parent:
        here = here.parent
    if not here.is_dir():
        raise FlowInputError(
            f"{option}: {here} is a file, not a folder", seen=str(folder), remedy="give another folder"
        )
    if not os.access(here, os.W_OK | os.X_OK):
        raise FlowInputError(f"{option}: {here} cannot be written", seen=str(folder), remedy="give another folder")


def _same_rows(one: Dataset, other: Dataset) -> bool:
    """Return whether both hold the same rows in any order, and enough different ones that it is no chance."""
    if len(one) != len(other):
        return False
    first, second = (pd.util.hash_pandas_object(with_hashes(part), index=False).sort_values() for part in (one, other))
    return first.nunique() >= FEWEST_DIFFERENT and bool((first.to_numpy() == second.to_numpy()).all())


def _synthetic_table(path: str) -> pd.DataFrame:
    """Return the synthetic table; one without any row is judged too, and refused."""
    try:
        return read_path(path)
    except SourceInputError as error:
        if "a header and no rows" not in error.what:
            raise
        return _header_only(path)


def _header_only(path: str) -> pd.DataFrame:
    import pyarrow.parquet as pq  # noqa: PLC0415 - for empty Parquet files alone

    if Path(path).suffix.lower() in (".parquet", ".pq"):
        return pd.DataFrame(columns=pq.read_schema(path).names, dtype=object)
    with Path(path).open(encoding="utf-8-sig") as file:
        return pd.read_csv(file, nrows=0, dtype=object, sep=None, engine="python")


def _with_roles(
    overrides: SchemaOverrides, known: Sequence[str], target: str | None, protected: Iterable[str]
) -> SchemaOverrides:
    """Return the overrides with the roles of the command line on top of those of the spec."""
    columns = dict(overrides.columns)
    groups = [name for given in protected for name in _names(given, known)]
    roles: list[tuple[str, str, Role]] = [("--protected", name, "protected") for name in groups]
    if target is not None:
        columns = {name: replace(one, role=None) if one.role == "target" else one for name, one in columns.items()}
        roles.append(("--target", target, "target"))
    for option, name, role in roles:
        if name not in known:
            raise FlowInputError(
                f"{option}: no such column{did_you_mean(name, known)}", seen=name, remedy=names_of(known)
            )
        if option == "--target" and name in groups:
            raise FlowInputError(
                "--target: the same column is protected", seen=name, remedy="a column has one role; name another one"
            )
        columns[name] = replace(columns.get(name, ColumnOverrides()), role=role)
    return replace(overrides, columns=columns)


def _names(given: str, known: Sequence[str]) -> list[str]:
    """Return the column names in `A,B`; a name that holds commas itself stands alone."""
    return [given] if given in known else [name.strip() for name in given.split(",") if name.strip()]
