"""What a policy says of a user's own feature extractor: which file, by its SHA-256, and how pictures are put to it.

Two judgements by the same file and the same words are comparable; where the file lies is not part of that.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sources.errors import did_you_mean
from validators.errors import ValidatorInputError

KINDS = ("torchscript", "inception_v3", "inception_fid", "dino_vit")
MAX_SIDE = 1024
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet's training pictures in [0, 1], which networks trained on them take off."""

Size = tuple[int, int]
Pixels = tuple[float, float] | Literal["uint8"]
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "torchscript": {},
    "inception_v3": {"size": (299, 299), "pixels": (-1.0, 1.0)},
    "inception_fid": {"size": (299, 299), "pixels": (-1.0, 1.0)},
    "dino_vit": {"size": (224, 224), "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
}
"""How the authors of each kind of weights put pictures to it; whatever is stated goes before."""


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """A network in a file, and how it takes pictures.

    Args:
        kind: one of `KINDS`: a TorchScript program, or weights under standard names: Inception-v3 as torchvision names
            it, the same as ported for the Fréchet distance, a vision transformer as DINO and DINOv2 name it.
        sha256: of the file, 64 hexadecimal digits.
        path: where it lies; no part of what two extractors are compared by, and never written.
        size: height and width that pictures are scaled to; None leaves them as they are.
        channels: 3 or 1.
        pixels: what black and white become, or `uint8` for whole numbers from 0 to 255.
        mean, std: taken off and divided by after that, one for each channel; empty for neither.
        arguments: named arguments of a TorchScript program.
        heads: of attention, for `dino_vit`; None is one for 64 features.

    """

    kind: str
    sha256: str
    path: str = field(default="", compare=False)
    size: Size | None = None
    channels: int = 3
    pixels: Pixels = (0.0, 1.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    arguments: Mapping[str, bool | int | float] = field(default_factory=dict)
    heads: int | None = None

    @property
    def words(self) -> str:
        """Return kind and SHA-256, as reports and cards name it."""
        return f"{self.kind}, SHA-256 {self.sha256}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the path."""
        return {
            "kind": self.kind,
            "sha256": self.sha256,
            "size": None if self.size is None else list(self.size),
            "channels": self.channels,
            "pixels": self.pixels if isinstance(self.pixels, str) else list(self.pixels),
            "mean": list(self.mean),
            "std": list(self.std),
            "arguments": dict(self.arguments),
            "heads": self.heads,
        }

    @classmethod
    def from_json(cls, plain: Any) -> "Extractor":
        """Return the extractor that `to_json` wrote, without a path.

        Raises:
            ValidatorInputError: it is none.

        """
        if not isinstance(plain, Mapping):
            raise ValidatorInputError("policy.extractor: not keys and values", seen=type(plain).__name__)
        return read_extractor({**{key: value for key, value in plain.items() if value is not None}, "path": "-"})


def read_extractor(spec: Any) -> Extractor:
    """Return the extractor that the key `extractor` of a policy names.

    Raises:
        ValidatorInputError: a key is missing or unknown, or its value means nothing.

    """
    if not isinstance(spec, Mapping):
        raise ValidatorInputError(
            "policy.extractor: not keys and values",
            seen=type(spec).__name__,
            remedy="give {kind: ..., path: ..., sha256: ...}",
        )
    for key in spec:
        if key not in _READERS:
            raise ValidatorInputError(
                f"policy.extractor.{key}: no such key{did_you_mean(str(key), list(_READERS))}",
                remedy="keys here: " + ", ".join(_READERS),
            )
    for key in ("kind", "path", "sha256"):
        if key not in spec:
            remedy = "the file's SHA-256, as `sha256sum FILE` prints it" if key == "sha256" else f"write {key}: ..."
            raise ValidatorInputError(f"policy.extractor.{key}: missing", remedy=remedy)
    stated: dict[str, Any] = {key: _READERS[key](key, value) for key, value in spec.items()}
    found = Extractor(**{**DEFAULTS[stated["kind"]], **stated})
    if found.kind != "torchscript" and (found.arguments or found.channels != 3 or found.pixels == "uint8"):  # noqa: PLR2004
        raise _wrong("kind", found.kind, "arguments, one channel and uint8 are for torchscript alone")
    for key in ("mean", "std"):
        if getattr(found, key) and len(getattr(found, key)) != found.channels:
            raise _wrong(key, list(getattr(found, key)), f"give {found.channels} numbers, one for each channel")
    if found.pixels == "uint8" and (found.mean or found.std):
        raise _wrong("pixels", "uint8", "whole numbers have no mean taken off: give [low, high], or no mean and std")
    if found.kind != "dino_vit" and found.heads is not None:
        raise _wrong("heads", found.heads, "heads are for dino_vit alone")
    return found


def _kind(key: str, value: Any) -> str:
    if value not in KINDS:
        near = did_you_mean(str(value), KINDS)
        raise ValidatorInputError(
            f"policy.extractor.{key}: no such kind{near}", seen=str(value)[:80], remedy="kinds: " + ", ".join(KINDS)
        )
    return str(value)


def _path(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(key, value, "give the path of the file")
    return value


def _sha256(key: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f]{64}", value):
        raise _wrong(key, value, "give 64 hexadecimal digits, as `sha256sum FILE` prints them")
    return value.lower()


def _size(key: str, value: Any) -> Size:
    pair = [value, value] if isinstance(value, int) else value
    sides = isinstance(pair, list | tuple) and len(pair) == 2  # noqa: PLR2004 - a height and a width
    if not sides or not all(_is_whole(side) and 0 < side <= MAX_SIDE for side in pair):
        raise _wrong(key, value, f"give [height, width] in pixels, each at most {MAX_SIDE:,}")
    return pair[0], pair[1]


def _channels(key: str, value: Any) -> int:
    if not _is_whole(value) or value not in (1, 3):
        raise _wrong(key, value, "give 3 (colours) or 1 (grey)")
    return int(value)


def _pixels(key: str, value: Any) -> Pixels:
    if value == "uint8":
        return "uint8"
    numbers = _numbers(key, value)
    if len(numbers) != 2 or numbers[0] >= numbers[1]:  # noqa: PLR2004 - of black and of white
        raise _wrong(key, value, "give uint8, or what black and white are, such as [0, 1] or [-1, 1]")
    return numbers[0], numbers[1]


def _numbers(key: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple) or not all(_is_finite(one) for one in value):
        raise _wrong(key, value, "give a list of numbers")
    return tuple(float(one) for one in value)


def _positive(key: str, value: Any) -> tuple[float, ...]:
    numbers = _numbers(key, value)
    if any(one <= 0 for one in numbers):
        raise _wrong(key, value, "give numbers above 0")
    return numbers


def _arguments(key: str, value: Any) -> dict[str, bool | int | float]:
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and name.isidentifier() and (isinstance(one, bool) or _is_finite(one))
        for name, one in value.items()
    ):
        raise _wrong(key, value, "give names and true, false or numbers, such as {return_features: true}")
    return dict(value)


def _heads(key: str, value: Any) -> int:
    if not _is_whole(value) or value < 1:
        raise _wrong(key, value, "give a positive whole number")
    return int(value)


_READERS = {
    "kind": _kind,
    "path": _path,
    "sha256": _sha256,
    "size": _size,
    "channels": _channels,
    "pixels": _pixels,
    "mean": _numbers,
    "std": _positive,
    "arguments": _arguments,
    "heads": _heads,
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(key: str, value: Any, remedy: str) -> ValidatorInputError:
    return ValidatorInputError(f"policy.extractor.{key}: not allowed", seen=str(value)[:80], remedy=remedy)
