"""Dates and times written as text: which form a column has, and reading and writing in that form."""

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
ISO_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?\s?(?:Z|UTC|[+-]\d{2}:?\d{2})?", re.ASCII
)
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DATES = (
    "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%m/%d/%y", "%d/%m/%y",
    "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%Y-%m",
)  # fmt: skip
FORMATS: tuple[str, ...] = tuple(date + clock for date in _DATES for clock in _CLOCKS)
MAYBE = re.compile(r"[A-Za-z0-9:/., -]{6,30}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Form:
    """How the dates of a column are written.

    Args:
        format: strptime form, or None for ISO 8601.
        only_dates: no cell has a time of day.
        timezone: the one offset of all cells, `UTC` where they differ, or None without zones.
        ambiguous: day and month could be the other way round in every cell.

    """

    format: str | None
    only_dates: bool
    timezone: str | None = None
    ambiguous: bool = False


def form_of(texts: Sequence[str]) -> Form | None:
    """Return the form in which every one of the distinct `texts` reads as a date, or None."""
    bare = [text.strip() for text in texts]
    if all(ISO_DATE.fullmatch(text) for text in bare):
        return Form(format=None, only_dates=True) if _all_read(bare, None) else None
    if all(ISO_DATE.fullmatch(text) or ISO_TIME.fullmatch(text) for text in bare):
        return _iso_form(bare)
    if not all(MAYBE.fullmatch(text) for text in bare):
        return None
    fitting = [form for form in FORMATS if _fits(form, bare[0]) and _all_read(bare, form)]
    if not fitting:
        return None
    swapped = {fitting[0], _swap(fitting[0])} <= set(fitting)
    return Form(
        format=fitting[0],
        only_dates="%H" not in fitting[0] and "%I" not in fitting[0],
        ambiguous=swapped and fitting[0] != _swap(fitting[0]),
    )


def read(text: str, form: str | None) -> dt.datetime | None:
    """Return the moment written in `text`, in UTC and without zone, or None where it is none.

    Text in ISO 8601 is understood whatever the form.
    """
    bare = text.strip()
    if ISO_DATE.fullmatch(bare) or ISO_TIME.fullmatch(bare):
        return _in_utc(_iso(bare))
    if form is None:
        return None
    try:
        return _in_utc(dt.datetime.strptime(bare, form))  # noqa: DTZ007 - the form may hold a zone
    except ValueError:
        return None


def write(moment: dt.datetime, form: str | None, *, only_dates: bool = False) -> str:
    """Return `moment` in the form; None is ISO 8601."""
    if form is not None:
        return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))  # some platforms do not pad years
    return moment.date().isoformat() if only_dates else moment.isoformat()


def _iso(bare: str) -> dt.datetime | None:
    text = re.sub(r"\s?(?:Z|UTC)$", "+00:00", bare)
    text = re.sub(r"\s([+-]\d{2}:?\d{2})$", r"\1", text)
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return None


def _in_utc(moment: dt.datetime | None) -> dt.datetime | None:
    if moment is None or moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(dt.UTC).replace(tzinfo=None)
    except OverflowError:  # the first or last day of the calendar, shifted over its edge
        return None


def _iso_form(bare: Sequence[str]) -> Form | None:
    moments = [_iso(text) for text in bare]
    if any(_in_utc(moment) is None for moment in moments):
        return None
    offsets = {moment.utcoffset() for moment in moments if moment is not None}
    if None in offsets:
        return Form(format=None, only_dates=False) if len(offsets) == 1 else None
    minutes = {round(offset.total_seconds() / 60) for offset in offsets if offset is not None}
    only = minutes.pop() if len(minutes) == 1 else 0
    zone = "UTC" if only == 0 else f"{'-' if only < 0 else '+'}{abs(only) // 60:02d}:{abs(only) % 60:02d}"
    return Form(format=None, only_dates=False, timezone=zone)


def _all_read(bare: Iterable[str], form: str | None) -> bool:
    return all(read(text, form) is not None for text in bare)


def _fits(form: str, text: str) -> bool:
    return read(text, form) is not None


def _swap(form: str) -> str:
    """Return the form with day and month exchanged, where both are numbers."""
    if "%d" not in form or "%m" not in form:
        return form
    return form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
