"""k-way accuracy against a naive count, and its standard error against repeated samples."""

from collections import Counter
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from sources.randomness import stream
from validators.fidelity import kway as room
from validators.fidelity.kway import column_sets, kway, shortfall_of
from validators.fidelity.sides import sides_of
from validators.measurement import Status


def naive_tv(first: np.ndarray, second: np.ndarray) -> float:
    p, q = Counter(map(tuple, first.tolist())), Counter(map(tuple, second.tolist()))
    return 0.5 * sum(abs(p[cell] / len(first) - q[cell] / len(second)) for cell in p.keys() | q.keys())


@pytest.mark.parametrize("k", [1, 2, 3])
def test_total_variation_is_that_of_a_naive_count(evidence_of, k: int) -> None:  # noqa: ANN001
    sides = sides_of(evidence_of(sizes=(300, 150, 320)), stream(1, "sides"))
    sets = column_sets(len(sides.columns), k, stream(1, "sets"))
    shortfall = shortfall_of(sides, sets)
    for at, columns in enumerate(sets):
        train = sides.train.cells[:, columns]
        chunks = [sides.synthetic.cells[start : start + 150, columns] for start in (0, 150)]
        assert shortfall.synthetic[at] == pytest.approx(np.mean([naive_tv(chunk, train) for chunk in chunks]))
        assert shortfall.holdout[at] == pytest.approx(naive_tv(sides.holdout.cells[:, columns], train))


def test_a_replicate_is_the_value_without_its_group(evidence_of) -> None:  # noqa: ANN001
    sides = sides_of(evidence_of(sizes=(200, 160, 160)), stream(1, "sides"))
    sets = np.array([[0, 2]])
    kept = np.arange(160) % room.NUM_GROUPS != 3
    expected = naive_tv(sides.synthetic.cells[kept][:, [0, 2]], sides.train.cells[:, [0, 2]])
    assert shortfall_of(sides, sets).without_synthetic[0, 0, 3] == pytest.approx(expected)


def test_the_standard_error_is_near_that_of_repeated_samples_and_not_below(evidence_of) -> None:  # noqa: ANN001
    values, ses = [], []
    for seed in range(40):
        sides = sides_of(evidence_of(seed=seed, sizes=(400, 300, 300)), stream(seed, "sides"))
        shortfall = shortfall_of(sides, column_sets(len(sides.columns), 2, stream(seed, "sets")))
        values.append(shortfall.excess.mean())
        ses.append(np.sqrt(shortfall.variance(of_mean=True)))
    spread = np.std(values)
    assert abs(np.mean(values)) < 4 * spread / np.sqrt(40)
    assert 0.8 * spread < np.mean(ses) < 2.5 * spread


def test_column_sets_are_all_of_them_or_a_draw_without_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    assert column_sets(5, 2, stream(1, "sets")).tolist() == [list(pair) for pair in combinations(range(5), 2)]
    monkeypatch.setitem(room.MAX_SETS, 3, 40)
    for num_columns in (9, 200):
        sets = column_sets(num_columns, 3, stream(1, "sets"))
        assert len({tuple(columns) for columns in sets.tolist()}) == 40
        assert (np.diff(sets, axis=1) > 0).all()
        assert sets.max() < num_columns


def test_a_spoilt_column_is_named_and_copies_stand_above_the_ceiling(evidence_of, law: SimpleNamespace) -> None:  # noqa: ANN001
    synthetic = law.draw(900, 77)
    spoilt = law.changed(synthetic, income=synthetic.frame["income"] * 1000)
    evidence = evidence_of(sizes=(900, 900, 900))
    worst = {m.name: m for m in kway(evidence_of(sizes=(900, 900, 900), synthetic=spoilt), stream(1, "k"))}
    assert worst["column_shape"].status is Status.FAIL
    assert "'income'" in worst["column_shape"].reading
    copies = {m.name: m for m in kway(evidence_of(sizes=(900, 900, 900), synthetic=evidence.train), stream(1, "k"))}
    assert copies["kway_2"].high is not None
    assert copies["kway_2"].high < 0
    assert "Above that ceiling" in copies["kway_2"].reading
