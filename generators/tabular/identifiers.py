"""New identifiers in the format of the source, never its own.

The format is read per length: which positions are the same in every id of that length, and which characters stand at
the others. Where the format leaves so little room that a new id could be an old one (counters), ids are lengthened.
Ids that files hold as numbers are whole numbers without leading zeros that the number type holds exactly.

An id that names several rows in the source does so here: as many rows in a row share a new id. Those rows have nothing
else in common, because synthesizers of single tables draw rows one by one.
"""

import string
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from sources.schema import Storage

SUPPORT = 20  # ids that must share a length, or a literal character, before it is kept
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

    """

    patterns: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]
    repeats: tuple[tuple[int, float], ...]
    missing: float

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` ids, object N of str or None; distinct but for the repeats that the source has."""
        sizes = [size for size, _ in self.repeats]
        shares = np.array([share for _, share in self.repeats])
        counts = rng.choice(sizes, size=n, p=shares / shares.sum()) if sizes != [1] else np.ones(n, dtype=np.int64)
        num_ids = int(np.searchsorted(np.cumsum(counts), n)) + 1 if n else 0
        seen: dict[str, None] = {}
        while len(seen) < num_ids:
            which = rng.choice(len(self.patterns), size=num_ids - len(seen), p=self.weights)
            for number, pattern in enumerate(self.patterns):
                for text in _draw_pattern(pattern, int((which == number).sum()), rng):
                    seen[text] = None
        ids = np.repeat(np.array(list(seen), dtype=object), counts[:num_ids])[:n]
        if self.missing:
            ids[rng.random(n) < self.missing] = None
        return ids

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values."""
        return {
            "patterns": [list(pattern) for pattern in self.patterns],
            "weights": list(self.weights),
            "repeats": [list(pair) for pair in self.repeats],
            "missing": self.missing,
        }

    @staticmethod
    def from_json(state: dict[str, Any]) -> "IdCodec":
        """Return the codec that `to_json` described."""
        return IdCodec(
            patterns=tuple(tuple(pattern) for pattern in state["patterns"]),
            weights=tuple(state["weights"]),
            repeats=tuple((int(size), float(share)) for size, share in state["repeats"]),
            missing=state["missing"],
        )


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
        repeats=_repeats(sorted(rows.values())),
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


def _repeats(sizes: list[int]) -> tuple[tuple[int, float], ...]:
    """Return (rows, number of ids) for sorted numbers of rows per id; sizes of too few ids are pooled to their mean."""
    pools: list[list[int]] = []
    for _, same in groupby(sizes):
        if not pools or len(pools[-1]) >= SUPPORT:
            pools.append([])
        pools[-1].extend(same)
    if len(pools) > 1 and len(pools[-1]) < SUPPORT:
        last = pools.pop()
        pools[-1].extend(last)
    shares: defaultdict[int, float] = defaultdict(float)
    for pool in pools if len(sizes) >= SUPPORT else []:
        inner = pool if pool[0] == pool[-1] else pool[:-1]  # without the one that has most
        low, rest = divmod(sum(inner), len(inner))
        shares[low] += len(pool) * (1 - rest / len(inner))
        shares[low + 1] += len(pool) * rest / len(inner)
    return tuple((size, share) for size, share in sorted(shares.items()) if share) or ((1, 1.0),)


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
