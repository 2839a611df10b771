"""Planted rows that are remembered are seen; a synthesizer that learns the law is left alone."""

from collections.abc import Callable
from dataclasses import replace
from math import comb
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sources.canaries import Canaries
from sources.dataset import Dataset
from sources.randomness import stream
from validators.evidence import Evidence
from validators.gate import Outcome, decide
from validators.judge import judge
from validators.measurement import Status
from validators.privacy.canaries import canaries, remembered_p


@pytest.fixture
def planted(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> Evidence:
    odd = Canaries(planted=law.independent(law.draw(40, 70), 1), control=law.independent(law.draw(40, 71), 2))
    return evidence_of(sizes=(600, 400, 600), canaries=odd)


def test_remembered_rows_are_refused_even_if_few_of_them_are(planted: Evidence) -> None:
    assert planted.canaries is not None
    assert canaries(planted, stream(1, "c"))[0].status is Status.PASS
    some = pd.concat([planted.synthetic.frame, planted.canaries.planted.frame.head(12)], ignore_index=True)
    (found,) = canaries(replace(planted, synthetic=Dataset(frame=some, schema=planted.schema)), stream(1, "c"))
    assert found.status is Status.FAIL
    assert found.detail["planted"] >= 12
    assert found.detail["control"] == 0


def test_a_law_that_all_distances_follow_gives_valid_p_values() -> None:
    rng = stream(1, "null")
    p = np.array([remembered_p(*rng.exponential(size=(2, 25)), rng=rng)[0] for _ in range(80)])
    assert np.mean(p <= 0.05) <= 0.1375  # eleven of 80; one run in 500 has more
    assert np.mean(p <= 0.5) <= 0.68


def test_the_chance_of_leading_rows_is_that_of_drawing_without_return() -> None:
    control = np.arange(10.0, 30.0)
    planted = np.concatenate([np.arange(9.0), np.arange(100.0, 111.0)])  # nine lead, eleven are last
    p, ahead = remembered_p(planted, control, rng=stream(1, "p"))
    assert ahead == 9
    assert p == pytest.approx(2 * comb(31, 20) / comb(40, 20))


def test_canaries_that_were_planted_and_not_measured_make_the_verdict_invalid(planted: Evidence) -> None:
    report = judge(planted, seed=1)
    assert report.sizes["canaries"] == 40
    silent = replace(report, measurements=tuple(one for one in report.measurements if one.name != "canaries"))
    assert decide(silent, planted.policy).outcome is Outcome.INVALID
    assert decide(report, planted.policy).outcome is not Outcome.INVALID
