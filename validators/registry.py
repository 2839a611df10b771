"""The table of contents of this room: every check there is.

A key is `family.check`; a validator returns one measurement for each of its names in `validators.policy.LIMITS` that
applies to the dataset, and none for what does not apply (no target, no protected column).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from validators.evidence import Evidence
from validators.measurement import Measurement

Validator = Callable[[Evidence, np.random.Generator], Sequence[Measurement]]

VALIDATORS: Mapping[str, Validator] = {
}
