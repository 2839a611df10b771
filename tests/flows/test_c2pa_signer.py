"""Where the credential of C2PA manifests comes from, and that every mistake shows before anything is trained."""

import sys
from pathlib import Path

import pytest

from flows.c2pa_signer import c2pa_credential
from flows.cli import command_line
from flows.spec import C2paSpec, PublishSpec
from flows.spec_file import load_spec
from releases.locations import PRIVATE, public_spec
from sources.bundled import load
from sources.errors import UserError
from sources.picture_folder import write_folder
from tests.releases.c2pa_certificates import EMAIL, new_chain

CHAIN = new_chain()
SPEC = """
name: digits
source: {folder: digits}
schema: {columns: {digit: {role: target, kind: categorical}}}
candidates: [{kind: image.autoregressive, width: 32, depth: 1, units: 8}]
budget: {steps: 4}
publish: {formats: [png], c2pa: {certificate: chain.pem, key: key.pem}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with chain, key and a spec for pictures the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chain.pem").write_bytes(CHAIN.pem)
    (tmp_path / "key.pem").write_bytes(CHAIN.key_pem())
    (tmp_path / "key.pem").chmod(0o600)
    write_folder(load("sklearn", "digits_images").head(40), tmp_path / "digits", image="image", form="png", table="csv")
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


def test_certificate_and_key_come_from_files_variables_and_paths_in_variables(folder: Path) -> None:
    environment = {
        "UNDERSTUDY_C2PA_CERTIFICATE": CHAIN.pem.decode(),
        "UNDERSTUDY_C2PA_KEY": str(folder / "locked.pem"),
        "UNDERSTUDY_C2PA_KEY_PASSPHRASE": "open",
        "OURS": CHAIN.key_pem(b"sesame").decode(),
        "OURS_PASSPHRASE": "sesame",
    }
    (folder / "locked.pem").write_bytes(CHAIN.key_pem(b"open"))
    (folder / "locked.pem").chmod(0o600)
    same = [
        c2pa_credential(spec, environment=environment)
        for spec in (
            C2paSpec(),
            C2paSpec(certificate="chain.pem", key="key.pem"),
            C2paSpec(certificate="chain.pem", key="env:OURS"),
            C2paSpec(certificate="chain.pem", key="locked.pem"),
        )
    ]
    assert len({(one.sha256, one.private_pem) for one in same if one is not None}) == 1
    assert None not in same
    assert c2pa_credential(None) is None


def test_a_spec_says_true_or_names_places_and_the_public_sees_neither(folder: Path) -> None:
    assert PublishSpec.model_validate_json('{"formats": ["webp"], "c2pa": true}').c2pa == C2paSpec()
    assert PublishSpec.model_validate_json('{"formats": ["webp"], "c2pa": false}').c2pa is None
    plain = load_spec(str(folder / "spec.yaml")).model_dump(mode="json")
    assert public_spec(plain)["publish"]["c2pa"] == PRIVATE
    assert public_spec({"publish": {"c2pa": None}})["publish"]["c2pa"] is None


def test_without_the_library_one_error_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(UserError, match=r"publish\.c2pa: c2pa-python is not installed here") as caught:
        c2pa_credential(C2paSpec(certificate="chain.pem", key="key.pem"))
    assert caught.value.remedy is not None
    assert "understudy[c2pa]" in caught.value.remedy
    assert folder.is_dir()


def to(folder: Path, name: str, data: bytes, mode: int = 0o600) -> None:
    (folder / name).write_bytes(data)
    (folder / name).chmod(mode)


MISTAKES = {
    "a number": ("publish.c2pa=3", "remedy: give true, or {certificate: PLACE, key: PLACE}"),
    "an unknown key": ("publish.c2pa.certificat=a.pem", 'did you mean "certificate"'),
    "a key in the spec": (f"publish.c2pa.key='{CHAIN.key_pem().decode()[:40]}'", "never write a key or a certificate"),
    "no files of pictures": ("publish.formats=[parquet]", "add png or webp to publish.formats"),
    "no such certificate": (
        "publish.c2pa.certificate=gone.pem",
        "publish.c2pa.certificate: gone.pem: cannot be read\n       seen: No such file or directory",
    ),
    "no such key": ("publish.c2pa.key=gone.pem", "publish.c2pa.key: gone.pem: cannot be read"),
    "a folder": ("publish.c2pa.key=digits", "publish.c2pa.key: digits: cannot be read"),
    "an empty variable": (
        "publish.c2pa.key='env:NOWHERE'",
        "publish.c2pa.key: the environment has no private key in NOWHERE",
    ),
    "a variable that is no path": ("publish.c2pa.key='env:ODD'", "publish.c2pa.key: $ODD names no file and is no PEM"),
    "no server for a block": ("publish.c2pa.key='block:board'", "publish.c2pa.key: block:board is kept by a Prefect"),
    "a key that others can read": (
        "publish.c2pa.key=open.pem",
        "everybody on this machine can read or change this key",
    ),
    "a key of another certificate": ("publish.c2pa.key=other.pem", "not the private key of the first certificate"),
    "a locked key": ("publish.c2pa.key=locked.pem", "this key is encrypted, and no passphrase is given"),
    "an expired certificate": (
        "publish.c2pa={certificate: old.pem, key: old_key.pem}",
        "publish.c2pa.certificate: old.pem: expired",
    ),
    "a certificate that the library refuses": (
        "publish.c2pa={certificate: any.pem, key: any_key.pem}",
        "publish.c2pa.certificate: any.pem: c2pa-python does not sign by this certificate",
    ),
}


def test_every_mistake_is_one_error_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, loose = new_chain(days=(-9, -1)), new_chain(purposes=[EMAIL, "2.5.29.37.0"])
    for name, data in {
        "other.pem": new_chain().key_pem(),
        "locked.pem": CHAIN.key_pem(b"sesame"),
        "old.pem": old.pem,
        "old_key.pem": old.key_pem(),
        "any.pem": loose.pem,
        "any_key.pem": loose.key_pem(),
    }.items():
        to(folder, name, data)
    to(folder, "open.pem", CHAIN.key_pem(), 0o644)
    body = CHAIN.key_pem().splitlines()[1].decode()
    monkeypatch.setenv("ODD", body)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    before = sorted(folder.rglob("*"))
    for name, (change, words) in MISTAKES.items():
        assert command_line(["run", "spec.yaml", "--set", change]) == 2, name
        said = capsys.readouterr()
        assert words in said.err, (name, said.err)
        assert body not in said.out + said.err
        assert sorted(folder.rglob("*")) == before, name
