"""Real pictures beside the synthetic ones that come nearest to them, for the eye; private.

As many pictures of train as there are fresh ones are looked at, so that both have the same chance of a near neighbour:
where the pairs of train are nearer than the fresh ones, pictures were remembered. The checks of privacy measure that,
also in disguise; this shows it.
"""

from base64 import b64encode
from dataclasses import dataclass

import numpy as np

from sources.dataset import Dataset
from sources.images import png
from sources.picture_sheets import sheet, thumbnails, top_of
from sources.randomness import stream
from validators.evidence import Evidence
from validators.picture_grids import MOST_IN_STRIP, MOST_SIDE, flat_pixels
from validators.privacy.neighbours import nearest

MOST_REAL, MOST_SYNTHETIC = 4_000, 20_000
"""Pictures that are compared; an image of 16 x 16 each, so this takes about a second."""


@dataclass(frozen=True, kw_only=True)
class PairsPicture:
    """The nearest pairs of one side, the nearest first.

    Args:
        side: `train` or `fresh`.
        height, width: pixels of one picture on the sheet.
        columns: pairs.
        sheet: PNG, base64: real pictures above, each over its nearest synthetic one.

    """

    side: str
    height: int
    width: int
    columns: int
    sheet: str


def nearest_pairs(evidence: Evidence, seed: int) -> tuple[PairsPicture, ...]:
    """Return the pairs of train, and of the fresh pictures where there are some; nothing without pictures.

    Args:
        evidence: of its image columns the first is shown.
        seed: draws which pictures are compared.

    """
    images = [column.name for column in evidence.schema.columns if column.kind == "image"]
    if not images or not len(evidence.synthetic) or not len(evidence.train):
        return ()
    name = images[0]
    rng = stream(seed, "pictures", "pairs of pictures")
    synthetic = _some(evidence.synthetic, MOST_SYNTHETIC, rng)
    sides = [("train", evidence.train), *([("fresh", evidence.holdout)] if evidence.holdout is not None else [])]
    num = min(MOST_REAL, *(len(part) for _, part in sides))
    drawn = [(side, _some(part, num, rng)) for side, part in sides if num]
    flat = flat_pixels(synthetic, len(synthetic), rng)
    top = top_of(evidence.synthetic.media[name])
    found = []
    for side, part in drawn:
        distance, winner = nearest(flat_pixels(part, len(part), rng), flat)
        order = np.argsort(distance, kind="stable")[:MOST_IN_STRIP]
        rows = np.concatenate([_pixels(part, name)[order], _pixels(synthetic, name)[winner[order]]])
        small = thumbnails(rows, most=MOST_SIDE, top=top)
        found.append(
            PairsPicture(
                side=side,
                height=small.shape[1],
                width=small.shape[2],
                columns=len(order),
                sheet=b64encode(png(sheet(small, columns=len(order)))).decode(),
            )
        )
    return tuple(found)


def _some(part: Dataset, most: int, rng: np.random.Generator) -> Dataset:
    return part.take(np.sort(rng.choice(len(part), size=min(most, len(part)), replace=False)))


def _pixels(part: Dataset, name: str) -> np.ndarray:
    pixels: np.ndarray = part.media[name][part.frame[name].to_numpy()]
    return pixels
