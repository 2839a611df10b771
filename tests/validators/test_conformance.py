"""What every registered validator keeps, whatever it measures."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Kind, Role, Schema
from validators.evidence import Evidence
from validators.gate import Outcome, decide, status_of
from validators.judge import family_of, judge
from validators.limits.limits import LIMITS
from validators.measurement import Measurement, Status
from validators.policy import Policy
from validators.registry import VALIDATORS
from validators.report import Report

EvidenceOf = Callable[..., Evidence]
every_validator = pytest.mark.parametrize("name", list(VALIDATORS))


def run(name: str, evidence: Evidence, seed: int = 1) -> list[Measurement]:
    return list(VALIDATORS[name](evidence, stream(seed, "judge", name)))


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    return dataset.take(stream(seed, "order").permutation(len(dataset)))


def rows_for(name: str, evidence_of: EvidenceOf, pictures_of: EvidenceOf, seed: int) -> Evidence:
    """Return evidence in which the synthetic rows are fresh real ones: pictures for those who judge pictures."""
    return pictures_of(seed=seed) if ".image_" in name else evidence_of(seed=seed, sizes=(600, 400, 500))


@pytest.fixture
def fresh(request: pytest.FixtureRequest, evidence_of: EvidenceOf, pictures_of: EvidenceOf) -> Evidence:
    return rows_for(request.node.callspec.params["name"], evidence_of, pictures_of, seed=1)


@every_validator
def test_it_speaks_of_documented_names_of_its_own_family(name: str, fresh: Evidence) -> None:
    found = run(name, fresh)
    assert found
    headings = re.findall(r"^## (\w+)$", Path("docs/metrics.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for measurement in found:
        assert measurement.name in LIMITS
        assert measurement.family == LIMITS[measurement.name].family == family_of(name)
        assert measurement.name in headings
        assert measurement.direction == LIMITS[measurement.name].direction
        assert measurement.limit == fresh.policy.limits[measurement.name]
        assert measurement.reading.endswith(".")
    assert len({(m.name, m.subject) for m in found}) == len(found)


def test_together_they_measure_every_name_there_is(evidence_of: EvidenceOf, pictures_of: EvidenceOf) -> None:
    rows = {name: rows_for(name, evidence_of, pictures_of, seed=1) for name in VALIDATORS}
    assert {measurement.name for name in VALIDATORS for measurement in run(name, rows[name])} == set(LIMITS)


@pytest.mark.parametrize("name", [name for name in VALIDATORS if ".image_" in name])
def test_who_judges_pictures_is_silent_where_there_are_none(name: str, evidence_of: EvidenceOf) -> None:
    assert run(name, evidence_of(seed=1)) == []


@every_validator
def test_its_statuses_follow_from_its_numbers(name: str, fresh: Evidence) -> None:
    for m in run(name, fresh):
        if m.value is not None:
            assert m.low is not None
            assert m.high is not None
            assert m.low <= m.value <= m.high
            assert m.status is status_of(m.low, m.high, m.limit, m.direction)
        else:
            assert m.status in {Status.INCONCLUSIVE, Status.INVALID}


@every_validator
def test_fresh_rows_are_never_refused(name: str, evidence_of: EvidenceOf, pictures_of: EvidenceOf) -> None:
    for seed in (2, 3, 4):
        statuses = {m.status for m in run(name, rows_for(name, evidence_of, pictures_of, seed), seed)}
        assert statuses <= {Status.PASS, Status.INCONCLUSIVE}


@every_validator
def test_the_same_stream_gives_the_same_measurements(name: str, fresh: Evidence) -> None:
    assert run(name, fresh) == run(name, fresh)


@every_validator
def test_it_changes_neither_its_evidence_nor_the_global_state(name: str, fresh: Evidence) -> None:
    evidence = replace(fresh, reference=fresh.holdout)
    before = {part: getattr(evidence, part).frame.copy() for part in ("train", "holdout", "synthetic", "reference")}
    state = copy.deepcopy(np.random.get_state())  # noqa: NPY002 - to see that nobody draws from it
    run(name, evidence)
    for part, frame in before.items():
        pd.testing.assert_frame_equal(getattr(evidence, part).frame, frame)
    after = np.random.get_state()  # noqa: NPY002 - likewise
    assert all(np.array_equal(old, new) for old, new in zip(state, after, strict=True))


@every_validator
def test_the_order_of_rows_does_not_matter(name: str, fresh: Evidence) -> None:
    assert fresh.holdout is not None
    mixed = replace(
        fresh,
        train=shuffled(fresh.train, 1),
        holdout=shuffled(fresh.holdout, 2),
        synthetic=shuffled(fresh.synthetic, 3),
    )
    if fresh.features is not None:
        parts = {"train": mixed.train, "holdout": mixed.holdout, "synthetic": mixed.synthetic}
        mixed = replace(mixed, features=replace(fresh.features, **parts))  # type: ignore[arg-type]
    first = {(m.name, m.subject): m for m in run(name, fresh)}
    second = {(m.name, m.subject): m for m in run(name, mixed)}
    assert first.keys() == second.keys()
    for key, m in first.items():
        other = second[key]
        assert Status.FAIL not in {m.status, other.status}
        if m.value is not None and other.value is not None and LIMITS[m.name].reason.startswith("A p-value"):
            assert other.value == pytest.approx(m.value, abs=0.5)
        elif m.value is not None and other.value is not None:
            assert m.low is not None
            assert m.high is not None
            assert m.low - (m.high - m.low) <= other.value <= m.high + (m.high - m.low)


@every_validator
def test_its_measurements_go_through_json(name: str, fresh: Evidence) -> None:
    for measurement in run(name, fresh):
        assert Measurement.from_json(measurement.to_json()) == measurement


@pytest.mark.parametrize("sizes", [(600, 400, 40), (600, 40, 500), (40, 400, 500), (600, 400, 0), (3, 3, 3)])
def test_too_little_data_is_never_a_pass_nor_a_defect(evidence_of: EvidenceOf, sizes: tuple[int, int, int]) -> None:
    evidence = evidence_of(seed=1, sizes=sizes)
    report = judge(evidence, seed=1)
    assert decide(report, evidence.policy).outcome in {Outcome.INCONCLUSIVE, Outcome.REFUSE}
    if min(sizes) == 40:
        assert Status.FAIL not in {m.status for m in report.measurements}


def test_without_a_holdout_nothing_passes(evidence_of: EvidenceOf) -> None:
    evidence = evidence_of(seed=1, sizes=(900, 10, 500), holdout=None)
    verdict = decide(judge(evidence, seed=1), evidence.policy)
    assert verdict.outcome is Outcome.INCONCLUSIVE


def spoilt(law: SimpleNamespace, rogue: str) -> Dataset:
    """Return 1,500 synthetic rows that must be refused."""
    fresh = law.draw(1500, 92)
    if rogue == "copies":
        return law.draw(2000, 90).take(np.arange(1500))
    if rogue == "some copies":
        frame = pd.concat([law.draw(2000, 90).frame.iloc[:75], fresh.frame.iloc[75:]], ignore_index=True)
        return Dataset(frame=frame, schema=law.schema)
    if rogue == "independent":
        return law.independent(fresh, 1)
    if rogue == "flipped":
        return law.flipped(fresh, 0.2, 1)
    kept = fresh.frame[fresh.frame["group"] != "c"].reset_index(drop=True)
    return Dataset(frame=kept, schema=law.schema)


@pytest.mark.parametrize(
    ("rogue", "families"),
    [
        ("copies", {"privacy"}),
        ("some copies", {"privacy"}),
        ("independent", {"fidelity"}),
        ("flipped", {"fidelity", "bias"}),
        ("erased", {"bias"}),
    ],
)
def test_a_rogue_is_refused_by_the_right_family(law: SimpleNamespace, rogue: str, families: set[str]) -> None:
    evidence = Evidence(
        train=law.draw(2000, 90),
        holdout=law.draw(1500, 91),
        synthetic=spoilt(law, rogue),
        schema=law.schema,
        policy=Policy.preset("standard"),
    )
    verdict = decide(judge(evidence, seed=1), evidence.policy)
    assert verdict.outcome is Outcome.REFUSE
    assert families & {reason.family for reason in verdict.reasons if reason.status is Status.FAIL}


def test_a_perfect_generator_passes(law: SimpleNamespace) -> None:
    evidence = Evidence(
        train=law.draw(2500, 93),
        holdout=law.draw(2500, 94),
        synthetic=law.draw(2500, 95),
        schema=law.schema,
        policy=Policy.preset("standard"),
    )
    report = judge(evidence, seed=1)
    verdict = decide(report, evidence.policy)
    assert verdict.reasons == ()
    assert verdict.outcome is Outcome.PASS
    assert Report.loads(report.dumps()) == report


ODD: dict[str, tuple[Kind, ...]] = {
    "one number": ("numeric",),
    "one label": ("categorical",),
    "numbers only": ("numeric",) * 4,
    "labels only": ("categorical",) * 4,
    "a text and an id": ("text", "id"),
    "ids only": ("id", "id"),
    "dates": ("datetime", "datetime", "boolean"),
}
NAMES = ["class", "a b.c", "<b>'\"</b>", "größe", "🙂"]


def odd(kinds: tuple[Kind, ...], n: int, seed: int, *, constant: bool = False) -> Dataset:
    """Return `n` rows of columns with odd names and the given kinds."""
    rng = stream(seed, "odd")
    columns, frame = [], {}
    for position, kind in enumerate(kinds):
        role: Role = "target" if position == 0 else "protected" if position == 1 else "plain"
        columns.append(Column(name=NAMES[position], kind=kind, role=role if kind != "id" else "plain"))
        codes = np.zeros(n, dtype=int) if constant else rng.integers(0, 5, n)
        if kind == "numeric":
            values = pd.Series(-np.exp(rng.normal(size=n)) if not constant else np.zeros(n))
        elif kind == "datetime":
            values = pd.Series(np.datetime64("2021-05-01", "us") + codes.astype("timedelta64[D]")).astype(
                "datetime64[us]"
            )
        elif kind == "boolean":
            values = pd.Series(codes > 2, dtype="boolean")
        else:
            values = pd.Series([f"{kind} {code if kind != 'id' else f'{seed}-{at}'}" for at, code in enumerate(codes)])
            values = values.astype(object)
        frame[NAMES[position]] = values
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=tuple(columns)))


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kinds", list(ODD.values()), ids=list(ODD))
def test_no_check_breaks_on_an_odd_table(kinds: tuple[Kind, ...], constant: bool) -> None:  # noqa: FBT001 - a parameter
    parts = [odd(kinds, n, seed, constant=constant) for seed, n in enumerate((160, 130, 140))]
    evidence = Evidence(
        train=parts[0], holdout=parts[1], synthetic=parts[2], schema=parts[0].schema, policy=Policy.preset("standard")
    )
    report = judge(evidence, seed=1)
    assert [m.reading for m in report.measurements if m.status is Status.INVALID] == []
    assert [m.reading for m in report.measurements if m.status is Status.FAIL] == []


def test_no_check_breaks_on_missing_and_unseen_values(evidence_of: EvidenceOf, law: SimpleNamespace) -> None:
    synthetic = law.changed(
        law.draw(300, 5),
        income=np.full(300, np.nan),
        trade=np.full(300, "astronaut", dtype=object),
        group=np.full(300, None, dtype=object),
    )
    report = judge(evidence_of(sizes=(300, 300, 10), synthetic=synthetic), seed=1)
    assert Status.INVALID not in {m.status for m in report.measurements}
    assert Status.FAIL in {m.status for m in report.measurements if m.family == "fidelity"}
    evidence = evidence_of(sizes=(300, 300, 10), synthetic=law.draw(300, 5))
    emptied = law.changed(evidence.train, age=np.full(300, np.nan), trade=np.full(300, None, dtype=object))
    report = judge(replace(evidence, train=emptied), seed=1)
    assert Status.INVALID not in {m.status for m in report.measurements}
