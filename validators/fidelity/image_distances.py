"""KID and the Fréchet distance: are the features of synthetic pictures as near to unseen real ones as fresh ones are?

Each frozen network gives a space of its own. `image_kid` has no bias and an interval; `image_frechet` is the measure
that papers report, as a ratio to that of real pictures at the same number of rows, because the distance itself is
biased upwards by a number that grows as rows become fewer and says little alone.

What they cannot see: copies (a perfect score), what the networks do not look at, a change of few pictures in a hundred.
"""

from collections.abc import Sequence

import numpy as np

from validators.evidence import Evidence
from validators.fidelity.image_rows import picture_rows, space_names, too_few_pictures
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.intervals import gate_ends
from validators.statistics.two_samples import frechet_distances, kernel_distance

FRECHET_ROWS = 300
"""Rows of a block: few, so that a ratio means the same for some hundred pictures and for many thousand."""


def image_distances(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `image_kid` and `image_frechet` for each network; nothing without pictures."""
    if evidence.features is None:
        return []
    names = space_names(evidence.features)
    few = too_few_pictures(evidence, [(name, space) for space in names for name in ("image_kid", "image_frechet")])
    if few:
        return few
    rows, policy = picture_rows(evidence, rng), evidence.policy
    found = []
    for space, (train, holdout, synthetic) in rows.spaces():
        kernel, fresh = kernel_distance(synthetic, holdout), kernel_distance(train, holdout)
        se = kernel.se * float(np.sqrt(rows.alike))
        low, high = gate_ends(kernel.share, se, policy=policy, name="image_kid", reference=0.0, subjects=len(names))
        found.append(
            judged(
                name="image_kid",
                subject=space,
                value=kernel.share,
                low=low,
                high=high,
                n=len(synthetic),
                reading=(
                    f"By their {space}, synthetic and unseen real pictures are apart by {kernel.share:.2%} of the "
                    f"spread of real ones; as many training pictures, by {fresh.share:.2%}." + rows.features.caveat
                ),
                policy=policy,
                reference=0.0,
                detail={"kid": kernel.kid, "kid_of_real": fresh.kid, "share_of_real": fresh.share, "se": se},
            )
        )
        distances = frechet_distances(synthetic, train, holdout, rows=FRECHET_ROWS)
        se = distances.se * float(np.sqrt(rows.alike))
        low, high = gate_ends(
            distances.ratio, se, policy=policy, name="image_frechet", reference=1.0, subjects=len(names)
        )
        found.append(
            judged(
                name="image_frechet",
                subject=space,
                value=distances.ratio,
                low=max(low, 0.0),
                high=high,
                n=distances.rows,
                reading=(
                    f"By their {space}, {distances.rows:,} synthetic pictures are {distances.ratio:.2f} times as far "
                    f"from as many unseen real ones as training pictures are (Fréchet distance)." + rows.features.caveat
                ),
                policy=policy,
                reference=1.0,
                detail={"distance": distances.first, "distance_of_real": distances.second, "se": se},
            )
        )
    return found
