"""What a person sees of a run in Prefect: artifacts, events and log lines, none of which holds a value of the source.

Shown where a lasting server is there (`PREFECT_API_URL`); a temporary one ends before anybody could look. What goes
there
is counted: names of candidates, families and checks, how many passed, names of columns, paths. Labels, readings and
figures of single measurements stay in the run folder's private evidence.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from flows.drift import Drift
from flows.notices import Ending
from flows.progress import Bars, Metrics, share_of
from flows.settings import uses_temporary_server
from flows.stages import Tried
from releases.stores import Address
from validators.measurement import FAMILIES, Status

ROOMS = ("flows", "generators", "releases", "sources", "validators")
RUN_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
STATES: Mapping[Ending, str] = {
    "published": "Published",
    "refused": "Refused",
    "inconclusive": "Inconclusive",
    "invalid": "Invalid",
    "waiting": "Waiting for approval",
    "unchanged": "Unchanged",
}
"""The names of completed states: the refusal of a release is an answer, not a failure of the run."""

PROGRESS_EVERY_S = 5.0
EVENT = "understudy.release"


def watched() -> bool:
    """Return whether there is a server that somebody can look at."""
    return not uses_temporary_server()


def key_of(*parts: str) -> str:
    """Return an artifact's key: lower-case letters, digits and dashes.

    >>> key_of("Affairs.survey", "verdict")
    'affairs-survey-verdict'
    """
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower()).strip("-")


@contextmanager
def captured_logs() -> Iterator[None]:
    """Send what the rooms log inside the block to the run's log at the server, and keep tracebacks out of it.

    A traceback quotes messages of libraries, which may quote cells; places without messages are in the log file of a
    defect.
    """
    if not watched():
        yield
        return
    from prefect.logging.handlers import APILogHandler  # noqa: PLC0415 - only beside a server

    handler = APILogHandler()
    rooms = [logging.getLogger(room) for room in ROOMS]
    runs = [logging.getLogger(name) for name in RUN_LOGGERS]
    levels = [room.level for room in rooms]
    for room in rooms:
        room.addHandler(handler)
        room.setLevel(logging.INFO)
    for logger in runs:
        logger.addFilter(_without_traceback)
    try:
        yield
    finally:
        for room, level in zip(rooms, levels, strict=True):
            room.removeHandler(handler)
            room.setLevel(level)
        for logger in runs:
            logger.removeFilter(_without_traceback)
        handler.flush()


def with_progress(bars: Bars, release: str, names: Sequence[str]) -> Bars:
    """Return bars that also keep one progress artifact for each of `names`, where somebody can look at it."""
    return _Shown(bars, release, names) if watched() else bars


def show_drift(release: str, drift: Drift | None) -> None:
    """Put what the source differs in onto the run's page."""
    if drift is None or not watched():
        return
    from prefect.artifacts import create_markdown_artifact  # noqa: PLC0415 - only beside a server

    lines = [f"- {_plain(one.words)}" for one in drift.findings] or ["- none"]
    head = f"{drift.compared} columns against the source of version {drift.against}"
    create_markdown_artifact(
        key=key_of(release, "drift"), markdown="\n".join([f"## Drift of the source\n\n{head}\n", *lines])
    )


def show_ending(
    release: str,
    tried: Sequence[Tried],
    chosen: Tried,
    ending: Ending,
    *,
    published: Path | Address | None,
    evidence: Path,
) -> None:
    """Put the verdict and the ways to the reports onto the run's page, and emit the event of the ending."""
    if not watched():
        return
    from prefect.artifacts import create_link_artifact, create_markdown_artifact  # noqa: PLC0415

    create_markdown_artifact(
        key=key_of(release, "verdict"),
        description=f"{STATES[ending]}: {chosen.candidate.kind}",
        markdown=verdict_table(tried, chosen, ending, published=published, evidence=evidence),
    )
    report = str(evidence) if published is None else f"{published}/report.html"
    link = report if "://" in report else Path(report).resolve().as_uri()
    create_link_artifact(
        key=key_of(release, "report"),
        link=link,
        link_text="private evidence" if published is None else "report of the release",
    )
    counts = {kind: sum(one.outcome == kind for one in tried) for kind in {one.outcome for one in tried}}
    emit(ending, release, published, candidates=counts)


def emit(ending: Ending, release: str, published: Path | Address | None = None, **payload: Any) -> None:
    """Emit `understudy.release.<ending>`, on which Prefect's automations can act; the run is related to it."""
    if not watched():
        return
    from prefect.events import emit_event  # noqa: PLC0415

    version = {} if published is None else {"version": str(published).rstrip("/").rsplit("/", maxsplit=1)[-1]}
    emit_event(
        event=f"{EVENT}.{ending}",
        resource={"prefect.resource.id": f"{EVENT}.{release}", "prefect.resource.name": release},
        payload={"release": release, **version, **payload},
    )


def verdict_table(
    tried: Sequence[Tried], chosen: Tried, ending: Ending, *, published: Path | Address | None, evidence: Path
) -> str:
    """Return the verdict in Markdown: how many checks of each family each candidate passed, and which it did not."""
    lines = [f"## {STATES[ending]}", "", f"| candidate | verdict | {' | '.join(FAMILIES)} |"]
    lines.append("|" + "---|" * (2 + len(FAMILIES)))
    for one in tried:
        name = f"**{one.candidate.kind}**" if one is chosen else one.candidate.kind
        lines.append(f"| {name} | {one.outcome} | {' | '.join(_passed(one, family) for family in FAMILIES)} |")
    assert chosen.judgement is not None
    missed: dict[tuple[str, str], int] = {}
    for found in chosen.judgement.report.measurements:
        if found.status is not Status.PASS:
            key = (found.family, f"{found.name.replace('_', ' ')} ({found.status.value})")
            missed[key] = missed.get(key, 0) + 1
    lines += ["", *(f"- {family}: {name} × {count}" for (family, name), count in missed.items())]
    lines += ["", f"release: `{published}`" if published is not None else "Nothing was published."]
    lines += ["", f"private evidence: `{evidence}`"]
    return "\n".join(lines) + "\n"


def _passed(one: Tried, family: str) -> str:
    if one.judgement is None:
        return "–"
    statuses = [found.status for found in one.judgement.report.measurements if found.family == family]
    return f"{sum(status is Status.PASS for status in statuses)}/{len(statuses)}"


def _plain(text: str) -> str:
    """Return `text` with every character that Markdown or HTML reads escaped: names of columns may be hostile."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>&~])", lambda found: f"&#{ord(found.group())};", text)


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info, record.exc_text = None, None
    return True


class _Shown:
    """Bars that are shown on a terminal, or nowhere, and in Prefect as well.

    Args:
        bars: the others.
        release: whose fits these are.
        names: of the fits.

    """

    def __init__(self, bars: Bars, release: str, names: Sequence[str]) -> None:
        """Prepare the artifacts, which are made when a fit begins."""
        self._bars = bars
        self._make = {name: partial(_progress_artifact, key_of(release, name), name) for name in names}
        self._ids: dict[str, Any] = {}
        self._shown_s: dict[str, float] = {}

    def step(self, name: str, metrics: Metrics) -> None:
        """Show the metrics, at the server every few seconds."""
        self._bars.step(name, metrics)
        now_s = time.monotonic()
        if now_s - self._shown_s.get(name, -PROGRESS_EVERY_S) < PROGRESS_EVERY_S:
            return
        self._shown_s[name] = now_s
        total, completed = share_of(metrics)
        self._show(name, 0.0 if not total else min(100.0 * completed / total, 100.0))

    def done(self, name: str, text: str) -> None:
        """Show that it has ended."""
        self._bars.done(name, text)
        self._show(name, 100.0)

    def _show(self, name: str, percent: float) -> None:
        from prefect.artifacts import update_progress_artifact  # noqa: PLC0415

        if name not in self._ids:
            self._ids[name] = self._make[name](percent)
        else:
            update_progress_artifact(self._ids[name], progress=percent)


def _progress_artifact(key: str, name: str, percent: float) -> Any:
    from prefect.artifacts import create_progress_artifact  # noqa: PLC0415

    return create_progress_artifact(progress=percent, key=f"{key}-fit", description=f"fit of {name}")
