"""Whatever moment a run is ended at: nothing is half published, nothing finished is made again, nothing is left."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.killing import people
from flows.leftovers import sweep
from releases.shelf import versions

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in /proc")
OWN = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}
MARK = "UNDERSTUDY_TEST_RUN"


@LINUX
@pytest.mark.timeout(1200)
def test_fifty_kills_at_random_moments_lose_nothing() -> None:
    """Fork runs, end them at seeded moments over all phases, let others go on, compare with an undisturbed one."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", "50", "--seed", "7"],
        cwd=ROOT,
        env=OWN,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    summary = json.loads(done.stdout[done.stdout.index("\n{\n") :])
    assert summary["sigkills"] >= 50
    assert summary["flaws"] == []
    assert summary["left in the temporary folder"] == []
    hit = {name.removeprefix("in ") for name in summary["tally"] if name.startswith("in ")}
    assert len({"checkpoint", "fit", "sample", "judge", "gate", "publish", "evidence"} & hit) >= 6, hit
    assert summary["tally"]["disk full"] >= 1


def descendants(mark: str) -> list[int]:
    """Return the processes that were started with `mark` in their environment, the run itself included."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue
    return found


def started(folder: Path, mark: str, *, terminal: int | None = None) -> "subprocess.Popen[bytes]":
    """Start `understudy run` as a user does, in a session of its own, with a server of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "spec.yaml"],
        cwd=folder,
        env={**OWN, MARK: mark},
        stdin=terminal if terminal is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=None if terminal is None else _take_terminal,  # noqa: PLW1509 - nothing but a system call
    )


def _take_terminal() -> None:
    import fcntl  # noqa: PLC0415 - in the child
    import termios  # noqa: PLC0415

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_for(happened: Callable[[], object], process: "subprocess.Popen[bytes]", *, seconds: float = 240) -> None:
    deadline_s = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.02)


def assert_all_end(mark: str) -> None:
    deadline_s = time.monotonic() + 30
    while descendants(mark):
        assert time.monotonic() < deadline_s, f"processes outlive their run: {descendants(mark)}"
        time.sleep(0.05)


@LINUX
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("sent", "code"), [("SIGKILL", -9), ("SIGTERM", 143), ("Ctrl-C", 130)])
def test_a_whole_program_that_is_ended_takes_its_server_with_it(sent: str, code: int, tmp_path: Path) -> None:
    people(tmp_path)
    text = (tmp_path / "spec.yaml").read_text().replace("steps: 20", "steps: 20000")
    (tmp_path / "spec.yaml").write_text(text)
    keyboard, terminal = pty.openpty()
    process = started(tmp_path, f"{sent}-{tmp_path.name}", terminal=terminal)
    try:
        wait_for(lambda: list(tmp_path.glob("runs/fits/*/.lock")), process)  # it trains, so the server answers
        assert len(descendants(f"{sent}-{tmp_path.name}")) >= 2, "a run and its server"
        if sent == "Ctrl-C":
            os.write(keyboard, b"\x03")  # the terminal's driver sends SIGINT to the process group in front
        else:
            process.send_signal(getattr(signal, sent))
        output, error = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
        os.close(keyboard)
        os.close(terminal)
    assert process.returncode == code, error
    assert_all_end(f"{sent}-{tmp_path.name}")
    assert b"Traceback" not in output + error
    if sent == "Ctrl-C":
        assert b"nothing was published" in error
    assert not (tmp_path / "releases").exists()


def test_what_dead_processes_left_is_removed_and_what_living_ones_write_is_not(tmp_path: Path) -> None:
    root, shelf = tmp_path / "runs", tmp_path / "releases" / "people"
    own, other, fit, busy = root / "people-1", root / "wages-2", root / "fits" / "a", root / "fits" / "b"
    for folder in (own / "1-tabular.vae", other, fit / "checkpoints", busy, shelf / ".staging-0123456789ab" / "data"):
        folder.mkdir(parents=True)
    for folder in (root, own, other, fit, busy, shelf):
        (folder / ".lock").touch()
    name = ".sample.parquet.0123456789ab.tmp"
    for folder in (root, own / "1-tabular.vae", other, fit / "checkpoints", busy):
        (folder / name).write_text("half")
    (fit / "checkpoints" / "checkpoint.safetensors").write_text("whole")
    (own / ".notes.tmp").write_text("somebody's")
    (own / "handover").mkdir()
    (own / "handover" / "0123.pickle").write_text("rows")
    import fcntl  # noqa: PLC0415 - of this test alone

    with (busy / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep(root, own, shelf) == 6
    assert not (own / "handover").exists()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob(name)] == [f"runs/fits/b/{name}"]
    assert (fit / "checkpoints" / "checkpoint.safetensors").exists()
    assert (own / ".notes.tmp").exists()
    assert not list(shelf.glob(".staging*"))
    assert versions(shelf) == []
    assert sweep(root, own, shelf) == 1
    assert sweep(tmp_path / "none", tmp_path / "none" / "x", tmp_path / "none" / "y") == 0
