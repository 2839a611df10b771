"""The learning rate as a function of (step, plan), so that a number of steps names one path and no other.

A plan is a total number of steps N. The rate warms up, stays level, and falls linearly to zero over the last quarter
of the plan (warm-up, stable, decay: Hu et al. 2024, arXiv 2404.06395, section 4; Hägele et al. 2024, arXiv
2405.18392). Before its last quarter the path does not depend on N: whoever decides at step k that it is time to stop
(a clock, a plateau) chooses the plan whose decay starts at k, and giving that N from the beginning runs the same path.
"""

DECAY_PARTS = 4  # the last 1/4 of the plan decays: 10-25 % are equally good in the papers above, more is safer


def decay_start(plan: int) -> int:
    """Return the first step (from 0) of a plan of `plan` steps at which the rate falls.

    >>> [decay_start(plan) for plan in (1, 4, 8, 100)]
    [1, 3, 6, 75]
    """
    return plan - plan // DECAY_PARTS


def plan_decaying_from(step: int) -> int:
    """Return the smallest plan whose decay starts at `step` or later; it starts exactly there.

    >>> all(decay_start(plan_decaying_from(step)) == step for step in range(1, 1000))
    True
    """
    rest = DECAY_PARTS - 1
    return max(step - 1, 0) * DECAY_PARTS // rest + 1


def rate(step: int, plan: int, warmup_steps: int) -> float:
    """Return the factor on the base learning rate at `step` (from 0) of `plan` steps, in (0, 1]."""
    factor = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
    start = decay_start(plan)
    if step >= start:
        factor *= 1.0 - (step - start) / (plan - start)
    return factor
