"""Whose rows they are: what many rows of one person hold is not held by many persons.

Support is counted in entities where the schema has their key, in rows otherwise.
"""

import numpy as np
import pandas as pd

from sources.dataset import Dataset


def entities_of(train: Dataset) -> np.ndarray | None:
    """Return whom each row belongs to, int64 N, or None where every row stands for itself.

    A row whose key is missing belongs to itself.
    """
    key = train.schema.entity_key
    if key is None:
        return None
    codes, names = pd.factorize(train.frame[key])
    rows = np.arange(len(train))
    found = np.where(codes < 0, len(names) + rows, codes)
    return None if len(np.unique(found)) == len(rows) else found


def one_each(values: pd.Series, entities: np.ndarray | None) -> pd.Series:
    """Return the cells, their index kept, without those that the same entity (int64 N) has had before."""
    if entities is None:
        return values
    repeated = pd.DataFrame({"value": values.to_numpy(), "entity": entities}).duplicated().to_numpy()
    return values[~repeated]
