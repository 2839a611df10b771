"""Where a C2PA manifest lies in a picture: a chunk `caBX` of PNG or `C2PA` of WebP, which nothing else depends on.

C2PA Technical Specification, appendix on embedding manifests; PNG: ISO/IEC 15948, clause 5; WebP: RFC 9649, section 2.
"""

import struct
from collections.abc import Iterator

PNG_CHUNK, WEBP_CHUNK = b"caBX", b"C2PA"
_PNG = b"\x89PNG\r\n\x1a\n"
_RIFF_HEAD = 12
_PNG_FRAME, _WEBP_FRAME = 12, 8
"""Bytes of a chunk beside its content: length, type and CRC; type and length."""


def without_manifest(data: bytes) -> bytes:
    """Return a PNG or WebP without its C2PA manifest: byte for byte the file that it was embedded into.

    Raises:
        ValueError, struct.error: `data` is no such file, is cut off, or does not hold exactly one manifest.

    """
    chunks = list(_png_chunks(data) if data.startswith(_PNG) else _webp_chunks(data))
    found = [(start, end) for kind, start, end in chunks if kind in (PNG_CHUNK, WEBP_CHUNK)]
    if len(found) != 1:
        raise ValueError(f"{len(found)} C2PA manifests in a picture")
    ((start, end),) = found
    rest = data[:start] + data[end:]
    if rest.startswith(_PNG):
        return rest
    return rest[:4] + struct.pack("<I", len(rest) - 8) + rest[8:]


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    place = len(_PNG)
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        end = place + _PNG_FRAME + length
        if end > len(data):
            raise ValueError("a chunk leads out of the file")
        yield kind, place, end
        place = end


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    if (data[:4], data[8:12]) != (b"RIFF", b"WEBP"):
        raise ValueError("neither PNG nor WebP")
    place = _RIFF_HEAD
    while place < len(data):
        kind, length = struct.unpack("<4sI", data[place : place + _WEBP_FRAME])
        end = place + _WEBP_FRAME + length + length % 2
        if end > len(data):
            raise ValueError("a chunk leads out of the file")
        yield kind, place, end
        place = end
