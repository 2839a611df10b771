import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from generators.base import Budget, Family, ignore_step
from generators.registry import SYNTHESIZERS
from generators.tabular.codec import Token
from generators.tabular.density_ratio import CANDIDATES, MIN_STEPS_CORRECTED, DensityRatio, fit_density_ratio
from sources.conform import conform
from sources.inference import infer_schema
from sources.randomness import stream

SIZE = 6
TOKENS = tuple(
    Token(column=name, level="coarse", size=SIZE, parent=None, emit=np.ones(SIZE, dtype=bool), valid=None, ranks=None)
    for name in "ab"
)


def tied(n: int) -> np.ndarray:
    """Return int64 N 2: even values, equal in three rows of four."""
    rng = stream(0, "tied")
    rows = rng.integers(0, SIZE, (n, 2))
    rows[: 3 * n // 4, 1] = rows[: 3 * n // 4, 0]
    return rng.permutation(rows)


def independent(n: int, seed: int) -> np.ndarray:
    return stream(seed, "independent").integers(0, SIZE, (n, 2))


@pytest.fixture(scope="module")
def ratio() -> DensityRatio:
    train = tied(6000)
    found = fit_density_ratio(independent, train, np.zeros(len(train), dtype=bool), TOKENS, seed=1)
    assert found is not None
    return found


def agreeing(rows: np.ndarray) -> float:
    return float((rows[:, 0] == rows[:, 1]).mean())


def test_kept_rows_follow_the_training_law(ratio: DensityRatio) -> None:
    rows = ratio.draw(independent, 4000, seed=2)
    assert rows.shape == (4000, 2)
    assert ratio.draw(independent, 0, seed=2).shape == (0, 2)
    assert agreeing(independent(4000, 2)) < 0.2
    assert agreeing(rows) == pytest.approx(agreeing(tied(6000)), abs=0.05)
    assert np.bincount(rows[:, 0], minlength=SIZE) / 4000 == pytest.approx(1 / SIZE, abs=0.03)


def test_rows_given_in_part_follow_it_more_closely(ratio: DensityRatio) -> None:
    given = np.arange(SIZE).repeat(300)
    candidates = independent(len(given) * CANDIDATES, 3)
    candidates[:, 0] = given.repeat(CANDIDATES)
    rows = ratio.choose(candidates, seed=4)
    assert np.array_equal(rows[:, 0], given)
    assert agreeing(rows) > 2 * agreeing(candidates)


def test_nothing_is_corrected_where_nothing_differs() -> None:
    train = independent(6000, 5)
    found = fit_density_ratio(independent, train, np.zeros(len(train), dtype=bool), TOKENS, seed=1)
    assert found is None or found.kept > 0.8


def test_few_rows_correct_nothing() -> None:
    train = tied(4900)
    assert fit_density_ratio(independent, train, np.zeros(len(train), dtype=bool), TOKENS, seed=1) is None


def test_labels_that_are_never_drawn_do_not_count_as_a_difference() -> None:
    emit = np.arange(SIZE) < SIZE - 1
    pooled = tuple(
        Token(column=name, level="coarse", size=SIZE, parent=None, emit=emit, valid=None, ranks=None) for name in "ab"
    )
    train = independent(9000, 5)

    def drawn(n: int, seed: int) -> np.ndarray:
        rows = independent(3 * n, seed)
        return rows[(rows < SIZE - 1).all(axis=1)][:n]

    found = fit_density_ratio(drawn, train, np.zeros(len(train), dtype=bool), pooled, seed=1)
    assert found is None or found.kept > 0.8


@pytest.mark.parametrize("name", ["tabular.autoregressive", "tabular.vae"])
def test_a_loaded_model_corrects_as_the_saved_one(name: str, tmp_path: Path) -> None:
    rng = stream(0, "frame")
    x = rng.normal(size=5100)
    train = pd.DataFrame({"x": x, "y": np.abs(x) + rng.normal(size=5100) * 0.05, "c": rng.choice(list("uvw"), 5100)})
    family: Family = SYNTHESIZERS[name]
    synthesizer = family.build(family.config(width=16, hidden=16, batch_size=64))
    dataset, budget = conform(train, infer_schema(train)), Budget(steps=MIN_STEPS_CORRECTED)
    synthesizer.fit(dataset, seed=1, budget=budget, run_dir=tmp_path / "run", on_step=ignore_step)
    synthesizer.save(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "model.json").read_text())["extra"]["ratio"] is not None
    saved = synthesizer.sample(700, seed=3).frame
    pd.testing.assert_frame_equal(saved, family.load(tmp_path / "model").sample(700, seed=3).frame)
