"""Declared patterns of ids that say for each position which characters may stand there.

A pattern of one length is made of literals, classes and counts: `P-[0-9]{6}`, `[A-Z]{2}-[A-F0-9]{4}`. What more a
regular expression may say (alternatives, groups, `+`, `.`) has no one length, or too many characters.
"""

import re
import string

_CLASSES = {"d": string.digits, "w": string.ascii_letters + string.digits + "_"}
_SPECIAL = frozenset("()|*+?{}[]^$.\\")
_COUNT = re.compile(r"\{(\d{1,3})\}")
_RANGE_OR_ONE = re.compile(r"(\\?.)-(\\?[^\]])|(\\?.)", re.DOTALL)


def positions_of(pattern: str) -> tuple[str, ...] | None:
    """Return the characters allowed at each position, or None where the pattern is not of one length.

    >>> positions_of("P-[0-2]{2}")
    ('P', '-', '012', '012')
    >>> positions_of("P-[0-9]+") is None
    True
    """
    pattern = pattern.removeprefix("^")
    if pattern.endswith("$") and not pattern.endswith("\\$"):
        pattern = pattern[:-1]
    positions: list[str] = []
    place = 0
    while place < len(pattern):
        stop = _end_of_atom(pattern, place)
        allowed = None if stop is None else _characters(pattern[place:stop])
        if stop is None or not allowed:
            return None
        count = _COUNT.match(pattern, stop)
        if count is None and pattern[stop : stop + 1] in ("*", "+", "?", "{"):
            return None
        positions += [allowed] * (1 if count is None else int(count.group(1)))
        place = stop if count is None else count.end()
    return tuple(positions) or None


def _end_of_atom(pattern: str, place: int) -> int | None:
    """Return where the literal or class that begins at `place` ends, or None where there is neither."""
    if pattern[place] == "\\":
        return place + 2 if place + 1 < len(pattern) else None
    if pattern[place] == "[":
        inner = re.compile(r"\[(?:\\.|[^\\\]])+\]", re.DOTALL).match(pattern, place)
        return None if inner is None else inner.end()
    return None if pattern[place] in _SPECIAL else place + 1


def _characters(atom: str) -> str | None:
    """Return the sorted characters that a literal or a class stands for, or None for other kinds of atoms."""
    if atom[0] != "[":
        return _escaped(atom)
    if atom[1] == "^":
        return None
    found: set[str] = set()
    for low, high, one in _RANGE_OR_ONE.findall(atom[1:-1]):
        if one:
            allowed = _escaped(one)
            if allowed is None:
                return None
            found |= set(allowed)
        else:
            first, last = _escaped(low) or "", _escaped(high) or ""
            if len(first) != 1 or len(last) != 1 or first > last:
                return None
            found |= {chr(code) for code in range(ord(first), ord(last) + 1)}
    return "".join(sorted(found))


def _escaped(text: str) -> str | None:
    """Return what a character stands for, escaped or not; None for escapes that are no characters."""
    if text[0] != "\\":
        return text
    return _CLASSES.get(text[1], None if text[1].isalnum() else text[1])
