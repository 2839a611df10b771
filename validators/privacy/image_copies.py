"""Pictures of train that stand in the synthetic rows pixel for pixel, mirrored or not, against those of fresh rows.

Pictures are compared by a hash of their pixels, the same for a picture and its mirror images; the tests are those of
`copies`. A picture that two real rows share gives nobody away. Equal pictures of a camera are no chance, but small ones
of few levels (icons, masks, eight by eight) are: hence the contrasts.

What it cannot see: anything but equal pixels (see `image_matches`).
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.copies import WITNESS, copied, more_often_than_fresh, more_often_than_real
from validators.privacy.image_comparison import pictures_of
from validators.privacy.real_rows import all_undecided, real_rows

NAME, HASH = "image_copies", "picture"


def image_copies(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement for each image column, `image_copies`; nothing where there is none."""
    columns = [column.name for column in evidence.schema.columns if column.kind == "image"]
    real = real_rows(evidence) if columns else ""
    if isinstance(real, str):
        return all_undecided(evidence, [(NAME, column) for column in columns], real)
    found = []
    parts = [part for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
    for column in columns:
        real.frame[HASH] = np.concatenate([hashed(pictures_of(part, column)) for part in parts])
        synthetic = pd.DataFrame({HASH: hashed(pictures_of(evidence.synthetic, column))})
        look = copied(real, synthetic, [HASH])
        p = look["p"]
        if real.entities is None:
            fresh = np.flatnonzero(~real.is_train)
            second = more_often_than_fresh(real.frame, fresh, synthetic, [HASH])
            p = min(p, max(second, WITNESS * p), more_often_than_real(real, synthetic, [HASH]))
        p = min(1.0, len(columns) * p)
        found.append(
            judged(
                name=NAME,
                subject=column,
                value=p,
                low=p,
                high=p,
                n=len(synthetic),
                reading=(
                    f"{look['train']:.0f} pictures of train stand in the synthetic rows pixel for pixel, as they are "
                    f"or mirrored, where chance gives {look['expected']:.1f} (p = {p:.2g}); "
                    f"{look['synthetic_rows']:.0f} of {len(synthetic)} synthetic rows hold one."
                ),
                policy=evidence.policy,
                detail={**look, "p": p},
            )
        )
    return found


def hashed(pictures: np.ndarray) -> np.ndarray:
    """Return a hash of each picture (N H W C), equal for those that are equal as they are or mirrored (object N)."""
    views = [pictures[:, ::up, ::left] for up in (1, -1) for left in (1, -1)]
    digests = [[hashlib.sha256(one.tobytes()).hexdigest() for one in view] for view in views]
    return np.array([min(own) for own in zip(*digests, strict=True)], dtype=object)
