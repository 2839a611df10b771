"""Rows and strings of the training part that stand in the synthetic rows, against those of fresh rows.

Only what one real row has is counted: a row, or a text, or an id that two real rows share gives nobody away, and in a
table of few categories nearly everything is shared. Without a leak, train has no larger part in the copied ones than
in all. Ids and images are no part of a row here, so a copy with a new id is a copy.

In a small table the fresh rows are too few for that contrast: a dozen copies of 500 training rows and none of 250 fresh
ones are a chance of one in a hundred. There a second contrast helps: fresh rows, too, equal some row of train, and the
synthetic rows should not do so more often. Both together refuse where either alone would not, see `WITNESS`. And where
real rows hardly ever repeat one another, synthetic rows that repeat those of train need no further witness (`RARE`).

Rows copied but for one or two columns (the target drawn anew, a name changed) are looked for in the same way, without
each column and each two columns in turn. And where the holdout itself was learnt from, no contrast of train against
holdout can tell; but then the synthetic rows hold fresh rows far more often than train does, which is looked at too.

Personal details that point at one person (an e-mail address, a telephone number) are made anew in a release, from
ranges where none is real. There one that a real row holds too is a copy, and refuses: chance is no excuse. Names and
addresses are common to many, and lists of common names hold more of them than fresh rows do; of the contrasts only that
of train against the holdout tells a copy there. First and last names are looked at together too.

What it cannot see: copies with a change in three columns and more, or in any number (see `excess_matches`); a text
copied in part; near copies of a holdout that the synthesizer saw.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sources.schema import PII_KEYS, Column, Schema
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.excess_matches import tolerant_share, upper_tail
from validators.privacy.real_rows import RealRows, all_undecided, real_rows

WITNESS = 0.05
"""The weight of the first contrast where the second is significant. A generator that only repeats common rows is then
refused with this multiple of the limit's error at most, fresh rows with the limit's own."""

RARE = 0.01
"""Where fewer real rows than this have a twin among the real ones, repeating rows of train over `SEEN_FACTOR` times
as often is no taste for common rows: there are none."""

MAX_PARTIAL = 120
"""Sets of columns without one or two that are looked at: all of them up to fifteen columns, else a seeded draw."""

ROWS, DETAILS = "single rows", "personal details"

LEAST_COLUMNS = 4
"""Columns that a row needs for parts of it to single anybody out."""

WHOLE_WEIGHT = 0.8
"""The part of the error that whole rows, texts and ids have; parts of rows and a seen holdout share the rest."""

SEEN_FACTOR = 2.0
"""Fresh rows may stand in the synthetic rows so many times as often as in train, for samplers prefer common rows."""


def exact_copies(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `exact_copies`: the smallest p over rows, parts of rows, texts, ids, the holdout.

    It is 0 where personal details that must be new are those of a real row.
    """
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, [("exact_copies", "all rows")], real)
    looks = {what: columns for what, columns in _looks(evidence.schema).items() if columns}
    keys = [column for column in evidence.schema.columns if column.pii in PII_KEYS]
    if not looks and not keys:
        return all_undecided(evidence, [("exact_copies", "all rows")], "No column can be compared: all are images.")
    fresh = np.flatnonzero(~real.is_train)
    found = {what: copied(real, evidence.synthetic.frame, columns) for what, columns in looks.items()}
    if real.entities is None:
        for what, look in found.items():
            if any(evidence.schema[name].pii is not None for name in looks[what]):
                continue
            second = more_often_than_fresh(real.frame, fresh, evidence.synthetic.frame, looks[what])
            third = more_often_than_real(real, evidence.synthetic.frame, looks[what])
            look["p"] = min(look["p"], max(second, WITNESS * look["p"]), third)
    columns = [c.name for c in evidence.schema.columns if c.kind not in ("id", "image")]
    if len(columns) >= LEAST_COLUMNS:
        found["rows but for one or two columns"] = _partial(real, evidence.synthetic.frame, columns, rng)
    if columns:
        found["fresh rows"] = holdout_seen(real, evidence.synthetic.frame, columns)
    if keys:
        found[DETAILS] = _details_reused(evidence, keys)
    weights = {what: WHOLE_WEIGHT / len(looks) if what in looks else (1 - WHOLE_WEIGHT) / 2 for what in found}
    ps = {what: min(1.0, look["p"] / weights[what]) for what, look in found.items()}
    worst = min(ps, key=lambda what: ps[what])
    p, look = ps[worst], found[worst]
    return [
        judged(
            name="exact_copies",
            subject="all rows",
            value=p,
            low=p,
            high=p,
            n=len(evidence.synthetic),
            reading=_reading(worst, look, p, len(evidence.synthetic)),
            policy=evidence.policy,
            detail={"looks": found, "worst": worst},
        )
    ]


def _reading(worst: str, look: Mapping[str, float], p: float, num_synthetic: int) -> str:
    if worst == DETAILS:
        return (
            f"{look['synthetic_rows']:.0f} of {num_synthetic} synthetic rows hold personal details (e-mail addresses, "
            "telephone numbers or the like) of a real row, where all must be new."
        )
    if worst == "fresh rows":
        return (
            f"{look['only_synthetic']:.0f} rows that the synthesizer should never have seen stand in the synthetic "
            f"rows and not in train, {look['only_train']:.0f} in train only (p = {p:.2g}, small where it saw them)."
        )
    return (
        f"{look['train']:.0f} {worst} of train stand in the synthetic rows, where chance gives "
        f"{look['expected']:.1f} (p = {p:.2g}); {look['synthetic_rows']:.0f} of {num_synthetic} "
        "synthetic rows hold one."
    )


def row_codes(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> list[np.ndarray]:
    """Return for each frame codes (int64 N) that are equal where all `columns` are equal, missing cells included."""
    sizes = [len(frame) for frame in frames]
    code = np.zeros(sum(sizes), np.int64)
    for column in columns:
        cells, known = pd.factorize(pd.concat([frame[column] for frame in frames], ignore_index=True))
        code, _ = pd.factorize(code * (len(known) + 1) + cells + 1)
    return np.split(code, np.cumsum(sizes)[:-1])


def _looks(schema: Schema) -> dict[str, list[str]]:
    looks = {ROWS: [c.name for c in schema.columns if c.kind not in ("id", "image")]}
    looks |= {
        f"single values of {c.name}": [c.name]
        for c in schema.columns
        if c.kind in ("id", "text") and c.pii not in PII_KEYS
    }
    names = [c.name for c in schema.columns if c.pii in ("first_name", "last_name")]
    if len(names) > 1:
        looks[f"single values of {' and '.join(names)}"] = names
    if len(schema.columns) == 1:
        looks = dict(list(looks.items())[:1])
    return looks


def _details_reused(evidence: Evidence, keys: Sequence[Column]) -> dict[str, float]:
    """Return how many synthetic rows hold a cell of `keys` that a real row of any part holds; p is 0 or 1."""
    real = [part.frame for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
    reused = np.zeros(len(evidence.synthetic), dtype=bool)
    for column in keys:
        known: set[str] = set().union(*(map(_bare, frame[column.name].dropna()) for frame in real))
        reused |= np.array(
            [cell is not None and _bare(cell) in known for cell in evidence.synthetic.frame[column.name]], dtype=bool
        )
    rows = int(reused.sum())
    return {"p": 0.0 if rows else 1.0, "train": rows, "fresh": 0, "expected": 0.0, "synthetic_rows": rows}


def _bare(cell: str) -> str:
    """Return a cell without what a copy may be written with or without: case, blanks, brackets, dashes."""
    return re.sub(r"[\s()+/-]", "", cell).casefold()


def more_often_than_fresh(
    frame: pd.DataFrame, fresh: np.ndarray, synthetic: pd.DataFrame, columns: Sequence[str]
) -> float:
    """Return the upper tail for synthetic rows that equal a row of train, against the `fresh` rows that do."""
    return upper_tail(*against_fresh(frame, fresh, synthetic, columns))


def against_fresh(
    frame: pd.DataFrame, fresh: np.ndarray, synthetic: pd.DataFrame, columns: Sequence[str]
) -> tuple[int, int, float]:
    """Return the synthetic rows that equal one of train, these and the `fresh` ones that do, and their chance."""
    codes, candidates = row_codes([frame, synthetic], columns)
    train = np.delete(codes, fresh)
    a, b = int(np.isin(candidates, train).sum()), int(np.isin(codes[fresh], train).sum())
    return a, a + b, len(candidates) / (len(candidates) + len(fresh))


def more_often_than_real(real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str]) -> float:
    """Return the upper tail for values that synthetic rows share with train, against those that real rows share.

    1 where real rows repeat one another in a share of `RARE` or more.
    """
    return upper_tail(*against_real(real, synthetic, columns))


def against_real(real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str]) -> tuple[int, int, float]:
    """Return the values that synthetic rows share with train, these and those that real rows share, and their chance.

    Where any two rows are equal with a small chance q, M synthetic and T training rows share M T q values in the mean,
    and N real rows among themselves N² q / 2. Both are counted as values and not as rows: the two rows of a pair are no
    two witnesses. All are 0 where real rows repeat one another in a share of `RARE` or more.
    """
    codes, candidates = row_codes([real.frame, synthetic], columns)
    counts = np.bincount(codes)
    repeated = counts[counts > 1]
    if repeated.sum() >= RARE * len(codes):
        return 0, 0, 0.0
    copied = int(np.isin(np.unique(candidates), codes[real.is_train]).sum())
    weight = SEEN_FACTOR * 2 * len(candidates) * int(real.is_train.sum()) / len(codes) ** 2
    return copied, copied + len(repeated), weight / (1 + weight)


def _partial(
    real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str], rng: np.random.Generator
) -> dict[str, float]:
    """Return what `_copied_codes` says of the rows without one or two columns where it is worst, p for all of these.

    A row's key is the sum of random 64-bit numbers, one for each value of a column, so that columns are left out by
    subtraction; that two different rows share a key has a chance of about 1e-10 in a hundred thousand rows.
    """
    keys = []
    for column in columns:
        codes, candidates = row_codes([real.frame, synthetic], [column])
        both = np.concatenate([codes, candidates])
        keys.append(rng.integers(2**64, size=both.max() + 1, dtype=np.uint64)[both])
    whole = np.sum(keys, axis=0, dtype=np.uint64)
    left_out = [(i,) for i in range(len(columns))] + list(combinations(range(len(columns)), 2))
    if len(left_out) > MAX_PARTIAL:
        left_out = [left_out[i] for i in np.sort(rng.choice(len(left_out), MAX_PARTIAL, replace=False))]
    worst: dict[str, float] = {}
    for some in left_out:
        key = whole - np.sum([keys[i] for i in some], axis=0, dtype=np.uint64)
        codes = np.unique(key, return_inverse=True)[1]
        look = _copied_codes(real, codes[: len(real.frame)], codes[len(real.frame) :], None)
        if not worst or look["p"] < worst["p"]:
            worst = look
    return {**worst, "p": min(1.0, len(left_out) * worst["p"])}


def holdout_seen(real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """Return how many fresh rows stand only in the synthetic rows, how many only in train, and the upper tail.

    Where the synthesizer saw neither, a fresh row is found in either with the same chance, row for row (McNemar 1947).
    The chance grows with the rows of a table, at most in proportion: with fewer synthetic rows, train is thinned.
    """
    codes, candidates = row_codes([real.frame, synthetic], columns)
    fresh, train = codes[~real.is_train], codes[real.is_train]
    fresh = fresh[np.bincount(fresh)[fresh] == 1]
    train = train[np.linspace(0, len(train) - 1, min(len(train), len(candidates))).astype(np.int64)]
    in_synthetic, in_train = np.isin(fresh, candidates), np.isin(fresh, train)
    a, b = int((in_synthetic & ~in_train).sum()), int((in_train & ~in_synthetic).sum())
    weight = SEEN_FACTOR * len(candidates) / len(train)
    chance = weight / (1 + weight)
    return {"p": upper_tail(a, a + b, chance), "only_synthetic": a, "only_train": b, "chance": chance}


def copied(real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """Return how many real rows with an own value occur in `synthetic`, by part, and the upper tail for train."""
    codes, candidates = row_codes([real.frame, synthetic], columns)
    known = real.frame[columns[0]].notna().to_numpy(dtype=bool) if len(columns) == 1 else None
    return _copied_codes(real, codes, candidates, known)


def _copied_codes(
    real: RealRows, codes: np.ndarray, candidates: np.ndarray, known: np.ndarray | None
) -> dict[str, float]:
    """Return the counts of `copied` for rows given as codes (int N, int M), of the `known` real ones (bool N)."""
    single = np.bincount(codes)[codes] == 1
    if known is not None:
        single &= known
    held = np.zeros(max(int(codes.max()), int(candidates.max(initial=0))) + 1, dtype=bool)
    held[candidates] = True
    matched = single & held[codes]
    is_train = real.is_train
    synthetic_rows = int(np.isin(candidates, codes[matched & is_train]).sum())
    if real.entities is not None:
        flags = pd.DataFrame({"single": single, "matched": matched})
        by_entity = flags.groupby([real.entities, is_train], sort=True).any()
        is_train = by_entity.index.get_level_values(1).to_numpy(dtype=bool)
        single, matched = by_entity["single"].to_numpy(), by_entity["matched"].to_numpy()
    num_train, num_fresh = int((single & is_train).sum()), int((single & ~is_train).sum())
    a, both = int((matched & is_train).sum()), int(matched.sum())
    if num_train == 0 or num_fresh == 0:
        p, expected = 1.0, float(both)
    else:
        p = upper_tail(a, both, tolerant_share(num_train, num_fresh))
        expected = both * num_train / (num_train + num_fresh)
    return {"p": p, "train": a, "fresh": both - a, "expected": expected, "synthetic_rows": synthetic_rows}
