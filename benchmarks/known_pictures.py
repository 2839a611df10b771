"""Synthetic pictures whose right verdict is known in advance: what a gate must refuse, and what it must let through.

A `PicturePopulation` is a set of real pictures with a label. `drawn` cuts it in random order into train, holdout and
fresh pictures, the perfect generator; each `PictureKind` makes of them the pictures that are judged, and says which of
these are memorised.

# N pictures, H height, W width, C channels
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image as Pillow
from scipy import ndimage

Must = Literal["refuse", "pass"]
Disguise = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Of pictures N H W C the same in a disguise."""


@dataclass(frozen=True, kw_only=True)
class PicturePopulation:
    """Real pictures, independent draws of one law as far as they are.

    Args:
        name: for the result.
        images: uint8 N H W C.
        labels: of each (str N).

    """

    name: str
    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Some pictures with their labels.

    Args:
        images: uint8 N H W C.
        labels: str N.
        memorised: which of them are pictures of train, plain or in disguise (bool N).

    """

    images: np.ndarray
    labels: np.ndarray
    memorised: np.ndarray

    def take(self, rows: np.ndarray) -> "Pictures":
        """Return the pictures at the positions `rows`."""
        return Pictures(images=self.images[rows], labels=self.labels[rows], memorised=self.memorised[rows])


@dataclass(frozen=True, kw_only=True)
class PictureDraw:
    """Disjoint random parts of a population: train, holdout, and fresh pictures as many as train."""

    train: Pictures
    holdout: Pictures
    fresh: Pictures


PictureRogue = Callable[[PictureDraw, np.random.Generator], Pictures]


@dataclass(frozen=True, kw_only=True)
class PictureKind:
    """One way to make pictures whose verdict is known.

    Args:
        make: the pictures from a draw.
        must: what the gate has to answer.
        families: of which at least one has to speak when they are refused.

    """

    make: PictureRogue
    must: Must
    families: frozenset[str] = frozenset()


def population(name: str, data: Path | None = None) -> PicturePopulation:
    """Return the digits that scikit-learn bundles, or the pictures of the `.npz` files in the folder `data`."""
    if data is None:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - takes a moment

        bundled = load_digits()
        images = np.round(bundled.images * 255 / 16).astype(np.uint8)[..., None]
        return PicturePopulation(name=name, images=images, labels=bundled.target.astype(str).astype(object))
    arrays = [np.load(file, allow_pickle=False) for file in sorted(data.glob("*.npz"))]
    pairs = [(part, part.replace("x", "y", 1)) for part in arrays[0].files if part.startswith("x")]
    images = np.concatenate([array[x] for array in arrays for x, _ in pairs])
    labels = np.concatenate([array[y] for array in arrays for _, y in pairs])
    images = images[..., None] if images.ndim == 3 else images
    return PicturePopulation(name=name, images=images, labels=labels.astype(str).astype(object))


def drawn(known: PicturePopulation, pictures: int, rng: np.random.Generator, holdout: float = 0.54) -> PictureDraw:
    """Return three disjoint random parts: `pictures` of train and of fresh ones, `holdout` times as many of holdout.

    Fewer where the population does not have so many. 0.54 is what the default split gives holdout and reference.
    """
    size = min(pictures, int(len(known.images) / (2 + holdout)))
    order = rng.permutation(len(known.images))
    parts = np.split(order, [size, 2 * size, 2 * size + int(holdout * size)])[:3]
    train, fresh, held = (
        Pictures(images=known.images[rows], labels=known.labels[rows], memorised=np.zeros(len(rows), dtype=bool))
        for rows in parts
    )
    return PictureDraw(train=train, holdout=held, fresh=fresh)


# Disguises


def exact(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """The pictures themselves."""
    return images.copy()


def flipped(images: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Left for right."""
    return images[:, :, ::-1].copy()


def cropped(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A part of 80 to 95 % of height and width anywhere in the picture, scaled to the whole."""
    height, width = images.shape[1:3]
    found = np.empty_like(images)
    for i, image in enumerate(images):
        share = rng.uniform(0.8, 0.95)
        top, left = (rng.uniform(0, (1 - share) * length) for length in (height, width))
        box = (left, top, left + share * width, top + share * height)
        found[i] = _scaled(image, box)
    return found


def jpeg(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Written as JPEG of quality 50 to 90, and read again."""
    found = np.empty_like(images)
    for i, image in enumerate(images):
        file = io.BytesIO()
        _pillow(image).save(file, "JPEG", quality=int(rng.integers(50, 91)))
        found[i] = np.asarray(Pillow.open(file)).reshape(image.shape)
    return found


def jittered(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Moved by up to a fourteenth of the side, edges repeated, with noise of sd 5 of 255."""
    found = np.empty_like(images)
    for i, image in enumerate(images):
        most = [max(1, round(length / 14)) for length in image.shape[:2]]
        rows, columns = (
            np.clip(np.arange(length) + rng.integers(-by, by + 1), 0, length - 1)
            for length, by in zip(image.shape[:2], most, strict=True)
        )
        found[i] = _bytes(image[rows][:, columns] + rng.normal(0, 5, image.shape))
    return found


def brightened(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast times 0.7 to 1.3, brightness up or down by up to 40 of 255."""
    gain, shift = (rng.uniform(*ends, size=(len(images), 1, 1, 1)) for ends in ((0.7, 1.3), (-40, 40)))
    return _bytes(images * gain + shift)


DISGUISES: Mapping[str, Disguise] = {
    "exact": exact,
    "flipped": flipped,
    "cropped": cropped,
    "JPEG": jpeg,
    "jittered": jittered,
    "brightened": brightened,
}


# Leaks: pictures of train, plain or in disguise, among fresh ones.


def leaked(disguise: Disguise, share: float) -> PictureRogue:
    """Return the maker of fresh pictures of which `share`, at least 8, are pictures of train in a disguise."""

    def make(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
        num = max(LEAST_LEAKED, round(share * len(draw.fresh.images)))
        taken, place = (rng.choice(len(part.images), num, replace=False) for part in (draw.train, draw.fresh))
        images, labels = draw.fresh.images.copy(), draw.fresh.labels.copy()
        images[place], labels[place] = disguise(draw.train.images[taken], rng), draw.train.labels[taken]
        memorised = np.zeros(len(images), dtype=bool)
        memorised[place] = True
        return Pictures(images=images, labels=labels, memorised=memorised)

    return make


def leaked_together(
    draw: PictureDraw, share: float, rng: np.random.Generator
) -> tuple[Pictures, Mapping[str, np.ndarray]]:
    """Return fresh pictures of which `share` in each disguise are pictures of train, and where those of each are."""
    num = round(share * len(draw.fresh.images))
    taken, place = (
        rng.choice(len(part.images), (len(DISGUISES), num), replace=False) for part in (draw.train, draw.fresh)
    )
    images, labels = draw.fresh.images.copy(), draw.fresh.labels.copy()
    for (_, disguise), own, at in zip(DISGUISES.items(), taken, place, strict=True):
        images[at], labels[at] = disguise(draw.train.images[own], rng), draw.train.labels[own]
    memorised = np.zeros(len(images), dtype=bool)
    memorised[place] = True
    return Pictures(images=images, labels=labels, memorised=memorised), dict(zip(DISGUISES, place, strict=True))


# Unfaithful pictures, made of fresh ones.


def fresh(draw: PictureDraw, _: np.random.Generator) -> Pictures:
    """The perfect generator: real pictures that nobody saw."""
    return draw.fresh


def dropped(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
    """One class is missing, the others stand in for it."""
    labels, counts = np.unique(draw.fresh.labels.astype(str), return_counts=True)
    others = np.flatnonzero(draw.fresh.labels != labels[np.argsort(counts)[0]])
    return draw.fresh.take(rng.choice(others, len(draw.fresh.images)) if len(labels) > 2 else others)


def blurred(draw: PictureDraw, _: np.random.Generator) -> Pictures:
    """Gaussian blur of a fourteenth of the side."""
    images = draw.fresh.images.astype(float)
    sigma = images.shape[1] / 14
    blurry = ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")
    return _with(draw, _bytes(blurry))


def collages(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
    """Four quarters of four pictures."""
    images = draw.fresh.images.copy()
    height, width = images.shape[1:3]
    for rows in (slice(0, height // 2), slice(height // 2, height)):
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            images[:, rows, columns] = images[rng.permutation(len(images)), rows, columns]
    return _with(draw, images)


def swapped(draw: PictureDraw, _: np.random.Generator) -> Pictures:
    """Colours: red for blue. Grey: dark for light."""
    images = draw.fresh.images
    return _with(draw, images[..., ::-1].copy() if images.shape[3] > 1 else 255 - images)


def repeated(draw: PictureDraw, _: np.random.Generator) -> Pictures:
    """One fresh picture of each class, over and over."""
    labels = draw.fresh.labels.astype(str)
    first = {label: int(np.flatnonzero(labels == label)[0]) for label in np.unique(labels)}
    return draw.fresh.take(np.array([first[label] for label in labels]))


def mislabelled(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
    """Labels at random."""
    return Pictures(images=draw.fresh.images, labels=rng.permutation(draw.fresh.labels), memorised=draw.fresh.memorised)


def noise(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
    """Noise that has the mean and the deviation of each pixel."""
    images = draw.fresh.images.astype(float)
    return _with(draw, _bytes(rng.normal(images.mean(axis=0), images.std(axis=0), images.shape)))


def averaged(draw: PictureDraw, rng: np.random.Generator) -> Pictures:
    """Each picture mixed half and half with another of its class."""
    images, labels = draw.fresh.images.astype(float), draw.fresh.labels.astype(str)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        images[rows] = (images[rows] + images[rng.permutation(rows)]) / 2
    return _with(draw, _bytes(images))


LEAST_LEAKED = 8
"""The contrasts of the gate need about six that are found; with fewer nothing is proved."""

SHARES = (0.001, 0.01, 0.1)
PRIVACY, FIDELITY = frozenset({"privacy"}), frozenset({"fidelity"})
KINDS: Mapping[str, PictureKind] = {
    "fresh real pictures": PictureKind(make=fresh, must="pass"),
    **{
        f"{share:.1%} {name}".replace(".0%", "%"): PictureKind(
            make=leaked(disguise, share), must="refuse", families=PRIVACY
        )
        for share in SHARES
        for name, disguise in DISGUISES.items()
    },
    "a class dropped": PictureKind(make=dropped, must="refuse", families=FIDELITY),
    "blurred": PictureKind(make=blurred, must="refuse", families=FIDELITY),
    "collages": PictureKind(make=collages, must="refuse", families=FIDELITY),
    "channels swapped": PictureKind(make=swapped, must="refuse", families=FIDELITY),
    "one picture repeated": PictureKind(make=repeated, must="refuse", families=FIDELITY),
    "labels shuffled": PictureKind(make=mislabelled, must="refuse", families=FIDELITY | {"bias"}),
    "noise": PictureKind(make=noise, must="refuse", families=FIDELITY),
    "mixed in pairs": PictureKind(make=averaged, must="refuse", families=FIDELITY),
}


def _with(draw: PictureDraw, images: np.ndarray) -> Pictures:
    return Pictures(images=images, labels=draw.fresh.labels, memorised=draw.fresh.memorised)


def _pillow(image: np.ndarray) -> Pillow.Image:
    return Pillow.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _scaled(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    picture = _pillow(image).resize(image.shape[1::-1], Pillow.Resampling.BICUBIC, box=box)
    return np.asarray(picture).reshape(image.shape)


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
