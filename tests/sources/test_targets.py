"""Stated shares and equal rates: what a spec may ask for, the nearest law that has it, and counts that are exact."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.schema import Column, Schema
from sources.target_law import law_of
from sources.targets import EqualRates, Targets, broken_targets, read_targets

SCHEMA = Schema(
    columns=(
        Column(name="income", kind="categorical", role="target"),
        Column(name="sex", kind="categorical", role="protected"),
        Column(name="race", kind="categorical", role="protected"),
        Column(name="citizen", kind="boolean", truth=("no", "yes")),
        Column(name="grade", kind="categorical"),
        Column(name="age", kind="numeric"),
    )
)
N = 4_000


def people() -> Dataset:
    rng = np.random.default_rng(3)
    sex = rng.choice(["f", "m"], N, p=[0.35, 0.65])
    race = rng.choice(["w", "b", "a"], N, p=[0.8, 0.15, 0.05]).astype(object)
    race[:100] = None
    race[100:103] = "lonely"
    high = rng.random(N) < np.where(sex == "m", 0.3, 0.12) * np.where(race == "w", 1.0, 0.7)
    frame = pd.DataFrame(
        {
            "income": np.where(high, ">50K", "<=50K").astype(object),
            "sex": sex.astype(object),
            "race": race,
            "citizen": pd.Series(rng.random(N) < 0.9, dtype="boolean"),
            "grade": rng.choice(["1", "2", "3"], N).astype(object),
            "age": rng.normal(40, 10, N),
        }
    )
    return Dataset(frame=frame, schema=SCHEMA)


PEOPLE = people()


def read(shares: dict[str, Any] | None = None, outcome: str | None = None, over: tuple[str, ...] = ()) -> Targets:
    return read_targets(shares or {}, outcome, over, real=[PEOPLE], place="s.yaml: rebalance")


def test_labels_are_read_as_files_write_them_and_the_rarer_outcome_is_the_one_that_counts() -> None:
    targets = read({"citizen": {"yes": 0.5}, "grade": {"1.0": 0.2}}, "income", ("sex",))
    assert targets.shares == {"citizen": {"True": 0.5}, "grade": {"1": 0.2}}
    assert targets.equal_rates == EqualRates(outcome="income", labels=(">50K",), over=("sex",))
    assert Targets.from_json(targets.to_json()) == targets
    assert targets.columns == ("income", "sex", "citizen", "grade")
    assert all(name in " ".join(targets.sentences()) for name in ("citizen", "grade", "income", "sex"))


@pytest.mark.parametrize(
    ("shares", "outcome", "over", "message"),
    [
        ({"incom": {">50K": 0.5}}, None, (), r'no such column \(did you mean "income"\?\)'),
        ({"income": {">50k": 0.5}}, None, (), r'no such label \(did you mean ">50K"\?\)'),
        ({"income": {">50K": 1.5}}, None, (), "no share of the rows"),
        ({"income": {">50K": 0.4, "<=50K": 0.4}}, None, (), "do not make a whole"),
        ({"grade": {"1": 0.7, "2": 0.5}}, None, (), "do not make a whole"),
        ({"race": {"w": 0.5, "b": 0.5}}, None, (), "do not make a whole"),
        ({"grade": {"1": 0.2, "1.0": 0.3}}, None, (), "stands twice"),
        ({"age": {"40": 0.5}}, None, (), "has no labels, it is numeric"),
        ({"race": {"lonely": 0.2}}, None, (), "too rare"),
        ({}, "grade", ("sex",), "has 3 labels: the rate of which"),
        ({}, "income", ("income",), "stands twice"),
        ({}, "income", ("race",), "too few real rows with and without the outcome in 1 of 5 groups"),
    ],
)
def test_what_cannot_be_asked_for_is_said(
    shares: dict[str, Any], outcome: str | None, over: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SourceInputError, match=message) as refusal:
        read(shares, outcome, over)
    assert refusal.value.remedy
    assert "lonely" not in str(refusal.value).replace("rebalance.shares.race.lonely", "")


def test_a_hint_never_names_a_label_of_few_rows() -> None:
    with pytest.raises(SourceInputError) as refusal:
        read({"race": {"lonelyy": 0.2}})
    assert '"lonely"' not in str(refusal.value)


CASES = [
    Targets(shares={"income": {">50K": 0.5}}),
    Targets(shares={"income": {">50K": 0.5}, "race": {"b": 0.3, "a": 0.1}, "sex": {"f": 0.5}}),
    Targets(equal_rates=EqualRates(outcome="income", labels=(">50K",), over=("sex", "citizen"))),
    Targets(
        shares={"income": {">50K": 0.4}, "sex": {"f": 0.5}, "grade": {"1": 0.6}},
        equal_rates=EqualRates(outcome="income", labels=(">50K",), over=("sex",)),
    ),
    Targets(
        shares={"grade": {"1": 0.2, "2": 0.3}},
        equal_rates=EqualRates(outcome="grade", labels=("1", "2"), over=("sex",)),
    ),
]


@pytest.mark.parametrize("targets", CASES)
@pytest.mark.parametrize("n", [0, 1, 7, 500, 3_999])
def test_counts_are_exact_to_within_one_row(targets: Targets, n: int) -> None:
    law = law_of(PEOPLE.frame, targets)
    counts = law.counts(n)
    assert counts.sum() == n
    assert counts.min() >= 0
    for classes, shares in zip(law.classes, law.class_shares, strict=True):
        assert np.abs(np.bincount(classes, weights=counts, minlength=len(shares)) - n * shares).max() <= 1 + 1e-9
    rows = [np.resize(np.flatnonzero(law.cell == cell), count) for cell, count in enumerate(counts)]
    drawn = PEOPLE.frame.iloc[np.concatenate(rows)]
    assert all(kept for _, kept in broken_targets(drawn, targets))


def test_what_is_not_stated_stays() -> None:
    law = law_of(PEOPLE.frame, Targets(shares={"grade": {"1": 0.6}}))
    weights = law.weights()
    shares = PEOPLE.frame.groupby("grade")["age"].count()
    after = pd.Series(weights).groupby(PEOPLE.frame["grade"]).sum()
    assert after["1"] / N == pytest.approx(0.6)
    assert after["2"] / after["3"] == pytest.approx(shares["2"] / shares["3"])
    assert len(np.unique(np.round(weights, 12))) == 2  # rows of one class weigh alike, so all else is untouched


def test_equal_rates_keep_the_groups_and_the_rate_of_all() -> None:
    frame = PEOPLE.frame
    law = law_of(frame, CASES[2])
    weight, high = law.weights() / N, (frame["income"] == ">50K").to_numpy()
    assert weight[high].sum() == pytest.approx(high.mean())
    for rows in frame.groupby(["sex", "citizen"]).indices.values():
        assert weight[rows].sum() == pytest.approx(len(rows) / N)
        assert weight[rows][high[rows]].sum() / weight[rows].sum() == pytest.approx(high.mean())
    assert not all(kept for _, kept in broken_targets(frame, CASES[2]))


def test_shares_that_contradict_each_other_are_said() -> None:
    frame = pd.DataFrame({"a": ["x"] * 50 + ["y"] * 50, "b": ["u"] * 50 + ["v"] * 50}).astype(object)
    with pytest.raises(SourceInputError, match="contradict each other"):
        law_of(frame, Targets(shares={"a": {"x": 0.9}, "b": {"u": 0.2}}))
    with pytest.raises(SourceInputError, match="no row has what is asked for"):
        law_of(frame, Targets(shares={"a": {"z": 0.5}}))
