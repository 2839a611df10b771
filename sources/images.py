"""Pictures as cells: decoded to whole numbers, upright, without metadata, and written back as PNG.

A picture is held as the file has it: grey stays grey, 16 bits stay 16 bits. What cannot be held without a loss (a
palette of JPEG's four inks, another size, another number of channels) is an error unless the spec asks for it.

# H height, W width, C channels: 1 grey, 3 red green blue, 4 with opacity
"""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sources.errors import SourceInputError

Mode = Literal["L", "RGB", "RGBA"]
MODES: tuple[Mode, ...] = ("L", "RGB", "RGBA")
CHANNELS: dict[Mode, int] = {"L": 1, "RGB": 3, "RGBA": 4}
MAX_PIXELS = 2**26
"""Pixels of one picture, by its header: a file of kilobytes can claim gigabytes (a decompression bomb)."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")
_SAME: dict[str, Mode] = {"1": "L", "L": "L", "RGB": "RGB", "RGBA": "RGBA", "LA": "RGBA", "La": "RGBA", "PA": "RGBA"}
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_KEYWORD = b"XML:com.adobe.xmp" + bytes(5)
"""Keyword of an iTXt chunk that holds XMP (ISO 16684-3), then: not compressed, no language, no translated keyword."""
MAX_WEBP_SIDE = 16_383
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # PNG (ISO/IEC 15948), table 11.1


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """How pictures are read.

    Args:
        resize: (height, width) that every picture is scaled to (Lanczos, Pillow's), or None: all must have one size.
        mode: `L`, `RGB` or `RGBA` that every picture is turned into, or None: as the files have it, all the same.

    """

    resize: tuple[int, int] | None = None
    mode: Mode | None = None


@dataclass(frozen=True, eq=False)
class Image:
    """One picture as a cell of a raw frame.

    Args:
        pixels: uint8 or uint16 H W C, not to be written to.

    """

    pixels: np.ndarray

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same pixels."""
        if not isinstance(other, Image):
            return NotImplemented
        return self.pixels.dtype == other.pixels.dtype and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        """Return a hash of the pixels."""
        return hash((self.pixels.shape, self.pixels.tobytes()))

    def __repr__(self) -> str:
        """Return the shape alone, never a pixel."""
        return f"Image({words_of(self.pixels)})"


def words_of(pixels: np.ndarray) -> str:
    """Return height, width, channels and depth of H W C in words.

    >>> words_of(np.zeros((37, 53, 3), dtype=np.uint16))
    '37 × 53, RGB, 16 bits'
    """
    height, width, channels = pixels.shape
    mode = next((mode for mode, number in CHANNELS.items() if number == channels), f"{channels} channels")
    return f"{height} × {width}, {'grey' if mode == 'L' else mode}, {8 * pixels.dtype.itemsize} bits"


def decode(data: bytes, options: ImageOptions, *, place: str) -> Image:
    """Return the picture in an encoded file, turned upright by its EXIF orientation, all metadata dropped.

    Args:
        data: the file's bytes, perhaps damaged or hostile.
        options: see `ImageOptions`.
        place: the file or the cell, for messages.

    Raises:
        SourceInputError: empty, damaged, cut off, too large, animated, or of a form that would lose something.

    """
    from PIL import Image as Pillow  # noqa: PLC0415 - loaded when a picture is read
    from PIL import ImageOps  # noqa: PLC0415

    if not data:
        raise SourceInputError(f"{place}: the file is empty", remedy="remove it, or put the picture back")
    if _is_deep_colour(data):
        raise SourceInputError(
            f"{place}: a PNG of 16 bits a colour, which Pillow would cut to 8", remedy="give it as an array (.npy)"
        )
    picture: Any
    try:
        picture = Pillow.open(io.BytesIO(data))
        frames = getattr(picture, "n_frames", 1)
    except Exception as error:  # noqa: BLE001 - decoders of many formats raise their own types
        raise _unreadable(place, error) from None
    if picture.width * picture.height > MAX_PIXELS:
        raise SourceInputError(
            f"{place}: the picture is too large",
            seen=f"{picture.height:,} × {picture.width:,} pixels, at most {MAX_PIXELS:,} in all",
            remedy="scale it down, or remove it",
        )
    if frames > 1:
        raise SourceInputError(f"{place}: holds several pictures", seen=frames, remedy="give one frame a file")
    try:
        picture.load()
        picture = ImageOps.exif_transpose(picture)
    except Exception as error:  # noqa: BLE001 - likewise
        raise _unreadable(place, error) from None
    return Image(_pixels(picture, options, place))


def _unreadable(place: str, error: Exception) -> SourceInputError:
    return SourceInputError(
        f"{place}: not a readable picture", seen=type(error).__name__, remedy="write the file anew, or remove it"
    )


def _pixels(picture: Any, options: ImageOptions, place: str) -> np.ndarray:
    from PIL import Image as Pillow  # noqa: PLC0415

    deep = picture.mode in _DEEP
    if picture.mode == "P":  # a palette is a way to write colours, nothing is lost by reading it
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if not deep:
        mode = options.mode or _SAME.get(picture.mode)
        if mode is None:
            raise SourceInputError(
                f"{place}: colours of a form that is not read as it is",
                seen=picture.mode,
                remedy="set source.mode: RGB (or L), which turns every picture into that",
            )
        picture = picture.convert(mode)
    elif options.mode not in (None, "L"):
        raise SourceInputError(
            f"{place}: a grey picture of 16 bits does not turn into {options.mode} without a loss",
            remedy="leave source.mode out, or give pictures of 8 bits",
        )
    if options.resize is not None and (picture.height, picture.width) != options.resize:
        height, width = options.resize
        picture = picture.resize((width, height), Pillow.Resampling.BICUBIC if deep else Pillow.Resampling.LANCZOS)
    pixels = np.asarray(picture)
    pixels = pixels.astype(np.uint16) if deep else pixels
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - H W
    pixels = np.ascontiguousarray(pixels)
    pixels.setflags(write=False)
    return pixels


def _is_deep_colour(data: bytes) -> bool:
    """Return whether these are the bytes of a PNG with 16 bits for each of several channels (IHDR, 11.2.2)."""
    depth_at, colour_at = 24, 25
    return data.startswith(_SIGNATURE) and len(data) > colour_at and data[depth_at] == 16 and data[colour_at] != 0  # noqa: PLR2004 - bits


def png(pixels: np.ndarray, *, xmp: bytes = b"") -> bytes:
    """Return H W C as a PNG; equal pixels give equal bytes, whatever library is installed.

    Every row is written with the filter "none"; uint8 and uint16, 1, 3 or 4 channels (ISO/IEC 15948).

    Args:
        pixels: uint8 or uint16 H W C.
        xmp: a packet of XMP that the file carries, such as `sources.synthetic_mark.XMP`; it holds no other metadata.

    """
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0)
    rows = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(">"))).reshape(height, -1).view(np.uint8)
    filtered = np.concatenate([np.zeros((height, 1), dtype=np.uint8), rows], axis=1)
    body = zlib.compress(filtered.tobytes(), 6)
    text = [(b"iTXt", _XMP_KEYWORD + xmp)] if xmp else []
    chunks = [(b"IHDR", header), *text, (b"IDAT", body), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(*part) for part in chunks)


def webp(pixels: np.ndarray, *, xmp: bytes = b"") -> bytes:
    """Return H W C as a lossless WebP; equal pixels give equal bytes with one version of Pillow's library.

    WebP knows no grey: one channel is written as three equal ones.

    Args:
        pixels: uint8 H W C.
        xmp: see `png`.

    Raises:
        SourceInputError: 16 bits a channel, which WebP does not hold, or a side above its 16,383 pixels.

    """
    from PIL import Image as Pillow  # noqa: PLC0415 - loaded when WebP is written

    if pixels.dtype != np.uint8 or max(pixels.shape[:2]) > MAX_WEBP_SIDE:
        raise SourceInputError(
            "WebP holds 8 bits a channel and sides of at most 16,383 pixels",
            seen=words_of(pixels),
            remedy="choose png or parquet",
        )
    colours = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    sink = io.BytesIO()
    picture = Pillow.fromarray(np.ascontiguousarray(colours))
    picture.save(sink, "WEBP", lossless=True, quality=60, method=2, exact=True, xmp=xmp)
    return sink.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
