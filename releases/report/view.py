"""What the template shows of measurements: blocks, rows, tiles and reasons, as finished texts and pictures.

Works on private and on public measurements alike; which of the two it gets is what makes a report private.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from releases.public import ALL_ROWS, FIXED_SUBJECTS, PublicMeasurement, badness
from releases.report import words
from releases.report.drawing import Whisker, span_of, whisker_row
from releases.report.glossary import Unit, entry_of
from validators.gate import Verdict
from validators.measurement import FAMILIES, Measurement, Status

Judged = Measurement | PublicMeasurement
HEADINGS = {"contract": "Contract", "fidelity": "Fidelity", "privacy": "Privacy", "bias": "Bias", "process": "Process"}
MOST_ROWS = 60
MOST_REASONS = 8
MOST_SENTENCES = 3  # more rows of one measurement than this are silent while they pass
_SMALLEST = {"p": 1e-9, "ratio": 0.01}
"""Where a logarithmic scale ends."""
_BAD = {"lower_is_better": "above", "higher_is_better": "below", "inside_is_better": "outside"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement: about whom (or the sentence itself), picture, number, interval, status, further sentence."""

    subject: str
    svg: Markup
    value: str
    interval: str
    tone: str
    mark: str
    status: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """All measurements of one name, the worst first, on one scale."""

    anchor: str
    title: str
    meaning: str
    limit: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One of the four judgements at a glance: how many hold, and the measurement nearest to (or beyond) its limit."""

    family: str
    heading: str
    tone: str
    mark: str
    counts: str
    words: str
    limit: str
    svg: Markup


@dataclass(frozen=True, kw_only=True)
class ReasonLine:
    """One reason against the release, and what to try."""

    family: str
    anchor: str
    title: str
    subject: str
    reading: str
    tone: str
    remedy: str


def blocks(measurements: Sequence[Judged]) -> dict[str, list[Block]]:
    """Return family -> its blocks, those in trouble first; every family is a key."""
    found: dict[str, list[Block]] = {family: [] for family in FAMILIES}
    for family, kept in found.items():
        mine = [one for one in measurements if one.family == family]
        names = list(dict.fromkeys(one.name for one in mine))
        by_name = {name: sorted((one for one in mine if one.name == name), key=badness, reverse=True) for name in names}
        names.sort(key=lambda name: -badness(by_name[name][0])[0])
        kept += [_block(by_name[name]) for name in names]
    return found


def tiles(measurements: Sequence[Judged]) -> list[Tile]:
    """Return the four tiles in the order of the families."""
    return [_tile(family, [one for one in measurements if one.family == family]) for family in FAMILIES]


def reason_lines(verdict: Verdict, *, private: bool) -> tuple[list[ReasonLine], int]:
    """Return the first reasons, the worst first, and how many more there are; without readings for the public."""
    lines: dict[tuple[str, str], ReasonLine] = {}
    for reason in verdict.reasons:
        entry = entry_of(reason.name)
        process = reason.family == "process"
        line = ReasonLine(
            family=HEADINGS.get(reason.family, reason.family),
            anchor="" if process else reason.name,
            title="the report itself" if process else entry.title,
            subject=reason.subject if private and reason.subject not in (ALL_ROWS, "report") else "",
            reading=reason.reading if private else "",
            tone=tone_of(reason.status),
            remedy="judge again with one policy and all checks; if it stays, it is a defect of ours."
            if process
            else _remedy(reason.status, entry.remedy),
        )
        lines.setdefault((reason.name, line.subject + line.reading), line)
    shown = _by_turns(list(lines.values()))
    return shown[:MOST_REASONS], max(0, len(shown) - MOST_REASONS)


def _by_turns(lines: Sequence[ReasonLine]) -> list[ReasonLine]:
    """Return the lines of each tone so that the families speak by turns: many of one must not hide another's."""
    spoken: dict[tuple[str, str], int] = {}
    turns = []
    for line in lines:
        turn = spoken[line.tone, line.family] = spoken.get((line.tone, line.family), 0) + 1
        turns.append(turn)
    tones = list(dict.fromkeys(line.tone for line in lines))
    order = sorted(range(len(lines)), key=lambda place: (tones.index(lines[place].tone), turns[place]))
    return [lines[place] for place in order]


def tone_of(status: str) -> str:
    """Return the CSS class of a status or an outcome."""
    return {"REFUSE": "fail", "FAILED": "fail"}.get(str(status), str(status).lower())


def _remedy(status: Status, remedy: str) -> str:
    if status is Status.INCONCLUSIVE:
        return "more real rows narrow the interval; nothing else does honestly. " + remedy
    if status is Status.INVALID:
        return "the check went wrong; the log of the run says where."
    return remedy


def _block(measurements: Sequence[Judged]) -> Block:
    first = measurements[0]
    entry = entry_of(first.name)
    whiskers = [whisker_of(one, entry.unit) for one in measurements]
    span = span_of(whiskers)
    many = len(measurements) > MOST_SENTENCES
    rows = [
        _row(one, whisker, span, entry.unit, quiet=many and one.status is Status.PASS)
        for one, whisker in zip(measurements, whiskers, strict=True)
    ]
    return Block(
        anchor=first.name,
        title=entry.title,
        meaning=entry.meaning,
        limit=words.limit(first.limit, first.direction, entry.unit),
        rows=tuple(rows[:MOST_ROWS]),
    )


def _row(one: Judged, whisker: Whisker, span: tuple[float, float], unit: Unit, *, quiet: bool) -> Row:
    subject = one.subject.capitalize() if one.subject in FIXED_SUBJECTS else one.subject
    value = words.quantity(one.value, unit)
    between = words.interval(one.low, one.high, unit)
    status = words.STATUSES[one.status]
    sentence = one.reading if isinstance(one, Measurement) and not quiet else ""
    speaks_for_itself = one.subject == ALL_ROWS and bool(sentence)
    return Row(
        subject=sentence if speaks_for_itself else subject,
        svg=whisker_row(whisker, span=span, label=f"{subject}: {value}, {status}"),
        value=value,
        interval=between,
        tone=tone_of(one.status),
        mark=words.MARKS[one.status],
        status=status,
        sentence="" if speaks_for_itself else sentence,
    )


def _tile(family: str, measurements: Sequence[Judged]) -> Tile:
    if not measurements:
        return Tile(
            family=family,
            heading=HEADINGS[family],
            tone="none",
            mark="–",
            counts="not asked",
            words="No column is marked as protected." if family == "bias" else "Nothing was measured.",
            limit="",
            svg=Markup(),
        )
    worst = max(measurements, key=badness)
    entry = entry_of(worst.name)
    good = sum(one.status is Status.PASS for one in measurements)
    whisker = whisker_of(worst, entry.unit)
    about = "" if worst.subject == ALL_ROWS else f" ({worst.subject})"
    lead = "Nearest to its limit" if worst.status is Status.PASS else words.STATUSES[worst.status].capitalize()
    if family == "contract" and worst.status is Status.PASS:
        lead = "Every rule is kept"
    return Tile(
        family=family,
        heading=HEADINGS[family],
        tone=tone_of(worst.status),
        mark=words.MARKS[worst.status],
        counts=f"{good} of {len(measurements)}",
        words=f"{lead}: {entry.title}{about}, {words.quantity(worst.value, entry.unit)}."
        if worst.family != "contract" or worst.status is not Status.PASS
        else f"{lead}.",
        limit=f"Allowed: {words.limit(worst.limit, worst.direction, entry.unit)}",
        svg=whisker_row(whisker, span=span_of([whisker]), label=entry.title, width=220, height=22),
    )


def whisker_of(one: Judged, unit: Unit) -> Whisker:
    """Return the marks of a measurement; probabilities and ratios lie on a logarithmic scale."""

    def place(number: float | None) -> float | None:
        return math.log10(max(number, _SMALLEST[unit])) if number is not None and unit in ("p", "ratio") else number

    limit: float | tuple[float, float] | None
    if isinstance(one.limit, tuple):
        limit = (_sure(place(one.limit[0])), _sure(place(one.limit[1])))
    else:
        limit = place(one.limit)
    return Whisker(
        value=place(one.value),
        low=place(one.low),
        high=place(one.high),
        limit=limit,
        reference=place(one.reference),
        bad=_BAD[one.direction],
        tone=tone_of(one.status),
    )


def _sure(number: float | None) -> float:
    assert number is not None
    return number


def glossary_lines(measurements: Sequence[Judged], terms: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (name, anchor, text) for every measurement that occurs, then for the general terms."""
    names = list(dict.fromkeys(one.name for one in measurements))
    lines = [(entry_of(name).title, name, entry_of(name).meaning or "Defined in docs/metrics.md.") for name in names]
    return lines + [(term, "", text) for term, text in terms.items()]
