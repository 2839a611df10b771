"""The classifier two-sample test: chance for fresh rows, far above for rogues, far below for copies."""

from types import SimpleNamespace

import numpy as np
import pytest

from sources.randomness import stream
from validators.fidelity.c2st import c2st, cross_validated_auc
from validators.measurement import Status


def test_rows_of_one_law_give_one_half_with_an_honest_variance() -> None:
    values, variances = [], []
    for seed in range(40):
        rng = stream(seed, "c2st")
        x, y = rng.normal(size=(150, 3)), rng.normal(size=(200, 3))
        auc, variance = cross_validated_auc(x, y, np.zeros(3, dtype=bool), rng)
        values.append(auc)
        variances.append(variance)
    assert abs(np.mean(values) - 0.5) < 4 * np.std(values) / np.sqrt(40)
    assert np.sqrt(np.mean(variances)) == pytest.approx(np.std(values), rel=0.4)


def test_a_shift_is_found_as_far_as_it_can_be() -> None:
    rng = stream(1, "c2st")
    auc, _ = cross_validated_auc(rng.normal(1, 1, (900, 1)), rng.normal(0, 1, (900, 1)), np.zeros(1, dtype=bool), rng)
    assert auc == pytest.approx(0.760, abs=0.04)  # Phi(1 / sqrt 2) for the best classifier


def test_copies_pull_the_classifier_under_chance_against_train_alone(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    evidence = evidence_of(sizes=(500, 400, 10), synthetic=law.draw(500, 0))
    assert evidence.train.frame.equals(evidence.synthetic.frame)
    holdout, train = c2st(evidence, stream(1, "c2st"))
    assert (holdout.subject, train.subject) == ("against holdout", "against train")
    assert holdout.status is Status.PASS
    assert train.status is Status.FAIL
    assert "twins" in train.reading


def test_independent_columns_give_themselves_away(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    torn = law.independent(law.draw(900, 9), 1)
    found = c2st(evidence_of(sizes=(900, 900, 10), synthetic=torn), stream(1, "c2st"))
    assert [m.status for m in found] == [Status.FAIL, Status.FAIL]
