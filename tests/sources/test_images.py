"""`sources.images`: what is decoded, what is refused, and what is written back."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from sources.errors import SourceInputError
from sources.images import MAX_PIXELS, Image, ImageOptions, Mode, decode, png

PLAIN = ImageOptions()


def encoded(pixels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = Pillow.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    picture.save(buffer, format=form, **options)
    return buffer.getvalue()


def random_pixels(height: int, width: int, channels: int, dtype: str = "uint8") -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(height).integers(0, top + 1, (height, width, channels)).astype(dtype)


@pytest.mark.parametrize("shape", [(8, 8, 1), (37, 53, 3), (64, 64, 4), (1, 1, 1)])
def test_what_is_written_is_what_pillow_reads(shape: tuple[int, int, int]) -> None:
    pixels = random_pixels(*shape)
    picture = Pillow.open(io.BytesIO(png(pixels)))
    assert np.array_equal(np.asarray(picture).reshape(shape), pixels)
    assert not picture.info
    assert np.array_equal(decode(png(pixels), PLAIN, place="x").pixels, pixels)


def test_sixteen_bits_of_grey_survive_the_way_there_and_back() -> None:
    pixels = random_pixels(5, 7, 1, "uint16")
    back = decode(png(pixels), PLAIN, place="x").pixels
    assert back.dtype == np.uint16
    assert np.array_equal(back, pixels)


def test_sixteen_bits_of_colour_are_refused_instead_of_cut_to_eight() -> None:
    with pytest.raises(SourceInputError, match="16 bits a colour"):
        decode(png(random_pixels(5, 7, 3, "uint16")), PLAIN, place="x")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "BMP", "TIFF"])
def test_lossless_formats_give_the_same_pixels(form: str) -> None:
    pixels = random_pixels(9, 6, 3)
    options = {"lossless": True} if form == "WEBP" else {}
    assert np.array_equal(decode(encoded(pixels, form, **options), PLAIN, place="x").pixels, pixels)


def test_a_photograph_is_turned_upright_as_its_camera_noted() -> None:
    pixels = random_pixels(4, 6, 3)
    exif = Pillow.Exif()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
    upright = decode(encoded(pixels, "PNG", exif=exif), PLAIN, place="x").pixels
    assert np.array_equal(upright, np.rot90(pixels, k=-1))


def test_a_palette_is_read_as_the_colours_it_stands_for() -> None:
    colours = np.repeat(np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8), 3, axis=0)
    buffer = io.BytesIO()
    Pillow.fromarray(colours).convert("P", palette=Pillow.Palette.ADAPTIVE, colors=2).save(buffer, format="PNG")
    assert np.array_equal(decode(buffer.getvalue(), PLAIN, place="x").pixels, colours)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_a_stated_mode_and_size_hold_for_every_picture(mode: Mode, channels: int) -> None:
    for pixels in (random_pixels(8, 9, 1), random_pixels(30, 20, 3), random_pixels(5, 5, 4)):
        found = decode(encoded(pixels), ImageOptions(resize=(6, 7), mode=mode), place="x").pixels
        assert found.shape == (6, 7, channels)


def bomb() -> bytes:
    """Return a PNG of 100 bytes whose header claims 30,000 by 30,000 pixels."""
    side = struct.pack(">II", 30_000, 30_000) + bytes([8, 0, 0, 0, 0])
    chunk = b"IHDR" + side
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def wide() -> bytes:
    chunk = b"IHDR" + struct.pack(">II", MAX_PIXELS // 8_192 + 1, 8_192) + bytes([8, 0, 0, 0, 0])
    data = b"IDAT" + zlib.compress(b"")
    parts = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animated() -> bytes:
    frames = [Pillow.fromarray(random_pixels(6, 6, 1)[:, :, 0] // (number + 1)) for number in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def inks() -> bytes:
    buffer = io.BytesIO()
    Pillow.new("CMYK", (4, 4)).save(buffer, format="JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"not a picture", "not a readable picture"),
        (encoded(random_pixels(60, 60, 3))[:-2_000], "not a readable picture"),
        (bomb(), "not a readable picture"),
        (wide(), "too large"),
        (animated(), "several pictures"),
        (inks(), "colours of a form"),
    ],
    ids=["empty", "text", "cut off", "bomb", "too large", "animated", "four inks"],
)
def test_what_is_no_plain_picture_is_refused_by_its_name(data: bytes, words: str) -> None:
    with pytest.raises(SourceInputError, match=words) as raised:
        decode(data, PLAIN, place="'folder/odd.png'")
    assert "folder/odd.png" in str(raised.value)


def test_pictures_compare_by_pixels_and_show_none() -> None:
    first, same, other = (Image(np.full((2, 2, 1), level, dtype=np.uint8)) for level in (7, 7, 8))
    assert (first == same, first == other, hash(first) == hash(same)) == (True, False, True)
    assert repr(first) == "Image(2 × 2, grey, 8 bits)"
