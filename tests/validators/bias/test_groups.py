"""Who is counted with whom."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from validators.bias.groups import MISSING, RARE, crossings, groupings
from validators.evidence import Evidence


def protecting(evidence_of: Callable[..., Evidence], law: SimpleNamespace, **kinds: Any) -> Any:
    schema = law.schema
    for name, changes in kinds.items():
        schema = schema.with_column(name, role="protected", **changes)
    evidence = evidence_of(1)
    parts = {
        name: Dataset(frame=getattr(evidence, name).frame, schema=schema) for name in ("train", "holdout", "synthetic")
    }
    return replace(evidence, schema=schema, **parts)


def test_labels_numbers_truths_and_missing_cells_make_groups(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    found = {one.name: one for one in groupings(protecting(evidence_of, law, age={}, member={}, trade={}, since={}))}
    assert found["group"].labels == ("a", "b", "c")
    assert found["age"].labels == ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter", MISSING)
    assert set(found["member"].labels) == {"true", "false"}
    assert MISSING in found["trade"].labels
    assert len(found["since"].labels) == 4
    for one in found.values():
        real, synthetic = one.counts()
        assert real.sum() == 1000
        assert synthetic.sum() == 500


def test_quarters_hold_a_quarter_each_and_bins_are_the_authors(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    quarters = groupings(protecting(evidence_of, law, since={}))[1]
    assert (np.abs(quarters.counts()[0] / 1000 - 0.25) < 0.02).all()
    bins = next(one for one in groupings(protecting(evidence_of, law, age={"bins": (30.0, 60.0)})) if one.name == "age")
    assert bins.labels == ("up to 30", "30 to 60", "above 60", MISSING)
    assert bins.detail == {}


def test_rare_labels_are_pooled_and_new_ones_are_no_group(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    evidence = evidence_of(1)
    labels = np.array(["a"] * 990 + [f"rare{i}" for i in range(10)], dtype=object)
    train = law.changed(law.draw(1000, 5), group=labels)
    new = law.changed(law.draw(100, 6), group=np.array(["a"] * 60 + ["new"] * 40, dtype=object))
    (found,) = groupings(replace(evidence, train=train, holdout=None, synthetic=new))
    assert found.labels == ("a", RARE)
    assert found.counts()[1].tolist() == [60, 0]
    assert (found.synthetic == -1).sum() == 40


def test_crossings_are_the_cross_table(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = protecting(evidence_of, law, member={})
    single = {one.name: one for one in groupings(evidence)}
    (cross,) = crossings(list(single.values()))
    real = pd.concat([evidence.train.frame, evidence.holdout.frame])
    naive = real.groupby(["group", real["member"].astype(str).str.lower()]).size()
    counts = dict(zip(cross.labels, cross.counts()[0].tolist(), strict=True))
    assert counts == {f"{group} × {member}": n for (group, member), n in naive.items()}
