"""What the judges look at: three real parts, the synthetic rows, and what the columns are."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.canaries import Canaries
from sources.dataset import Dataset
from sources.schema import Schema
from sources.targets import Targets
from validators.features.column import Features
from validators.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The rows before the court.

    Args:
        train: what the synthesizer saw.
        holdout: real rows of the same population that no synthesizer and no tuning saw; None when there are none.
        synthetic: the rows that somebody wants to release.
        reference: further real rows, the adversary's own; None when there are none.
        canaries: made-up rows that the synthesizer saw beside `train`, and their control; None when none were planted.
        schema: what the columns of all four are.
        policy: limits and knobs.
        targets: the law that the synthetic rows are stated to have in some columns, in place of that of the real ones;
            None where they are to be like these. `validators.stated_law` says what it changes.
        features: the pictures through frozen networks, computed when asked for; made by the judge
            (`validators.features.making`), None where there are no pictures.
        row_nats: canonical rows -> their negative log likelihood under the model that drew the synthetic ones (float64
            N, infinite for rows that it could never draw); None where only the rows are at hand.

    """

    train: Dataset
    holdout: Dataset | None
    synthetic: Dataset
    schema: Schema
    policy: Policy
    reference: Dataset | None = None
    canaries: Canaries | None = None
    targets: Targets | None = None
    features: Features | None = None
    row_nats: Callable[[pd.DataFrame], np.ndarray] | None = None
