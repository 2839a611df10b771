"""How a run speaks: aligned lines with bars on a terminal, plain lines elsewhere, nothing at all when asked.

    source     6,366 rows × 9 columns   contract ok (11 rules)
    fit        tabular.autoregressive  ━━━━━━━━━━━━━━━━━━━━  step 1,840  loss 9.71  best 9.69  0:41 left

A `Narrator` is all that the rest of the room knows of it.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

Metrics = Mapping[str, Any]
LABEL_WIDTH = 11
BAR_WIDTH = 20
LINE_EVERY_S = 10.0
"""Between two progress lines of one fit where there is no terminal."""


class Narrator(Protocol):
    """What a run says while it goes on."""

    def line(self, label: str, text: str) -> None:
        """Say `text` beside `label`; an empty label goes on with the one before."""
        ...

    def bars(self, label: str, names: tuple[str, ...]) -> Any:
        """Return a context manager that shows one bar for each of `names` and yields its `Bars`."""
        ...


class Bars(Protocol):
    """One bar for each candidate, or for the one thing that is done."""

    def step(self, name: str, metrics: Metrics) -> None:
        """Show the `metrics` of an `OnStep`."""
        ...

    def done(self, name: str, text: str) -> None:
        """Show that `name` has ended, with a word on how."""
        ...


def narrator(*, quiet: bool, stream: TextIO | None = None) -> Narrator:
    """Return the narrator that suits `stream` (standard output unless given)."""
    stream = stream or sys.stdout
    if quiet:
        return Silent()
    return OnTerminal(stream) if stream.isatty() else InLines(stream)


class Silent:
    """Says nothing: `--quiet`, `--json`, tests."""

    def line(self, label: str, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def bars(self, label: str, names: tuple[str, ...]) -> Iterator[Bars]:  # noqa: ARG002 - says nothing
        """Show nothing."""
        yield _NoBars()


class InLines:
    """Plain lines for a worker's log or a pipe.

    Args:
        stream: where they go.

    """

    def __init__(self, stream: TextIO) -> None:
        """Keep the stream."""
        self._stream = stream

    def line(self, label: str, text: str) -> None:
        """Write one line at once."""
        self._stream.write(f"{label:<{LABEL_WIDTH}}{text}".rstrip() + "\n")
        self._stream.flush()

    @contextmanager
    def bars(self, label: str, names: tuple[str, ...]) -> Iterator[Bars]:
        """Write a line every ten seconds for what goes on, and one when it is done."""
        yield _LinesOfBars(self, label, max((len(name) for name in names), default=0))


class OnTerminal:
    """Aligned lines and moving bars.

    Args:
        stream: a terminal.

    """

    def __init__(self, stream: TextIO) -> None:
        """Open a console on the stream."""
        from rich.console import Console  # noqa: PLC0415 - not before it is shown

        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)

    def line(self, label: str, text: str) -> None:
        """Print one line, the label in bold and the words of a verdict in their colour."""
        from rich.text import Text  # noqa: PLC0415

        colour = {"PASS": "bold green", "REFUSE": "bold red", "INCONCLUSIVE": "bold yellow", "INVALID": "bold red"}
        first, _, rest = text.partition(" ")
        words = Text()
        words.append(f"{label:<{LABEL_WIDTH}}", style="bold")
        words.append(first, style=colour.get(first, "none"))
        words.append(f" {rest}" if rest else "", style="none")
        self._console.print(words)

    @contextmanager
    def bars(self, label: str, names: tuple[str, ...]) -> Iterator[Bars]:
        """Show one bar a name until the block ends, then leave one line a name, which may be longer than the screen."""
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        width = max((len(name) for name in names), default=0)
        columns = (
            TextColumn(
                "{task.fields[label]}", style="bold", markup=False, table_column=Column(min_width=LABEL_WIDTH - 1)
            ),
            TextColumn("{task.description}", markup=False, table_column=Column(min_width=width)),
            BarColumn(bar_width=BAR_WIDTH, table_column=Column(min_width=BAR_WIDTH)),
            TextColumn("{task.fields[words]}", markup=False, table_column=Column(no_wrap=True)),
        )
        ended: dict[str, str] = {}
        with Progress(*columns, console=self._console, refresh_per_second=5, transient=True) as progress:
            tasks = {}
            for position, name in enumerate(names):
                head = f"{label if position == 0 else '':<{LABEL_WIDTH - 1}}"
                tasks[name] = progress.add_task(f"{name:<{width}}", total=None, label=head, words="")
            yield _RichBars(progress, tasks, ended)
        for position, (name, text) in enumerate(ended.items()):
            self.line(label if position == 0 else "", f"{name:<{width}}  {'━' * BAR_WIDTH}  {text}")


class _NoBars:
    def step(self, name: str, metrics: Metrics) -> None:
        pass

    def done(self, name: str, text: str) -> None:
        pass


class _LinesOfBars:
    def __init__(self, lines: InLines, label: str, width: int) -> None:
        self._lines = lines
        self._label = label
        self._width = width
        self._said_s: dict[str, float] = {}

    def step(self, name: str, metrics: Metrics) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s.setdefault(name, now_s) >= LINE_EVERY_S:
            self._said_s[name] = now_s
            self._lines.line(self._label, f"{name:<{self._width}}  {words_of(metrics)}")

    def done(self, name: str, text: str) -> None:
        self._lines.line(self._label, f"{name:<{self._width}}  {text}")


class _RichBars:
    def __init__(self, progress: Any, tasks: Mapping[str, Any], ended: dict[str, str]) -> None:
        self._progress = progress
        self._tasks = tasks
        self._ended = ended

    def step(self, name: str, metrics: Metrics) -> None:
        total, completed = share_of(metrics)
        self._progress.update(self._tasks[name], total=total, completed=completed, words=words_of(metrics))

    def done(self, name: str, text: str) -> None:
        self._progress.update(self._tasks[name], total=1.0, completed=1.0, words=text)
        self._ended[name] = text


def words_of(metrics: Metrics) -> str:
    """Return a fit's metrics as the terminal shows them.

    >>> words_of({"step": 1840, "loss": 9.711, "best": 9.69, "left_s": 41.2})
    'step 1,840  loss 9.71  best 9.69  0:41 left'
    """
    parts = []
    if metrics.get("step") is not None and "steps" not in metrics:
        parts.append(f"step {metrics['step']:,}")
    elif metrics.get("phase"):
        parts.append(str(metrics["phase"]).replace("_", " "))
    parts += [f"{name} {metrics[name]:.2f}" for name in ("loss", "best") if metrics.get(name) is not None]
    if metrics.get("left_s") is not None:
        parts.append(f"{clock(metrics['left_s'])} left")
    return "  ".join(parts)


def share_of(metrics: Metrics) -> tuple[float | None, float]:
    """Return (total, completed) of a bar; the total is None while nobody knows it."""
    if metrics.get("steps"):
        return float(metrics["steps"]), float(metrics.get("step", 0))
    left_s, elapsed_s = metrics.get("left_s"), float(metrics.get("elapsed_s") or 0.0)
    return (None, 0.0) if left_s is None else (max(elapsed_s + float(left_s), 1e-9), elapsed_s)


def clock(seconds: float) -> str:
    """Return seconds as minutes and seconds, with hours where there are any.

    >>> clock(41.2), clock(3725)
    ('0:41', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
