"""Many tests at once: p-values that hold for all of them together."""

import numpy as np


def holm(p_values: np.ndarray) -> np.ndarray:
    """Return Holm's adjusted p-values (float N), in the order given (Holm 1979, *Scand. J. Statist.* 6, 65).

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
