"""`tabular.autoregressive`, beyond what every synthesizer must do: exact conditioning, rare labels, derived columns."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from generators.base import Budget, FitReport, GeneratorInputError, ignore_step
from generators.tabular import autoregressive, masked
from generators.tabular.autoregressive import Autoregressive, Config, build
from generators.tabular.density_ratio import MIN_STEPS_CORRECTED
from generators.tabular.masked_objective import MaskedObjective
from sources.dataset import Dataset
from sources.schema import Column, Schema

N = 3_000
SMALL = Config(width=64, hidden=128, depth=2, batch_size=256, fall_back=False)  # test_fall_back.py is about the rest


def law(n: int, *, seed: int) -> Dataset:
    """A town decides its country; answer depends on town, amount on answer; some towns are rare."""
    rng = np.random.default_rng(seed)
    town = rng.choice(5, size=n, p=[0.4, 0.3, 0.15, 0.145, 0.005])
    answer = rng.random(n) < np.array([0.1, 0.9, 0.3, 0.6, 0.5])[town]
    names = np.array(["Brno", "Oslo", "Praha", "Bergen", "rare"], dtype=object)[town]
    names[town == 4] = [f"rare-{number}" for number in range((town == 4).sum())]
    country = np.array(["cz", "no", "cz", "no", "cz"], dtype=object)[town]
    frame = pd.DataFrame(
        {
            "town": pd.Series(names, dtype=object),
            "country": pd.Series(country, dtype=object),
            "answer": pd.Series(answer, dtype="boolean"),
            "amount": np.round(rng.normal(np.where(answer, 3.0, 0.0), 1.0), 3),
        }
    )
    columns = (
        Column(name="town", kind="categorical"),
        Column(name="country", kind="categorical"),
        Column(name="answer", kind="boolean"),
        Column(name="amount", kind="numeric", decimals=3),
    )
    return Dataset(frame=frame, schema=Schema(columns=columns))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Autoregressive, FitReport]:
    torch.set_num_threads(1)
    model = build(SMALL)
    run_dir = tmp_path_factory.mktemp("run")
    report = model.fit(law(N, seed=1), seed=7, budget=Budget(steps=400), run_dir=run_dir, on_step=ignore_step)
    return model, report


def test_learns_conditional_shares_to_what_the_rows_can_tell(fitted: tuple[Autoregressive, FitReport]) -> None:
    """Each share is that of n rows learnt, of n drawn: its error is sqrt(2 p (1 - p) / n), of which 6 are allowed."""
    frame = fitted[0].sample(N, seed=3).frame
    for town, share in (("Brno", 0.1), ("Oslo", 0.9), ("Praha", 0.3), ("Bergen", 0.6)):
        answers = frame["answer"][frame["town"] == town]
        assert abs(answers.mean() - share) < 6 * np.sqrt(2 * share * (1 - share) / len(answers))
    for answer, mean in ((True, 3.0), (False, 0.0)):
        amounts = frame["amount"][frame["answer"] == answer]
        assert abs(amounts.mean() - mean) < 6 * np.sqrt(2 / len(amounts))


def test_derived_column_never_contradicts_and_rare_labels_never_appear(
    fitted: tuple[Autoregressive, FitReport],
) -> None:
    model, report = fitted
    frame = model.sample(20_000, seed=4).frame
    assert set(zip(frame["town"], frame["country"], strict=True)) == {
        ("Brno", "cz"),
        ("Praha", "cz"),
        ("Oslo", "no"),
        ("Bergen", "no"),
    }
    assert any("never emitted" in note for note in report.notes)


def test_given_columns_come_back_verbatim_and_condition_the_rest(fitted: tuple[Autoregressive, FitReport]) -> None:
    model, _ = fitted
    n = 4_000
    given = pd.DataFrame({"amount": np.where(np.arange(n) % 2 == 0, 4.2421, -1.2421)})
    frame = model.sample(n, seed=5, given=given).frame
    assert frame["amount"].tolist() == given["amount"].tolist()
    shares = frame["answer"].astype(bool).groupby(frame["amount"]).mean()
    # Bayes' rule for the law above: 3 standard deviations apart, so answers are all but certain.
    assert shares[4.2421] > 0.92
    assert shares[-1.2421] < 0.08


def test_given_a_derived_column_only_what_allows_it_is_drawn(fitted: tuple[Autoregressive, FitReport]) -> None:
    model, _ = fitted
    given = pd.DataFrame({"country": pd.Series(["no", "cz"] * 1_000, dtype=object)})
    frame = model.sample(2_000, seed=6, given=given).frame
    assert frame["country"].equals(given["country"])
    assert frame["town"][frame["country"] == "no"].isin(["Oslo", "Bergen"]).all()
    share = (frame["town"][frame["country"] == "no"] == "Oslo").mean()
    assert stats.binomtest(round(share * 1_000), 1_000, 0.3 / 0.445).pvalue > 1e-6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tawn": ["Brno"]}, r'no such column \(did you mean "town"\?\)'),
        ({"town": ["Brno", "Oslo"]}, "one row is needed"),
        ({"country": ["atlantis"]}, "does not show"),
    ],
)
def test_given_that_cannot_be_is_said(
    fitted: tuple[Autoregressive, FitReport], given: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(GeneratorInputError, match=message):
        fitted[0].sample(1, seed=1, given=pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in given.items()}))


def test_given_cells_that_a_constant_column_never_had_are_refused(tmp_path: Path) -> None:
    n = 40
    frame = {
        "same": pd.Series(["here"] * n, dtype=object),
        "x": np.arange(n) % 2.0,
        "who": pd.Series([f"P{row:03d}" for row in range(n)], dtype=object),
    }
    columns = (
        Column(name="same", kind="categorical"),
        Column(name="x", kind="numeric", integer=True),
        Column(name="who", kind="id"),
    )
    model = build(Config())
    train = Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns))
    model.fit(train, seed=1, budget=Budget(steps=2), run_dir=tmp_path, on_step=ignore_step)
    kept = pd.DataFrame({"same": pd.Series(["here"], dtype=object), "who": pd.Series(["me"], dtype=object)})
    assert model.sample(1, seed=1, given=kept).frame[["same", "who"]].equals(kept)
    for cell in ("elsewhere", None):
        with pytest.raises(GeneratorInputError, match="does not show") as refusal:
            model.sample(1, seed=1, given=pd.DataFrame({"same": pd.Series([cell], dtype=object)}))
        assert "elsewhere" not in str(refusal.value)
    with pytest.raises(GeneratorInputError, match="does not show"):
        model.sample(1, seed=1, given=pd.DataFrame({"x": [np.nan]}))


def test_a_fit_of_other_entities_does_not_go_on_from_the_checkpoint(tmp_path: Path) -> None:
    """Who belongs together decides which rows are held out, though ids have no token."""
    n = 200
    columns = (Column(name="who", kind="id"), Column(name="x", kind="numeric", integer=True))
    best = []
    for owners in (np.arange(n) // 2, np.roll(np.arange(n) // 2, 1)):
        frame = pd.DataFrame({"who": pd.Series(owners.astype(str), dtype=object), "x": np.arange(n) % 3.0})
        train = Dataset(frame=frame, schema=Schema(columns=columns, entity_key="who"))
        seen: list[int] = []
        model = build(Config())
        model.fit(
            train,
            seed=1,
            budget=Budget(steps=3),
            run_dir=tmp_path,
            on_step=lambda metrics, seen=seen: seen.append(metrics["step"]),
        )
        best.append(seen)
    assert all(best)  # the second fit trained too


@pytest.mark.parametrize(
    "field", [{"dropout": 1.0}, {"width": 0}, {"prefix_share": 1.5}, {"weight_decay": -1.0}, {"validation_share": 1.0}]
)
def test_a_number_that_means_nothing_is_refused_by_name(field: dict[str, Any]) -> None:
    with pytest.raises(GeneratorInputError, match=next(iter(field))):
        Config(**field)


def test_more_rows_than_one_piece_are_drawn_and_marginals_are_stratified(
    fitted: tuple[Autoregressive, FitReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = fitted
    whole = model.sample(5_000, seed=8).frame
    train = law(N, seed=1).frame["town"].value_counts(normalize=True)
    first = whole["town"].value_counts(normalize=True)
    # The learnt share has the error of N rows; the draw adds none, so 5 of them are a false alarm rate below 1e-5.
    for town in ("Brno", "Oslo"):
        assert abs(first[town] - train[town]) < 5 * np.sqrt(train[town] * (1 - train[town]) / N)
    monkeypatch.setattr(masked, "SAMPLE_ROWS", 700)
    pieces = model.sample(5_000, seed=8).frame
    assert (pieces["town"] == whole["town"]).mean() > 0.99  # other batch sizes round differently


def test_validation_is_the_exact_likelihood_in_sampling_order(fitted: tuple[Autoregressive, FitReport]) -> None:
    """Against the same sum by single conditionals."""
    state = fitted[0]._fitted
    assert state is not None
    assert state.network is not None
    tokens = state.codec.tokens
    rows = torch.from_numpy(state.codec.encode(law(40, seed=9).frame)).long().clamp(min=0)
    objective = MaskedObjective(state.network, tokens, state.order, prefix_share=0.8, next_weight=0.5)
    with torch.no_grad():
        total = 0.0
        for step, place in enumerate(state.order):
            seen = torch.tensor([token.size for token in tokens]).repeat(len(rows), 1)
            for earlier in state.order[:step]:
                seen[:, earlier] = rows[:, earlier]
            start = sum(token.size for token in tokens[:place])
            logits = state.network(seen)[:, start : start + tokens[place].size]
            total += float(torch.nn.functional.cross_entropy(logits, rows[:, place]))
        assert float(objective.nats_per_row(rows, torch.Generator())) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize(("steps", "corrected"), [(MIN_STEPS_CORRECTED - 1, False), (MIN_STEPS_CORRECTED, True)])
def test_draws_are_corrected_once_the_network_has_learnt_for_some_steps(
    tmp_path: Path, *, steps: int, corrected: bool
) -> None:
    config = Config(device="cpu", width=8, hidden=8, depth=1, batch_size=32, learning_rate=1e-5, fall_back=False)
    synthesizer = build(config)
    train = law(5_500, seed=3)
    synthesizer.fit(train, seed=0, budget=Budget(steps=steps), run_dir=tmp_path, on_step=ignore_step)
    assert (synthesizer.fitted.ratio is not None) == corrected


@pytest.mark.parametrize("precision", ["float32", "bfloat16 autocast"])
def test_a_loaded_model_samples_in_the_precision_it_was_fitted_in(tmp_path: Path, precision: str) -> None:
    model = build(replace(SMALL, precision=precision, device="cpu"))
    report = model.fit(law(300, seed=1), seed=1, budget=Budget(steps=5), run_dir=tmp_path / "run", on_step=ignore_step)
    assert report.precision == precision
    model.save(tmp_path / "model")
    loaded = autoregressive.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.sample(200, seed=2).frame, model.sample(200, seed=2).frame)


def test_a_model_from_a_version_that_kept_less_is_refused_in_words(tmp_path: Path) -> None:
    model = build(replace(SMALL, device="cpu"))
    model.fit(law(300, seed=1), seed=1, budget=Budget(steps=2), run_dir=tmp_path / "run", on_step=ignore_step)
    model.save(tmp_path / "model")
    state = json.loads((tmp_path / "model" / "model.json").read_text())
    del state["codec"]["derivable"]
    (tmp_path / "model" / "model.json").write_text(json.dumps(state))
    with pytest.raises(GeneratorInputError, match="lacks a part"):
        autoregressive.load(tmp_path / "model")


def test_importing_it_needs_no_more_than_the_science_stack() -> None:
    heavy = ("sdv", "prefect", "great_expectations", "pydantic", "typer", "pyarrow", "fsspec", "sqlalchemy", "yaml")
    script = (
        "import sys, importlib.abc\n"
        f"heavy = {heavy!r}\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name.split('.')[0] in heavy:\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import generators.tabular.autoregressive\n"
        "assert not set(heavy) & set(sys.modules)\n"
    )
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_fresh_rows_are_as_likely_as_those_that_ended_the_training_and_to_the_saved_model_too(
    fitted: tuple[Autoregressive, FitReport], tmp_path: Path
) -> None:
    """A tenth of the rows gave the best validation loss by another way; 4 standard errors of both means are allowed."""
    model, report = fitted
    frame = law(N, seed=5).frame
    nats = model.row_nats(frame)
    assert report.best is not None
    assert abs(nats.mean() - report.best) < 4 * nats.std() * np.sqrt(1 / N + 10 / N)
    shuffled = frame.assign(answer=np.random.default_rng(1).permutation(frame["answer"]))
    assert model.row_nats(shuffled).mean() > nats.mean() + 1  # the answer goes with town and amount
    model.save(tmp_path / "model")
    np.testing.assert_allclose(autoregressive.likelihood(tmp_path / "model")(frame), nats, rtol=1e-5)


def test_a_row_that_no_draw_can_be_is_infinitely_unlikely(fitted: tuple[Autoregressive, FitReport]) -> None:
    frame = law(50, seed=6).frame
    frame.loc[3, "answer"] = pd.NA  # no training row lacks it
    assert np.flatnonzero(np.isinf(fitted[0].row_nats(frame))).tolist() == [3]
