"""The table of contents of this room: every check there is.

A key is `family.check`; a validator returns one measurement for each of its names in `validators.policy.LIMITS` that
applies to the dataset, and none for what does not apply (no target, no protected column).
"""

from collections.abc import Callable, Sequence

import numpy as np

from validators.bias.group_dependence import group_dependence
from validators.bias.outcome import outcome
from validators.bias.representation import representation
from validators.contract import contract_rules
from validators.evidence import Evidence
from validators.fidelity.association import association
from validators.fidelity.c2st import c2st
from validators.fidelity.dependence import dependence
from validators.fidelity.kway import kway
from validators.fidelity.lost_values import lost_values
from validators.fidelity.repeats import repeats
from validators.fidelity.utility import utility
from validators.measurement import Measurement
from validators.privacy.copies import exact_copies
from validators.privacy.excess_matches import excess_matches

Validator = Callable[[Evidence, np.random.Generator], Sequence[Measurement]]

VALIDATORS: dict[str, Validator] = {
    "contract.rules": contract_rules,
    "fidelity.kway": kway,
    "fidelity.lost_values": lost_values,
    "fidelity.repeats": repeats,
    "fidelity.dependence": dependence,
    "fidelity.association": association,
    "fidelity.c2st": c2st,
    "fidelity.utility": utility,
    "privacy.excess_matches": excess_matches,
    "privacy.exact_copies": exact_copies,
    "bias.representation": representation,
    "bias.outcome": outcome,
    "bias.group_dependence": group_dependence,
}
