"""Kill real runs at random moments: what is left on the disk, and what does the next run make of it?

    python benchmarks/kills.py --kills 200 --seed 1 > docs/benchmarks/kills.log

Each story begins in an empty folder: a run that is killed, up to twice more one that goes on from there and is killed
as well, and a last one that ends by itself. After each kill: every version in releases/ verifies, every finished step
is whole, no lock is held, no process of the run lives. After the last run: models, samples, reports and released rows
are those of a run that nobody disturbed, byte for byte; no finished step was made again; nothing else lies about.
One line a kill; the summary as JSON at the end. Exit code 1 when anything was lost.
"""

import argparse
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
sys.path[:0] = [str(ROOT)]

from benchmarks.killing import Ended, Moment, people, start, warm  # noqa: E402 - the number of threads must be set first
from flows.settings import prepare_prefect, prepare_threads  # noqa: E402

MOST_KILLS_A_STORY = 3
FULL = -errno.ENOSPC
"""In a plan among signals: no kill, but from that moment on the disk is full."""
LINES = ("source", "split", "fit", "judge", "verdict")
EXPECTED = {signal.SIGKILL: {-9}, signal.SIGTERM: {143, -15}, signal.SIGINT: {130}}
"""What a run that was ended by a signal answers; SIGTERM before the program has begun is the system's affair."""


class Flaw(Exception):
    """Something was lost, left behind or made again."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def made(out: Path) -> dict[str, str]:
    """Return what the runs in `out` made, by name: digests of models, samples, reports without timings, data."""
    found = {
        str(p.relative_to(out)): digest(p)
        for pattern in ("runs/fits/*/model/*", "runs/people-*/*/sample.parquet")
        for p in out.glob(pattern)
    }
    for report in out.glob("runs/people-*/*/report.json"):
        plain = json.loads(report.read_text())
        del plain["timings_s"]
        found[str(report.relative_to(out))] = json.dumps(plain, sort_keys=True)
    for manifest in out.glob("releases/people/*/MANIFEST.json"):
        plain = json.loads(manifest.read_text())
        del plain["this_run"], plain["digest"]
        for name in ("README.md", "report.html"):  # they show version and moment
            del plain["files"][name]
        plain["lineage"] = None  # each folder has a secret of its own
        found["release"] = json.dumps(plain, sort_keys=True)
    return found


def names(out: Path) -> set[str]:
    """Return the names of all files and folders below `out`, one for all versions of the release.

    The note that a later run found nothing changed is left out: an undisturbed run has no later one.
    """
    there = (str(p.relative_to(out)) for p in out.rglob("*") if p.name != "unchanged.json")
    return {re.sub(r"(releases/people)/\d+", r"\1/N", name) for name in there}


def finished(out: Path) -> dict[str, tuple[int, int]]:
    """Return inode and time of the files of every step that is finished: of no such file will there be another."""
    from flows.stages import holds  # noqa: PLC0415 - imports torch

    steps: list[Path] = []
    for fit in out.glob("runs/fits/*/fit.json"):
        if not holds(json.loads(fit.read_text())):
            raise Flaw(f"{fit}: the model is another than the one that was noted")
        steps += [fit, *(fit.parent / "model").iterdir()]
    for sample in out.glob("runs/people-*/*/sample.json"):
        if not holds(json.loads(sample.read_text())["reference"]):
            raise Flaw(f"{sample}: the rows are others than those noted")
        steps += [sample, sample.parent / "sample.parquet"]
    for judgement in out.glob("runs/people-*/*/judgement.json"):
        steps += [judgement, judgement.parent / "report.json"]
    return {str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in steps}


def check_versions(out: Path) -> int:
    """Return how many versions are published; every one that is visible must verify, and the pointer name one."""
    from releases.verify import verify  # noqa: PLC0415 - after the environment is prepared

    shelf = out / "releases" / "people"
    visible = [p for p in shelf.iterdir() if not p.name.startswith(".") and p.is_dir()] if shelf.is_dir() else []
    for version in visible:
        if not verify(version).ok:
            raise Flaw(f"{version}: half published")
    pointer = shelf / "latest.json"
    if pointer.exists() and json.loads(pointer.read_text())["version"] not in {p.name for p in visible}:
        raise Flaw(f"{pointer}: names a version that is not there")
    return len(visible)


def check_left(out: Path, ended: Ended) -> None:
    """Look at locks and processes."""
    for lock in out.rglob(".lock"):
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Flaw(f"{lock}: still held") from None
    alive = [pid for pid, session in sessions() if session == ended.session]
    if alive:
        raise Flaw(f"processes of a run that has ended are alive: {alive}")


def sessions() -> Iterator[tuple[int, int]]:
    """Yield process number and session of every process that is no zombie."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            yield int(entry.parent.name), int(fields[3])


def chosen(rng: Any, calm: Ended, sent: int) -> Moment:
    """Draw a moment: most at a touch of the disk, evenly over the phases; the others at a time."""
    kind = 0.5 if sent == FULL else rng.random()
    if kind < 0.3:
        line = rng.choice(["", *LINES])
        longest_s = calm.seconds if line == "" else calm.seconds / 4
        return Moment(after_line=str(line), delay_s=float(rng.uniform(0, longest_s)), signal=sent)
    phase = str(rng.choice(sorted(calm.touches)))
    touch = int(rng.integers(calm.touches[phase]))
    torn = int(rng.integers(2000)) if kind > 0.85 and sent == signal.SIGKILL else None
    if sent == FULL:
        return Moment(phase=phase, touch=touch, error=-FULL)
    return Moment(phase=phase, touch=touch, torn_bytes=torn, signal=sent)


def words(moment: Moment) -> str:
    """Return a moment in a few words."""
    if moment.error is not None:
        return f"full disk from touch {moment.touch} of {moment.phase} on"
    sent = signal.Signals(moment.signal).name
    if moment.after_line is not None:
        return f"{sent} {moment.delay_s:.2f} s after {moment.after_line or 'the start'}"
    if moment.torn_bytes is not None:
        return f"torn after {moment.torn_bytes} bytes of a file, from touch {moment.touch} of {moment.phase} on"
    return f"{sent} at touch {moment.touch} of {moment.phase}"


def where(moment: Moment, ended: Ended) -> str:
    """Return the phase in which a run was ended, as far as its output or its touches tell."""
    if moment.after_line is None:
        return moment.phase
    last = [word for line in ended.text.splitlines() if (word := line.split(" ", 1)[0]) in (*LINES, "published")]
    return f"after {last[-1] if last else 'the start'}"


def story(folder: Path, work: Path, moments: Iterator[Moment], calm: tuple[Ended, Path], tally: Counter[str]) -> None:
    """Kill runs in one folder until the moments end or a run ends by itself; then compare with the calm one."""
    out = work / "out"
    done: dict[str, tuple[int, int]] = {}
    for moment in moments:
        ended = start(folder, out, moment)
        check_left(out, ended)
        published = check_versions(out)
        now = finished(out)
        again = [name for name, mark in done.items() if now.get(name) != mark]
        if again:
            raise Flaw(f"made again: {again}")
        done = now
        if moment.error is not None:
            _check_refusal(moment, ended, tally)
            continue
        gone = ended.code in EXPECTED[signal.Signals(moment.signal)] or ended.code == -signal.SIGXFSZ
        if not gone and ended.code != 0:
            raise Flaw(f"exit code {ended.code} after {words(moment)}\n{ended.text}")
        if gone and ("Traceback" in ended.text or "error:" in ended.text):
            raise Flaw(f"after {words(moment)} it said\n{ended.text}")
        place = where(moment, ended)
        sort = "ended by itself" if not gone else "torn" if moment.torn_bytes is not None else words(moment)[:7].strip()
        tally[sort] += 1
        if gone:
            tally[f"in {place}"] += 1
        kept = f"{len(done)} files of finished steps, {published} versions"
        print(f"{words(moment):<72} {sort if not gone else '':<16} {kept}", flush=True)
        if not gone:
            break
    last = start(folder, out, Moment())
    if last.code != 0:
        raise Flaw(f"the last run ended with {last.code}\n{last.text}")
    check_left(out, last)
    check_versions(out)
    if [name for name, mark in done.items() if finished(out).get(name) != mark]:
        raise Flaw("the last run made a finished step again")
    if made(out) != made(calm[1]):
        differing = sorted(name for name, text in made(out).items() if made(calm[1]).get(name) != text)
        raise Flaw(f"other bytes than those of an undisturbed run: {differing}")
    if names(out) != names(calm[1]):
        raise Flaw(f"the folder differs from an undisturbed run's: {sorted(names(out) ^ names(calm[1]))}")
    shutil.rmtree(out)


def _check_refusal(moment: Moment, ended: Ended, tally: Counter[str]) -> None:
    """Look at what a run says of a full disk: one error with its remedy, or nothing where it needed no more room."""
    one_error = ended.text.count("error:") == 1 and "No space left on device" in ended.text and "remedy:" in ended.text
    if (ended.code, one_error) not in ((2, True), (0, False)) or "Traceback" in ended.text:
        raise Flaw(f"exit code {ended.code} after {words(moment)}\n{ended.text}")
    tally["disk full" if one_error else "ended by itself"] += 1
    print(f"{words(moment):<72} exit code {ended.code}", flush=True)


def main() -> int:
    """Kill as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50, help="by SIGKILL; a tenth as many by SIGTERM and SIGINT each")
    parser.add_argument("--full", type=int, default=5, help="runs whose disk is full from a moment on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further story after so long")
    given = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 - a kill leaves there what it leaves on a disk, and flushing takes no time
    work = Path(tempfile.mkdtemp(prefix="understudy-kills-", dir=memory if memory.is_dir() else None))
    os.environ["TMPDIR"] = str(work / "tmp")
    (work / "tmp").mkdir()
    tempfile.tempdir = None
    try:
        return kill(work, given.kills, given.seed, full=given.full, longest_s=60 * given.minutes)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def kill(work: Path, kills: int, seed: int, *, full: int, longest_s: float) -> int:
    """Tell stories until `kills` runs were killed; print the summary and return the exit code."""
    prepare_threads()
    prepare_prefect(work / "prefect")
    from flows.temporary_server import temporary_server  # noqa: PLC0415 - after the environment is prepared
    from sources.randomness import stream  # noqa: PLC0415

    began_s = time.monotonic()
    rng = stream(seed, "kills")
    tally: Counter[str] = Counter()
    flaws: list[str] = []
    with temporary_server() as url:
        os.environ["PREFECT_API_URL"] = url
        import flows.release_flow  # noqa: F401, PLC0415 - once for all children

        people(work / "spec")
        warm(start(work / "spec", work / "first", Moment()).modules)
        calm = start(work / "spec", work / "calm", Moment())
        assert calm.code == 0, calm.text
        print(f"undisturbed: {calm.seconds:.1f} s, touches of the disk {dict(calm.touches)}", flush=True)
        tenth = kills // 10
        plan = [signal.SIGKILL] * kills + [signal.SIGTERM] * tenth + [signal.SIGINT] * tenth + [FULL] * full
        rng.shuffle(plan)
        while plan and time.monotonic() - began_s < longest_s:
            moments = _take(plan, rng, calm)
            try:
                story(work / "spec", work, moments, (calm, work / "calm"), tally)
            except Flaw as flaw:
                flaws.append(str(flaw))
                print(f"FLAW {flaw}", flush=True)
                shutil.rmtree(work / "out", ignore_errors=True)
            struck = sum(tally[name] for name in ("SIGKILL", "SIGTERM", "SIGINT"))
            missing = kills + 2 * tenth - struck - sum(sent != FULL for sent in plan)
            if missing > 0 and not flaws:
                plan += [signal.SIGKILL] * missing  # runs that had ended before their moment came
    left = sorted(p.name for p in (work / "tmp").iterdir() if not p.name.startswith("torchinductor_"))  # torch's cache
    summary = {
        "sigkills": tally["SIGKILL"],
        "flaws": flaws,
        "left in the temporary folder": left,
        "tally": dict(sorted(tally.items())),
        "minutes": round((time.monotonic() - began_s) / 60, 1),
        "seed": seed,
    }
    print(json.dumps(summary, indent=2))
    return 1 if flaws or left else 0


def _take(plan: list[int], rng: Any, calm: Ended) -> Iterator[Moment]:
    for _ in range(int(rng.integers(1, MOST_KILLS_A_STORY + 1))):
        if plan:
            yield chosen(rng, calm, plan.pop())


if __name__ == "__main__":
    sys.exit(main())
