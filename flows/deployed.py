"""The flow that a worker runs: a spec file in, the way of `flows.release_flow` down, a named state out.

What is a parameter is stored at the server, so parameters name files and hold nothing else. A refusal is an answer,
hence a completed run called Refused; a run is Failed when somebody must change something, and then its message is the
one that the command line would show.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from prefect import flow
from prefect.states import Completed, Failed

from flows.errors import Exit, NothingFitted
from flows.progress import Bars, Metrics
from flows.settings import prepare_threads, quiet_peers
from sources.errors import UserError


@flow(
    name="release", persist_result=False, description="Fit, judge and publish the release that a spec file describes."
)
def scheduled_release(spec: str, out: str = ".", force: bool = False) -> Any:  # noqa: FBT001, FBT002 - parameters of a form
    """Make the release of a spec file, unless nothing has changed since the last one.

    Args:
        spec: path of the spec file, seen by the worker; what it says of relative paths is meant from its working
            folder.
        out: folder that takes runs/ and releases/.
        force: make a release although nothing has changed.

    Returns:
        A completed state: Published, Refused, Inconclusive, Invalid or Unchanged. A failed one where the spec, the
        source or the machine must be changed.

    """
    prepare_threads()  # before anything imports torch
    quiet_peers()
    os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
    from flows.sights import captured_logs  # noqa: PLC0415 - imports pandas and torch

    with captured_logs():
        voice = InLogs(logging.getLogger("flows.deployed"))
        try:
            return _made(spec, Path(out), voice, force=force)
        except Exception as failure:  # noqa: BLE001 - its message and its traceback may quote cells: neither goes to a server
            from flows.preparing import tell_failure  # noqa: PLC0415

            tell_failure(spec, [], voice)
            return _failed(failure)


def _failed(failure: Exception) -> Any:
    """Return the state of a run that failed, with the words that the command line would show."""
    if isinstance(failure, UserError):
        return Failed(message=str(failure))
    if isinstance(failure, NothingFitted):
        return Failed(name="Nothing fitted", message=f"every candidate failed: {failure}")
    if isinstance(failure, MemoryError):
        return Failed(message="the data does not fit into memory\nremedy: give fewer rows, or a larger machine")
    from flows.defects import write_log  # noqa: PLC0415

    path = write_log(failure)
    return Failed(message=f"a defect of understudy ({type(failure).__name__}); log, on the worker: {path}")


def _made(spec_file: str, out: Path, voice: "InLogs", *, force: bool) -> Any:
    """Return the state of a run that ended well; the same steps as `understudy run`."""
    from flows import sights  # noqa: PLC0415 - imports pandas and torch, as those below
    from flows.holding import held_back  # noqa: PLC0415
    from flows.preparing import Settled, drift_of_run, prepare, settled, tell  # noqa: PLC0415
    from flows.release_flow import COMPANY, Company, Released, release  # noqa: PLC0415
    from flows.run_folder import claimed  # noqa: PLC0415
    from flows.spec_file import kept_spec  # noqa: PLC0415
    from sources.files import write_json  # noqa: PLC0415

    prepared = prepare(spec_file, [], out)
    spec, folder = prepared.spec, prepared.folder
    with claimed(folder):
        held = held_back(folder, prepared.opened.fingerprint, voice, as_json=False)
        if held is not None:
            waits = held is Exit.WAITING
            words = f"run folder: {folder.path}"
            return Completed(name=sights.STATES["waiting" if waits else "refused"], message=words)
        ended: Settled | Released | None = settled(prepared, voice, force=force)
        sights.show_drift(spec.name, drift_of_run(folder))
        if ended is None:
            write_json(folder.path / "spec.json", kept_spec(spec))
            company = Company(
                spec=spec,
                place=spec_file,
                folder=folder,
                voice=voice,
                opened=prepared.opened,
                signers=prepared.trust.signers,
                requested_by=prepared.trust.requested_by,
                credential=prepared.trust.credential,
            )
            token = COMPANY.set(company)
            try:
                ended = cast("Released", release.fn(name=spec.name, run_folder=str(folder.path)).data)
            finally:
                COMPANY.reset(token)
    assert ended is not None
    if isinstance(ended, Settled):
        tell(spec, voice, ended.ending, version=ended.last.version)
        sights.emit(ended.ending, spec.name, version=ended.last.version)
        words = f"as version {ended.last.version}" if ended.drift is None else "the source has drifted"
        return Completed(name=sights.STATES[ended.ending], message=words)
    version = None if ended.release is None else ended.release.name
    tell(spec, voice, ended.ending, version=version)
    words = f"version {version}" if version is not None else f"nothing was published; evidence: {ended.evidence}"
    return Completed(name=sights.STATES[ended.ending], message=words)


class InLogs:
    """A narrator that writes to a logger: what a worker's run says goes to its log at the server.

    Args:
        log: where lines go.

    """

    def __init__(self, log: logging.Logger) -> None:
        """Keep the logger."""
        self._log = log

    def line(self, label: str, text: str) -> None:
        """Log one line."""
        self._log.info("%s", f"{label:<11}{text}".rstrip())

    @contextmanager
    def bars(self, label: str, names: tuple[str, ...]) -> Iterator[Bars]:  # noqa: ARG002 - each line names its own
        """Log a line when one of `names` is done; what goes on is an artifact."""
        yield _DoneInLogs(self, label)


class _DoneInLogs:
    def __init__(self, lines: InLogs, label: str) -> None:
        self._lines = lines
        self._label = label

    def step(self, name: str, metrics: Metrics) -> None:
        pass

    def done(self, name: str, text: str) -> None:
        self._lines.line(self._label, f"{name}  {text}")
