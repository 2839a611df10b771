"""New identifiers in the format of the source, never its own.

The format is read per length: which positions are the same in every id of that length, and which characters stand at
the others. Where the format leaves so little room that a new id could be an old one (counters), ids are lengthened.
Ids that files hold as numbers are whole numbers without leading zeros that the number type holds exactly. A pattern
that the spec declares wins: where it is of one length ids are drawn from it evenly, and where it is not, ids in the
format of the source must match it.

Columns of personal details (`Column.pii`) have no format that is read: they are made of their sort (`personal`).

An id that names several rows in the source does so here: as many rows in a row share a new id. Those rows have nothing
else in common, because synthesizers of single tables draw rows one by one.
"""

import math
import re
import string
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from generators.base import GeneratorInputError
from generators.tabular.id_patterns import positions_of
from generators.tabular.personal import Made, fit_made
from generators.tabular.repeats import SUPPORT, repeats_of
from generators.tabular.reserved import numbered
from sources.randomness import stream
from sources.schema import PII_KEYS, Column, Storage

TRIED = 200  # ids that must match a declared pattern which is not of one length
FRESH = 2  # new ids that a declared pattern must have room for, for each one of the source
ROOM = 1_000_000  # possible ids per source id: the chance that a new one is an old one is at most 1 in this
MAX_DIGITS: dict[Storage, int] = {"int64": 18, "float64": 15}  # so many digits are held exactly, whichever they are
CLASSES = (string.digits, "0123456789abcdef", "0123456789ABCDEF", string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True, kw_only=True)
class IdCodec:
    """The format of one id column.

    Args:
        patterns: for each length the characters allowed at each position.
        weights: share of each pattern.
        repeats: how many rows share an id: (size, share of ids), each size that of `SUPPORT` ids or their mean.
        missing: share of missing cells.
        made: how personal details are made, for which there are no patterns; None for other ids.

    """

    patterns: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    repeats: tuple[tuple[int, float], ...]
    missing: float
    made: Made | None = None

    @property
    def room(self) -> int:
        """How many ids there can be, in patterns."""
        return sum(math.prod(map(len, pattern)) for pattern in self.patterns)

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` ids, object N of str or None; distinct but for the repeats that the source has.

        Raises:
            GeneratorInputError: there are not so many.

        """
        if self.made is not None:
            return self._drawn_anew(self.made, n, int(rng.integers(2**63)))
        sizes = [size for size, _ in self.repeats]
        shares = np.array([share for _, share in self.repeats])
        counts = rng.choice(sizes, size=n, p=shares / shares.sum()) if sizes != [1] else np.ones(n, dtype=np.int64)
        num_ids = int(np.searchsorted(np.cumsum(counts), n)) + 1 if n else 0
        self._check_room(num_ids)
        seen: dict[str, None] = {}
        if len(self.patterns) == 1 and 2 * num_ids > self.room:  # most of them: chance would take long to find the rest
            for number in rng.permutation(self.room)[:num_ids].tolist():
                seen[numbered(self.patterns[0], number)] = None
        while len(seen) < num_ids:
            which = rng.choice(len(self.patterns), size=num_ids - len(seen), p=self.weights)
            for number, pattern in enumerate(self.patterns):
                for text in _draw_pattern(pattern, int((which == number).sum()), rng):
                    seen[text] = None
        ids = np.repeat(np.array(list(seen), dtype=object), counts[:num_ids])[:n]
        if self.missing:
            ids[rng.random(n) < self.missing] = None
        return ids

    def draw_others(self, n: int, taken: set[str], rng: np.random.Generator) -> list[str]:
        """Return `n` distinct ids that are not among those `taken`; raises as `draw` does."""
        if self.made is not None:
            return self._others_anew(self.made, n, taken, rng)
        self._check_room(n + len(taken))
        single = replace(self, repeats=((1, 1.0),), missing=0.0)
        drawn = single.draw(min(n + len(taken), self.room), rng) if 2 * len(taken) > self.room else single.draw(n, rng)
        others = [text for text in drawn.tolist() if text not in taken][:n]
        left = n - len(others)
        return others + (self.draw_others(left, taken | set(others), rng) if left else [])

    def _drawn_anew(self, made: Made, n: int, seed: int) -> np.ndarray:
        """Return what `draw` does, of the persons that `seed` names: the rows of one id are of the first one's."""
        rng = stream(seed, "rows", made.sort)
        sizes, shares = zip(*self.repeats, strict=True)
        counts = rng.choice(sizes, size=n, p=np.array(shares) / sum(shares))
        first_rows = np.repeat(np.cumsum(counts) - counts, counts)[:n]
        ids: np.ndarray = np.array(made.draw(n, seed), dtype=object)[first_rows]
        num_missing = int(self.missing * n + rng.random())  # the share itself, rounded by chance
        ids[rng.permutation(n)[:num_missing]] = None
        return ids

    def _others_anew(self, made: Made, n: int, taken: set[str], rng: np.random.Generator) -> list[str]:
        single = replace(made, distinct=True)
        others: dict[str, None] = {}
        while len(others) < n:
            drawn = single.draw(2 * n + len(taken), int(rng.integers(2**63)))
            others |= dict.fromkeys(text for text in drawn if text not in taken)
        return list(others)[:n]

    def _check_room(self, num_ids: int) -> None:
        if num_ids > self.room:
            raise GeneratorInputError(
                "the declared pattern of an id has no room for so many",
                seen=f"{num_ids:,} ids of {self.room:,}",
                remedy="draw fewer rows, or declare a longer pattern",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values."""
        return {
            "patterns": [list(pattern) for pattern in self.patterns],
            "weights": list(self.weights),
            "repeats": [list(pair) for pair in self.repeats],
            "missing": self.missing,
            **({} if self.made is None else {"made": self.made.to_json()}),
        }

    @staticmethod
    def from_json(state: dict[str, Any]) -> "IdCodec":
        """Return the codec that `to_json` described."""
        return IdCodec(
            patterns=tuple(tuple(pattern) for pattern in state["patterns"]),
            weights=tuple(state["weights"]),
            repeats=tuple((int(size), float(share)) for size, share in state["repeats"]),
            missing=state["missing"],
            made=Made(**state["made"]) if "made" in state else None,
        )


def fit_declared_id(column: Column, values: np.ndarray) -> IdCodec:
    """Learn the ids of `column` (object N of str or None) within the pattern that its rules declare, if any.

    Raises:
        GeneratorInputError: the pattern leaves too little room for new ids, or drawn ids would not match it.

    """
    if column.pii is not None:
        return _fit_personal(column, values)
    codec, pattern = fit_id(values, column.storage), column.rules.pattern
    if pattern is None:
        return codec
    num_ids = len({value for value in values.tolist() if value is not None})
    positions = _as_stored(positions_of(pattern), column.storage)
    if positions is not None:
        codec = replace(codec, patterns=(positions,), weights=(1.0,))
        if codec.room < FRESH * num_ids:
            raise GeneratorInputError(
                f"column {column.name!r}: its declared pattern leaves too little room for new ids",
                seen=f"{codec.room:,} ids for {num_ids:,} in the source",
                remedy="allow more characters, or leave the pattern out: ids are lengthened then",
            )
    _check_pattern(column, codec.draw(min(TRIED, codec.room), stream(0, "pattern", column.name)))
    return codec


def _fit_personal(column: Column, values: np.ndarray) -> IdCodec:
    """Learn how often personal details repeat, and which of their ranges is free."""
    made = fit_made(column, values.tolist())
    present = [value for value in values.tolist() if value is not None]
    repeats = repeats_of(sorted(Counter(present).values())) if made.sort in PII_KEYS else ((1, 1.0),)
    missing = 1 - len(present) / max(len(values), 1)
    codec = IdCodec(patterns=(), weights=(), repeats=repeats, missing=missing, made=made)
    tried = codec.draw(TRIED, stream(0, "pattern", column.name))
    longest = max((len(text) for text in tried if text is not None), default=0)
    if made.digits and longest > MAX_DIGITS[column.storage]:
        raise GeneratorInputError(
            f"column {column.name!r}: made values have more digits than its files' numbers hold",
            seen=f"{longest} digits, {column.storage}",
            remedy="set storage: string for the column, or leave it out (drop: true)",
        )
    _check_pattern(column, tried)
    return codec


def _check_pattern(column: Column, tried: np.ndarray) -> None:
    """Refuse a declared pattern that ids drawn for trial do not match."""
    pattern = column.rules.pattern
    if pattern is None:
        return
    strange = sum(text is not None and re.fullmatch(pattern, text) is None for text in tried)
    if strange:
        raise GeneratorInputError(
            f"column {column.name!r}: new ids in the format of the source do not match the declared pattern",
            seen=f"{strange} of {len(tried)} ids drawn for trial",
            remedy="write a pattern of one length, of literals, classes and counts, such as P-[0-9]{6}"
            if column.pii is None
            else "leave the pattern out, or the column (drop: true)",
        )


def _as_stored(positions: tuple[str, ...] | None, storage: Storage) -> tuple[str, ...] | None:
    """Return the positions with which an id keeps its digits in files, or None where it would not."""
    if positions is None or storage not in MAX_DIGITS:
        return positions
    first, *rest = positions
    first = first.replace("0", "") if rest else first
    fits = first and len(positions) <= MAX_DIGITS[storage] and all(set(one) <= set(string.digits) for one in positions)
    return (first, *rest) if fits else None


def fit_id(values: np.ndarray, storage: Storage = "string") -> IdCodec:
    """Learn the format of ids.

    Args:
        values: object N of str or None.
        storage: the type that files have; new ids fit into it.

    """
    max_digits = MAX_DIGITS.get(storage)
    present = [value for value in values.tolist() if value is not None]
    rows = Counter(present)
    whole = {text: text if max_digits is None else _digits(text) for text in rows}
    lengths = Counter(len(text) for text in whole.values())
    kept = [length for length, count in lengths.items() if count >= SUPPORT and length] or [8]
    patterns, weights = [], []
    for length in sorted(kept):
        same = [text for text in whole.values() if len(text) == length]
        if max_digits is None:
            patterns.append(_pattern(same, length, len(rows)))
        else:
            patterns.append(_whole_numbers(same, length, len(rows), max_digits))
        weights.append(max(lengths[length], 1))
    return IdCodec(
        patterns=tuple(patterns),
        weights=tuple(weight / sum(weights) for weight in weights),
        repeats=repeats_of(sorted(rows.values())),
        missing=1 - len(present) / max(len(values), 1),
    )


def _pattern(ids: list[str], length: int, num_ids: int) -> tuple[str, ...]:
    """Return the characters allowed at each position, lengthened where there is too little room."""
    pattern = []
    for position in range(length):
        seen = {text[position] for text in ids}
        if len(seen) == 1 and len(ids) >= SUPPORT:
            pattern.append(seen.pop())
        else:
            pattern.append(
                next((known for known in CLASSES if seen <= set(known)), string.ascii_letters + string.digits)
            )
    return _lengthened(pattern, num_ids)


def _whole_numbers(ids: list[str], length: int, num_ids: int, max_digits: int) -> tuple[str, ...]:
    """Return the digits allowed at each position of a number, the first of them not 0."""
    nonzero = string.digits[1:]
    pattern = list(_pattern(ids, length, num_ids))
    pattern[0] = pattern[0] if pattern[0] in nonzero else nonzero
    if len(pattern) > max_digits:  # there is no room for what all of them share
        pattern = [nonzero, *[string.digits] * (max_digits - 1)]
    return tuple(pattern)


def _digits(text: str) -> str:
    """Return the digits of a number without its sign and leading zeros, at least one."""
    return "".join(character for character in text if character in string.digits).lstrip("0") or "1"


def _lengthened(pattern: list[str], num_ids: int) -> tuple[str, ...]:
    """Return the pattern with characters put in until there is `ROOM`."""
    pattern = list(pattern)
    free = max(range(len(pattern)), key=lambda position: (len(pattern[position]) > 1, position), default=0)
    alphabet = pattern[free] if pattern and len(pattern[free]) > 1 else string.digits
    while float(np.prod([float(len(allowed)) for allowed in pattern])) < ROOM * max(num_ids, 1):
        pattern.insert(free + 1, alphabet)
    return tuple(pattern)


def _draw_pattern(pattern: tuple[str, ...], n: int, rng: np.random.Generator) -> list[str]:
    columns = [np.array(list(allowed))[rng.integers(len(allowed), size=n)] for allowed in pattern]
    return ["".join(parts) for parts in zip(*columns, strict=True)] if n else []
