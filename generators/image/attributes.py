"""The attributes of pictures: everything of the table but the picture, learnt by `tabular.autoregressive`.

Its number of steps follows from the number of columns alone, never from the clock, so that `Budget.steps` reproduces
a fit whatever ended the first one. A table of pictures alone has no attributes, and no model of them.

# N rows, T tokens of a row
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from generators.base import Budget, GeneratorInputError, OnStep
from generators.tabular import autoregressive
from sources.dataset import Dataset
from sources.schema import Schema

SMALL: Mapping[str, Any] = {"width": 128, "hidden": 256, "depth": 2}
"""The attributes' network: a few columns need no more, and the budget is the pictures'."""

STEPS_A_COLUMN, MOST_STEPS = 60, 600
"""Steps of the attributes' model: one column is its marginal distribution, which the network begins at."""


class Attributes:
    """p(attributes), and what of them a painter sees.

    Args:
        model: fitted, or None where a picture is all that there is.

    """

    def __init__(self, model: autoregressive.Autoregressive | None) -> None:
        """Keep the model."""
        self.model = model

    @staticmethod
    def fit(
        table: Dataset | None, *, seed: int, run_dir: Path, on_step: OnStep, device: str, precision: str
    ) -> tuple["Attributes", tuple[str, ...]]:
        """Learn the attributes.

        Args:
            table: see `without_pictures`.
            seed: of every random draw in here.
            run_dir: keeps the checkpoint.
            on_step: called with the phase `attributes`.
            device: as in `autoregressive.Config`.
            precision: likewise.

        Returns:
            the attributes, and sentences for a person about what of them is not learnt.

        Raises:
            GeneratorInputError: a column that tables do not model.

        """
        if table is None:
            return Attributes(None), ()
        # draws are not corrected: what a boosted tree could tell of a few columns is little beside the pictures
        model = autoregressive.build(autoregressive.Config(**SMALL, correct=False, device=device, precision=precision))
        steps = min(STEPS_A_COLUMN * len(table.schema.columns), MOST_STEPS)
        report = model.fit(
            table,
            seed=seed,
            budget=Budget(steps=steps),
            run_dir=run_dir,
            on_step=lambda metrics: on_step({**metrics, "phase": "attributes"}),
        )
        return Attributes(model), report.notes

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of tokens at each of the T positions."""
        return () if self.model is None else self.model.fitted.codec.sizes

    @property
    def ranks(self) -> tuple[np.ndarray | None, ...]:
        """Ranks of ordered tokens, as `generators.nn.tokens.TokenTable` takes them."""
        return () if self.model is None else tuple(token.ranks for token in self.model.fitted.codec.tokens)

    def tokens(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the tokens of a canonical frame, int64 N T; the number of tokens at a position means unknown."""
        if self.model is None:
            return np.zeros((len(frame), 0), dtype=np.int64)
        codec = self.model.fitted.codec
        tokens = codec.encode(frame[list(codec.schema.names)]).astype(np.int64)
        return np.where(tokens < 0, np.array(codec.sizes, dtype=np.int64), tokens)

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None) -> pd.DataFrame:
        """Return `n` canonical rows of attributes; those `given` stand as they are.

        Raises:
            GeneratorInputError: a column that there is not, or cells that the model could never draw.

        """
        if self.model is not None:
            return self.model.sample(n, seed=seed, given=given).frame
        if given is not None and len(given.columns):
            raise GeneratorInputError(
                "given: no such column",
                seen=", ".join(map(str, given.columns)),
                remedy="leave it out: the training data had pictures alone",
            )
        return pd.DataFrame(index=pd.RangeIndex(n))


def without_pictures(train: Dataset, image: str) -> Dataset | None:
    """Return the table without its image column, or None where nothing is left."""
    schema = train.schema
    columns = tuple(column for column in schema.columns if column.name != image)
    if not columns:
        return None
    rules = tuple(rule for rule in schema.rules if image not in rule.columns)
    rest: Schema = replace(schema, columns=columns, rules=rules)
    return Dataset(frame=train.frame[[column.name for column in columns]], schema=rest)
