"""Association and dependence: known correlations, nothing found where nothing is, lost and invented relations named."""

from types import SimpleNamespace

import numpy as np
import pytest

from sources.randomness import stream
from validators.encoding import EncodedColumn, Part
from validators.fidelity.association import association, canonical_scores, scored_correlation
from validators.fidelity.dependence import dependence, pair_information, row_scores
from validators.measurement import Status


def test_scores_of_a_two_by_two_table_give_its_phi() -> None:
    joint = np.array([[40.0, 10.0], [15.0, 35.0]])
    x, y = canonical_scores(joint)
    r, _ = scored_correlation(joint, x, y)
    phi = (40 * 35 - 10 * 15) / np.sqrt(50 * 50 * 55 * 45)
    assert r == pytest.approx(phi)


def test_a_correlation_of_scored_cells_is_that_of_the_rows_and_its_variance_that_of_samples() -> None:
    scores_x, scores_y = np.array([-1.0, 0.5, 2.0]), np.array([0.0, 1.0])
    law = np.array([[0.3, 0.1], [0.15, 0.15], [0.05, 0.25]])
    rng = stream(1, "correlation")
    found = []
    for _ in range(600):
        joint = rng.multinomial(400, law.ravel()).reshape(3, 2).astype(float)
        rows = np.repeat(np.arange(6), joint.ravel().astype(int))
        r, variance = scored_correlation(joint, scores_x, scores_y)
        found.append((r, variance))
    assert r == pytest.approx(np.corrcoef(scores_x[rows // 2], scores_y[rows % 2])[0, 1])
    values, variances = np.array(found).T
    assert variances.mean() == pytest.approx(values.var(), rel=0.25)  # sd of a variance over 600 is 6 %


def test_a_constant_column_has_no_correlation() -> None:
    joint = np.array([[0.0, 0.0], [30.0, 20.0]])
    assert scored_correlation(joint, *canonical_scores(joint)) == (0.0, 1 / 50)


def test_a_lost_and_an_invented_relation_are_found_and_named(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    fresh = law.draw(2000, 5)
    lost = law.changed(fresh, age=fresh.frame["age"].iloc[stream(1, "p").permutation(2000)].to_numpy())
    invented = law.changed(fresh, group=np.where(fresh.frame["member"].astype(bool), "a", "b").astype(object))
    for synthetic, kind, column in ((lost, "lost", "age"), (invented, "invented", "group")):
        (found,) = association(evidence_of(sizes=(2000, 1500, 10), synthetic=synthetic), stream(1, "a"))
        assert found.status is Status.FAIL
        assert found.detail["kind"] == kind
        assert column in found.detail["pair"]
    (found,) = association(evidence_of(sizes=(2000, 1500, 10), synthetic=fresh), stream(1, "a"))
    assert found.status is Status.PASS


def test_information_of_cells_is_that_of_their_shares() -> None:
    cells = np.array([[0, 0]] * 60 + [[0, 1]] * 15 + [[1, 0]] * 15 + [[1, 1]] * 60)
    columns = [
        EncodedColumn(name=name, kind="categorical", categorical=True, labels=("u", "v"), num_cells=2) for name in "xy"
    ]
    part = Part(values=cells.astype(float), cells=cells)
    ((i, j, table),) = pair_information(part, columns, np.array([[0, 1]]))
    assert (i, j) == (0, 1)
    g = 2 * (120 * np.log(60 / 37.5) + 30 * np.log(15 / 37.5))
    together = np.log((60 + 200 / 4) / (350 / 4)) * (1 - 1 / g)
    assert table[0, 0] == pytest.approx(together)
    assert row_scores(np.array([[0, 0], [0, 1]]), [(i, j, table)]) == pytest.approx([table[0, 0], table[0, 1]])


def test_independent_columns_are_refused_at_a_few_hundred_rows(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    for seed in range(5):
        torn = law.independent(law.draw(250, seed), seed)
        (found,) = dependence(evidence_of(seed=seed, sizes=(500, 250, 10), synthetic=torn), stream(seed, "d"))
        assert found.status is Status.FAIL
        assert found.detail["auc_synthetic"] == pytest.approx(0.5, abs=0.12)


def test_where_nothing_depends_nothing_is_lost(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    parts = [law.independent(law.draw(800, seed), seed) for seed in range(4)]
    for train, holdout, synthetic in (parts[:3], parts[1:]):
        evidence = evidence_of(train=train, holdout=holdout, synthetic=synthetic)
        (found,) = dependence(evidence, stream(1, "d"))
        assert found.status is Status.PASS
