"""Membership attacks of somebody who has the model itself, where its family gives rows a likelihood.

Nobody who has a release has its model. But what a model has learnt by heart it may draw, and its likelihood shows that
sooner than any number of drawn rows. The judge of a run has the model; that of files made elsewhere has not.

What it cannot see: families without a likelihood (adversarial ones, bounds of autoencoders, peers); ids and texts.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from sources.schema import Schema
from validators.encoding import encode_column
from validators.fidelity.trees import regressor
from validators.policy import MEASURED_KINDS

WHITE_BOX = "likelihood"
"""What the names of these attacks begin with."""

LEAST_OWN = 100
"""Rows of his own from which the attacker learns which rows are likely anyway."""

SPREAD_FLOOR = 0.01
"""In nats, added before the logarithm of a deviation."""

RowNats = Callable[[pd.DataFrame], np.ndarray]


def white_box(
    row_nats: RowNats, own: pd.DataFrame, targets: pd.DataFrame, schema: Schema, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return attack -> score of each target (float N) of somebody who has the model itself.

    `likelihood` takes for members what the model finds likely (Yeom et al. 2018, *Privacy risk in machine learning*).
    What is likely anyway is so for everybody, hence `calibrated`: how much likelier the row is than rows like it that
    the model has not seen, as trees predict from the attacker's own rows (the regression on non-members of Bertran et
    al. 2023, *Scalable membership inference attacks via quantile regression*, here of the mean and spread).

    Args:
        row_nats: the model's negative log likelihood.
        own: the attacker's own rows, which the model has not seen.
        targets: rows that it may have seen.
        schema: what the columns are.
        rng: draws rows and seeds the trees.

    """
    own, targets = own.reset_index(drop=True), targets.reset_index(drop=True)
    of_own, of_targets = row_nats(own), row_nats(targets)
    possible = np.isfinite(of_own)
    scores = {WHITE_BOX: np.where(np.isfinite(of_targets), -of_targets, -np.inf)}
    if possible.sum() < LEAST_OWN:
        return scores
    known, unseen, categorical = as_features(own[possible], targets, schema)
    half = rng.permutation(len(known)) % 2 == 0  # the spread is that of rows that the first trees have not seen
    nats = of_own[possible]
    mean = regressor(known[half], nats[half], categorical, rng)
    off = np.log(SPREAD_FLOOR + np.abs(nats[~half] - mean.predict(known[~half])))
    spread = regressor(known[~half], off, categorical, rng)
    likelier = (mean.predict(unseen) - of_targets) / np.exp(spread.predict(unseen))
    scores[f"{WHITE_BOX} calibrated"] = np.where(np.isfinite(of_targets), likelier, -np.inf)
    return scores


def as_features(
    known: pd.DataFrame, targets: pd.DataFrame, schema: Schema
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what trees see of the known rows and of the targets (float N F), and which columns are codes (bool F).

    Bins and codes come from what the attacker has, under the name train.
    """
    columns, features = [], []
    for column in schema.columns:
        if column.kind in MEASURED_KINDS:
            parts = {
                name: part[column.name].reset_index(drop=True)
                for name, part in (("train", known), ("targets", targets))
            }
            note, values, _ = encode_column(column, parts)
            columns.append(note.categorical)
            features.append(values)
    X, unseen = (np.column_stack([values[part] for values in features]) for part in ("train", "targets"))
    return X, np.where(np.isnan(X).all(axis=0), 0.0, unseen), np.array(columns, dtype=bool)
