"""The real rows as they would be under a stated law: what a release that was altered on purpose is held against.

A release may be asked for other shares of some columns than the source has, or for rates that do not differ between
groups (`sources.targets`). Against the source such a release is wrong by intent. Here its real counterpart is made:
each real part is thinned, so that the asked columns have the stated law. A row is kept with a probability that depends
on its asked columns alone, hence p(everything else | asked columns) is untouched; no row is used twice and no cell is
new. The law and the probabilities come from all real parts together; within each part the rows of a cell are drawn in
their share, rounded at random. So a thinned part is a sample of the stated law, with the chance of a sample of its own,
smaller size, and all intervals widen by themselves: a law that is far from the source's leaves few rows, perhaps too
few to conclude anything.

All judges get these rows but those of privacy, who get the real rows as they are: whether a row was copied has nothing
to do with how many of its kind were asked for.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import stream
from sources.target_law import law_of
from validators.evidence import Evidence
from validators.measurement import Family

AS_THEY_ARE: frozenset[Family] = frozenset({"privacy"})
"""Families that see the real rows as they are."""


def under_stated_law(evidence: Evidence, *, seed: int) -> Evidence:
    """Return the evidence with its real parts thinned to the stated law; the same where none is stated.

    Args:
        evidence: not changed.
        seed: which rows are kept.

    Raises:
        SourceInputError: the real rows cannot be thinned to what is asked for (see `sources.target_law.law_of`).

    """
    if evidence.targets is None:
        return evidence
    parts = {
        name: part
        for name in ("train", "holdout", "reference")
        if (part := getattr(evidence, name)) is not None and len(part)
    }
    frames = [part.frame[list(evidence.targets.columns)] for part in parts.values()]
    law = law_of(pd.concat(frames, ignore_index=True), evidence.targets)
    chance = law.wanted / law.own
    chance = chance / chance.max()
    starts = np.cumsum([len(part) for part in parts.values()])[:-1]
    thinned: dict[str, Dataset] = {}
    for (name, part), cell in zip(parts.items(), np.split(law.cell, starts), strict=True):
        rng = stream(seed, "judge", "stated law", name)
        order = rng.permutation(len(part))
        kept = np.floor(chance * np.bincount(cell, minlength=len(chance)) + rng.random(len(chance)))
        rank = pd.Series(order).groupby(cell[order]).cumcount().to_numpy()
        thinned[name] = part.take(np.sort(order[rank < kept[cell[order]]]))
    return replace(evidence, **thinned)  # type: ignore[arg-type]
