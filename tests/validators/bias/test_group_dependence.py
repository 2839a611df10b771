"""Relations within groups: fresh rows pass, a group of shuffled or averaged rows does not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.group_dependence import group_dependence
from validators.evidence import Evidence
from validators.measurement import Measurement, Status

SIZES = (2000, 2000, 2000)


def judge(evidence: Evidence) -> Measurement:
    return group_dependence(evidence, stream(0, "groups"))[0]


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(10):
        assert judge(evidence_of(seed, SIZES)).status is Status.PASS


@pytest.mark.parametrize("how", ["shuffled", "averaged"])
def test_a_spoilt_group_is_named(evidence_of: Callable[..., Evidence], how: str) -> None:
    evidence = evidence_of(1, SIZES)
    frame = evidence.synthetic.frame.copy()
    rows = np.flatnonzero((frame["group"] == "c").to_numpy())
    rng = stream(1, how)
    for name in frame.columns.drop("group"):
        cells = frame[name].iloc[rows]
        order = (
            rng.permutation(len(rows)) if how == "shuffled" else np.full(len(rows), cells.notna().to_numpy().argmax())
        )
        frame.iloc[rows, frame.columns.get_loc(name)] = cells.iloc[order].array
    found = judge(replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)))
    assert found.status is Status.FAIL
    assert found.detail["group"] == "group=c"
