"""Real runs of `understudy run`, each in a process of its own that is killed at a moment that was chosen before.

One parent imports everything and forks a child for each run: the child does the whole command, the parent starts no
thread. Moments are of two kinds: the k-th time that a run touches the disk in a phase (an audit hook counts what opens
for writing, renames, removes, makes folders and flushes), and a delay that an outside killer waits.
"""

import importlib
import json
import os
import re
import resource
import select
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

ROWS = 600
SPEC = """
name: people
source: {path: people.csv}
candidates:
  - {kind: tabular.autoregressive, width: 16, hidden: 16, depth: 1}
  - {kind: tabular.vae, width: 16, hidden: 16, latent: 2, components: 4}
budget: {steps: 20}
rows: 120
publish: {formats: [parquet]}
"""
PHASES = (
    (r"/releases/", "publish"),
    (r"/fits/[^/]+/checkpoints", "checkpoint"),
    (r"/fits/", "fit"),
    (r"/results", "fit"),
    (r"/\d-[a-z.]+/(\.?sample|$)", "sample"),
    (r"/\d-[a-z.]+/?", "judge"),
    (r"/runs/\.?(gate_calls|lineage)", "gate"),
    (r"/(\.?evidence|\.?report|\.?outcome)", "evidence"),
    (r"", "begin"),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
TOUCHES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link"}
END_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a run is ended, and how; with nothing given it is left alone.

    Args:
        phase, touch: the `touch`-th time (from 0) that the disk is touched in `phase`.
        torn_bytes: with a phase, the kernel ends the run when a file that it writes then grows beyond this.
        after_line, delay_s: seconds after the first line of output that begins so; "" is the start.
        signal: what is sent.
        error: with a phase, the number of the system error that whatever needs room on the disk meets from then on.

    """

    phase: str = ""
    touch: int = 0
    torn_bytes: int | None = None
    after_line: str | None = None
    delay_s: float = 0.0
    signal: int = signal.SIGKILL
    error: int | None = None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended.

    Args:
        code: the exit code, or the negative number of the signal.
        text: what it printed.
        seconds: wall clock.
        session: that it ran in.
        touches: of the disk, by phase; empty after a kill.
        modules: that it had imported; empty after a kill.

    """

    code: int
    text: str
    seconds: float
    session: int
    touches: Counter[str] = field(default_factory=Counter)
    modules: tuple[str, ...] = ()


def people(folder: Path, rows: int = ROWS) -> None:
    """Write people.csv, a table of a known law, and spec.yaml, whose limits are wide open, so that it passes."""
    rng = np.random.default_rng(11)
    group = rng.choice(["north", "south"], rows, p=[0.6, 0.4])
    age = rng.integers(18, 80, rows)
    wage = np.round(rng.lognormal(7 + 0.01 * age, 0.4, rows), 2)
    paid = np.where(rng.random(rows) < 1 / (1 + np.exp(-(wage - 1800) / 600)), "yes", "no")
    table = pd.DataFrame({"age": age, "group": group, "wage": wage, "paid": paid})
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "people.csv", index=False)
    (folder / "spec.yaml").write_text(SPEC + f"policy: {json.dumps(wide_open())}\n")


def wide_open() -> dict[str, object]:
    """Return a policy that everything passes: what is asked is what a run leaves behind, not how good a model is."""
    from validators.limits.limits import LIMITS  # noqa: PLC0415 - after the environment is prepared

    bounds: dict[str, object] = {}
    for name, limit in LIMITS.items():
        if isinstance(limit.bound, tuple):
            bounds[name] = [1e-9 if limit.bound[0] > 0 else -1e9, 1e9]
        elif name != "contract_rules":
            bounds[name] = 1e9 if limit.direction == "lower_is_better" else 1e-6
    return {"preset": "research", "alarm": 0.9, "checks": 1, **bounds}


def phase_of(path: str) -> str:
    """Return what a run is doing when it touches `path`, given from its output folder on.

    >>> phase_of("/runs/fits/0123/checkpoints/checkpoint.safetensors"), phase_of("/releases/people/.staging-1/data")
    ('checkpoint', 'publish')
    """
    return next(phase for pattern, phase in PHASES if re.search(pattern, path))


def start(folder: Path, out: Path, moment: Moment, arguments: tuple[str, ...] = ()) -> Ended:
    """Run the spec in `folder` into `out` in a forked child, end it at `moment`, and wait for it."""
    assert threading.active_count() == 1, "a parent with threads must not fork"
    reading, writing = os.pipe()
    began_s = time.monotonic()
    with tempfile.TemporaryFile("w+") as told:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setsid()
                os.dup2(writing, 1)
                os.dup2(writing, 2)
                os.close(reading)
                os.chdir(folder)
                code = _be_the_run(out.resolve(), moment, told, arguments)
            finally:
                os._exit(code)
        os.close(writing)
        text = _watched(child, reading, moment)
        os.close(reading)
        _, status = os.waitpid(child, 0)
        told.seek(0)
        counted = {}
        with suppress(ValueError):  # nothing, or the beginning of it, where it was ended before it had told
            counted = json.loads(told.read())
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        text=text,
        seconds=time.monotonic() - began_s,
        session=child,
        touches=Counter(counted.get("touches", {})),
        modules=tuple(counted.get("modules", ())),
    )


def warm(modules: Iterable[str]) -> None:
    """Import what a run imported, so that the next forks need not."""
    for name in modules:
        if name not in sys.modules and not name.startswith("_"):
            with suppress(Exception):
                importlib.import_module(name)


def _watched(child: int, reading: int, moment: Moment) -> str:
    """Read what the child prints until it ends, and end it when its moment has come."""
    text, began_s = b"", time.monotonic()
    due_s = began_s + moment.delay_s if moment.after_line == "" else None
    while True:
        now_s = time.monotonic()
        if due_s is not None and now_s >= due_s:
            with suppress(ProcessLookupError):
                os.kill(child, moment.signal)
            due_s = None
        assert now_s - began_s < END_S, f"the run does not end: {text.decode()}"
        wait_s = 0.5 if due_s is None else max(due_s - now_s, 0.0)
        if not select.select([reading], [], [], wait_s)[0]:
            continue
        piece = os.read(reading, 65_536)
        if not piece:
            return text.decode()
        text += piece
        if moment.after_line and due_s is None and f"\n{moment.after_line}" in "\n" + text.decode():
            due_s = time.monotonic() + moment.delay_s
            moment = Moment(signal=moment.signal)


def _be_the_run(out: Path, moment: Moment, telling: TextIO, arguments: tuple[str, ...]) -> int:
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

    from flows.cli import main  # noqa: PLC0415
    from generators.training import loop  # noqa: PLC0415

    every_step: Any = loop.TrainingConfig.__init__
    every_step.__kwdefaults__["checkpoint_s"] = 0.0  # "they change nothing in the result"
    touches: Counter[str] = Counter()
    _count(out, touches, _act(moment, touches))
    sys.argv = ["understudy", "run", "spec.yaml", "--out", str(out), *arguments]
    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # costs a second a run
            main()
    except SystemExit as leaving:
        code = leaving.code
    for sent in (signal.SIGTERM, signal.SIGINT):  # the run has ended: what follows is ours
        signal.signal(sent, signal.SIG_IGN)
    json.dump({"touches": touches, "modules": sorted(sys.modules)}, telling)
    telling.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)


def _count(out: Path, touches: Counter[str], act: Callable[[str, int, bool], None]) -> None:
    root = str(out)

    def touched(path: object, *, needs_room: bool) -> None:
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if text.startswith(root):
            phase = phase_of(text[len(root) :])
            number = touches[phase]
            touches[phase] += 1
            act(phase, number, needs_room)

    def audit(event: str, given: tuple[Any, ...]) -> None:
        if event in TOUCHES or (event == "open" and isinstance(given[2], int) and given[2] & WRITES):
            touched(given[0], needs_room=event in ("open", "os.mkdir"))

    flush = os.fsync

    def fsync(descriptor: int) -> None:
        touched(Path(f"/proc/self/fd/{descriptor}").readlink(), needs_room=False)
        flush(descriptor)

    os.fsync = fsync
    sys.addaudithook(audit)


def _act(moment: Moment, touches: Counter[str]) -> Callable[[str, int, bool], None]:
    """Return what happens at each touch."""
    struck = False

    def act(phase: str, number: int, needs_room: bool) -> None:  # noqa: FBT001 - called in one place
        nonlocal struck
        struck = struck or (phase == moment.phase and number == moment.touch and moment.after_line is None)
        if not struck:
            return
        if moment.error is not None:
            if not needs_room:
                return
            raise OSError(moment.error, os.strerror(moment.error))
        if moment.torn_bytes is None:
            os.kill(os.getpid(), moment.signal)
            struck = False
        else:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (moment.torn_bytes, moment.torn_bytes))

    assert not moment.phase or touches is not None
    return act
