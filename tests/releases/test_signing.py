"""Signatures of several people: k of n, added later, at the same time, and by signers who are killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from releases import dsse
from releases.errors import ReleaseInputError
from releases.keys import PublicKey, SigningKey, new_key
from releases.signing import add_signature, read_envelope
from releases.verify import verify

ROOT = Path(__file__).resolve().parents[2]
Published = Callable[..., Path]
ANN, BEN, EVE = new_key(), new_key(), new_key()


def holds(release: Path, *keys: SigningKey, threshold: int | None = None) -> bool:
    return verify(release, keys=[key.public for key in keys], threshold=threshold).ok


def words_of(release: Path, name: str, **arguments: Any) -> str:
    return next(check.words for check in verify(release, **arguments).checks if check.name == name)


def test_all_given_keys_must_have_signed_unless_a_threshold_says_otherwise(published: Published) -> None:
    release = published(signers=[ANN, BEN])
    assert holds(release, ANN)
    assert holds(release, ANN, BEN)
    assert not holds(release, ANN, BEN, EVE)
    assert holds(release, ANN, BEN, EVE, threshold=2)
    assert not holds(release, ANN, BEN, EVE, threshold=3)
    assert not holds(release, EVE)


def test_an_unsigned_release_does_not_hold_for_who_has_a_key(published: Published) -> None:
    release = published()
    assert verify(release).ok
    assert verify(release).trust == "unsigned"
    assert "Without a signature" in words_of(release, "signature")
    assert not holds(release, ANN)


def test_a_signature_without_a_key_shows_integrity_and_says_so(published: Published) -> None:
    release = published(signers=[ANN])
    assert verify(release).trust == "unchecked"
    assert "integrity only" in words_of(release, "signature")
    assert verify(release, keys=[ANN.public]).trust == "signed"


def test_a_second_signer_adds_a_signature_to_the_same_statement(published: Published) -> None:
    release = published(signers=[ANN])
    before = read_envelope(release / dsse.FILE_NAME)
    add_signature(release, BEN)
    after = read_envelope(release / dsse.FILE_NAME)
    assert after.payload == before.payload
    assert holds(release, ANN, BEN)
    assert [path.name for path in release.parent.iterdir() if path.name.startswith(".staging")] == []
    with pytest.raises(ReleaseInputError, match="signed it already"):
        add_signature(release, BEN)


def test_an_unsigned_release_can_be_signed_later(published: Published) -> None:
    release = published()
    add_signature(release, ANN)
    assert holds(release, ANN)
    with pytest.raises(ReleaseInputError, match="no such folder"):
        add_signature(release / "none", ANN)


def test_what_was_changed_is_not_signed(published: Published) -> None:
    release = published(signers=[ANN])
    before = (release / dsse.FILE_NAME).read_bytes()
    (release / "README.md").write_text("Real data.")
    with pytest.raises(ReleaseInputError, match="not what was published") as caught:
        add_signature(release, BEN)
    assert "README.md" in str(caught.value)
    assert (release / dsse.FILE_NAME).read_bytes() == before


def test_a_signature_of_a_publisher_that_is_gone_is_missed_without_any_key(published: Published) -> None:
    release = published(signers=[ANN, BEN])
    path = release / dsse.FILE_NAME
    envelope = dsse.loads(path.read_bytes())
    kept = tuple(one for one in envelope.signatures if one.key == ANN.public)
    path.write_bytes(dsse.dumps(dsse.Envelope(payload=envelope.payload, signatures=kept)))
    assert not verify(release).ok
    assert not holds(release, ANN)
    path.unlink()
    assert "is gone" in words_of(release, "signature")


@pytest.mark.parametrize(
    ("keys", "threshold", "expected"),
    [
        ([], 1, "no key is given"),
        ([ANN.public], 0, "not between 1"),
        ([ANN.public], 2, "not between 1"),
        ([ANN.public, ANN.public], None, "given twice"),
    ],
)
def test_keys_and_thresholds_that_do_not_fit_are_the_users(
    keys: list[PublicKey], threshold: int | None, expected: str, published: Published
) -> None:
    with pytest.raises(ReleaseInputError, match=expected) as caught:
        verify(published(signers=[ANN]), keys=keys, threshold=threshold)
    assert caught.value.remedy


def test_signers_at_once_lose_no_signature(published: Published) -> None:
    release = published(signers=[ANN])
    keys = [new_key() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda key: add_signature(release, key), keys))
    assert holds(release, ANN, *keys)


def test_a_signer_who_is_killed_at_any_step_leaves_a_release_that_holds(tmp_path: Path) -> None:
    script = ROOT / "tests" / "releases" / "killed_signer.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 6
    assert set(found["signals"]) == {signal.SIGKILL}
    assert found["broken"] == []
    assert found["last"]
    assert found["leftovers"] == []


def test_a_release_that_moved_or_is_passed_off_as_another_is_found(published: Published, tmp_path: Path) -> None:
    release = published(signers=[ANN])
    assert "lies in wages/1" in words_of(release, "name")
    assert not verify(release, name="pensions").ok
    elsewhere = tmp_path / "pensions" / "1"
    elsewhere.parent.mkdir()
    release.rename(elsewhere)
    assert not holds(elsewhere, ANN)
    assert verify(elsewhere, keys=[ANN.public], name="wages").ok
    newest = tmp_path / "wages" / "9"
    newest.parent.mkdir()
    elsewhere.rename(newest)
    assert not holds(newest, ANN)
    assert not verify(newest, name="wages").ok
    (tmp_path / "latest").symlink_to(newest.rename(newest.parent / "1"))
    assert "lies in wages/1" in words_of(tmp_path / "latest", "name")


def test_a_hostile_manifest_cannot_speak_to_the_terminal(published: Published) -> None:
    from tests.releases.test_mutations import APPROVAL  # noqa: PLC0415

    hostile = "\x1b[2Jfine\n ok  everything"
    release = published(approvals=[type(APPROVAL)(**{**APPROVAL.to_json(), "reason": hostile})])
    words = words_of(release, "approval")
    assert "fine" in words
    assert words.isprintable()
