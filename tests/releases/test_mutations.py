"""Everything that may be done to a signed release without its key is found by who has the public key."""

import json
import random
import shutil
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from releases import dsse
from releases.approvals import Approval
from releases.errors import ReleaseInputError
from releases.keys import SigningKey, new_key
from releases.manifest import data_digest, digest_of, file_entry
from releases.publish import publish
from releases.statement import payload_of, statement_of
from releases.verify import verify
from sources.files import json_text
from tests.releases.judged_sample import WHEN, provenance_of, report_of, schema_of, synthetic_of
from validators.gate import decide

NUM_MUTATIONS = 200
APPROVAL = Approval(
    request="0f" * 8,
    requested_by="ann",
    requested="2026-03-04T05:00:00+00:00",
    by="ben",
    approved="2026-03-04T05:06:00+00:00",
    reason="As agreed with the board.",
)
MANIFEST, SIGNATURE = "MANIFEST.json", "SIGNATURE.dsse"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A signed release, another one by the same signer, both keys and the draw."""

    release: Path
    other: Path
    attacker: SigningKey
    rng: random.Random

    def any_file(self, *suffixes: str) -> Path:
        """Return one of the files."""
        files = [path for path in sorted(self.release.rglob("*")) if path.is_file()]
        return self.rng.choice([path for path in files if not suffixes or path.suffix in suffixes])


Mutation = Callable[[Scene], Path | None]


def flip_a_bit(scene: Scene) -> None:
    path = scene.any_file()
    data = bytearray(path.read_bytes())
    data[scene.rng.randrange(len(data))] ^= 1 << scene.rng.randrange(8)
    path.write_bytes(data)


def insert_a_byte(scene: Scene) -> None:
    path = scene.any_file()
    data = bytearray(path.read_bytes())
    data.insert(scene.rng.randrange(len(data) + 1), scene.rng.choice(b" \n0a\x00\xff"))
    path.write_bytes(data)


def delete_a_byte(scene: Scene) -> None:
    path = scene.any_file()
    data = bytearray(path.read_bytes())
    del data[scene.rng.randrange(len(data))]
    path.write_bytes(data)


def truncate(scene: Scene) -> None:
    path = scene.any_file()
    data = path.read_bytes()
    path.write_bytes(data[: scene.rng.randrange(len(data))])


def places_in(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every field and entry below `value`."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [place for key in keys for place in places_in(value[key])]


def edit_json(scene: Scene, plain: Any) -> None:
    """Change, remove or add one field anywhere."""
    container, key = scene.rng.choice(places_in(plain))
    kind = scene.rng.choice(["change", "remove", "add"])
    if kind == "remove":
        del container[key]
    elif kind == "add" and isinstance(container, dict):
        container["further"] = "more"
    else:
        old = container[key]
        container[key] = (not old) if isinstance(old, bool) else old + 1 if isinstance(old, int | float) else "changed"


def recomputed(scene: Scene, change: Callable[[dict[str, Any]], object] = dict) -> None:
    """Write the manifest anew as somebody who knows how it is made, but not the key."""
    path = scene.release / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"] = {
        file.relative_to(scene.release).as_posix(): file_entry(file)
        for file in sorted(scene.release.rglob("*"))
        if file.is_file() and file.name not in (MANIFEST, SIGNATURE)
    }
    manifest["data_sha256"] = data_digest(manifest["files"])
    change(manifest)
    path.write_text(json_text({**manifest, "digest": digest_of(manifest)}))


def signed_by_the_attacker(scene: Scene) -> None:
    """Sign what lies there now by another key, and say in the manifest that it is the one."""
    recomputed(scene, lambda manifest: manifest.update(signers=[scene.attacker.key_id]))
    verdict = json.loads((scene.release / "verdict.json").read_text())
    bytes_ = (scene.release / MANIFEST).read_bytes()
    envelope = dsse.sign(payload_of(statement_of(json.loads(bytes_), bytes_, verdict)), [scene.attacker])
    (scene.release / SIGNATURE).write_bytes(dsse.dumps(envelope))


def edit_a_field(scene: Scene) -> None:
    path = scene.any_file(".json")
    plain = json.loads(path.read_text())
    edit_json(scene, plain)
    path.write_text(json_text(plain))


def edit_a_field_and_recompute(scene: Scene) -> None:
    path = scene.release / scene.rng.choice(["schema.json", "verdict.json"])
    plain = json.loads(path.read_text())
    edit_json(scene, plain)
    path.write_text(json_text(plain))
    recomputed(scene)


def edit_the_manifest_and_recompute(scene: Scene) -> None:
    recomputed(scene, lambda manifest: edit_json(scene, manifest))


def edit_the_signature(scene: Scene) -> None:
    path = scene.release / SIGNATURE
    plain = json.loads(path.read_text())
    edit_json(scene, plain)
    path.write_text(json.dumps(plain, indent=2) + "\n")


def edit_what_was_signed(scene: Scene) -> None:
    path = scene.release / SIGNATURE
    envelope = dsse.loads(path.read_bytes())
    statement = json.loads(envelope.payload)
    edit_json(scene, statement)
    path.write_bytes(dsse.dumps(dsse.Envelope(payload=payload_of(statement), signatures=envelope.signatures)))


def edit_the_card_and_recompute(scene: Scene) -> None:
    path = scene.release / scene.rng.choice(["README.md", "report.html"])
    path.write_text(path.read_text().replace("Synthetic", "Real").replace("synthetic", "real"))
    recomputed(scene)


def edit_the_data_and_recompute(scene: Scene) -> None:
    path = scene.release / "data" / "data.csv"
    lines = path.read_text().splitlines()
    row = scene.rng.randrange(1, len(lines))
    lines[row] = ",".join(["99", *lines[row].split(",")[1:]])
    path.write_text("\n".join(lines) + "\n")
    recomputed(scene)


def add_a_file(scene: Scene) -> None:
    (scene.release / scene.rng.choice(["data/more.csv", "notes.txt", ".hidden"])).write_text("a\n1\n")


def add_a_file_and_recompute(scene: Scene) -> None:
    (scene.release / "data" / "more.csv").write_bytes((scene.release / "data" / "data.csv").read_bytes())
    recomputed(scene)


def add_an_empty_folder(scene: Scene) -> None:
    (scene.release / "more").mkdir()


def remove_a_file(scene: Scene) -> None:
    scene.any_file().unlink()


def rename_a_file(scene: Scene) -> None:
    path = scene.any_file()
    path.rename(path.with_name(path.name + ".old"))


def link_a_file(scene: Scene) -> None:
    path = scene.any_file()
    path.unlink()
    path.symlink_to(scene.other / path.relative_to(scene.release))


def swap_two_files(scene: Scene) -> None:
    one, two = scene.any_file(), scene.any_file()
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)


def take_a_file_of_another_release(scene: Scene) -> None:
    path = scene.any_file()
    path.write_bytes((scene.other / path.relative_to(scene.release)).read_bytes())


def take_the_signature_of_another_release(scene: Scene) -> None:
    (scene.release / SIGNATURE).write_bytes((scene.other / SIGNATURE).read_bytes())


def remove_the_signature_and_recompute(scene: Scene) -> None:
    (scene.release / SIGNATURE).unlink()
    recomputed(scene, lambda manifest: manifest.pop("signers"))


def sign_by_another_key(scene: Scene) -> None:
    scene.rng.choice([edit_the_data_and_recompute, edit_the_card_and_recompute])(scene)
    signed_by_the_attacker(scene)


def put_another_key_into_the_signature(scene: Scene) -> None:
    path = scene.release / SIGNATURE
    envelope = dsse.loads(path.read_bytes())
    (one,) = envelope.signatures
    forged = dsse.Signature(key=scene.attacker.public, value=one.value)
    path.write_bytes(dsse.dumps(dsse.Envelope(payload=envelope.payload, signatures=(forged,))))


def edit_the_approvals(scene: Scene) -> None:
    def edited(manifest: dict[str, Any]) -> None:
        field = scene.rng.choice(["by", "requested_by", "reason", "approved", "request"])
        manifest["approvals"][0][field] = "somebody else"

    recomputed(scene, edited)


def forge_the_approvals(scene: Scene) -> None:
    edit_the_approvals(scene)
    signed_by_the_attacker(scene)


def drop_the_approvals(scene: Scene) -> None:
    recomputed(scene, lambda manifest: manifest.pop("approvals"))


def loosen_the_verdict(scene: Scene) -> None:
    path = scene.release / "verdict.json"
    plain = json.loads(path.read_text())
    plain["policy"]["presets_version"] = 0  # under presets that nobody knows any more
    one = scene.rng.choice([one for one in plain["measurements"] if isinstance(one["limit"], float)])
    one["limit"] = plain["policy"]["limits"][one["name"]] = one["limit"] * (2 if one["limit"] > one["high"] else 0.5)
    path.write_text(json_text(plain))
    recomputed(scene, lambda manifest: manifest.update(policy=plain["policy"]))


def forge_the_verdict(scene: Scene) -> None:
    loosen_the_verdict(scene)
    signed_by_the_attacker(scene)


def replay_under_another_name(scene: Scene) -> Path:
    place = scene.release.parent.parent / "salaries" / scene.release.name
    shutil.copytree(scene.release, place)
    return place


def replay_as_another_version(scene: Scene) -> Path:
    place = scene.release.parent / str(scene.rng.randrange(2, 99))
    shutil.copytree(scene.release, place)
    return place


def replay_another_release_here(scene: Scene) -> None:
    shutil.rmtree(scene.release)
    shutil.copytree(scene.other, scene.release)


FORGERIES: tuple[Mutation, ...] = (
    sign_by_another_key,
    forge_the_approvals,
    forge_the_verdict,
    remove_the_signature_and_recompute,
)
"""What is consistent in itself: it takes a key to find these."""
MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit, insert_a_byte, delete_a_byte, truncate, edit_a_field, edit_a_field_and_recompute,
    edit_the_manifest_and_recompute, edit_the_signature, edit_what_was_signed, edit_the_card_and_recompute,
    edit_the_data_and_recompute, add_a_file, add_a_file_and_recompute, add_an_empty_folder, remove_a_file,
    rename_a_file, link_a_file, swap_two_files, take_a_file_of_another_release, take_the_signature_of_another_release,
    put_another_key_into_the_signature, edit_the_approvals, drop_the_approvals, loosen_the_verdict,
    replay_under_another_name, replay_as_another_version, replay_another_release_here, *FORGERIES,
)  # fmt: skip


def signed_release(to: Path, name: str, key: SigningKey) -> Path:
    report = report_of(schema_of())
    return publish(
        to=to,
        synthetic=synthetic_of(schema_of()),
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(name),
        created=WHEN,
        signers=[key],
        approvals=[APPROVAL],
    )


def bytes_of(folder: Path) -> dict[str, bytes | str]:
    """Return everything below `folder`, links by their targets."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = f"-> {path.readlink()}" if path.is_symlink() else path.read_bytes() if path.is_file() else ""
    return found


def holds(release: Path, keys: list[SigningKey]) -> bool:
    try:
        return verify(release, keys=[key.public for key in keys]).ok
    except ReleaseInputError:
        return False


def test_200_of_200_random_mutations_of_a_signed_release_are_found(tmp_path: Path) -> None:
    key, attacker = new_key(), new_key()
    original = signed_release(tmp_path / "original", "wages", key)
    other = signed_release(tmp_path / "other", "pensions", key)
    rng = random.Random(20)  # noqa: S311 - a draw for a test
    found: dict[str, list[bool]] = {}
    found_without_key: list[bool] = []
    for number in range(NUM_MUTATIONS):
        mutation = MUTATIONS[number % len(MUTATIONS)]
        for attempt in range(20):
            release = tmp_path / f"{number}-{attempt}" / "wages" / "1"
            shutil.copytree(original, release)
            scene = Scene(release=release, other=other, attacker=attacker, rng=rng)
            looked_at = mutation(scene) or release
            if looked_at != release or bytes_of(looked_at) != bytes_of(original):
                break
        else:
            raise AssertionError(f"{mutation.__name__} changed nothing in 20 attempts")
        found.setdefault(mutation.__name__, []).append(not holds(looked_at, [key]))
        if mutation not in FORGERIES:
            found_without_key.append(not holds(looked_at, []))
        shutil.rmtree(release.parent.parent)
    assert {name for name, results in found.items() if not all(results)} == set()
    assert sum(map(len, found.values())) == NUM_MUTATIONS
    assert all(found_without_key)
    assert holds(original, [key])


@pytest.mark.parametrize("mutation", FORGERIES)
def test_a_forgery_that_is_consistent_in_itself_takes_a_key_to_find(mutation: Mutation, tmp_path: Path) -> None:
    key = new_key()
    release = signed_release(tmp_path, "wages", key)
    mutation(Scene(release=release, other=release, attacker=new_key(), rng=random.Random(1)))  # noqa: S311
    verification = verify(release)
    assert verification.ok, [check for check in verification.checks if not check.ok]
    assert verification.trust != "signed"
    assert not holds(release, [key])


def test_the_untouched_release_verifies_wherever_it_is_copied_to(tmp_path: Path) -> None:
    key = new_key()
    release = signed_release(tmp_path / "releases", "wages", key)
    for place in ("elsewhere/wages/1", "download", "wages-1"):
        shutil.copytree(release, tmp_path / place)
        verification = verify(tmp_path / place, keys=[key.public], name="wages")
        assert verification.ok
        assert verification.trust == "signed"
        assert holds(tmp_path / place, [key])


def test_every_single_byte_of_the_signature_counts_with_and_without_a_key(tmp_path: Path) -> None:
    key = new_key()
    release = signed_release(tmp_path, "wages", key)
    path = release / SIGNATURE
    good = path.read_bytes()
    start = good.index(b'"signatures"')
    for place in [*range(start), *range(0, start, 97)][:40] + list(range(start, len(good), 5)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert not holds(release, [])
        assert not holds(release, [key])
    path.write_bytes(good)
    assert holds(release, [key])


def test_a_signature_covers_every_file_and_the_manifest(tmp_path: Path) -> None:
    release = signed_release(tmp_path, "wages", new_key())
    envelope = json.loads((release / SIGNATURE).read_text())
    statement = json.loads(b64decode(envelope["payload"]))
    files = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert {subject["name"] for subject in statement["subject"]} == files - {SIGNATURE}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicate"]["approvals"][0]["by"] == "ben"
