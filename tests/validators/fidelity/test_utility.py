"""Utility: useless rows are refused, every kind of target measured, none invented; the linear model is what it says."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Schema
from validators.evidence import Evidence
from validators.fidelity.linear import design, linear_predictions
from validators.fidelity.target import Target, Task
from validators.fidelity.utility import score_and_influence, utility
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


def test_the_worse_of_trees_and_linear_models_counts(evidence_of) -> None:  # noqa: ANN001
    evidence = evidence_of(sizes=(2000, 1500, 2000))
    found = measured(evidence)["tstr"]
    families = found.detail["families"]
    lost = {family: scores["real"] - scores["synthetic"] for family, scores in families.items()}
    assert set(lost) == {"Trees", "Linear models"}
    assert found.value == pytest.approx(max(lost.values()))
    assert found.status is Status.PASS
    assert {0.75 < scores["real"] < 1 for scores in families.values()} == {True}


def test_the_linear_model_predicts_as_scikit_learns_pipeline_would() -> None:
    rng = stream(1, "linear")
    X = np.column_stack([rng.normal(size=400), rng.integers(0, 3, 400)])
    X[:20, 0] = np.nan
    y = (np.nan_to_num(X[:, 0]) + X[:, 1] + rng.normal(size=400) > 1).astype(float)
    target = Target(
        name="y",
        num_classes=2,
        event=1,
        categorical=np.array([False, True]),
        **dict.fromkeys(("train", "holdout", "synthetic"), Task(X=X, y=y)),
    )
    known = X[:, 0][~np.isnan(X[:, 0])]
    rank = np.array([0.0 if np.isnan(v) else (known < v).mean() + (known <= v).mean() - 1 for v in X[:, 0]])
    columns = np.column_stack([rank, rank**2, np.isnan(X[:, 0]), X[:, 1] == 0, X[:, 1] == 1, X[:, 1] == 2])
    expected = Ridge(alpha=10.0).fit(columns, y).predict(columns)
    predicted = linear_predictions(target.train, X, target, rng)
    assert predicted[:, 1] == pytest.approx(expected, abs=1e-6)
    assert predicted.sum(axis=1) == pytest.approx(np.ones(400))


def test_an_unseen_label_and_a_column_of_nothing_leave_the_linear_model_standing() -> None:
    learnt = np.column_stack([np.full(50, np.nan), np.repeat([0.0, 1.0], 25)])
    found = design(np.array([[3.0, 7.0], [np.nan, np.nan]]), learnt, np.array([False, True]))
    assert found.tolist() == [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]]
