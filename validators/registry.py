"""The table of contents of this room: every check there is.

A key is `family.check`; a validator returns one measurement for each of its names in `validators.limits.limits.LIMITS`
that applies to the dataset, and none for what does not apply (no target, no protected column).
"""

from collections.abc import Callable, Sequence

import numpy as np

from validators.bias.amplification import amplification
from validators.bias.downstream import downstream
from validators.bias.group_dependence import group_dependence
from validators.bias.group_shape import group_shape
from validators.bias.image_groups import image_groups
from validators.bias.outcome import outcome
from validators.bias.representation import representation
from validators.contract import contract_rules
from validators.evidence import Evidence
from validators.fidelity.association import association
from validators.fidelity.c2st import c2st
from validators.fidelity.coverage import coverage
from validators.fidelity.dependence import dependence
from validators.fidelity.image_c2st import image_c2st
from validators.fidelity.image_distances import image_distances
from validators.fidelity.image_labels import image_labels
from validators.fidelity.image_modes import image_modes
from validators.fidelity.image_neighbours import image_neighbours
from validators.fidelity.image_repeats import image_repeats
from validators.fidelity.image_sharpness import image_sharpness
from validators.fidelity.kway import kway
from validators.fidelity.lost_values import lost_values
from validators.fidelity.missingness import missingness
from validators.fidelity.near_twins import near_twins
from validators.fidelity.repeats import repeats
from validators.fidelity.time_order import time_order
from validators.fidelity.utility import utility
from validators.measurement import Measurement
from validators.privacy.attribute_inference import attribute_inference
from validators.privacy.canaries import canaries
from validators.privacy.controls import controls
from validators.privacy.copies import exact_copies
from validators.privacy.excess_matches import excess_matches
from validators.privacy.image_copies import image_copies
from validators.privacy.image_matches import image_matches
from validators.privacy.image_membership import image_membership
from validators.privacy.linkability import linkability
from validators.privacy.membership import membership
from validators.privacy.per_group import group_matches
from validators.privacy.singling_out import singling_out

Validator = Callable[[Evidence, np.random.Generator], Sequence[Measurement]]

VALIDATORS: dict[str, Validator] = {
    "contract.rules": contract_rules,
    "fidelity.kway": kway,
    "fidelity.lost_values": lost_values,
    "fidelity.repeats": repeats,
    "fidelity.near_twins": near_twins,
    "fidelity.missingness": missingness,
    "fidelity.coverage": coverage,
    "fidelity.time_order": time_order,
    "fidelity.dependence": dependence,
    "fidelity.association": association,
    "fidelity.c2st": c2st,
    "fidelity.utility": utility,
    "fidelity.image_distances": image_distances,
    "fidelity.image_neighbours": image_neighbours,
    "fidelity.image_c2st": image_c2st,
    "fidelity.image_labels": image_labels,
    "fidelity.image_modes": image_modes,
    "fidelity.image_sharpness": image_sharpness,
    "fidelity.image_repeats": image_repeats,
    "privacy.excess_matches": excess_matches,
    "privacy.exact_copies": exact_copies,
    "privacy.group_matches": group_matches,
    "privacy.singling_out": singling_out,
    "privacy.linkability": linkability,
    "privacy.controls": controls,
    "privacy.canaries": canaries,
    "privacy.membership": membership,
    "privacy.attribute_inference": attribute_inference,
    "privacy.image_matches": image_matches,
    "privacy.image_copies": image_copies,
    "privacy.image_membership": image_membership,
    "bias.representation": representation,
    "bias.outcome": outcome,
    "bias.group_dependence": group_dependence,
    "bias.group_shape": group_shape,
    "bias.amplification": amplification,
    "bias.downstream": downstream,
    "bias.image_groups": image_groups,
}
