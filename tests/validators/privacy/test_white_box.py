"""Attacks with the model at hand find what it has learnt by heart, and nothing where it has not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sources.randomness import stream
from validators.evidence import Evidence
from validators.measurement import Measurement, Status
from validators.privacy.membership import membership
from validators.privacy.white_box import LEAST_OWN, RowNats, white_box


def model_of(remembered: pd.DataFrame, gain: float) -> RowNats:
    """Return a model to which high incomes are unlikely, and rows that it remembers likelier by `gain` nats."""
    known = set(remembered["income"])

    def row_nats(frame: pd.DataFrame) -> np.ndarray:
        income = frame["income"].to_numpy(dtype=np.float64)
        by_chance = stream(int(income.sum()), "nats").normal(size=len(frame))
        return 3 * np.log(income) + 0.5 * by_chance - gain * frame["income"].isin(known).to_numpy()

    return row_nats


def judged(evidence: Evidence, gain: float, rows: int = 400) -> dict[str, Measurement]:
    remembered = evidence.train.frame.iloc[:rows]
    given = replace(evidence, row_nats=model_of(remembered, gain))
    return {one.name: one for one in membership(given, stream(0, "membership"))}


def test_what_a_model_knows_by_heart_is_found_though_its_rows_are_fresh(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(3, (2000, 2000, 2000))
    found = judged(evidence, gain=4.0)["membership"]
    assert found.status is Status.FAIL
    assert found.detail["attack"] == "likelihood calibrated"
    attacks = found.detail["attacks"]
    assert attacks["likelihood calibrated"]["value"] > 0.1  # a fifth of the members is remembered
    assert attacks["likelihood"]["value"] < attacks["likelihood calibrated"]["value"]  # likely rows hide them
    assert found.reading.endswith("looks into the model, which no release holds.")
    assert {one["fpr"] for one in found.detail["told"]} == {0.001, 0.01, 0.05}


def test_a_model_that_remembers_nobody_passes_with_two_attacks_more(evidence_of: Callable[..., Evidence]) -> None:
    found = judged(evidence_of(4, (2000, 2000, 2000)), gain=0.0)
    assert {one.status for one in found.values()} == {Status.PASS}
    assert {"likelihood", "likelihood calibrated"} < set(found["membership"].detail["attacks"])


def test_what_a_model_may_know_and_nobody_can_prove_is_told_and_not_judged(
    evidence_of: Callable[..., Evidence],
) -> None:
    found = judged(evidence_of(4, (2000, 2000, 2000)), gain=4.0, rows=60)["membership"]
    inside = found.detail["attacks"]["likelihood calibrated"]
    assert inside["low"] < 0.04 < inside["high"]  # 60 of 2,000 rows, and chance
    assert found.status is Status.PASS
    assert not found.detail["attack"].startswith("likelihood")
    assert found.value < inside["value"]
    assert f"Who had the model itself, which no release holds: {inside['value']:.1%}" in found.reading


def test_without_a_model_nothing_looks_into_it(evidence_of: Callable[..., Evidence]) -> None:
    found = membership(evidence_of(1), stream(0, "membership"))[0]
    assert not any(attack.startswith("likelihood") for attack in found.detail["attacks"])


def test_the_calibrated_score_has_one_law_whatever_is_likely(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(5, (1500, 1500, 10))
    assert evidence.holdout is not None
    frames = evidence.holdout.frame, evidence.train.frame
    scores = white_box(model_of(frames[1].head(0), 0.0), *frames, evidence.schema, stream(0, "trees"))
    income = frames[1]["income"]
    assert abs(stats.spearmanr(scores["likelihood"], income)[0]) > 0.9
    assert abs(stats.spearmanr(scores["likelihood calibrated"], income)[0]) < 0.1


def test_impossible_rows_are_accused_last_and_few_rows_calibrate_nothing(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(6, (300, 200, 10))
    assert evidence.holdout is not None

    def row_nats(frame: pd.DataFrame) -> np.ndarray:
        return np.where(np.arange(len(frame)) == 7, np.inf, 1.0)

    few = evidence.holdout.frame.head(LEAST_OWN)
    scores = white_box(row_nats, few, evidence.train.frame, evidence.schema, stream(0, "trees"))
    assert list(scores) == ["likelihood"]
    assert int(np.argmin(scores["likelihood"])) == 7
    many = white_box(row_nats, evidence.holdout.frame, evidence.train.frame, evidence.schema, stream(0, "trees"))
    assert many["likelihood calibrated"][7] == -np.inf
    assert np.isfinite(np.delete(many["likelihood calibrated"], 7)).all()
    assert pytest.approx(0, abs=1e-6) == np.delete(many["likelihood calibrated"], 7)
