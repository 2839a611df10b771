"""The adapters of SDV's CTGAN, TVAE and CopulaGAN beyond the conformance suite."""

import dataclasses
import importlib
import io
import math
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy import stats

from generators.base import Budget, Diverged, GeneratorError, GeneratorInputError, ignore_step
from generators.registry import SYNTHESIZERS
from generators.sdv import copulagan, ctgan, network, tvae
from generators.sdv.learnt import LABEL_SHARES, Learnt, Sampler, drawn, learnt_by, normalizers_of
from generators.sdv.library import alone
from generators.sdv.network import Kind, Network
from generators.sdv.unit_interval import encode
from generators.sdv.watch import Watch
from sources.dataset import Dataset
from sources.schema import Column, Schema

KINDS = (ctgan.KIND, tvae.KIND, copulagan.KIND)
SMALL: Mapping[str, Mapping[str, Any]] = {
    "sdv.ctgan": {"batch_size": 40, "generator_dim": (16,), "discriminator_dim": (16,)},
    "sdv.tvae": {"batch_size": 40, "compress_dims": (16,), "decompress_dims": (16,)},
    "sdv.copulagan": {"batch_size": 40, "generator_dim": (16,), "discriminator_dim": (16,)},
}


def letters(values: np.ndarray) -> pd.Series:
    return pd.Series(values.astype(object), dtype=object)


def labelled(n: int, *, seed: int) -> Dataset:
    """A number and a label that go together."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["a", "b"], size=n)
    frame = pd.DataFrame({"x": rng.normal(size=n) + 4 * (label == "b"), "c": letters(label)})
    return Dataset(frame=frame, schema=Schema(columns=(Column(name="x", kind="numeric"), categorical("c"))))


def categorical(name: str) -> Column:
    return Column(name=name, kind="categorical")


def small(kind: Kind, **options: Any) -> Network:
    return Network(kind, kind.config(**{**SMALL[kind.name], **options}))


def fitted(synthesizer: Network, train: Dataset, folder: Path, *, steps: int, seed: int = 3) -> Network:
    synthesizer.fit(train, seed=seed, budget=Budget(steps=steps), run_dir=folder, on_step=ignore_step)
    return synthesizer


def by_sdv_alone(synthesizer: Network, encoded: pd.DataFrame, *, epochs: int) -> Any:
    """What SDV makes of the encoded rows when its own `fit` comes to its own end."""
    with alone(11):
        peer = synthesizer._new(encoded, epochs=epochs)
        with redirect_stdout(io.StringIO()):
            peer.fit({"t": encoded})
    return peer


def learnt_of(synthesizer: Network, peer: Any) -> Learnt:
    layers = getattr(synthesizer.config, synthesizer.kind.layers)
    settings = {"embedding_dim": synthesizer.config.embedding_dim, "batch_size": synthesizer.config.batch_size}
    return learnt_by(peer, gan=synthesizer.kind.gan, settings=settings | {"layers": layers})


# ---------------------------------------------------------------------- what is taken out of SDV


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_taken_out_samples_as_sdv_does_and_a_fit_ends_where_sdv_s_own_does(kind: Kind) -> None:
    """100 rows are two of CTGAN's batches of 40 (the rest is left out) and three of TVAE's."""
    synthesizer = small(kind)
    encoded, _, _ = encode(labelled(100, seed=1), 5, seed=1, discrete=True)
    peer = by_sdv_alone(synthesizer, encoded, epochs=2)
    learnt = learnt_of(synthesizer, peer)
    theirs = drawn(peer._model, normalizers_of(peer), 60, seed=5)
    assert_frame_equal(Sampler(learnt).draw(60, seed=5), theirs, check_exact=True)

    stopped = synthesizer._new(encoded, epochs=100)
    per_epoch = kind.steps_per_epoch(100, 40)
    assert per_epoch == (2 if kind.gan else 3)
    watch = a_watch(plan=2 * per_epoch, num_optimizers=2 if kind.gan else 1, steps_per_epoch=per_epoch)
    with alone(11), watch.watching():
        stopped.fit({"t": encoded})
    assert watch.step == 2 * per_epoch
    for name, tensor in learnt_of(synthesizer, stopped).tensors.items():
        if name.rpartition(".")[2] not in {"running_mean", "running_var", "num_batches_tracked"}:  # not sampled with
            assert np.array_equal(tensor, learnt.tensors[name]), name


def a_watch(**changes: Any) -> Watch:
    settings = {"plan": 5, "seconds": None, "began_s": 0.0, "num_optimizers": 1, "losses": lambda: None}
    return Watch(**{**settings, "loss": "Loss", "steps_per_epoch": 1, "on_step": ignore_step, **changes})


def test_what_does_not_sample_as_sdv_does_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def garbled(*args: Any, **options: Any) -> Learnt:
        learnt = learnt_by(*args, **options)
        moved = [{**column, "means": [1 + mean for mean in column["means"]]} for column in learnt.columns]
        return dataclasses.replace(learnt, columns=moved)

    train = labelled(60, seed=1)
    numbers = Dataset(frame=train.frame[["x"]], schema=Schema(columns=train.schema.columns[:1]))
    monkeypatch.setattr(network, "learnt_by", garbled)
    with pytest.raises(GeneratorError, match="does not sample as SDV does"):
        fitted(small(tvae.KIND), numbers, tmp_path, steps=1)


def test_a_model_holds_the_network_that_samples_and_no_other(tmp_path: Path) -> None:
    synthesizer = fitted(small(ctgan.KIND), labelled(60, seed=1), tmp_path, steps=1)
    assert synthesizer._fitted is not None
    learnt = synthesizer._fitted.learnt
    assert learnt is not None
    widths = [learnt.tensors[name].shape for name in learnt.tensors if name.endswith("weight") and "bn" not in name]
    components = len(learnt.columns[0]["means"])
    assert widths == [(16, 128 + 2), (1 + components + 2, 16 + 128 + 2)]  # noise and two labels -> x, c
    assert learnt.tensors[LABEL_SHARES].shape == (1, 2)


# ---------------------------------------------------------------------- what SDV sees


def test_sdv_sees_no_number_of_a_row_but_one_close_to_it() -> None:
    x = np.random.default_rng(2).lognormal(3, 2, size=2_000)
    train = Dataset(frame=pd.DataFrame({"x": x}), schema=Schema(columns=(Column(name="x", kind="numeric"),)))
    encoded, (code,), _ = encode(train, 5, seed=1, discrete=True)
    assert code.low is not None
    assert code.high is not None
    seen = code.low + (code.high - code.low) * encoded["v0"].to_numpy()
    assert np.abs(np.sort(x)[:, None] - seen).min(axis=0).max() > 0
    assert not np.isclose(x, seen, rtol=1e-12).any()
    assert stats.spearmanr(x, seen).statistic > 0.999  # a leaf is a hundredth of the rows


def test_a_value_that_many_rows_share_and_labels_reach_sdv_as_they_are() -> None:
    rng = np.random.default_rng(3)
    gain = np.where(rng.uniform(size=500) < 0.9, 0.0, rng.uniform(10, 20, size=500))
    town = letters(rng.choice(["Brno", "Oslo"], size=500)).mask(pd.Series(rng.uniform(size=500) < 0.2), None)
    train = Dataset(
        frame=pd.DataFrame({"gain": gain, "town": town}),
        schema=Schema(columns=(Column(name="gain", kind="numeric"), categorical("town"))),
    )
    encoded, codes, _ = encode(train, 5, seed=1, discrete=True)
    assert set(encoded["v0"][gain == 0]) == {0.0}
    labels = np.array(codes[1].states, dtype=object)[encoded["s1"].astype(int)]
    assert list(labels) == list(town)


def test_labels_that_need_more_memory_than_allowed_are_refused_before_sdv_has_them(tmp_path: Path) -> None:
    town = letters(np.array([f"secret {row // 5}" for row in range(500)]))
    train = Dataset(frame=pd.DataFrame({"town": town}), schema=Schema(columns=(categorical("town"),)))
    with pytest.raises(GeneratorInputError, match="100 here") as refusal:
        fitted(small(ctgan.KIND, memory_gib=1e-3), train, tmp_path, steps=1)
    assert "min_support" in (refusal.value.remedy or "")
    assert "secret" not in str(refusal.value)


# ---------------------------------------------------------------------- steps and the clock


@pytest.mark.parametrize(("discriminator_steps", "steps"), [(1, 5), (3, 2)])
def test_progress_counts_batches_and_epochs_and_ends_at_the_plan(
    tmp_path: Path, discriminator_steps: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generators.sdv.watch.REPORT_EVERY_S", 0.0)
    seen: list[Mapping[str, Any]] = []
    synthesizer = small(ctgan.KIND, discriminator_steps=discriminator_steps)
    train = labelled(100, seed=1)  # two batches an epoch
    report = synthesizer.fit(train, seed=1, budget=Budget(steps=steps), run_dir=tmp_path, on_step=seen.append)
    assert report.steps == steps
    trained = [line for line in seen if line["phase"] == "train"]
    assert [line["step"] for line in trained] == list(range(1, steps + 1))
    assert [line["epoch"] for line in trained] == [(step + 1) // 2 for step in range(1, steps + 1)]
    assert [row["step"] for row in report.history] == [2.0 * (row + 1) for row in range(steps // 2)]
    assert all(math.isfinite(row["train_loss"]) for row in report.history)


def test_an_interruption_between_steps_leaves_no_hook_and_changes_no_later_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == 3:
            raise Interrupted

    monkeypatch.setattr("generators.sdv.watch.REPORT_EVERY_S", 0.0)
    train = labelled(60, seed=1)
    sample = fitted(small(tvae.KIND), train, tmp_path, steps=6).sample(30, seed=1)
    broken, before = small(tvae.KIND), torch.get_rng_state()
    with pytest.raises(Interrupted):
        broken.fit(train, seed=3, budget=Budget(steps=6), run_dir=tmp_path, on_step=interrupt)
    assert torch.equal(torch.get_rng_state(), before)
    assert not importlib.import_module("torch.optim.optimizer")._global_optimizer_pre_hooks
    assert_frame_equal(fitted(broken, train, tmp_path, steps=6).sample(30, seed=1).frame, sample.frame)


def test_a_budget_that_the_preparation_alone_uses_up_leaves_one_step_and_a_note(tmp_path: Path) -> None:
    report = small(ctgan.KIND).fit(
        labelled(60, seed=1), seed=1, budget=Budget(seconds=1e-9), run_dir=tmp_path, on_step=ignore_step
    )
    assert (report.steps, report.stopped_by) == (1, "time")
    assert any("longer than the budget" in note for note in report.notes)


def test_without_a_budget_the_plan_is_the_configured_epochs(tmp_path: Path) -> None:
    report = small(tvae.KIND, epochs=2).fit(
        labelled(100, seed=1), seed=1, budget=Budget(), run_dir=tmp_path, on_step=ignore_step
    )
    assert (report.steps, report.stopped_by) == (2 * 3, "steps")


def test_a_loss_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="phase train"):
        fitted(small(ctgan.KIND, generator_lr=1e38, discriminator_lr=1e38), labelled(60, seed=1), tmp_path, steps=4)


# ---------------------------------------------------------------------- what is learnt


QUICK_GAN = {"generator_dim": (64, 64), "discriminator_dim": (64, 64), "generator_lr": 2e-3, "discriminator_lr": 2e-3}


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("sdv.ctgan", {"batch_size": 200, "embedding_dim": 16, **QUICK_GAN}, 250),
        ("sdv.tvae", {"batch_size": 100, "compress_dims": (64,), "decompress_dims": (64,)}, 200),
    ],
    ids=["sdv.ctgan", "sdv.tvae"],
)
def test_learns_which_labels_go_together_and_nothing_where_they_are_shuffled(
    name: str, options: Mapping[str, Any], steps: int, tmp_path: Path
) -> None:
    """Two columns of three labels agree in 93 % of the rows, and once shuffled as often as their shares make them.

    Of n = 1,000 independent rows with shares p, q the share that agrees is sum(p q), with a standard error of at most
    sqrt(1 / (4 n)) = 0.016; five of them are a false alarm in 2 million. Unshuffled 0.6 more agree than by chance, of
    which two thirds have to be learnt in steps this few.
    """
    n = 1_000
    rng = np.random.default_rng(1)
    first = rng.choice(["a", "b", "c"], size=n)
    second = np.where(rng.uniform(size=n) < 0.9, first, rng.choice(["a", "b", "c"], size=n))
    excess = []
    for number, other in enumerate((second, rng.permutation(second))):
        schema = Schema(columns=(categorical("first"), categorical("second")))
        train = Dataset(frame=pd.DataFrame({"first": letters(first), "second": letters(other)}), schema=schema)
        family = SYNTHESIZERS[name]
        synthesizer = family.build(family.config(**options))
        synthesizer.fit(train, seed=1, budget=Budget(steps=steps), run_dir=tmp_path / str(number), on_step=ignore_step)
        sample = synthesizer.sample(n, seed=2).frame
        by_chance = sum((sample["first"] == label).mean() * (sample["second"] == label).mean() for label in "abc")
        excess.append(float((sample["first"] == sample["second"]).mean() - by_chance))
    assert excess[0] > 0.4
    assert abs(excess[1]) < 5 * math.sqrt(1 / (4 * n))


# ---------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("module", "options", "what"),
    [
        (ctgan, {"epochs": 0}, "epochs must be positive"),
        (ctgan, {"batch_size": 55}, "even and divisible by pac"),
        (ctgan, {"generator_decay": -1.0}, "generator_decay must not be negative"),
        (tvae, {"decompress_dims": (64, 0)}, "decompress_dims must be positive"),
        (tvae, {"min_support": 0}, "min_support must be positive"),
        (copulagan, {"default_distribution": "nrm"}, 'did you mean "norm"'),
        (copulagan, {"pac": 7}, "even and divisible by pac"),
    ],
)
def test_options_that_mean_nothing_are_refused_in_words(module: Any, options: Mapping[str, Any], what: str) -> None:
    with pytest.raises(GeneratorInputError, match=what) as refusal:
        module.Config(**options)
    assert refusal.value.remedy


def test_a_model_of_one_family_is_none_of_another(tmp_path: Path) -> None:
    fitted(small(ctgan.KIND), labelled(60, seed=1), tmp_path / "run", steps=1).save(tmp_path / "model")
    with pytest.raises(GeneratorInputError, match=r"not a model of sdv\.tvae"):
        tvae.load(tmp_path / "model")
