"""Values that vanish or double, and rows that repeat: fresh rows pass, each loss is named."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import stream
from validators.evidence import Evidence
from validators.fidelity.lost_values import lost_values
from validators.fidelity.repeats import repeats, twins
from validators.measurement import Measurement, Status


def lost(evidence: Evidence) -> Measurement:
    return lost_values(evidence, stream(0, "unused"))[0]


def test_fresh_rows_pass_both(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(20):
        evidence = evidence_of(seed)
        assert lost(evidence).status is Status.PASS
        assert repeats(evidence, stream(seed, "rows"))[0].status is Status.PASS


def test_lost_labels_missing_cells_and_tails_are_named(
    law: SimpleNamespace, evidence_of: Callable[..., Evidence]
) -> None:
    evidence = evidence_of(1, (3000, 2000, 3000))
    frame = evidence.synthetic.frame
    income = frame["income"]
    changes = {
        "missing cells of 'age'": {"age": frame["age"].fillna(40.0)},
        "the label 'nurse' of 'trade'": {"trade": frame["trade"].where(frame["trade"] != "nurse", "clerk")},
        "the lowest hundredth of 'income'": {"income": income.clip(income.quantile(0.015), None)},
        "the highest hundredth of 'income'": {"income": income.clip(None, income.quantile(0.985))},
    }
    for value, change in changes.items():
        found = lost(replace(evidence, synthetic=law.changed(evidence.synthetic, **change)))
        assert found.status is Status.FAIL
        assert found.detail["value"] == value


def test_one_row_again_and_again_is_found(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(2, (2000, 1500, 2000))
    frame = pd.concat([evidence.synthetic.frame.iloc[60:], evidence.train.frame.iloc[[7] * 60]], ignore_index=True)
    found = lost(replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)))
    assert found.status is Status.FAIL
    assert found.detail["value"] == "one and the same row"


def test_every_row_twice_is_refused(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(3)
    frame = pd.concat([evidence.synthetic.frame.iloc[:250]] * 2, ignore_index=True)
    (found,) = repeats(replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)), stream(0, "rows"))
    assert found.status is Status.FAIL
    assert found.value is not None
    assert found.value > 0.95


def test_the_error_of_twins_covers_their_spread() -> None:
    for kinds in (20, 500, 3000):
        rng = stream(kinds, "twins")
        found = np.array([twins(rng.integers(0, kinds, 1000)) for _ in range(200)])
        assert found[:, 0].std() <= found[:, 1].mean()
