"""What `verify` finds in C2PA manifests that were changed, whoever wrote the release's manifest."""

import io
import json
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import c2pa
import pytest

from releases.c2pa_chunks import PNG_CHUNK, without_manifest
from releases.c2pa_manifests import _SETTINGS, embedded
from releases.manifest import data_digest, digest_of, file_entry
from releases.verify import verify
from sources.files import json_text
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE
from tests.releases.c2pa_certificates import PEM, Chain, new_chain, new_key
from tests.releases.pictured_sample import publisher

CHAIN = new_chain("ed25519")
OTHER = new_chain()


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publisher(tmp_path_factory.mktemp("signed"))(credential=CHAIN.credential())


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "scans/1"))


def first(release: Path) -> Path:
    return release / "data/images/000001.png"


def rewritten(release: Path, change: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
    """Write the release's manifest anew, as its maker would have done."""
    path = release / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {
        file.relative_to(release).as_posix(): file_entry(file)
        for file in sorted(release.rglob("*"))
        if file.is_file() and file != path
    }
    manifest["data_sha256"] = data_digest(manifest["files"])
    change(manifest)
    manifest["digest"] = digest_of(manifest)
    path.write_text(json_text(manifest))


def c2pa_check(release: Path) -> tuple[bool, str]:
    (found,) = [(check.ok, check.words) for check in verify(release).checks if check.name == "c2pa"]
    return found


def signed(data: bytes, chain: Chain = CHAIN, *, parent: bytes | None = None, **action: str) -> bytes:
    """Return a picture with a manifest that says `action`, and of which picture it was made."""
    info = c2pa.C2paSignerInfo(chain.credential().algorithm.encode(), chain.credential().chain, chain.key_pem(), None)
    claim = {"assertions": [{"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}]}
    sink = io.BytesIO()
    with (
        c2pa.Context.from_dict(_SETTINGS) as context,
        c2pa.Signer.from_info(info) as signer,
        c2pa.Builder(json.dumps(claim), context=context) as builder,
    ):
        if parent is not None:
            builder.add_ingredient({"relationship": "inputTo"}, "image/png", io.BytesIO(parent))
        builder.sign(signer, "image/png", io.BytesIO(data), sink)
    return sink.getvalue()


def with_another_pixel(data: bytes) -> bytes:
    """Change one byte of the pixels and put the chunk's CRC right."""
    at = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[at - 4 : at])
    chunk = bytearray(data[at : at + 4 + length])
    chunk[-6] ^= 1
    return data[:at] + bytes(chunk) + struct.pack(">I", zlib.crc32(chunk)) + data[at + 8 + length :]


def another_action(data: bytes) -> bytes:
    return signed(
        without_manifest(data), action="c2pa.created", digitalSourceType="http://c2pa.org/digitalsourcetype/empty"
    )


def another_signer(data: bytes) -> bytes:
    return signed(without_manifest(data), OTHER, action="c2pa.created", digitalSourceType=DIGITAL_SOURCE_TYPE)


def made_of_another(data: bytes) -> bytes:
    return signed(without_manifest(data), parent=data, action="c2pa.created", digitalSourceType=DIGITAL_SOURCE_TYPE)


def one_bit_of_the_claim(data: bytes) -> bytes:
    at = data.index(b"trainedAlgorithmicMedia", data.index(PNG_CHUNK))
    return data[:at] + b"T" + data[at + 1 :]


def twice(data: bytes) -> bytes:
    at = data.index(PNG_CHUNK) - 4
    (length,) = struct.unpack(">I", data[at : at + 4])
    return data[:at] + data[at : at + 12 + length] + data[at:]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_another_pixel, "its C2PA manifest is not valid (assertion.dataHash.mismatch)"),
        (one_bit_of_the_claim, "its C2PA manifest is not valid (assertion.hashedURI.mismatch)"),
        (without_manifest, "'data/images/000001.png' does not hold one C2PA manifest that can be read"),
        (twice, "does not hold one C2PA manifest that can be read"),
        (another_action, "says something else than that a trained model created it"),
        (made_of_another, "says something else than that a trained model created it"),
        (another_signer, "was signed by another certificate than the release names"),
    ],
)
def test_a_picture_that_was_changed_does_not_verify_although_all_hashes_were_made_anew(
    change: Callable[[bytes], bytes], words: str, copy: Path
) -> None:
    assert c2pa_check(copy)[0]
    first(copy).write_bytes(change(first(copy).read_bytes()))
    rewritten(copy)
    ok, found = c2pa_check(copy)
    assert not ok
    assert words in found


def test_a_changed_contact_sheet_is_found(copy: Path) -> None:
    sheet = copy / "contact-sheet.png"
    sheet.write_bytes(with_another_pixel(sheet.read_bytes()))
    rewritten(copy)
    assert c2pa_check(copy) == (
        False,
        "'contact-sheet.png': its C2PA manifest is not valid (assertion.dataHash.mismatch).",
    )


def test_other_pictures_with_manifests_of_their_own_are_not_those_of_the_release(copy: Path) -> None:
    other = first(copy).read_bytes()
    second = copy / "data/images/000002.png"
    first(copy).write_bytes(second.read_bytes())
    second.write_bytes(other)
    rewritten(copy)
    ok, words = c2pa_check(copy)
    assert (ok, words) == (
        False,
        "Without their C2PA manifests the data files are not those that the release names.",
    )


@pytest.mark.parametrize(
    "entry",
    [None, 3, {}, {"unsigned_data_sha256": 7}, {"serial": []}, {"common_name": {"x": 1}, "organisation": None}],
)
def test_a_hostile_manifest_is_a_check_that_fails(entry: Any, copy: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["c2pa"] = entry

    rewritten(copy, change)
    assert not c2pa_check(copy)[0]


def test_manifests_without_pictures_are_not_announced(copy: Path) -> None:
    shutil.rmtree(copy / "data/images")
    (copy / "contact-sheet.png").unlink()
    rewritten(copy)
    assert c2pa_check(copy) == (False, "C2PA manifests are announced, and there are no pictures.")


def test_without_the_library_verify_says_that_nobody_looked_and_still_finds_what_is_missing(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)  # as where it is not installed: importing it fails
    (check,) = (check for check in verify(copy).checks if check.name == "c2pa")
    words = check.words
    assert check.ok
    assert not check.made
    assert "nobody looked whether they are valid: c2pa-python is not installed here" in words
    assert "pip install" in words
    first(copy).write_bytes(without_manifest(first(copy).read_bytes()))
    rewritten(copy)
    assert not c2pa_check(copy)[0]


def test_a_certificate_that_has_expired_since_is_said_and_does_not_break_an_old_release(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sign by a valid certificate, and by its expired twin of the same length in its place, as time would have it."""
    keys, serial = (new_key("ed25519"), new_key("ed25519")), 2**100 + 1
    valid = new_chain("ed25519", serial=serial, keys=keys)
    late = new_chain("ed25519", serial=serial, keys=keys, days=(-9, -1))
    der = [chain.signer.public_bytes(_DER) for chain in (valid, late)]
    assert len(der[0]) == len(der[1])

    def signature(data: bytes) -> bytes:
        assert data.count(der[0]) == 1
        return bytes(valid.key.sign(data.replace(der[0], der[1])))

    def by_the_twin(info: Any) -> Any:
        return c2pa_from_callback(signature, c2pa.C2paSigningAlg.ED25519, info.sign_cert.decode())

    c2pa_from_callback = c2pa.Signer.from_callback
    monkeypatch.setattr(c2pa.Signer, "from_info", by_the_twin)
    for path in (*(copy / "data/images").iterdir(), copy / "contact-sheet.png"):
        path.write_bytes(without_manifest(path.read_bytes()))
    entry = embedded(copy, valid.credential())
    for path in (*(copy / "data/images").iterdir(), copy / "contact-sheet.png"):
        path.write_bytes(_with_crc(path.read_bytes().replace(der[0], der[1])))

    def change(manifest: dict[str, Any]) -> None:
        manifest["c2pa"] = entry

    rewritten(copy, change)
    ok, words = c2pa_check(copy)
    assert ok, words
    assert "The certificate has expired" in words
    first(copy).write_bytes(with_another_pixel(first(copy).read_bytes()))
    rewritten(copy)
    assert not c2pa_check(copy)[0], "expired, and changed"


_DER = PEM.__class__.DER


def _with_crc(data: bytes) -> bytes:
    """Put the CRC of the manifest's chunk right."""
    at = data.index(PNG_CHUNK)
    (length,) = struct.unpack(">I", data[at - 4 : at])
    end = at + 4 + length
    return data[:end] + struct.pack(">I", zlib.crc32(data[at:end])) + data[end + 4 :]
