"""Do the synthetic rows as a whole lie nearer to the training rows than to fresh ones? The distance-to-closest share.

Each synthetic row votes for the part that holds its nearest real row. The share of votes for train is put on the scale
of two equally large parts: 0.5 is chance, 1 a copy. It sees a model that overfits everywhere; it is blind to a few
copied rows, for which there is `excess_matches`.
"""

from dataclasses import asdict

import numpy as np
from scipy import stats

from validators.gate import judged
from validators.measurement import Measurement
from validators.policy import Policy
from validators.privacy.authenticity import Authenticity


def dcr_share(votes: np.ndarray, is_train: np.ndarray, policy: Policy, told: Authenticity | None = None) -> Measurement:
    """Return the share with an interval from the permutation variance: given the votes, the labels are random.

    Votes are not independent, since a row in a crowded place wins many: with c_r votes for real row r, the labels of
    N rows drawn without replacement have variance pi (1 - pi) sum (c_r - mean)^2 N / (N - 1) over squared votes.

    Args:
        votes: of the synthetic rows for each real row (float N), in parts where several are equally near.
        is_train: which real rows are training rows (bool N).
        policy: error rates and limit.
        told: how many rows are authentic, which is told beside the share and judged nowhere; None to tell nothing.

    """
    chance = float(is_train.mean())
    share = float(votes[is_train].sum() / votes.sum())
    spread = np.square(votes - votes.mean()).sum() * len(votes) / (len(votes) - 1)
    error = float(np.sqrt(chance * (1 - chance) * spread) / votes.sum())
    value, error = (0.5 + 0.5 * (share - chance) / (1 - chance)), 0.5 * error / (1 - chance)
    low = value - float(stats.norm.isf(policy.alarm_share())) * error
    high = value + float(stats.norm.isf(policy.doubt)) * error
    return judged(
        name="dcr_share",
        subject="all rows",
        value=value,
        low=low,
        high=high,
        n=round(votes.sum()),
        reference=0.5,
        reading=f"{value:.1%} of the synthetic rows lie nearer to a training row than to a fresh one (chance: 50 %)"
        + (f"; {told.synthetic:.1%} of them are authentic, of fresh rows {told.fresh:.1%}." if told else "."),
        policy=policy,
        detail={
            "votes_for_train": share,
            "chance": chance,
            "standard_error": error,
            "authenticity": told and asdict(told),
        },
    )
