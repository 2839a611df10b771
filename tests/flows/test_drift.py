"""What differs between two sources is found, what does not is not, and no finding holds a value."""

import json

import numpy as np
import pandas as pd
import pytest

from flows.drift import Drift, drift_of
from flows.source_summary import HELD_BY, SourceSummary, summary_of
from sources.conform import conform
from sources.contract import ContractResult, check, contract_of
from sources.dataset import Dataset
from sources.images import Image
from sources.inference import infer_schema
from sources.overrides import SchemaOverrides, from_mapping
from sources.randomness import stream

KEY = b"k" * 32
ROWS = 2_000


def people(seed: int, rows: int = ROWS, **changed: object) -> pd.DataFrame:
    rng = stream(seed, "tests", "drift")
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "town": rng.choice(["Ulm", "Brno", "Ghent", "Porto"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "wage": np.where(rng.random(rows) < 0.1, np.nan, np.round(rng.lognormal(7, 0.4, rows), 2)),
            "works": rng.random(rows) < 0.7,
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D"),
        }
    )
    return frame.assign(**changed)


def opened(
    frame: pd.DataFrame, overrides: SchemaOverrides | None = None, *, rules: bool = True
) -> tuple[Dataset, ContractResult]:
    dataset = conform(frame, infer_schema(frame, overrides or SchemaOverrides()))
    return dataset, check(dataset, contract_of(dataset.schema), public=False) if rules else ContractResult(rules=())


def compared(before: pd.DataFrame, now: pd.DataFrame, overrides: SchemaOverrides | None = None) -> Drift:
    last = summary_of(*opened(before, overrides), key=KEY)
    stored = SourceSummary.from_json(json.loads(json.dumps(last.to_json())))
    assert stored == last
    return drift_of(*opened(now, overrides), stored, against="3", key=KEY)


def quickly(seed: int) -> Drift:
    """Compare two sources of one law, without the rules, whose check takes most of the time."""
    before, now = (opened(people(one), rules=False) for one in (seed, 1_000 + seed))
    return drift_of(*now, summary_of(*before, key=KEY), against="3", key=KEY)


def found(drift: Drift) -> set[tuple[str, str]]:
    return {(one.what, one.column) for one in drift.findings}


def test_the_same_source_has_not_drifted() -> None:
    assert compared(people(1), people(1)).findings == ()


def test_fresh_rows_of_the_same_law_are_called_drift_in_one_of_a_hundred() -> None:
    """Each of 60 pairs is flagged with a chance of at most 0.01: four or more of them with one of 3e-3 at most."""
    assert sum(bool(quickly(seed).findings) for seed in range(60)) <= 3


def test_rows_of_one_entity_are_no_evidence_of_their_own() -> None:
    """Twenty persons in twenty rows each: without weighing, their differences are certain; they are twenty draws."""
    person = np.repeat(np.arange(100), 20)
    frames = [
        pd.DataFrame(
            {"person": [f"P{one:04d}" for one in person], "town": np.repeat(people(seed, 100)["town"], 20).to_numpy()}
        )
        for seed in (1, 2)
    ]
    overrides = from_mapping({"entity_key": "person"}, place="a")
    assert compared(*frames, overrides).findings == ()
    assert ("distribution", "town") in found(compared(*(frame.drop(columns="person") for frame in frames)))


def test_each_kind_of_change_is_found_under_its_name() -> None:
    before = people(1)
    shifted = people(2)
    assert found(compared(before, shifted.assign(age=shifted["age"] + 5))) == {("distribution", "age")}
    assert found(compared(before, shifted.assign(wage=shifted["wage"] * 1.2))) == {("distribution", "wage")}
    gaps = shifted["wage"].where(stream(3, "gaps").random(ROWS) < 0.6)
    assert found(compared(before, shifted.assign(wage=gaps))) == {("missing", "wage")}
    assert found(compared(before, shifted.drop(columns="age"))) == {("columns", "age")}
    assert found(compared(before, shifted.assign(height=shifted["age"] / 7))) == {("columns", "height")}
    assert found(compared(before, shifted.assign(works=shifted["town"]))) == {("kind", "works")}
    assert ("rows", "") in found(compared(before, people(2, ROWS // 3)))
    renamed = shifted["town"].replace("Porto", "Oporto")
    assert {what for what, column in found(compared(before, shifted.assign(town=renamed))) if column == "town"} == {
        "labels",
        "distribution",
    }


def test_a_rule_that_held_and_does_not_is_found() -> None:
    rules = {"columns": {"age": {"rules": {"maximum": 80, "severity": "warning"}}}}
    overrides = from_mapping(rules, place="a")
    grown = people(1)
    grown.loc[0, "age"] = 101
    drift = compared(people(1), grown, overrides)
    assert [(one.what, one.words) for one in drift.findings] == [("rule", "rule age.range holds no more")]
    assert compared(grown, grown, overrides).findings == ()


def test_times_move_on_and_never_refuse() -> None:
    later = people(2)
    drift = compared(people(1), later.assign(since=later["since"] + pd.Timedelta(days=90)))
    assert found(drift) == {("distribution", "since")}
    assert not drift.refuses
    assert compared(people(1), later.assign(age=later["age"] + 5)).refuses


def test_no_finding_and_no_rare_label_of_a_summary_holds_a_value() -> None:
    rare = people(1)
    rare.loc[:HELD_BY, "town"] = ["Zanzibar-77", *["Ulm"] * HELD_BY]
    text = json.dumps(summary_of(*opened(rare), key=KEY).to_json())
    assert "Zanzibar" not in text
    assert "Brno" in text  # the grep can find a label that many rows hold
    moved = people(2, 600).assign(town=lambda frame: frame["town"].replace("Ulm", "Zanzibar-77"), wage=987654.25)
    words = json.dumps(compared(people(1), moved).to_json(), ensure_ascii=False)
    assert all(value not in words for value in ("Zanzibar", "Ulm", "Brno", "987654"))
    assert '"town\\" has 1 labels that it did not have' in words


@pytest.mark.parametrize("rows", [10, 39])
def test_a_few_rows_are_compared_as_well(rows: int) -> None:
    drift = compared(people(1, 40), people(1, 40).head(rows))
    assert {what for what, _ in found(drift)} <= {"rows", "labels"}


def scans(seed: int, *, brighter: float = 0.0, side: int = 6, rows: int = 400) -> pd.DataFrame:
    rng = stream(seed, "tests", "drift", "scans")
    levels = rng.normal(100 + brighter, 20, (rows, 1, 1, 1)) + rng.normal(0, 30, (rows, side, side, 1))
    pixels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return pd.DataFrame(
        {"scan": pd.Series([Image(one) for one in pixels], dtype=object), "sex": rng.choice(["f", "m"], rows)}
    )


def test_pictures_of_one_law_have_not_drifted_and_brighter_or_larger_ones_have() -> None:
    assert compared(scans(1), scans(2)).findings == ()
    (brighter,) = compared(scans(1), scans(2, brighter=15)).findings
    assert (brighter.what, brighter.column) == ("distribution", "scan")
    assert brighter.words.startswith('the brightness of "scan" is distributed otherwise')
    assert ("kind", "scan") in found(compared(scans(1), scans(2, side=7)))


def test_the_summary_of_pictures_holds_bins_of_many_and_no_picture() -> None:
    summary = summary_of(*opened(scans(3)), key=KEY).to_json()["columns"]["scan"]
    assert summary["form"] == "6 × 6, grey, 8 bits"
    assert min(summary["counts"]) >= HELD_BY
    assert sum(summary["counts"]) == 400
    assert len(json.dumps(summary)) < 1_000
