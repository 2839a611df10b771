"""C2PA manifests of published pictures, read back by the library's own reader."""

import dataclasses
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest

from releases.c2pa_chunks import without_manifest
from releases.c2pa_manifests import embedded
from releases.comparing import difference
from releases.errors import ReleaseInputError
from releases.verify import verify
from sources.images import png, webp
from sources.readers import read_path
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE, XMP, is_marked
from tests.releases.c2pa_certificates import PEM, Chain, new_chain
from tests.releases.pictured_sample import pictured, pictured_schema, publisher

CHAIN = new_chain()
ROOT = Path(__file__).parents[2]


def said_by(data: bytes, mime: str, chain: Chain = CHAIN) -> dict[str, Any]:
    """Return the library's report to a reader who trusts the root of `chain`."""
    settings = {
        "trust": {"user_anchors": chain.root.public_bytes(PEM).decode()},
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    }
    with c2pa.Context.from_dict(settings) as context, c2pa.Reader(mime, io.BytesIO(data), context=context) as reader:
        return dict(json.loads(reader.json()))


@pytest.mark.parametrize(
    ("form", "shape", "deep"),
    [
        ("png", (5, 7, 1), False),
        ("png", (5, 7, 1), True),
        ("png", (4, 4, 4), False),
        ("webp", (5, 7, 1), False),
        ("webp", (4, 4, 4), False),
    ],
)
def test_every_published_picture_says_signed_that_a_trained_model_created_it_and_nothing_else(
    form: str, shape: tuple[int, int, int], *, deep: bool, tmp_path: Path
) -> None:
    schema = pictured_schema(shape, deep=deep)
    run = publisher(tmp_path, schema)
    bare = run(formats=("parquet", form))
    release = run(formats=("parquet", form), credential=CHAIN.credential())
    pictures = [*sorted((release / "data/images").iterdir()), release / "contact-sheet.png"]
    assert len(pictures) == 61
    for path in pictures:
        report = said_by(path.read_bytes(), f"image/{path.suffix[1:]}")
        assert report["validation_state"] == "Trusted", report["validation_results"]
        ((_, manifest),) = report["manifests"].items()
        (assertion,) = manifest["assertions"]
        assert assertion["data"] == {"actions": [{"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}]}
        (generator,) = manifest["claim_generator_info"]
        assert generator["name"] == "understudy"
        assert generator["version"]
        assert set(manifest) <= {
            "claim_generator_info",
            "instance_id",
            "assertions",
            "signature_info",
            "label",
            "claim_version",
        }, "no title, no thumbnail, no ingredient, no person"
        assert manifest["signature_info"]["common_name"] == "Signer of tests"
        assert "time" not in manifest["signature_info"]
    # Under the manifests lie the files that a release without a certificate has; the Parquet file is the same.
    for path in pictures:
        same = (bare / path.relative_to(release)).read_bytes()
        assert without_manifest(path.read_bytes()) == same
        assert is_marked(path.read_bytes())
    assert (release / "data/data.parquet").read_bytes() == (bare / "data/data.parquet").read_bytes()
    original = pictured(schema).media["scan"]
    for cell, pixels in zip(read_path(str(release / "data/images"))["image"], original, strict=True):
        assert (cell.pixels[..., : shape[2]] == pixels).all()
    assert all(check.ok for check in verify(release).checks), verify(release).checks
    (check,) = [check for check in verify(release).checks if check.name == "c2pa"]
    assert check.words.startswith("Each of 61 pictures holds a valid C2PA manifest: created by a trained model, signed")
    assert not [check for check in verify(bare).checks if check.name == "c2pa"]
    assert "also hold a signed C2PA manifest" in (release / "README.md").read_text()
    assert "There is no C2PA manifest" in (bare / "README.md").read_text()


def test_the_release_manifest_names_the_final_bytes_the_signer_and_what_lies_under_the_manifests(
    tmp_path: Path,
) -> None:
    run = publisher(tmp_path)
    bare, first, second = run(), run(credential=CHAIN.credential()), run(credential=CHAIN.credential())
    plain = [json.loads((release / "MANIFEST.json").read_text()) for release in (bare, first, second)]
    path = "data/images/000001.png"
    assert plain[1]["files"][path]["sha256"] == hashlib.sha256((first / path).read_bytes()).hexdigest()
    assert (first / path).read_bytes() != (second / path).read_bytes(), "each publishing salts anew"
    assert plain[1]["c2pa"] == plain[2]["c2pa"]
    assert plain[1]["c2pa"]["unsigned_data_sha256"] == plain[0]["data_sha256"]
    assert plain[1]["c2pa"]["certificate_sha256"] == CHAIN.credential().sha256
    assert plain[1]["c2pa"]["library"] == f"c2pa-python {c2pa.__version__}"
    assert "c2pa" not in plain[0]
    assert difference(tmp_path, ("scans", "1"), ("scans", "2")).same_data
    assert difference(tmp_path, ("scans", "2"), ("scans", "3")).same_data


def test_no_file_of_a_release_holds_the_key(tmp_path: Path) -> None:
    release = publisher(tmp_path)(credential=CHAIN.credential())
    number = CHAIN.key.private_numbers().private_value.to_bytes(32, "big")
    body = CHAIN.key_pem().splitlines()[1]
    files = [path for path in release.rglob("*") if path.is_file()]
    assert [path for path in files if number in path.read_bytes() or body in path.read_bytes()] == []
    assert b"Signer of tests" in (release / "data/images/000001.png").read_bytes(), "what is public can be found so"


def test_a_release_whose_certificate_has_expired_meanwhile_is_not_published(tmp_path: Path) -> None:
    credential = CHAIN.credential()
    late = dataclasses.replace(credential, not_after=credential.not_before)
    with pytest.raises(ReleaseInputError, match=r"chain\.pem: expired"):
        publisher(tmp_path)(credential=late)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == []


def test_what_is_taken_out_of_a_picture_is_the_one_manifest_alone(tmp_path: Path) -> None:
    pixels = np.arange(105, dtype=np.uint8).reshape(5, 7, 3)
    for name, data in (("contact-sheet.png", png(pixels, xmp=XMP)), ("data/images/1.webp", webp(pixels, xmp=XMP))):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        with pytest.raises(ValueError, match="0 C2PA manifests"):
            without_manifest(data)
        embedded(tmp_path, CHAIN.credential())
        signed = path.read_bytes()
        assert without_manifest(signed) == data
        path.unlink()
        assert data not in [cut_out(signed[:end]) for end in range(len(signed))], "a cut-off file is no other's"
    with pytest.raises(ValueError, match="neither PNG nor WebP"):
        without_manifest(b"GIF89a")


def cut_out(data: bytes) -> bytes | None:
    try:
        return without_manifest(data)
    except (ValueError, struct.error):
        return None


FORBIDS = """
import ctypes, struct, sys
# A filter of system calls (seccomp(2)): socket, connect and io_uring_setup end the process at once.
numbers = {"x86_64": (41, 42, 425), "aarch64": (198, 203, 425)}[sys.argv[1]]
code = [(0x20, 0, 0, 0)]
for number in numbers:
    code += [(0x15, 0, 1, number), (0x06, 0, 0, 0x80000000)]
code.append((0x06, 0, 0, 0x7FFF0000))
raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(raw)))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + 4 * [ctypes.c_ulong]
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0, ctypes.get_errno()
"""
SIGNS = """
from pathlib import Path
from releases.verify import verify
from tests.releases.c2pa_certificates import new_chain
from tests.releases.pictured_sample import publisher
release = publisher(Path(sys.argv[2]))(credential=new_chain().credential())
assert [check.ok for check in verify(release).checks if check.name == "c2pa"] == [True]
print("signed and verified")
"""


def run_alone(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FORBIDS + code, os.uname().machine, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")
def test_signing_and_verifying_open_no_socket(tmp_path: Path) -> None:
    done = run_alone(SIGNS, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "signed and verified"), done.stderr
    assert run_alone("import socket; socket.socket()", tmp_path).returncode < 0, "the filter works"
