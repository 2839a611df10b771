"""Did the synthesizer remember made-up rows that were planted among its training rows?

Planted and control canaries (`sources.canaries`) are of one law, and the synthesizer saw only the former. So their
distances to the nearest synthetic row are exchangeable unless it remembers rows, and the test needs no holdout, no
reference and no model of the data: it is exact.

What it cannot see: what is remembered of less strange rows than these, and a synthesizer that sets strange rows aside.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.special import gammaln

from validators.evidence import Evidence
from validators.fidelity.sides import too_few
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import real_parts
from validators.statistics.permutation import permutation_p_value

NUM_PERMUTATIONS = 9_999


def canaries(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `canaries`, a p-value; nothing where none were planted."""
    if evidence.canaries is None:
        return []
    few = too_few(evidence, [("canaries", "planted rows")])
    if few:
        return few
    both = [evidence.canaries.planted.frame, evidence.canaries.control.frame]
    frames = [real_parts(evidence), *both, evidence.synthetic.frame]
    _, planted, control, synthetic = embed(frames, evidence.schema, scale=(0,))
    num = len(planted)
    if not synthetic.shape[1]:
        reading = "No column has a distance (all are texts, ids or images), so canaries cannot be looked for."
        return [undecided(name="canaries", subject="planted rows", n=num, reading=reading, policy=evidence.policy)]
    distances = [nearest(part, synthetic)[0] for part in (planted, control)]
    p, ahead = remembered_p(*distances, rng=rng)
    at_zero = [int(np.count_nonzero(part == 0)) for part in distances]
    return [
        judged(
            name="canaries",
            subject="planted rows",
            value=p,
            low=p,
            high=p,
            n=num,
            reading=(
                f"Of {num:,} made-up rows that the synthesizer saw, {at_zero[0]:,} stand among the synthetic rows, and "
                f"{at_zero[1]:,} of as many that it did not see; {ahead:,} of the former are nearer than any of the "
                f"latter. By chance that has p = {p:.2g}."
            ),
            policy=evidence.policy,
            detail={"planted": at_zero[0], "control": at_zero[1], "ahead": ahead},
        )
    ]


def remembered_p(planted: np.ndarray, control: np.ndarray, *, rng: np.random.Generator) -> tuple[float, int]:
    """Return the p-value of planted rows being no nearer than control rows, and how many are nearer than all of these.

    Twice the smaller of two p-values: a permutation test of the mean rank, for a synthesizer that remembers all rows a
    little, and the chance that the `ahead` nearest of all are planted ones, for one that remembers some of them well.
    With n of each that chance is C(2n - a, n) / C(2n, n).

    Args:
        planted: distances to the nearest synthetic row (float n).
        control: likewise, of the rows that were not planted (float n).
        rng: draws permutations.

    """
    n = len(planted)
    ranks = stats.rankdata(np.concatenate([planted, control]))
    by_rank = permutation_p_value(-ranks[:n], -ranks[n:], num_permutations=NUM_PERMUTATIONS, rng=rng)
    ahead = int(np.count_nonzero(planted < control.min()))
    return float(min(1.0, 2 * min(by_rank, ahead_p(n, ahead)))), ahead


def ahead_p(n: int, ahead: int) -> float:
    """Return the chance that of n planted and n control rows the `ahead` nearest, or more, are all planted ones."""
    if ahead > n:
        return 0.0
    log_chance = gammaln(2 * n - ahead + 1) - gammaln(n - ahead + 1) + gammaln(n + 1) - gammaln(2 * n + 1)
    return float(np.exp(log_chance))
