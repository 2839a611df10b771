"""Which of several candidates is released."""

import dataclasses

import numpy as np
import pandas as pd

from flows.judging import Judgement
from flows.spec import CandidateSpec
from flows.stages import Tried, best_of
from sources.conform import conform
from sources.inference import infer_schema
from sources.randomness import stream
from validators.evidence import Evidence
from validators.gate import Outcome, Verdict
from validators.policy import Policy
from validators.report import Report

ROWS = 600


def law(name: str, *, structure: bool = True) -> pd.DataFrame:
    """Return rows of two numbers that hang together, or do not."""
    rng = stream(3, name)
    first = rng.normal(size=ROWS).round(3)
    second = first + rng.normal(size=ROWS) / 3 if structure else rng.normal(size=ROWS) * np.sqrt(10) / 3
    return pd.DataFrame({"a": first, "b": second.round(3)})


def tried(kind: str, outcome: Outcome, *, structure: bool, holdout: str = "holdout") -> Tried:
    """Return a candidate whose rows have the structure of the law or not, with a verdict given from outside."""
    policy = Policy.preset("standard")
    schema = infer_schema(law("train"))
    parts = {name: conform(law(name), schema) for name in ("train", "reference")}
    evidence = Evidence(
        **parts,
        holdout=conform(law(holdout, structure=holdout == "holdout"), schema),
        synthetic=conform(law(kind, structure=structure), schema),
        schema=schema,
        policy=policy,
    )
    report = Report(measurements=(), policy=policy, seed=0, sizes={}, columns=(), versions={}, timings_s={})
    judgement = Judgement(report=report, verdict=Verdict(outcome=outcome, reasons=()), evidence=evidence)
    return Tried(candidate=CandidateSpec(kind=kind), judgement=judgement)


def test_a_better_verdict_comes_before_better_rows() -> None:
    close, far = tried("close", Outcome.REFUSE, structure=True), tried("far", Outcome.PASS, structure=False)
    assert best_of([close, far]) is far


def test_among_equal_verdicts_the_rows_that_are_told_least_from_the_reference_part_win() -> None:
    far, close = tried("far", Outcome.PASS, structure=False), tried("close", Outcome.PASS, structure=True)
    assert best_of([far, close]) is close
    assert best_of([close, far]) is close


def test_the_holdout_chooses_nothing() -> None:
    far = tried("far", Outcome.PASS, structure=False, holdout="like far")
    close = tried("close", Outcome.PASS, structure=True, holdout="like far")
    assert best_of([far, close]) is close


def test_a_candidate_that_could_not_be_fitted_is_never_chosen() -> None:
    failed = Tried(candidate=CandidateSpec(kind="failed"), failure="diverged")
    refused = tried("refused", Outcome.REFUSE, structure=True)
    assert best_of([failed, refused]) is refused
    assert dataclasses.replace(refused, fit=None).outcome == "REFUSE"
