"""Turns on GPUs, tried with a number of slots and real processes: no GPU is needed to see who waits for whom."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli import command_line
from flows.errors import FlowInputError
from flows.gpu_slots import FOLDER, SLOTS, counted_by_prefect, held, slots_here
from generators.device import AUTO_GPU

ROOT = Path(__file__).parents[2]
WORKER = """
import sys, time
from flows.gpu_slots import held
waited = []
with held(sys.argv[1], lambda: waited or waited.append(print("waiting", flush=True))):
    print("held", time.monotonic(), flush=True)
    if sys.argv[2] == "hold":
        sys.stdin.read()
    print("left", time.monotonic(), flush=True)
"""


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "slots"))
    monkeypatch.setenv(SLOTS, "2")
    return tmp_path / "slots"


def worker(how: str, device: str = "auto") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, device, how],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().split(" ")[0].strip()


def test_a_third_process_waits_for_two_slots_and_gets_that_of_a_killed_holder_at_once(slots: Path) -> None:
    holders = [worker("hold"), worker("hold")]
    third = None
    try:
        assert [line(holder) for holder in holders] == ["held", "held"]
        third = worker("pass")
        assert line(third) == "waiting"
        killed_s = time.monotonic()
        holders[0].send_signal(signal.SIGKILL)
        assert line(third) == "held"
        assert time.monotonic() - killed_s < 10  # looks five times a second; the rest is what a busy machine may add
        third.communicate(timeout=60)
        assert third.returncode == 0
    finally:
        for process in (*holders, *([third] if third else [])):
            process.kill()
            process.communicate()
    assert sorted(path.name for path in slots.iterdir()) == ["slot-0", "slot-1"]


def test_within_one_process_two_slots_hold_two_fits_and_a_third_waits(slots: Path) -> None:
    class Waited(Exception):
        pass

    def refuse() -> None:
        raise Waited

    with held("auto", refuse), held("cuda", refuse):
        with pytest.raises(Waited), held("auto", refuse):
            pass
        with held("cpu", refuse):  # the processor is nobody's turn
            pass
    with held("auto", refuse), held("auto", refuse):
        pass


def test_auto_means_the_gpu_of_the_slot_and_a_numbered_one_its_own(
    slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SLOTS)
    monkeypatch.setattr("flows.gpu_slots.gpu_names", lambda: ("uuid-a", "uuid-b"))
    with held("auto", pytest.fail):
        assert AUTO_GPU.get() == 0
        with held("auto", pytest.fail):
            assert AUTO_GPU.get() == 1
        with held("cuda:1", pytest.fail):
            assert AUTO_GPU.get() == 1
    assert AUTO_GPU.get() is None
    monkeypatch.setenv(SLOTS, "4")
    assert [(slot.path.name, slot.gpu) for slot in slots_here()] == [
        ("uuid-a-0", 0), ("uuid-b-0", 1), ("uuid-a-1", 0), ("uuid-b-1", 1)
    ]  # fmt: skip


def test_a_machine_without_gpus_has_no_slots_and_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path / "slots"))
    monkeypatch.setattr("flows.gpu_slots.gpu_names", lambda: ())
    with held("auto", pytest.fail):
        assert AUTO_GPU.get() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["0", "-1", "many", "4096"])
def test_a_number_of_slots_that_is_none_is_an_error(given: str, slots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SLOTS, given)
    with pytest.raises(FlowInputError, match=SLOTS):
        slots_here()


def test_every_user_may_use_the_folder_and_links_in_it_lead_nowhere(slots: Path, tmp_path: Path) -> None:
    with held("auto", pytest.fail):
        assert stat.S_IMODE(slots.stat().st_mode) == 0o1777
    (slots / "slot-0").unlink()
    (slots / "slot-0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FlowInputError, match="cannot be used"), held("auto", pytest.fail):
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("prefect_server")
def test_a_limit_that_the_server_does_not_have_is_one_error_and_one_that_it_has_is_held(
    survey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (survey / "spec.yaml").write_text(
        "name: people\nsource: {path: people.csv}\nbudget: {steps: 1}\ngpu: {limit: nowhere}\n"
    )
    assert command_line(["run", "spec.yaml"]) == 2
    error = capsys.readouterr().err
    assert "no such concurrency limit" in error
    assert "seen: nowhere" in error
    assert "remedy: prefect gcl create nowhere" in error
    assert sorted(path.name for path in survey.iterdir()) == ["people.csv", "spec.yaml"]

    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after its settings
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate  # noqa: PLC0415

    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="gpus", limit=1))
        with counted_by_prefect("gpus"):
            assert client.read_global_concurrency_limit_by_name("gpus").active_slots == 1
        assert client.read_global_concurrency_limit_by_name("gpus").active_slots == 0
