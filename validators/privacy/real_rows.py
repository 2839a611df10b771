"""The real rows as the privacy judges see them: train against everything that the synthesizer never saw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from validators.evidence import Evidence
from validators.gate import undecided
from validators.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class RealRows:
    """N real rows, train first, then the fresh ones (holdout and reference).

    Args:
        frame: the rows.
        is_train: which of them are training rows (bool N).
        entities: a code for the person or thing that each row belongs to (int N), or None where each row has its own.
            Rows of one entity lie in one part and are alike, so they are no independent witnesses.

    """

    frame: pd.DataFrame
    is_train: np.ndarray
    entities: np.ndarray | None

    def take(self, rows: np.ndarray) -> "RealRows":
        """Return the rows at the positions `rows`."""
        entities = None if self.entities is None else self.entities[rows]
        return RealRows(
            frame=self.frame.iloc[rows].reset_index(drop=True), is_train=self.is_train[rows], entities=entities
        )


def real_parts(evidence: Evidence) -> pd.DataFrame:
    """Return all real rows, train first."""
    parts = (evidence.train, evidence.holdout, evidence.reference)
    return pd.concat([part.frame for part in parts if part is not None], ignore_index=True)


def real_rows(evidence: Evidence) -> RealRows | str:
    """Return the real rows, or why train cannot be contrasted with fresh ones, in a sentence for the reader."""
    if evidence.holdout is None:
        return (
            "Without real rows that the synthesizer never saw, copies cannot be told from chance: give a holdout "
            "(split the source at random before the synthesizer is trained)."
        )
    fresh = [part.frame for part in (evidence.holdout, evidence.reference) if part is not None]
    num_train, num_fresh, num_synthetic = len(evidence.train), sum(map(len, fresh)), len(evidence.synthetic)
    if min(num_train, num_fresh, num_synthetic) < max(evidence.policy.min_rows, 1):
        return (
            f"Too few rows to judge ({num_train} train, {num_fresh} fresh, {num_synthetic} synthetic; "
            f"{evidence.policy.min_rows} each are needed)."
        )
    frame = pd.concat([evidence.train.frame, *fresh], ignore_index=True)
    entities = None
    if evidence.schema.entity_key is not None:
        codes, known = pd.factorize(frame[evidence.schema.entity_key])
        entities = np.where(codes < 0, len(known) + np.arange(len(codes)), codes)
        entities = None if len(np.unique(entities)) == len(entities) else entities
    return RealRows(frame=frame, is_train=np.arange(len(frame)) < num_train, entities=entities)


def all_undecided(evidence: Evidence, subjects: Sequence[tuple[str, str]], reading: str) -> list[Measurement]:
    """Return one INCONCLUSIVE measurement for each (name, subject), all with one reading."""
    n = min(len(evidence.train), len(evidence.synthetic))
    return [
        undecided(name=name, subject=subject, n=n, reading=reading, policy=evidence.policy)
        for name, subject in subjects
    ]
