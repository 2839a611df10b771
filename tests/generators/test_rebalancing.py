"""Rows under a stated law: exact counts from families that condition and that do not, and nothing else moved."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
import torch

from generators import rebalancing
from generators.base import Budget, GeneratorInputError, Synthesizer, ignore_step
from generators.rebalancing import sample_rebalanced
from generators.registry import SYNTHESIZERS
from sources.dataset import Dataset
from sources.schema import Column, Schema
from sources.targets import EqualRates, Targets, broken_targets

FITS = {
    "tabular.autoregressive": ({"width": 48, "hidden": 96, "depth": 2, "batch_size": 256, "correct": False}, 150),
    "tabular.vae": ({"width": 32, "hidden": 32, "latent": 4, "components": 8}, 60),
}
SHARES = Targets(shares={"income": {"high": 0.5}, "race": {"b": 0.3}})
EQUAL = Targets(equal_rates=EqualRates(outcome="income", labels=("high",), over=("sex", "race")))
BOTH = Targets(shares={"income": {"high": 0.4}, "sex": {"f": 0.5}}, equal_rates=EQUAL.equal_rates)
N = 1_001


def train() -> Dataset:
    rng = np.random.default_rng(5)
    n = 2_500
    sex, race = rng.choice(["f", "m"], n, p=[0.35, 0.65]), rng.choice(["w", "b"], n, p=[0.8, 0.2])
    high = rng.random(n) < np.where(sex == "m", 0.35, 0.15)
    wage = np.round(rng.normal(np.where(high, 4.0, 1.0), 1.0), 2)
    ids = pd.Series([f"P{number // 2:05d}" for number in range(n)])
    columns = {"who": ids, "sex": sex, "race": race, "income": np.where(high, "high", "low")}
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in columns.items()}).assign(wage=wage)
    kinds = {"who": "id", "wage": "numeric"}
    schema = Schema(
        columns=tuple(Column(name=name, kind=kinds.get(name, "categorical")) for name in frame)  # type: ignore[arg-type]
    )
    return Dataset(frame=frame, schema=schema)


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Synthesizer]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {}
    for name, (options, steps) in FITS.items():
        family = SYNTHESIZERS[name]
        found[name] = family.build(family.config(**options))
        folder = tmp_path_factory.mktemp(name)
        found[name].fit(train(), seed=1, budget=Budget(steps=steps), run_dir=folder, on_step=ignore_step)
    yield found
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebalancing, "LAW_ROWS", 2_000)


@pytest.mark.parametrize("name", list(FITS))
@pytest.mark.parametrize("targets", [SHARES, EQUAL, BOTH], ids=["shares", "equal rates", "both"])
def test_what_is_stated_is_exact_and_the_same_seed_gives_the_same_rows(
    fits: dict[str, Synthesizer], name: str, targets: Targets
) -> None:
    def drawn(seed: int) -> pd.DataFrame:
        conditions = SYNTHESIZERS[name].conditions
        return sample_rebalanced(fits[name], N, seed=seed, targets=targets, conditions=conditions).frame

    frame = drawn(3)
    assert len(frame) == N
    assert all(kept for _, kept in broken_targets(frame, targets))
    for column, shares in targets.shares.items():
        for label, share in shares.items():
            assert abs((frame[column] == label).sum() - share * N) <= 1
    assert frame["who"].nunique() == pytest.approx(N / 2, abs=2)  # as many rows an id as in the source
    assert list(frame.columns) == list(train().schema.names)
    assert not frame["income"].is_monotonic_decreasing  # the order of rows says nothing of what was asked for
    pd.testing.assert_frame_equal(frame, drawn(3))
    assert not frame.equals(drawn(4))


@pytest.mark.parametrize("name", list(FITS))
def test_everything_else_given_the_asked_columns_is_the_models_own(fits: dict[str, Synthesizer], name: str) -> None:
    """The wage within each outcome, before and after: five standard errors of a difference."""
    own = fits[name].sample(4_000, seed=1).frame
    conditions = SYNTHESIZERS[name].conditions
    asked = sample_rebalanced(
        fits[name], 4_000, seed=2, targets=Targets(shares={"income": {"high": 0.6}}), conditions=conditions
    ).frame
    for label in ("high", "low"):
        a, b = own["wage"][own["income"] == label], asked["wage"][asked["income"] == label]
        assert abs(a.mean() - b.mean()) < 5 * a.std() * np.sqrt(1 / len(a) + 1 / len(b))


def test_a_label_that_the_model_does_not_draw_and_a_pool_that_cannot_serve_are_said(
    fits: dict[str, Synthesizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Targets(shares={"income": {"higher": 0.5}})
    for name in FITS:
        with pytest.raises(GeneratorInputError, match="does not draw income = higher"):
            sample_rebalanced(fits[name], 10, seed=1, targets=wrong, conditions=SYNTHESIZERS[name].conditions)
    monkeypatch.setattr(rebalancing, "MOST_POOLS", 1)
    monkeypatch.setattr(rebalancing, "LAW_ROWS", 500)
    with pytest.raises(GeneratorInputError, match="too few rows of what is asked for") as refusal:
        sample_rebalanced(fits["tabular.vae"], 500, seed=1, targets=SHARES, conditions=False)
    assert "after 500 were drawn" in str(refusal.value)


def test_no_rows_are_no_rows(fits: dict[str, Synthesizer]) -> None:
    for name in FITS:
        assert len(sample_rebalanced(fits[name], 0, seed=1, targets=EQUAL, conditions=name in FITS)) == 0
