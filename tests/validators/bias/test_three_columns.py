"""Combinations of three protected columns are judged where single columns and pairs show nothing."""

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.bias.groups import RARE, crossings, groupings, together
from validators.bias.outcome import outcome
from validators.bias.representation import representation
from validators.evidence import Evidence
from validators.measurement import Measurement, Status
from validators.policy import Policy

NAMES = ("sex", "born", "faith")
SCHEMA = Schema(
    columns=(
        *(Column(name=name, kind="categorical", role="protected") for name in NAMES),
        Column(name="hired", kind="categorical", role="target", positive="yes"),
    )
)


def people(rows: int, seed: int, *, kept: float = 1.0, lifted: float = 0.0) -> Dataset:
    """Return independent fair coins; of rows of odd parity the part `kept`, their outcome likelier by `lifted`.

    Whatever the two are, every column and every pair of columns has the law of the coins.
    """
    rng = stream(seed, "coins")
    coins = rng.integers(0, 2, (rows, 3))
    odd = coins.sum(axis=1) % 2 == 1
    coins[:, 2] ^= (odd & (rng.random(rows) >= kept)).astype(np.int64)
    odd = coins.sum(axis=1) % 2 == 1
    hired = rng.random(rows) < 0.5 + np.where(odd, lifted, -lifted)
    frame = pd.DataFrame({name: np.array(["a", "b"], dtype=object)[coins[:, i]] for i, name in enumerate(NAMES)})
    return Dataset(frame=frame.assign(hired=np.where(hired, "yes", "no").astype(object)), schema=SCHEMA)


def evidence(synthetic: Dataset) -> Evidence:
    policy = Policy.preset("standard")
    return Evidence(train=people(2_000, 1), holdout=people(1_000, 2), synthetic=synthetic, schema=SCHEMA, policy=policy)


def measured(given: Evidence) -> dict[str, Measurement]:
    return {m.name: m for check in (representation, outcome) for m in check(given, stream(0, "unused"))}


@pytest.mark.parametrize("seed", range(5))
def test_fresh_rows_pass(seed: int) -> None:
    found = measured(evidence(people(2_000, 10 + seed)))
    assert {found[name].status for name in ("group_loss", "outcome_shift")} == {Status.PASS}


def test_a_combination_of_three_that_is_gone_is_refused_though_every_pair_is_there() -> None:
    found = measured(evidence(people(2_000, 3, kept=0.2)))["group_loss"]
    assert found.status is Status.FAIL
    assert found.detail["group"].startswith("sex × born × faith=")


def test_an_outcome_that_moved_in_combinations_of_three_alone_is_refused() -> None:
    found = measured(evidence(people(2_000, 4, lifted=0.2)))
    assert found["group_loss"].status is Status.PASS
    assert found["outcome_shift"].status is Status.FAIL
    assert found["outcome_shift"].detail["group"].startswith("sex × born × faith=")


def test_the_groups_of_three_columns_are_the_cross_table() -> None:
    given = evidence(people(500, 5))
    (cross,) = crossings(groupings(given), 3)
    real = pd.concat([given.train.frame, given.holdout.frame if given.holdout else None])
    naive = {" × ".join(key): n for key, n in real.groupby(list(NAMES)).size().items()}
    assert dict(zip(cross.labels, cross.counts()[0].tolist(), strict=True)) == naive
    assert cross.counts()[1].sum() == 500


def test_small_combinations_are_one_group_and_two_columns_have_no_three() -> None:
    given = evidence(people(160, 6))  # twenty synthetic rows are expected of each of eight
    single = groupings(given)
    (pairs, of_pairs), (threes, of_threes) = together(single, single_weight=0.8, least_expected=30)
    assert len(pairs) == 3
    assert threes[0].labels == (RARE,)
    assert of_pairs == of_threes == pytest.approx(0.1)
    assert [weight for _, weight in together(single[:2], single_weight=0.8, least_expected=30)] == pytest.approx([0.2])
    assert together(single[:1], single_weight=0.8, least_expected=30) == []
