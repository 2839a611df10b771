"""One limit for each measurement, in the order of reports."""

from collections.abc import Mapping

from validators.limits.bias import BIAS
from validators.limits.fidelity import FIDELITY
from validators.limits.limit import Limit
from validators.limits.privacy import PRIVACY

LIMITS: Mapping[str, Limit] = {
    "contract_rules": Limit(
        family="contract",
        direction="lower_is_better",
        bound=0.0,
        reason="A broken rule breaks the recipient's pipeline; the schema's author says which rules matter.",
    ),
    **FIDELITY,
    **PRIVACY,
    **BIAS,
}
