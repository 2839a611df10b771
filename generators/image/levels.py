"""Pixels as symbols of few categories each, and back without loss.

A channel's level is written in digits of base 16 from the highest, as many as the largest level in training needs, so
8 bits take two symbols and 16 bits four, and a network says 32 or 64 numbers a pixel instead of 256 or 65,536. Where
the pictures use few levels, or few colours, a pixel is one symbol: its number in that palette. A palette holds only
what several training pictures share.

# N pictures, H height, W width, C channels, S symbols of a pixel
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

BASE_BITS = 4  # a digit's: 16 categories
MOST_PALETTE = 64  # entries
SHARED_BY = 5  # training pictures that must hold an entry of a palette
PIECE = 4_096  # pictures looked at together


@dataclass(frozen=True, kw_only=True)
class LevelCode:
    """How a pixel becomes symbols.

    Args:
        channels: C.
        bits: of a level, for digits.
        palette: rows of levels that a pixel (or a channel) may have, in order: P C for colours, P 1 for levels; None
            writes digits.
        storage: `uint8` or `uint16`.

    """

    channels: int
    bits: int
    palette: tuple[tuple[int, ...], ...] | None
    storage: str

    @property
    def sizes(self) -> tuple[int, ...]:
        """Categories of each of the S symbols of a pixel."""
        if self.palette is not None:
            return (len(self.palette),) * (self.channels // len(self.palette[0]))
        num_digits = -(-self.bits // BASE_BITS)
        highest = self.bits - (num_digits - 1) * BASE_BITS
        return (2**highest, *(2**BASE_BITS,) * (num_digits - 1)) * self.channels

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return symbols, uint8 N H W S, of images, N H W C, all of whose levels the code knows."""
        if self.palette is not None:
            known = _numbers(np.asarray(self.palette, dtype=np.uint64), images.dtype)
            parts = len(self.palette[0])
            asked = _numbers(images.reshape(*images.shape[:3], -1, parts), images.dtype)
            return np.asarray(np.searchsorted(known, asked), dtype=np.uint8)
        num_digits = -(-self.bits // BASE_BITS)
        shifts = np.arange(num_digits - 1, -1, -1) * BASE_BITS
        digits = (images[..., None] >> shifts.astype(images.dtype)) & (2**BASE_BITS - 1)
        return np.asarray(digits.reshape(*images.shape[:3], -1), dtype=np.uint8)

    def decode(self, symbols: np.ndarray) -> np.ndarray:
        """Return images, N H W C of `storage`, of symbols, N H W S."""
        dtype = np.dtype(self.storage)
        if self.palette is not None:
            levels: np.ndarray = np.asarray(self.palette, dtype=dtype)[symbols]
            return np.asarray(levels.reshape(*symbols.shape[:3], self.channels))
        num_digits = -(-self.bits // BASE_BITS)
        digits = symbols.reshape(*symbols.shape[:3], self.channels, num_digits).astype(dtype)
        shifts = np.arange(num_digits - 1, -1, -1) * BASE_BITS
        return np.asarray((digits << shifts.astype(dtype)).sum(axis=-1, dtype=dtype))

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "channels": self.channels,
            "bits": self.bits,
            "palette": None if self.palette is None else [list(entry) for entry in self.palette],
            "storage": self.storage,
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> "LevelCode":
        """Return what `to_json` described."""
        palette = state["palette"]
        return LevelCode(
            channels=state["channels"],
            bits=state["bits"],
            palette=None if palette is None else tuple(tuple(entry) for entry in palette),
            storage=state["storage"],
        )


def fit_levels(images: np.ndarray) -> LevelCode:
    """Choose the code for images, uint8 or uint16 N H W C with N at least 1."""
    channels = images.shape[-1]
    palette = _palette(images, channels) if channels > 1 else None
    if palette is None:
        palette = _palette(images, 1)
    bits = max(int(images.max()).bit_length(), 1)
    return LevelCode(channels=channels, bits=bits, palette=palette, storage=str(images.dtype))


def _palette(images: np.ndarray, parts: int) -> tuple[tuple[int, ...], ...] | None:
    """Return what groups of `parts` channels hold, sorted; None where it is too much, or too few pictures share it."""
    pieces = [images[start : start + PIECE] for start in range(0, len(images), PIECE)]
    found = np.empty(0, dtype=np.uint64)
    for piece in pieces:  # most sets show in the first pieces that they hold too many
        found = np.union1d(found, _grouped(piece, parts))
        if len(found) > MOST_PALETTE:
            return None
    held = np.zeros(len(found), dtype=np.int64)
    for piece in pieces:
        numbers = _grouped(piece, parts)
        held += [(numbers == number).any(axis=1).sum() for number in found]
    if (held < SHARED_BY).any():
        return None
    step = np.dtype(images.dtype).itemsize * 8
    shifts = [step * place for place in range(parts - 1, -1, -1)]
    return tuple(tuple((int(number) >> shift) & (2**step - 1) for shift in shifts) for number in found)


def _grouped(images: np.ndarray, parts: int) -> np.ndarray:
    """Return groups of `parts` channels of images, N H W C, as single numbers, uint64 N -1."""
    return _numbers(images.reshape(len(images), -1, parts), images.dtype)


def _numbers(groups: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return groups of levels, ... P, as single numbers in the same order, uint64."""
    step = np.uint64(np.dtype(dtype).itemsize * 8)
    numbers = np.zeros(groups.shape[:-1], dtype=np.uint64)
    for place in range(groups.shape[-1]):
        numbers = (numbers << step if place else numbers) | groups[..., place].astype(np.uint64)
    return numbers
