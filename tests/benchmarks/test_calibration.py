"""The benchmark of p-values covers every test of the gate, and sees a p-value that is not what it says."""

import numpy as np
import pytest

from benchmarks.calibration import drawn, line_of, not_smaller, table
from benchmarks.known_nulls import NULLS, Null, tail
from validators.limits.limits import LIMITS

CHEAP = ("excess_matches", "exact_copies", "group_loss", "outcome_shift", "group_column", "lost_values")


def test_every_p_value_of_the_gate_is_drawn() -> None:
    named = {name for null in NULLS for name in null.measurements.split(", ")}
    assert {name for name, rule in LIMITS.items() if rule.reason.startswith("A p-value")} <= named
    assert named <= set(LIMITS)


@pytest.mark.parametrize("null", NULLS, ids=lambda null: f"{null.measurements}: {null.test}: {null.law}")
def test_a_hundred_draws_do_not_contradict_it(null: Null) -> None:
    if not null.measurements.startswith(CHEAP):
        assert 0 <= drawn(null, 1).max(initial=0.0) <= 1
        return
    line = line_of(null, drawn(null, 100))
    assert line["not_smaller"] > 1e-4
    assert line["ks"] > 1e-4 or line["rounded"]


def test_a_leak_beyond_the_tolerance_is_no_null() -> None:
    leak = Null(measurements="excess_matches", test="leak", law="twice as near", draw=tail(2_000, 1_000, times=2.0))
    line = line_of(leak, drawn(leak, 100))
    assert line["ks"] < 1e-6
    assert line["not_smaller"] < 1e-6


def test_larger_p_values_are_not_uniform_and_not_smaller() -> None:
    rng = np.random.default_rng(1)
    uniform, conservative, careless = rng.random(400), rng.random(400) ** 0.7, rng.random(400) ** 1.5
    assert not_smaller(uniform) > 0.01
    assert not_smaller(conservative) > 0.5
    assert not_smaller(careless) < 1e-4
    late = np.sort(rng.random(400))
    late[late > 0.3] = 0.3  # too many p-values of 0.3 refuse nobody
    assert not_smaller(late) > 0.01


def test_the_table_has_a_row_for_each_test_and_counts_them() -> None:
    lines = [line_of(null, np.linspace(0.001, 0.999, 50)) for null in NULLS[:3]]
    text = table(lines)
    assert len(text.splitlines()) == 2 + 3 + 2
    assert f"{sum(null.rounded is None for null in NULLS[:3])} of" in text
