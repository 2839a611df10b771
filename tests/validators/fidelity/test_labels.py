"""Labels: flipped ones are counted and refused, coin tosses accuse nobody."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sources.randomness import stream
from validators.evidence import Evidence
from validators.fidelity.labels import label_noise, label_scores
from validators.fidelity.sides import sides_of
from validators.fidelity.target import target_of
from validators.measurement import Measurement, Status


def measured(evidence: Evidence) -> dict[str, Measurement]:
    rng = stream(1, "labels")
    sides = sides_of(evidence, rng)
    target = target_of(sides, evidence.schema["bought"])
    assert target is not None
    return {m.name: m for m in label_noise(evidence, sides, target, rng)}


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
