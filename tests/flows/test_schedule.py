"""A schedule is checked when the spec is read, and means to Prefect what it means to cron."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prefect.client.schemas.schedules import CronSchedule

from flows.schedule import FIELDS, checked_cron, checked_timezone
from flows.spec_file import check_spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 3 * *", "five fields"),
        ("@daily", "five fields"),
        ("0 0 3 * * 1", "five fields"),
        ("60 * * * *", "not a number from 0 to 59"),
        ("0 24 * * *", "not a number from 0 to 23"),
        ("0 3 * * 8", "not a number from 0 to 7 or sun to sat"),
        ("0 3 * 13 *", "not a number from 1 to 12 or jan to dec"),
        ("0 3 30 2 *", "no such day"),
        ("0 3 31 4,6,9,11 *", "no such day"),
        ("*/0 * * * *", "holds no number"),
        ("30-10 * * * *", "holds no number"),
        ("0 3 * * monday", "not a number from 0 to 7"),
        ("0 3 L * *", "not a number from 1 to 31"),
        ("1,,2 * * * *", "means nothing"),
        ("*-5 * * * *", "means nothing"),
        ("H * * * *", "not a number"),
    ],
)
def test_what_cron_does_not_mean_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_cron(text)


def field(low: int, high: int) -> "st.SearchStrategy[str]":
    number = st.integers(low, high)
    one = st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
    )
    return st.lists(one, min_size=1, max_size=3).map(",".join)


@settings(deadline=None)
@given(st.tuples(*(field(low, min(high, 28)) for _, low, high, _ in FIELDS[:4]), field(0, 6)))
def test_whatever_is_taken_is_taken_by_prefect_too(parts: tuple[str, ...]) -> None:
    text = checked_cron("  ".join(parts))
    assert CronSchedule(cron=text).cron == text


def test_the_short_form_is_the_text_of_cron() -> None:
    short, long = (
        check_spec({"name": "a", "source": "b.csv", "schedule": given_}, place="a", check_candidates=False).schedule
        for given_ in ("0 3 * * mon", {"cron": "0 3 * * mon", "timezone": "UTC"})
    )
    assert short == long
    assert short is not None


def test_a_zone_is_one_of_the_iana_database() -> None:
    assert datetime(2026, 7, 1, tzinfo=ZoneInfo(checked_timezone("Europe/Prague"))).utcoffset() is not None
    for name in ("Europe/Prag", "../etc/passwd", "", "/etc/localtime"):
        with pytest.raises(ValueError, match="IANA"):
            checked_timezone(name)
