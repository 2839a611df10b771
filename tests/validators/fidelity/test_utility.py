"""Utility: flipped labels are counted, useless rows refused, every kind of target measured, none invented."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score, roc_auc_score

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Schema
from validators.evidence import Evidence
from validators.fidelity.utility import label_scores, score_and_influence, utility
from validators.measurement import Measurement, Status


def measured(evidence: Evidence, seed: int = 1) -> dict[str, Measurement]:
    return {m.name: m for m in utility(evidence, stream(seed, "utility"))}


def with_schema(evidence: Evidence, schema: Schema) -> Evidence:
    parts = {
        part: Dataset(frame=getattr(evidence, part).frame[list(schema.names)], schema=schema)
        for part in ("train", "holdout", "synthetic")
    }
    return replace(evidence, schema=schema, **parts)


def retargeted(schema: Schema, name: str, **changes: object) -> Schema:
    return schema.with_column("bought", role="plain").with_column(name, role="target", **changes)


def test_scores_are_those_of_scikit_learn() -> None:
    rng = stream(1, "scores")
    y = rng.integers(0, 3, 200).astype(float)
    probabilities = rng.dirichlet([1, 1, 1], 200)
    weights = np.bincount(y.astype(int)) / 200
    expected = sum(weights[k] * roc_auc_score(y == k, probabilities[:, k]) for k in range(3))
    score, influence = score_and_influence(probabilities, y, 1)
    assert score == pytest.approx(expected)
    assert influence.mean() == pytest.approx(0, abs=1e-9)
    numbers = rng.normal(size=200)
    score, influence = score_and_influence(numbers * 0.5, numbers, 1)
    assert score == pytest.approx(r2_score(numbers, numbers * 0.5))
    assert influence.mean() == pytest.approx(0, abs=1e-9)


def test_the_label_score_is_the_derivative_of_the_log_likelihood() -> None:
    p = np.array([[0.7, 0.2, 0.1]])
    noise, step = 0.1, 1e-6

    def likelihood(e: float) -> np.ndarray:
        return np.log((1 - e) * p + e * (1 - p) / 2)

    slope = (likelihood(noise + step) - likelihood(noise - step)) / (2 * step)
    assert label_scores(p, noise) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
def test_the_share_of_flipped_labels_is_estimated(evidence_of, law: SimpleNamespace, share: float) -> None:  # noqa: ANN001
    synthetic = law.flipped(law.draw(1500, 3), share, 1)
    found = measured(evidence_of(sizes=(1000, 800, 10), synthetic=synthetic))["label_noise"]
    assert found.value == pytest.approx(share, abs=0.07)
    assert found.status is (Status.PASS if share == 0 else Status.FAIL)


def test_labels_drawn_at_random_cost_the_recipient_his_model(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    fresh = law.draw(1500, 3)
    y = fresh.frame["bought"].iloc[stream(1, "y").permutation(1500)].to_numpy()
    found = measured(evidence_of(sizes=(1500, 1200, 10), synthetic=law.changed(fresh, bought=y)))
    assert {m.status for m in found.values()} == {Status.FAIL}
    assert {m.status for m in measured(evidence_of(sizes=(1500, 1200, 10), synthetic=fresh)).values()} == {Status.PASS}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("age", {}),
        ("age", {"threshold": 50.0}),
        ("trade", {}),
        ("trade", {"positive": "nurse"}),
        ("member", {}),
        ("since", {}),
    ],
)
def test_every_kind_of_target_is_measured_and_fresh_rows_are_not_refused(
    evidence_of,  # noqa: ANN001
    name: str,
    changes: dict[str, object],
) -> None:
    evidence = evidence_of(sizes=(700, 600, 600))
    found = measured(with_schema(evidence, retargeted(evidence.schema, name, **changes)))
    assert set(found) == {"tstr", "label_noise", "wrong_labels"}
    assert {m.status for m in found.values()} <= {Status.PASS, Status.INCONCLUSIVE}
    assert all(m.subject == name for m in found.values())


def test_without_a_target_nothing_is_measured(evidence_of) -> None:  # noqa: ANN001
    evidence = evidence_of()
    assert measured(with_schema(evidence, evidence.schema.with_column("bought", role="plain"))) == {}


def test_one_label_only_or_no_label_is_never_a_pass(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    fresh = law.draw(600, 3)
    constant = law.changed(fresh, bought=np.full(600, "no", dtype=object))
    assert Status.PASS not in {m.status for m in measured(evidence_of(synthetic=constant)).values()}
    nothing = law.changed(fresh, bought=pd.Series([None] * 600, dtype=object))
    assert {m.status for m in measured(evidence_of(synthetic=nothing)).values()} == {Status.INCONCLUSIVE}
    same = evidence_of(holdout=constant, train=constant, synthetic=constant)
    assert Status.FAIL not in {m.status for m in measured(same).values()}


def test_a_coin_toss_has_no_relation_to_lose(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    tossed = [
        law.changed(law.draw(900, i), bought=stream(i, "toss").choice(np.array(["yes", "no"], dtype=object), 900))
        for i in range(3)
    ]
    found = measured(evidence_of(train=tossed[0], holdout=tossed[1], synthetic=tossed[2]))
    assert Status.FAIL not in {m.status for m in found.values()}
    assert found["label_noise"].status is Status.PASS


def test_flips_that_keep_the_base_rate_are_surely_wrong_labels(
    law: SimpleNamespace, evidence_of: Callable[..., Evidence]
) -> None:
    evidence = evidence_of(sizes=(3000, 2000, 3000))
    labels = evidence.synthetic.frame["bought"].to_numpy(dtype=object).copy()
    rows = np.arange(900)
    labels[rows] = labels[stream(0, "permuted").permutation(rows)]
    assert measured(evidence)["wrong_labels"].status is Status.PASS
    found = measured(replace(evidence, synthetic=law.changed(evidence.synthetic, bought=labels)))
    assert found["wrong_labels"].status is Status.FAIL


def test_some_hundred_rows_show_a_fifth_of_flipped_labels_and_fresh_ones_pass(
    law: SimpleNamespace, evidence_of: Callable[..., Evidence]
) -> None:
    refused = []
    for seed in range(3):  # a fresh draw is refused once in 200, a flipped one of this size always but once in 1,000
        parts = {"train": law.draw(500, 3 * seed), "holdout": law.draw(300, 3 * seed + 1)}
        evidence = evidence_of(**parts, synthetic=law.draw(400, 3 * seed + 2))
        spoilt = replace(evidence, synthetic=law.flipped(evidence.synthetic, 0.2, seed))
        refused.append([measured(one)["wrong_labels"].status is Status.FAIL for one in (evidence, spoilt)])
    assert refused == [[False, True]] * 3


def test_more_than_all_labels_wrong_is_said_as_all(law: SimpleNamespace, evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(sizes=(1000, 800, 800))
    spoilt = law.flipped(evidence.synthetic, 1.0, 0)
    found = measured(replace(evidence, synthetic=spoilt))["label_noise"]
    assert found.value is not None
    assert found.value <= 1.0
    assert found.detail["uncapped"] >= found.value
