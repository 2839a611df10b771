"""When memory runs out a fit goes on with half of the batch, and what it then makes is reproducible."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from generators.base import Budget, GeneratorInputError, ignore_step
from generators.device import resolve
from generators.training.batches import ShuffledRows
from generators.training.loop import Phase, Recipe, Trained, TrainingConfig, train
from generators.training.memory import first_rows, halved, is_out_of_memory, said_clearly
from generators.training.streams import isolated_rng

ROOT = Path(__file__).parents[3]


def fit(
    run_dir: Path,
    *,
    runs_out: Callable[[int, int], bool] = lambda _step, _rows: False,
    on_step: Callable[[Mapping[str, Any]], None] = ignore_step,
    seen: list[int] | None = None,
    fewest_rows: int = 1,
    checkpoint_s: float = 1e9,
    from_step: int | None = None,
) -> tuple[Trained, dict[str, Tensor]]:
    """Regress a product on its factors; `runs_out` (step, rows of the batch) tells when the allocator refuses.

    From `from_step` on the batches are cut to 32 rows by `batches` itself, the second route to the expected weights.
    """
    device = resolve("cpu", precision="float32")
    with isolated_rng(1, device.torch):
        net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))
        x = torch.randn(400, 4)
        y = x[:, :1] * x[:, 1:2]
    rows = ShuffledRows(400, 64, seed=3)

    def loss(batch: tuple[Tensor, Tensor, int], generator: torch.Generator) -> Tensor:
        if runs_out(batch[2], len(batch[0])):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        if seen is not None:
            seen.append(len(batch[0]))
        noise = 0.01 * torch.randn(batch[1].shape, generator=generator)
        error: Tensor = ((net(batch[0]) - batch[1] - noise) ** 2).mean()
        return error

    def batches(step: int) -> tuple[Tensor, Tensor, int]:
        picked = rows(step)[:32] if from_step is not None and step >= from_step else rows(step)
        return x[picked], y[picked], step

    phases = [
        Phase("first", torch.optim.AdamW(net.parameters(), 3e-3), loss),
        Phase("second", torch.optim.SGD(net[3].parameters(), 1e-3, momentum=0.9), loss),
    ]
    trained = train(
        Recipe(networks=net, phases=phases, validate=loss, device=device, identity="memory", fewest_rows=fewest_rows),
        batches,
        [],
        TrainingConfig(max_steps=30, budget=Budget(steps=30), evaluate_every=10, checkpoint_s=checkpoint_s),
        seed=5,
        run_dir=run_dir,
        on_step=on_step,
    )
    return trained, net.state_dict()


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_after_a_halving_the_weights_are_those_of_the_first_half_of_each_batch(tmp_path: Path) -> None:
    seen: list[int] = []
    trained, weights = fit(tmp_path / "a", runs_out=lambda step, rows: step >= 12 and rows > 32, seen=seen)
    calm, cut = fit(tmp_path / "b", from_step=12)
    assert same(weights, cut)
    assert seen == [64] * 24 + [32] * 36  # two phases a step
    assert trained.notes == ("Memory ran out at step 12: batches have 32 rows instead of 64 from there on.",)
    assert calm.notes == ()
    _, undisturbed = fit(tmp_path / "c")
    assert not same(weights, undisturbed)


def test_a_phase_that_runs_out_leaves_the_phases_before_it_as_they_are(tmp_path: Path) -> None:
    calls: list[int] = []

    def second_runs_out(step: int, rows: int) -> bool:
        calls.append(rows)
        return step == 5 and calls.count(64) == 12 and rows == 64  # the twelfth full batch: phase second of step 5

    trained, weights = fit(tmp_path / "a", runs_out=second_runs_out)
    _, again = fit(tmp_path / "b", runs_out=lambda step, rows, no=[0]: _nth(no, step, rows))  # type: ignore[misc]
    assert same(weights, again)
    assert calls[10:14] == [64, 64, 32, 32]
    assert len(trained.notes) == 1


def _nth(calls: list[int], step: int, rows: int) -> bool:
    calls[0] += rows == 64
    return step == 5 and calls[0] == 12 and rows == 64


def test_a_kill_after_a_halving_goes_on_with_as_many_rows(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def killing(metrics: Mapping[str, Any]) -> None:
        raise Killed

    def once(step: int, rows: int) -> bool:
        return step == 3 and rows > 16

    whole, weights = fit(tmp_path / "whole", runs_out=once)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", runs_out=once, on_step=_after(0.3, killing))
    seen: list[int] = []
    resumed, same_weights = fit(tmp_path / "killed", seen=seen)  # nothing runs out any more
    assert set(seen) == {16}
    assert len(seen) < 60
    assert same(weights, same_weights)
    assert resumed.notes == whole.notes
    assert len(whole.notes) == 2


def _after(seconds: float, do: Callable[[Mapping[str, Any]], None]) -> Callable[[Mapping[str, Any]], None]:
    return lambda metrics: do(metrics) if metrics["step"] >= 4 or metrics["elapsed_s"] > seconds else None


def test_one_row_that_does_not_fit_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(GeneratorInputError, match="even with the smallest batch") as caught:
        fit(tmp_path / "a", runs_out=lambda _step, _rows: True)
    assert caught.value.seen == "1 rows a batch"
    with pytest.raises(GeneratorInputError) as caught:
        fit(tmp_path / "b", runs_out=lambda _step, _rows: True, fewest_rows=2)
    assert caught.value.seen == "2 rows a batch"


def test_other_errors_are_no_lack_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError, match="shapes"), said_clearly("tried"):
        raise RuntimeError("shapes cannot be multiplied")
    with pytest.raises(GeneratorInputError, match="while tried"), said_clearly("tried"):
        raise MemoryError


def test_batches_are_halved_to_even_numbers_and_cut_where_they_have_rows() -> None:
    assert [halved(rows, fewest=1) for rows in (1, 2, 3, 7, 10, 64)] == [None, 1, 1, 2, 4, 32]
    x, weights = torch.arange(6), torch.ones(3)
    cut = first_rows((x, weights, 0.5), 4)
    assert cut[0].tolist() == [0, 1, 2, 3]
    assert cut[1] is weights
    assert first_rows(x, None) is x


REAL = """
import resource, sys
from pathlib import Path
import torch
from torch import nn
from generators.base import Budget, ignore_step
from generators.device import resolve
from generators.training.loop import Phase, Recipe, TrainingConfig, train

torch.set_num_threads(1)
net = nn.Sequential(nn.Linear(2, 4096), nn.ReLU(), nn.Linear(4096, 1))
x = torch.randn(16_384, 2, generator=torch.Generator().manual_seed(1))

def loss(batch, generator):
    return (net(batch) ** 2).mean()

def run(folder):
    return train(
        Recipe(networks=net, phases=[Phase("fit", torch.optim.SGD(net.parameters(), 1e-3), loss)], validate=loss,
               device=resolve("cpu", precision="float32"), identity="real"),
        lambda step: x, [], TrainingConfig(max_steps=3, budget=Budget(steps=3)), seed=1, run_dir=Path(folder),
        on_step=ignore_step)

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)  # one layer of a whole batch takes 256 MiB
trained = run(sys.argv[1])
print(trained.steps, *trained.notes, sep="\\n")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory in use is read from /proc")
def test_an_allocator_that_refuses_for_real_halves_the_batch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(REAL), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    steps, *notes = done.stdout.splitlines()
    assert steps == "3"
    assert notes[0] == "Memory ran out at step 0: batches have 8,192 rows instead of 16,384 from there on."
