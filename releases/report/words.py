"""Numbers and outcomes as words for a person."""

import math
from datetime import datetime

from releases.report.glossary import Unit

_LEAST_P = 1e-9  # below it, how small does not matter
Bound = float | tuple[float, float]
MINUS = "−"
OUTCOMES = {
    "PASS": "every measurement is inside its limit",
    "REFUSE": "at least one limit is crossed, so nothing was published",
    "INCONCLUSIVE": "too little data to be sure, so nothing was published",
    "INVALID": "the judgement itself went wrong, so nothing was published",
}
STATUSES = {"PASS": "pass", "FAIL": "over the limit", "INCONCLUSIVE": "cannot tell", "INVALID": "invalid"}
MARKS = {"PASS": "✓", "FAIL": "✕", "INCONCLUSIVE": "?", "INVALID": "!"}


def quantity(value: float | None, unit: Unit) -> str:
    """Return a value in its unit.

    >>> quantity(0.0123, "points"), quantity(0.531, "plain"), quantity(2e-7, "p"), quantity(None, "plain")
    ('1.2 points', '0.531', 'p = 2 × 10⁻⁷', 'not measured')
    """
    if value is None:
        return "not measured"
    if unit == "points":
        number = signed(100 * value, 2)
        return f"{number} point" if number.lstrip(MINUS) == "1" else f"{number} points"
    if unit == "percent":
        return f"{signed(100 * value, 2)} %"
    if unit == "ratio":
        return f"{signed(value, 3)} ×"
    if unit == "p":
        return f"p < {probability(_LEAST_P)}" if value < _LEAST_P else f"p = {probability(value)}"
    return signed(value, 3)


def interval(low: float | None, high: float | None, unit: Unit) -> str:
    """Return an interval without its unit, or an empty text.

    >>> interval(0.01, 0.0234, "points")
    '1 to 2.3'
    """
    if low is None or high is None or low == high:
        return ""
    if unit in ("points", "percent"):
        return f"{signed(100 * low, 2)} to {signed(100 * high, 2)}"
    if unit == "p":
        return f"{probability(low)} to {probability(high)}"
    digits = 2 if max(abs(low), abs(high)) < 0.1 else 3  # noqa: PLR2004 - small ends are noise beyond two digits
    return f"{signed(low, digits)} to {signed(high, digits)}"


def limit(bound: Bound | None, direction: str, unit: Unit) -> str:
    """Return what is allowed.

    >>> limit(0.03, "lower_is_better", "points"), limit((0.35, 0.65), "inside_is_better", "plain")
    ('at most 3 points', '0.35 to 0.65')
    """
    if bound is None:
        return "no limit"
    if isinstance(bound, tuple):
        return interval(bound[0], bound[1], unit) + {"points": " points", "percent": " %", "ratio": " ×"}.get(unit, "")
    if bound == 0 and direction == "lower_is_better":
        return "none allowed" if unit == "plain" else "at most 0"
    if unit == "p":
        return f"p of {probability(bound)} or more"
    return f"{'at most' if direction == 'lower_is_better' else 'at least'} {quantity(bound, unit)}"


def signed(value: float, digits: int) -> str:
    """Return a number with so many significant digits, a real minus sign, thousands apart and no exponent.

    >>> signed(-0.00012345, 2), signed(12345.6, 3), signed(0.0, 3)
    ('−0.00012', '12,346', '0')
    """
    if value == 0:
        return "0"
    size = abs(value)
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    if decimals > 6:  # noqa: PLR2004 - smaller than anybody reads
        return MINUS * (value < 0) + "0.000001" if size >= 5e-7 else "0"  # noqa: PLR2004
    text = f"{size:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return (MINUS if value < 0 and text != "0" else "") + text


def probability(value: float) -> str:
    """Return a p-value: two digits down to 0.001, then one digit and a power of ten."""
    if value >= 0.001 or value <= 0:  # noqa: PLR2004 - below, zeros are harder to count than to read
        return signed(value, 2)
    exponent = math.floor(math.log10(value))
    mantissa = round(value / 10**exponent)
    if mantissa == 10:  # noqa: PLR2004 - rounded up into the next decade
        mantissa, exponent = 1, exponent + 1
    superscript = str(-exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} × 10⁻{superscript}" if mantissa > 1 else f"10⁻{superscript}"


def duration(seconds: float | None) -> str:
    """Return a length of time.

    >>> duration(3.21), duration(215), duration(7300)
    ('3.2 s', '3 min 35 s', '2 h 1 min')
    """
    if seconds is None:
        return "unknown"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{signed(seconds, 2)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004 - an hour
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def day(moment: datetime) -> str:
    """Return a date as people write it: `21 November 2026`."""
    months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
    return f"{moment.day} {months[moment.month - 1]} {moment.year}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun: `1 row`, `6,366 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
