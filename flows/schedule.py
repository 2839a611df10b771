"""When a release is made again by itself: `schedule:` of a spec, checked when the spec is read.

The five fields of cron (crontab(5): minute, hour, day of the month, month, day of the week) in the part of its
language that cron, systemd's generators and Prefect read alike: numbers, `*`, lists, ranges, steps, and English names
of months and weekdays. Nothing here imports Prefect.
"""

import re
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from sources.errors import did_you_mean

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, WEEKDAYS),
)
_ITEM = re.compile(r"(\*|[0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?(?:/([0-9]+))?")


class ScheduleSpec(BaseModel):
    """When Prefect, or cron, starts a run."""

    model_config = ConfigDict(extra="forbid", revalidate_instances="always", frozen=True, strict=True)
    cron: str = Field(description='five fields: minute, hour, day, month, weekday, such as "0 3 * * 1"')
    timezone: str = Field(default="UTC", description="zone of these times, such as Europe/Prague")

    @field_validator("cron")
    @classmethod
    def _some_moment(cls, text: str) -> str:
        return checked_cron(text)

    @field_validator("timezone")
    @classmethod
    def _some_zone(cls, name: str) -> str:
        return checked_timezone(name)


def _with_key(raw: Any) -> Any:
    """Turn the short form, the text of cron alone, into the fields of a ScheduleSpec."""
    return {"cron": raw} if isinstance(raw, str) else raw


Schedule = Annotated[ScheduleSpec, BeforeValidator(_with_key)]


def checked_cron(text: str) -> str:
    """Return the five fields with single spaces between them.

    Raises:
        ValueError: not five fields, one that means nothing, or a day that no month has; says what to write.

    >>> checked_cron("0  3 * * mon-fri")
    '0 3 * * mon-fri'
    """
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ValueError(
            f'write five fields (minute hour day month weekday), such as "0 3 * * 1"; here are {len(parts)}'
        )
    values = [_values(part, *field) for part, field in zip(parts, FIELDS, strict=True)]
    days, months = values[2], values[3]
    if parts[4] == "*" and all(day > DAYS[month - 1] for day in days for month in months):
        raise ValueError("no such day in any of these months; this would never start")
    return " ".join(parts)


def checked_timezone(name: str) -> str:
    """Return the name of a zone of the IANA database.

    Raises:
        ValueError: there is none of that name.

    """
    try:
        ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        known = False
    except KeyError:
        known = False
    else:
        known = True
    if not known:
        near = did_you_mean(name, available_timezones())
        raise ValueError(f"give a zone of the IANA database, such as Europe/Prague{near}")
    return name


def _values(part: str, label: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """Return the numbers that one field stands for."""
    found: set[int] = set()
    for item in part.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise ValueError(
                f"{label}: {item!r} means nothing; write a number {low} to {high}, *, a list, a range or a step"
            )
        first, last, step = match.groups()
        if first == "*" and last is not None:
            raise ValueError(f"{label}: {item!r} means nothing; write * or a range of numbers")
        begin = low if first == "*" else _number(first, label, low, high, names)
        end = high if first == "*" else begin
        if last is not None:
            end = _number(last, label, low, high, names)
        elif step is not None and first != "*":
            end = high
        if end < begin or step == "0":
            raise ValueError(f"{label}: {item!r} holds no number; a range goes up, a step is 1 or more")
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str, label: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + (1 if names is MONTHS else 0)
    if not text.isdecimal() or not low <= int(text) <= high:
        words = f" or {names[0]} to {names[-1]}" if names else ""
        raise ValueError(f"{label}: {text!r} is not a number from {low} to {high}{words}")
    return int(text)
