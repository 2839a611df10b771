"""New identifiers in the format of the source, never its own.

The format is read per length: which positions are the same in every id of that length, and which characters stand at
the others. Where the format leaves so little room that a new id could be an old one (counters), ids are lengthened.
"""

import string
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

SUPPORT = 20  # ids that must share a length, or a literal character, before it is kept
ROOM = 1_000_000  # possible ids per source id: the chance that a new one is an old one is at most 1 in this
CLASSES = (string.digits, "0123456789abcdef", "0123456789ABCDEF", string.ascii_lowercase, string.ascii_uppercase)


@dataclass(frozen=True, kw_only=True)
class IdCodec:
    """The format of one id column.

    Args:
        patterns: for each length the characters allowed at each position.
        weights: share of each pattern.
        repeats: how many rows share an id: (size, share of ids), sizes with enough support.
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


def fit_id(values: np.ndarray) -> IdCodec:
    """Learn the format of ids (object N of str or None)."""
    present = [value for value in values.tolist() if value is not None]
    rows = Counter(present)
    lengths = Counter(len(text) for text in rows)
    kept = [length for length, count in lengths.items() if count >= SUPPORT and length] or [8]
    patterns, weights = [], []
    for length in sorted(kept):
        same = [text for text in rows if len(text) == length]
        patterns.append(_pattern(same, length, len(rows)))
        weights.append(max(lengths[length], 1))
    sizes = Counter(rows.values())
    repeats = [(size, float(count)) for size, count in sorted(sizes.items()) if count >= SUPPORT] or [(1, 1.0)]
    return IdCodec(
        patterns=tuple(patterns),
        weights=tuple(weight / sum(weights) for weight in weights),
        repeats=tuple(repeats),
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
    free = max(range(len(pattern)), key=lambda position: (len(pattern[position]) > 1, position), default=0)
    alphabet = pattern[free] if pattern and len(pattern[free]) > 1 else string.digits
    while float(np.prod([float(len(allowed)) for allowed in pattern])) < ROOM * max(num_ids, 1):
        pattern.insert(free + 1, alphabet)
    return tuple(pattern)


def _draw_pattern(pattern: tuple[str, ...], n: int, rng: np.random.Generator) -> list[str]:
    columns = [np.array(list(allowed))[rng.integers(len(allowed), size=n)] for allowed in pattern]
    return ["".join(parts) for parts in zip(*columns, strict=True)] if n else []
