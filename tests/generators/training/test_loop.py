"""The loop's promises: a number of steps names one path, and neither a kill nor a clock leaves it."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from generators.base import Budget, Diverged, ignore_step
from generators.device import resolve
from generators.training import checkpoint
from generators.training.batches import ShuffledRows, hold_out
from generators.training.ema import Average
from generators.training.loop import Phase, Recipe, Trained, TrainingConfig, train
from generators.training.schedule import decay_start, plan_decaying_from, rate
from generators.training.streams import isolated_rng

ROWS = 600


def fit(
    run_dir: Path,
    *,
    on_step: Callable[[Mapping[str, Any]], None] = ignore_step,
    spoil_at: int | None = None,
    two_phases: bool = False,
    spent_s: float = 0.0,
    collapsed: Callable[[Sequence[Mapping[str, float]]], bool] | None = None,
    validated: list[int] | None = None,
    **config: Any,
) -> tuple[Trained, dict[str, Tensor]]:
    """Regress a product on its factors with dropout, so that every kind of state matters."""
    device = resolve("cpu", precision="float32")
    with isolated_rng(1, device.torch):
        net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
        x = torch.randn(ROWS, 4)
        y = x[:, :1] * x[:, 1:2] + 0.3 * torch.randn(ROWS, 1)
    rows = ShuffledRows(500, 64, seed=3)

    def loss(batch: tuple[Tensor, Tensor, int], generator: torch.Generator) -> Tensor:
        noise = 0.01 * torch.randn(batch[1].shape, generator=generator)
        error = ((net(batch[0]) - batch[1] - noise) ** 2).mean()
        if validated is not None and batch[2] < 0:
            validated.append(batch[2])
        return error / 0 if batch[2] == spoil_at else error

    def batches(step: int) -> tuple[Tensor, Tensor, int]:
        return x[rows(step)], y[rows(step)], step

    phases = [Phase("fit", torch.optim.AdamW(net.parameters(), 3e-3), loss)]
    if two_phases:
        phases.append(Phase("second", torch.optim.SGD(net[3].parameters(), 1e-3, momentum=0.9), loss, every=2))
    trained = train(
        Recipe(
            networks=net,
            phases=phases,
            validate=loss,
            device=device,
            identity="regression",
            figures=lambda: {"size": float(net[0].weight.detach().norm())},
            collapsed=collapsed,
        ),
        batches,
        [(x[500:], y[500:], -1)] * (1 if validated is None else 5),
        TrainingConfig(**{"max_steps": 400, "evaluate_every": 20, "patience": 3, **config}),
        seed=5,
        run_dir=run_dir,
        on_step=on_step,
        spent_s=spent_s,
    )
    return trained, net.state_dict()


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Killed(BaseException):
    """Stands for a signal inside one process."""


def killing(at: int) -> Callable[[Mapping[str, Any]], None]:
    def on_step(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] >= at:
            raise Killed

    return on_step


@pytest.fixture
def _shows_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generators.training.loop.REPORT_EVERY_S", 0.0)


# ---------------------------------------------------------------------- a number of steps names one path


def test_early_stopping_is_reproduced_by_its_number_of_steps(tmp_path: Path) -> None:
    stopped, weights = fit(tmp_path / "a", max_steps=4_000)
    assert stopped.stopped_by == "early_stopping"
    assert stopped.steps < 4_000
    again, same_weights = fit(tmp_path / "b", max_steps=4_000, budget=Budget(steps=stopped.steps))
    assert again.stopped_by == "steps"
    assert same(weights, same_weights)
    assert (again.steps, again.best, again.kept_step) == (stopped.steps, stopped.best, stopped.kept_step)
    assert again.history == stopped.history


def test_a_collapse_goes_back_to_the_best_step_and_is_reproduced_by_its_number_of_steps(tmp_path: Path) -> None:
    def late(history: Sequence[Mapping[str, float]]) -> bool:
        return len(history) >= 12

    stopped, weights = fit(tmp_path / "a", max_steps=4_000, patience=10**6, collapsed=late)
    assert (stopped.collapsed_step, stopped.stopped_by) == (240, "early_stopping")
    assert stopped.steps < 400  # four thirds of a best step before the collapse
    again, same_weights = fit(tmp_path / "b", max_steps=4_000, patience=10**6, budget=Budget(steps=stopped.steps))
    assert again.collapsed_step is None
    assert same(weights, same_weights)
    assert again.history == stopped.history
    assert all(row["size"] > 0 for row in again.history)


def test_a_collapse_is_only_noted_where_the_number_of_steps_is_given(tmp_path: Path) -> None:
    noted, weights = fit(tmp_path / "a", budget=Budget(steps=60), collapsed=lambda history: len(history) == 2)
    _, same_weights = fit(tmp_path / "b", budget=Budget(steps=60))
    assert (noted.collapsed_step, noted.stopped_by, noted.steps) == (40, "steps", 60)
    assert same(weights, same_weights)


def test_time_budget_is_kept_and_reproduced_by_its_number_of_steps(tmp_path: Path) -> None:
    began_s = time.monotonic()
    stopped, weights = fit(tmp_path / "a", max_steps=10**6, patience=10**6, budget=Budget(seconds=1.0))
    assert stopped.stopped_by == "time"
    assert time.monotonic() - began_s < 5  # five times the budget is what a busy machine may add
    again, same_weights = fit(tmp_path / "b", max_steps=10**6, budget=Budget(steps=stopped.steps))
    assert same(weights, same_weights)
    assert again.history == stopped.history


@pytest.mark.parametrize("spent_s", [0.0, 5.0])
def test_a_budget_over_within_the_first_step_gives_a_validated_model_of_it(tmp_path: Path, spent_s: float) -> None:
    stopped, weights = fit(tmp_path / "a", budget=Budget(seconds=1e-6), spent_s=spent_s)
    assert (stopped.steps, stopped.stopped_by, stopped.kept_step, len(stopped.history)) == (1, "time", 1, 1)
    assert stopped.best is not None
    again, same_weights = fit(tmp_path / "b", budget=Budget(steps=1))
    assert same(weights, same_weights)
    assert again.history == stopped.history


@pytest.mark.parametrize(("steps", "batches"), [(1, 1), (3, 3), (8, 5), (20, 5), (21, 10)])
def test_an_only_validation_looks_at_no_more_batches_than_steps(tmp_path: Path, steps: int, batches: int) -> None:
    seen: list[int] = []
    fit(tmp_path, budget=Budget(steps=steps), validated=seen)
    assert len(seen) == batches


def test_what_a_kill_left_of_a_checkpoint_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / f".{checkpoint.FILE}.0123456789ab.tmp"
    left.write_bytes(b"half")
    fit(tmp_path, budget=Budget(steps=2))
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


def test_seed_alone_decides_and_another_number_of_steps_is_another_path(tmp_path: Path) -> None:
    _, first = fit(tmp_path / "a", budget=Budget(steps=40))
    _, second = fit(tmp_path / "b", budget=Budget(steps=40))
    _, longer = fit(tmp_path / "c", budget=Budget(steps=44))
    assert same(first, second)
    assert not same(first, longer)


@pytest.mark.usefixtures("_shows_every_step")
@pytest.mark.parametrize("at", [7, 95, 170])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path, at: int) -> None:
    undisturbed, weights = fit(tmp_path / "a", max_steps=200, two_phases=True)
    with pytest.raises(Killed):
        fit(tmp_path / "b", max_steps=200, two_phases=True, checkpoint_s=0.0, on_step=killing(at))
    steps: list[int] = []
    resumed, same_weights = fit(
        tmp_path / "b", max_steps=200, two_phases=True, on_step=lambda m: steps.append(m["step"])
    )
    assert same(weights, same_weights)
    assert (resumed.steps, resumed.best, resumed.history) == (undisturbed.steps, undisturbed.best, undisturbed.history)
    assert not steps or steps[0] >= at


@pytest.mark.usefixtures("_shows_every_step")
def test_interrupted_before_a_plateau_goes_back_to_the_same_best_step(tmp_path: Path) -> None:
    undisturbed, weights = fit(tmp_path / "a", max_steps=4_000)
    for at in (undisturbed.kept_step - 5, undisturbed.steps // 2):
        with pytest.raises(Killed):
            fit(tmp_path / "b", max_steps=4_000, checkpoint_s=0.02, on_step=killing(at))
    resumed, same_weights = fit(tmp_path / "b", max_steps=4_000)
    assert resumed.stopped_by == "early_stopping"
    assert resumed.history == undisturbed.history
    assert same(weights, same_weights)


def test_kill_9_of_a_process_and_another_run_end_with_the_same_bytes(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_loop, torch
        torch.set_num_threads(1)
        test_loop.fit(test_loop.Path(sys.argv[1]), max_steps=2_000, patience=10**6, checkpoint_s=0.05)
    """)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    file = tmp_path / "killed" / checkpoint.FILE
    with subprocess.Popen([sys.executable, "-c", script, str(file.parent)], env=environment) as process:
        deadline_s = time.monotonic() + 60
        while not file.exists():
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with safe_open(file, framework="pt") as opened:
        reached = json.loads(opened.metadata()["progress"])["now"]
    assert 0 < reached["step"] < 2_000
    assert not reached["finished"]
    resumed, weights = fit(file.parent, max_steps=2_000, patience=10**6)
    undisturbed, same_weights = fit(tmp_path / "other", max_steps=2_000, patience=10**6)
    assert resumed.history == undisturbed.history
    assert same(weights, same_weights)


def test_a_finished_fit_is_not_trained_again(tmp_path: Path) -> None:
    first, weights = fit(tmp_path, budget=Budget(steps=40))
    seen: list[Mapping[str, Any]] = []
    second, same_weights = fit(tmp_path, budget=Budget(steps=40), on_step=seen.append)
    assert seen == []
    assert first == second
    assert same(weights, same_weights)


def test_a_checkpoint_of_another_fit_or_a_broken_one_is_not_used(tmp_path: Path) -> None:
    fit(tmp_path, budget=Budget(steps=44))
    _, weights = fit(tmp_path, budget=Budget(steps=40))
    (tmp_path / checkpoint.FILE).write_bytes(b"\x00" * 100)
    _, again = fit(tmp_path, budget=Budget(steps=40))
    assert same(weights, again)


# ---------------------------------------------------------------------- the rest of the contract


def test_diverged_names_the_phase_and_the_step(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match=r"phase fit: the loss is inf at step 13"):
        fit(tmp_path, spoil_at=13)
    assert not (tmp_path / checkpoint.FILE).exists()


def test_global_randomness_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - is looked at
    fit(tmp_path, budget=Budget(steps=30))
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == random.getstate()


@pytest.mark.usefixtures("_shows_every_step")
def test_progress_tells_step_loss_best_and_times_as_plain_numbers(tmp_path: Path) -> None:
    seen: list[Mapping[str, Any]] = []
    fit(tmp_path, budget=Budget(steps=40), on_step=seen.append)
    assert [metrics["step"] for metrics in seen] == list(range(1, 41))
    assert set(seen[-1]) == {"step", "loss", "best", "elapsed_s", "left_s", "phase"}
    assert seen[0]["best"] is None
    assert seen[-1]["phase"] == "fit"
    assert all(isinstance(seen[-1][name], float) for name in ("loss", "best", "elapsed_s", "left_s"))


def test_kept_weights_are_those_of_the_lowest_validation(tmp_path: Path) -> None:
    trained, _ = fit(tmp_path, budget=Budget(steps=200))
    losses = {row["step"]: row["validation_loss"] for row in trained.history}
    assert trained.best == min(losses.values())
    assert losses[trained.kept_step] == trained.best


def test_rate_warms_up_stays_and_falls_and_does_not_know_its_end_before() -> None:
    assert [rate(step, 100, 4) for step in (0, 3, 74, 75)] == [0.25, 1.0, 1.0, 1.0]
    assert rate(99, 100, 4) == pytest.approx(1 / 25)
    for stop in range(1, 300):
        plan = plan_decaying_from(stop)
        assert decay_start(plan) == stop
        assert [rate(step, plan, 4) for step in range(stop)] == [rate(step, 10**6, 4) for step in range(stop)]


def test_batches_are_a_function_of_seed_and_step_and_cover_every_epoch() -> None:
    rows = ShuffledRows(103, 10, seed=1)
    backwards = [ShuffledRows(103, 10, seed=1)(step) for step in reversed(range(30))]
    forwards = [rows(step) for step in range(30)]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    epoch = torch.cat(forwards[:10])
    assert len(epoch.unique()) == 100
    assert not torch.equal(epoch, torch.cat(forwards[10:20]))
    assert len(ShuffledRows(3, 10, seed=1)(0)) == 3


def test_held_out_rows_keep_entities_together() -> None:
    groups = np.array(["a", "b", "c", "d"] * 25)
    chosen = hold_out(100, seed=1, share=0.25, groups=groups)
    assert chosen.sum() == 25
    assert len(set(groups[chosen])) == 1
    assert hold_out(9, seed=1, share=0.1).sum() == 0
    assert hold_out(100, seed=1, share=0.1).sum() == 10


def test_average_follows_its_definition() -> None:
    net = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        net.weight.fill_(0.0)
        average = Average(net, 0.5)
        expected = 0.0
        for step in range(20):
            net.weight.fill_(float(step))
            average.update(step)
            decay = min(0.5, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * step
    assert float(average.state()["weight"]) == pytest.approx(expected, rel=1e-5)
    with average.applied():
        assert float(net.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(net.weight.detach()) == 19.0


def test_a_loaded_optimizer_state_lies_in_memory_as_its_parameters_do() -> None:
    """A fused step reads both in one order, so the next step shows it: that of a fit that was never written."""

    def begun() -> tuple[nn.Module, torch.optim.Optimizer]:
        with isolated_rng(1, torch.device("cpu")):
            net = nn.Conv2d(4, 8, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return net, torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)

    def step(net: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        (net(x) ** 2).mean().backward()
        optimizer.step()

    net, optimizer = begun()
    step(net, optimizer, 1)
    again, other = begun()
    checkpoint.load_network_state(again, checkpoint.network_state(net))
    written = {name: tensor.contiguous() for name, tensor in checkpoint.optimizer_state(optimizer).items()}
    checkpoint.load_optimizer_state(other, written)
    step(net, optimizer, 2)
    step(again, other, 2)
    assert all(torch.equal(one, two) for one, two in zip(net.parameters(), again.parameters(), strict=True))
