"""Are pictures as sharp as real ones? The power spectrum in three bands of spatial frequency, against unseen real ones.

Generators that average are blurred: the fine band loses its power. Noise and checkerboards have too much of it. The
spectrum is taken at full resolution of the middle of each picture (`CROP` pixels), after its mean is taken off, of each
channel; the value is the ratio of the mean power of synthetic to that of unseen real pictures (Durall et al. 2020).

What it cannot see: where in a picture the power lies; blur of a few pictures in a hundred.

Legend: N rows.
"""

from collections.abc import Sequence

import numpy as np

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.features.column import PictureColumn
from validators.fidelity.image_rows import picture_rows, too_few_pictures
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.intervals import gate_ends

CROP = 64
CHUNK = 512
BANDS: tuple[tuple[str, float, float], ...] = (
    ("coarse detail", 0.0, 0.15),
    ("middle detail", 0.15, 0.3),
    ("fine detail", 0.3, 0.71),
)
"""Cycles a pixel; 0.71 is the corner of the spectrum."""


def image_sharpness(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `image_sharpness` for each band of each image column; nothing without pictures."""
    if evidence.features is None:
        return []
    of, policy = evidence.features, evidence.policy
    several = len(of.columns) > 1
    subjects = {
        (column.name, band): band + (f" of {column.name!r}" if several else "")
        for column in of.columns
        for band, _, _ in BANDS
    }
    few = too_few_pictures(evidence, [("image_sharpness", subject) for subject in subjects.values()])
    if few:
        return few
    rows = picture_rows(evidence, rng)
    found = []
    for column in of.columns:
        synthetic, holdout, train = (
            powers(column, part, kept)
            for part, kept in ((of.synthetic, rows.synthetic), (of.holdout, rows.holdout), (of.train, rows.train))
        )
        for position, (band, _, _) in enumerate(BANDS):
            real = np.concatenate([holdout[:, position], train[:, position]])
            made = synthetic[:, position]
            if real.mean() <= 0:
                ratio, se = (1.0, 0.0) if made.mean() <= 0 else (float(np.finfo(np.float32).max), 0.0)
            else:
                ratio = float(made.mean() / real.mean())
                spread = [part.std(ddof=1) / real.mean() / np.sqrt(len(part)) for part in (made, real)]
                se = float(np.hypot(spread[0], ratio * spread[1]) * np.sqrt(rows.alike))
            low, high = gate_ends(
                ratio, se, policy=policy, name="image_sharpness", reference=1.0, subjects=len(subjects)
            )
            found.append(
                judged(
                    name="image_sharpness",
                    subject=subjects[column.name, band],
                    value=ratio,
                    low=max(low, 0.0),
                    high=high,
                    n=len(made),
                    reading=(
                        f"Synthetic pictures have {ratio:.2f} times the {band} of real ones (power of the spectrum)."
                        + of.caveat
                    ),
                    policy=policy,
                    reference=1.0,
                    detail={"se": se},
                )
            )
    return found


def powers(column: PictureColumn, dataset: Dataset, kept: np.ndarray) -> np.ndarray:
    """Return the power of each picture in each band, summed over channels (float64 N 3)."""
    images = column.raw(dataset)
    _, height, width, _ = images.shape
    top, left = max(0, (height - CROP) // 2), max(0, (width - CROP) // 2)
    found = np.zeros((len(kept), len(BANDS)))
    whole = float(np.iinfo(images.dtype).max)
    for first in range(0, len(kept), CHUNK):
        part = images[kept[first : first + CHUNK], top : top + CROP, left : left + CROP].astype(np.float32) / whole
        part -= part.mean(axis=(1, 2), keepdims=True)
        _, tall, wide, _ = part.shape
        # A taper to the borders, or the jump from one border to the other would look like fine detail.
        part *= (_taper(tall)[:, None] * _taper(wide))[None, :, :, None]
        spectrum = np.square(np.abs(np.fft.fft2(part, axes=(1, 2)))).sum(axis=3)
        frequency = np.hypot(np.fft.fftfreq(tall)[:, None], np.fft.fftfreq(wide))
        for position, (_, low, high) in enumerate(BANDS):
            inside = (frequency > low) & (frequency <= high)
            found[first : first + len(part), position] = spectrum[:, inside].sum(axis=1) / (tall * wide)
    return found


def _taper(n: int) -> np.ndarray:
    """Return the Hann window over n pixels, without zeros at its ends (float32 n)."""
    return np.sin(np.pi * (np.arange(n) + 1) / (n + 1)).astype(np.float32) ** 2
