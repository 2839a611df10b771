"""Rows and strings of the training part that stand in the synthetic rows, against those of fresh rows.

Only what one real row has is counted: a row, or a text, or an id that two real rows share gives nobody away, and in a
table of few categories nearly everything is shared. Without a leak, train has no larger part in the copied ones than
in all. Ids and images are no part of a row here, so a copy with a new id is a copy.

In a small table the fresh rows are too few for that contrast: a dozen copies of 500 training rows and none of 250 fresh
ones are a chance of one in a hundred. There a second contrast helps: fresh rows, too, equal some row of train, and the
synthetic rows should not do so more often. Both together refuse where either alone would not, see `WITNESS`.

What it cannot see: copies with any change (see `excess_matches`); a text copied in part.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sources.schema import Schema
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.excess_matches import tolerant_share, upper_tail
from validators.privacy.real_rows import RealRows, all_undecided, real_rows

WITNESS = 0.05
"""The weight of the first contrast where the second is significant. A generator that only repeats common rows is then
refused with this multiple of the limit's error at most, fresh rows with the limit's own."""


def exact_copies(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `exact_copies`: the smallest p over whole rows and each column of texts or ids."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, [("exact_copies", "all rows")], real)
    looks = {what: columns for what, columns in _looks(evidence.schema).items() if columns}
    if not looks:
        return all_undecided(evidence, [("exact_copies", "all rows")], "No column can be compared: all are images.")
    fresh = np.flatnonzero(~real.is_train)
    found = {what: _copied(real, evidence.synthetic.frame, columns) for what, columns in looks.items()}
    if real.entities is None:
        for what, look in found.items():
            second = _more_often_than_fresh(real.frame, fresh, evidence.synthetic.frame, looks[what])
            look["p"] = min(look["p"], max(second, WITNESS * look["p"]))
    ps = {what: min(1.0, len(looks) * look["p"]) for what, look in found.items()}
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
            reading=(
                f"{look['train']:.0f} {worst} of train stand in the synthetic rows, where chance gives "
                f"{look['expected']:.1f} (p = {p:.2g}); {look['synthetic_rows']:.0f} of {len(evidence.synthetic)} "
                "synthetic rows hold one."
            ),
            policy=evidence.policy,
            detail={"looks": found, "worst": worst},
        )
    ]


def row_codes(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> list[np.ndarray]:
    """Return for each frame codes (int64 N) that are equal where all `columns` are equal, missing cells included."""
    sizes = [len(frame) for frame in frames]
    code = np.zeros(sum(sizes), np.int64)
    for column in columns:
        cells, known = pd.factorize(pd.concat([frame[column] for frame in frames], ignore_index=True))
        code, _ = pd.factorize(code * (len(known) + 1) + cells + 1)
    return np.split(code, np.cumsum(sizes)[:-1])


def _looks(schema: Schema) -> dict[str, list[str]]:
    looks = {"single rows": [c.name for c in schema.columns if c.kind not in ("id", "image")]}
    looks |= {f"single values of {c.name}": [c.name] for c in schema.columns if c.kind in ("id", "text")}
    if len(schema.columns) == 1:
        looks = dict(list(looks.items())[:1])
    return looks


def _more_often_than_fresh(
    frame: pd.DataFrame, fresh: np.ndarray, synthetic: pd.DataFrame, columns: Sequence[str]
) -> float:
    """Return the upper tail for synthetic rows that equal a row of train, against the `fresh` rows that do."""
    codes, candidates = row_codes([frame, synthetic], columns)
    train = np.delete(codes, fresh)
    a, b = int(np.isin(candidates, train).sum()), int(np.isin(codes[fresh], train).sum())
    return upper_tail(a, a + b, len(candidates) / (len(candidates) + len(fresh)))


def _copied(real: RealRows, synthetic: pd.DataFrame, columns: Sequence[str]) -> dict[str, float]:
    """Return how many real rows with an own value occur in `synthetic`, by part, and the upper tail for train."""
    codes, candidates = row_codes([real.frame, synthetic], columns)
    known = np.ones(len(codes), dtype=bool)
    if len(columns) == 1:
        known = real.frame[columns[0]].notna().to_numpy(dtype=bool)
    single = known & (np.bincount(codes)[codes] == 1)
    matched = single & np.isin(codes, candidates)
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
