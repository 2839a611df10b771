"""`understudy run`: the spec and the source are opened first, then Prefect is started for the flow."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.errors import Exit, NothingFitted
from flows.holding import held_back, say_waiting
from flows.judging import say_json, say_targets, say_verdict
from flows.preparing import Prepared, prepare, settled, tell, tell_failure
from flows.progress import Narrator, narrator
from flows.run_folder import RunFolder, claimed, relative
from flows.settings import prepare_prefect
from flows.spec import Spec
from flows.spec_file import kept_spec
from flows.timing import SECONDS, timing
from sources.files import write_json
from validators.gate import Outcome


def run_command(
    spec_file: str,
    sets: list[str],
    out: Path,
    *,
    quiet: bool,
    as_json: bool,
    force: bool = False,
    requested_by: str | None = None,
    answering: Callable[[], str] | None = None,
) -> Exit:
    """Run the flow for a spec file as `understudy run --help` says it.

    `answering` waits for the run's own server and returns its URL; it is None where `PREFECT_API_URL` names one.

    Raises:
        UserError: the spec, the source, or the output folder must be changed; nothing is left behind.

    """
    SECONDS.set({})
    voice = narrator(quiet=quiet or as_json)
    try:
        prepared = prepare(spec_file, sets, out, requested_by=requested_by)
        return _run(prepared, voice, answering, as_json=as_json, force=force)
    except Exception:
        tell_failure(spec_file, sets, voice)
        raise


def _run(
    prepared: Prepared, voice: Narrator, answering: Callable[[], str] | None, *, as_json: bool, force: bool
) -> Exit:
    spec, folder, opened, trust = prepared.spec, prepared.folder, prepared.opened, prepared.trust
    try:
        with claimed(folder):
            held = held_back(folder, opened.fingerprint, voice, as_json=as_json)
            if held is not None:
                return held
            _say_head(voice, spec)
            ended = settled(prepared, voice, force=force)
            released = _run_flow(prepared, voice, answering) if ended is None else None
    except KeyboardInterrupt:
        _say_kept(folder)
        return Exit.INTERRUPTED
    except NothingFitted as error:
        tell(spec, voice, "failed")
        sys.stderr.write(f"error: every candidate failed: {error}\n       nothing was published\n")
        return Exit.INCONCLUSIVE
    if released is None:
        assert ended is not None
        tell(spec, voice, ended.ending, version=ended.last.version)
        if as_json:
            say_json(ended.to_json())
        return ended.exit
    code: Exit = released.exit
    tell(spec, voice, released.ending, version=released.release and released.release.name)
    if as_json:
        say_json(released.to_json())
        return code
    others = " · ".join(f"{kind} {outcome}" for kind, outcome in released.tried if kind != released.chosen)
    say_targets(voice, released.targets)
    say_verdict(voice, released.verdict, of=released.chosen + (f"   ({others})" if others else ""))
    if released.waiting is not None:
        say_waiting(voice, folder, released.waiting)
        voice.line("evidence", relative(released.evidence))
    elif released.verdict.outcome is Outcome.PASS and released.release is not None:
        rows = spec.rows or len(opened.dataset)
        voice.line(
            "published",
            f"{relative(released.release)}   {rows:,} rows · {', '.join(spec.publish.formats)}{trust.words}",
        )
        voice.line("report", relative(released.release / "report.html"))
        voice.line("", f"private evidence: {relative(released.evidence)}")
    else:
        voice.line("", "nothing was published.")
        voice.line("evidence", relative(released.evidence))
        voice.line("to try", "more minutes or rows, another candidate; what each check means: docs/metrics.md")
    return code


def _run_flow(prepared: Prepared, voice: Narrator, answering: Callable[[], str] | None) -> Any:
    folder = prepared.folder
    prepare_prefect(folder.root / "prefect")
    write_json(folder.path / "spec.json", kept_spec(prepared.spec))
    with timing("import"):
        from flows.release_flow import COMPANY, Company, release  # noqa: PLC0415 - imports Prefect and torch
        from flows.sights import captured_logs  # noqa: PLC0415

    company = Company(
        spec=prepared.spec,
        place=prepared.place,
        folder=folder,
        voice=voice,
        opened=prepared.opened,
        signers=prepared.trust.signers,
        requested_by=prepared.trust.requested_by,
        credential=prepared.trust.credential,
    )
    token = COMPANY.set(company)
    try:
        with _prefect_for_one_run(folder.results, answering), captured_logs():
            return release(name=prepared.spec.name, run_folder=str(folder.path))
    finally:
        COMPANY.reset(token)


@contextmanager
def _prefect_for_one_run(results: Path, answering: Callable[[], str] | None) -> Iterator[None]:
    """Hold Prefect's in-code settings for one run.

    Args:
        results: the folder of its references.
        answering: waits for the run's own server and returns its URL; None where `PREFECT_API_URL` names one.

    """
    from prefect.settings import (  # noqa: PLC0415 - imported when a flow runs, never by --help
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOCAL_STORAGE_PATH,
        temporary_settings,
    )

    changes: dict[Any, Any] = {PREFECT_LOCAL_STORAGE_PATH: results.resolve()}
    if answering is not None:
        with timing("server"):
            changes[PREFECT_API_URL] = answering()
        changes[PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None  # its thread costs every flow a second
    with temporary_settings(changes):
        yield


def _say_head(voice: Narrator, spec: Spec) -> None:
    from importlib.metadata import version  # noqa: PLC0415 - one use

    from generators.device import resolve  # noqa: PLC0415 - imports torch

    device = resolve().name
    cores = f" ({os.cpu_count()} cores)" if device == "cpu" else ""
    limits = [f"{spec.budget.minutes:g} min"] if spec.budget.minutes else []
    limits += [f"{spec.budget.steps:,} steps"] if spec.budget.steps else []
    voice.line(
        f"understudy {version('understudy')}",
        f" · {spec.name} · seed {spec.seed} · {device}{cores} · budget {' and '.join(limits)}",
    )


def _say_kept(folder: RunFolder) -> None:
    kept = sorted(path.parent for path in folder.fits.glob("*/checkpoints")) if folder.fits.is_dir() else []
    done = len(list(folder.fits.glob("*/fit.json"))) if folder.fits.is_dir() else 0
    sys.stderr.write(
        "stopped by Ctrl-C; nothing was published\n"
        f"kept: {done} finished fits, {len(kept)} checkpoints in {relative(folder.fits)}\n"
        "run the same command again to go on from there\n"
    )
