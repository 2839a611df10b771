"""Verification by a recipient: offline, with this room and the files of one release alone.

What it can show: no file changed, is missing or was added since the manifest was written; the verdict follows from
the published measurements and the policy; the data has the rows and columns it claims; it lies where it says. With a
signer's public key: the holder of that key signed all of it. Without one nobody can tell who wrote the manifest, for
whoever changes the files can write a new one, and sign it with a key of his own.
"""

import csv
import os
import stat
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from releases.c2pa_checks import c2pa_checks
from releases.checks import Check, Verification, shown
from releases.data_files import columns_in, is_picture
from releases.dsse import FILE_NAME as SIGNATURE_NAME
from releases.guarded_csv import guarded
from releases.keys import PublicKey
from releases.manifest import (
    FIELDS,
    FILE_NAME,
    OPTIONAL_FIELDS,
    data_digest,
    digest_of,
    read_json,
    read_manifest,
    sha256_of,
)
from releases.picture_checks import picture_checks
from releases.public import PublicMeasurement
from releases.schema_file import column_names, image_names, picture_shapes
from releases.signature_checks import approval_checks, place_check, required_signatures, signature_checks, trust_of
from sources.cells import cells_of, labels_of
from sources.errors import UserError
from sources.targets import Targets, broken_targets
from validators.gate import status_of
from validators.limits.limits import LIMITS
from validators.measurement import Status
from validators.policy import PRESETS_VERSION, Policy

MOST_FILES = 100_000
MOST_NAMED = 5
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, UserError)
_PARTS = ("README.md", "report.html", "schema.json", "verdict.json")


def verify(
    path: str | Path, *, keys: Sequence[PublicKey] = (), threshold: int | None = None, name: str | None = None
) -> Verification:
    """Look at everything that the release at `path` claims of itself.

    Args:
        path: the folder of one version.
        keys: of signers that the recipient knows. With any, a release without their signatures does not hold.
        threshold: how many of `keys` must have signed; all when None.
        name: the release that it should be one of, wherever it lies.

    Raises:
        ReleaseInputError: it is not a release at all, or one of a later format; `keys` and `threshold` do not fit.

    """
    folder = Path(path)
    needed = required_signatures(keys, threshold)
    manifest = read_manifest(folder)
    checks = [_manifest(manifest), *_files(folder, manifest)]
    if all(check.ok for check in checks):  # the rest reads files, which is only safe when they are the right ones
        checks += [*signature_checks(folder, manifest, keys, needed), *_story(folder, manifest, name)]
        checks += [_verdict(folder, manifest), *_data(folder, manifest), *_statement(folder, manifest)]
    return Verification(
        checks=tuple(checks),
        trust=trust_of(folder, checks, keys),
        name=shown(manifest.get("name")),
        version=shown(manifest["this_run"].get("version") if isinstance(manifest.get("this_run"), dict) else None),
    )


def _manifest(manifest: Mapping[str, Any]) -> Check:
    missing = [field for field in FIELDS if field not in manifest]
    extra = [field for field in manifest if field not in (*FIELDS, *OPTIONAL_FIELDS)]
    if missing or extra:
        named = ", ".join([*(f"no {field}" for field in missing), *(f"unknown {field!r}" for field in extra)])
        return Check(name="manifest", ok=False, words=f"The manifest's fields are not those of its format: {named}.")
    if digest_of(manifest) != manifest["digest"]:
        return Check(name="manifest", ok=False, words="The manifest was changed after it was written.")
    return Check(name="manifest", ok=True, words="The manifest is as it was written.")


def _files(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the checks of names, of completeness and of every hash; later ones only when earlier ones hold."""
    listed = manifest.get("files")
    if not isinstance(listed, dict) or len(listed) > MOST_FILES or not all(map(_is_entry, listed.values())):
        yield Check(name="file names", ok=False, words="The manifest's list of files cannot be read.")
        return
    unsafe = sorted(name for name in listed if not _is_safe(name))
    if unsafe:
        words = f"Names that lead out of the release, or are no plain paths: {_some(unsafe)}."
        yield Check(name="file names", ok=False, words=words)
        return
    found, strange = _walk(folder)
    if strange:
        words = f"Links or special files have no place in a release: {_some(strange)}."
        yield Check(name="file names", ok=False, words=words)
        return
    yield Check(name="file names", ok=True, words="Every name is a plain path inside the release.")
    missing = sorted((set(listed) | set(_PARTS)) - found)
    extra = sorted(found - set(listed) - {FILE_NAME, SIGNATURE_NAME})
    if missing or extra:
        lacking = f"Missing: {_some(missing)}. " if missing else ""
        surplus = f"Not in the manifest: {_some(extra)}." if extra else ""
        yield Check(name="files", ok=False, words=(lacking + surplus).strip())
    else:
        yield Check(name="files", ok=True, words=f"All {len(listed)} files are there, and no others.")
    changed = [name for name in sorted(set(listed) & found) if not _is_same(folder / name, listed[name])]
    if changed:
        yield Check(name="hashes", ok=False, words=f"Changed since they were written: {_some(changed)}.")
    elif data_digest(listed) != manifest.get("data_sha256"):
        yield Check(name="hashes", ok=False, words="The digest of the data files is not that of their hashes.")
    else:
        yield Check(name="hashes", ok=True, words="Every file has the hash and the size that the manifest names.")


def _verdict(folder: Path, manifest: Mapping[str, Any]) -> Check:
    """Work the verdict out again from the public measurements."""
    try:
        flaw, words = _flaw(folder, manifest)
    except _UNREADABLE as error:
        flaw, words = True, f"The verdict or the schema cannot be read ({type(error).__name__})."
    return Check(name="verdict", ok=not flaw, words=words)


def _flaw(folder: Path, manifest: Mapping[str, Any]) -> tuple[bool, str]:
    """Return (True, the first flaw) or (False, what the verdict rests on)."""
    plain = read_json(folder / "verdict.json")
    measurements = [PublicMeasurement.from_json(one) for one in plain["measurements"]]
    columns = [(column["kind"], column["role"]) for column in read_json(folder / "schema.json")["columns"]]
    if (plain["outcome"], manifest["verdict"]) != ("PASS", "PASS"):
        return True, "The verdict is not PASS."
    if plain["policy"] != manifest["policy"]:
        return True, "The measurements were judged under another policy than the manifest names."
    version = plain["policy"]["presets_version"]
    if version != PRESETS_VERSION:
        return _flaw_by_own_limits(measurements, plain["policy"]["limits"], version)
    policy = Policy.from_json(plain["policy"])
    if plain["policy"] != policy.to_json():  # the overrides are worked out from the preset again
        return True, "Limits differ from the preset without being named as overrides."
    lacking = sorted(policy.required(columns) - {one.name for one in measurements})
    if lacking:
        return True, f"Required measurements are missing: {_some(lacking)}."
    bad = sorted({one.name for one in measurements if not _passes(one, policy)})
    if bad:
        return True, f"Not inside the limits of the policy: {_some(bad)}."
    changed = f", with {len(policy.overrides)} overrides" if policy.overrides else ""
    return False, f"PASS follows from {len(measurements)} measurements under the policy {policy.name}{changed}."


def _flaw_by_own_limits(
    measurements: list[PublicMeasurement], limits: Mapping[str, Any], version: object
) -> tuple[bool, str]:
    """Hold a release that was judged under other presets against the limits that it names itself."""
    lacking = sorted({"contract", "fidelity", "privacy"} - {one.family for one in measurements})
    if lacking:
        return True, f"Nothing was measured of: {_some(lacking)}."
    own = {name: tuple(limit) if isinstance(limit, list) else limit for name, limit in limits.items()}
    bad = sorted(
        {
            one.name
            for one in measurements
            if one.limit != own.get(one.name)
            or one.status is not Status.PASS
            or status_of(one.low, one.high, one.limit, one.direction) is not Status.PASS
        }
    )
    if bad:
        return True, f"Not inside the limits of the policy: {_some(bad)}."
    return False, (
        f"PASS follows from {len(measurements)} measurements and the limits in the manifest. They rest on presets "
        f"{version!s:.20}, this program knows {PRESETS_VERSION}: whether a check is missing or a limit was loosened "
        "cannot be told here."
    )


def _passes(measurement: PublicMeasurement, policy: Policy) -> bool:
    rule = LIMITS.get(measurement.name)
    if rule is None or (measurement.family, measurement.direction) != (rule.family, rule.direction):
        return False
    limit = policy.limits.get(measurement.name)
    computed = status_of(measurement.low, measurement.high, limit, measurement.direction)
    return measurement.limit == limit and measurement.status is Status.PASS and computed is Status.PASS


def _data(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Yield one check for each data file: its columns and rows are those of the schema and the manifest."""
    try:
        schema = read_json(folder / "schema.json")
        names, images, shapes = column_names(schema), image_names(schema), picture_shapes(schema)
    except _UNREADABLE as error:
        yield Check(name="data", ok=False, words=f"The schema cannot be read ({type(error).__name__}).")
        return
    tables = [name for name in manifest["files"] if name.startswith("data/") and not is_picture(name)]
    if not tables:
        yield Check(name="data", ok=False, words="There is no data file.")
    if manifest["columns"] != len(names):
        yield Check(name="data", ok=False, words="The manifest names another number of columns than the schema.")
    for name in sorted(tables):
        try:
            columns, rows = _shape(folder / name)
        except (OSError, ValueError, csv.Error, ArrowException) as error:
            yield Check(name=name, ok=False, words=f"Cannot be read ({type(error).__name__}).")
            continue
        wanted = columns_in(name, names, images)
        if columns not in (wanted, [guarded(column) for column in wanted]):
            yield Check(name=name, ok=False, words="Its columns are not those of schema.json.")
        elif rows != manifest["rows"]:
            yield Check(name=name, ok=False, words=f"It has {rows:,} rows, the manifest says {manifest['rows']}.")
        else:
            yield Check(name=name, ok=True, words=f"{rows:,} rows in {len(columns)} columns, as the manifest says.")
    try:
        yield from picture_checks(folder, manifest, shapes)
    except (*_UNREADABLE, OSError, struct.error, ArrowException) as error:
        yield Check(name="data/images", ok=False, words=f"The pictures cannot be read ({type(error).__name__}).")
    yield from c2pa_checks(folder, manifest)


def _story(folder: Path, manifest: Mapping[str, Any], name: str | None) -> Iterator[Check]:
    """Yield whether it is the release that its place says, and who approved it."""
    try:
        yield place_check(folder, manifest, name)
        yield from approval_checks(manifest)
    except _UNREADABLE as error:
        yield Check(name="name", ok=False, words=f"The manifest's story cannot be read ({type(error).__name__}).")


def _statement(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Yield whether the rows of a release that was altered on purpose keep what it states; Parquet alone is read."""
    tables = sorted(name for name in manifest["files"] if name.startswith("data/") and name.endswith(".parquet"))
    if "rebalanced" not in manifest or not tables:
        return
    try:
        targets = Targets.from_json(manifest["rebalanced"])
        rows = pd.read_parquet(folder / tables[0], columns=list(targets.columns))
        labels = pd.DataFrame({name: labels_of(cells_of(rows[name])) for name in rows})
        broken = [words for words, kept in broken_targets(labels, targets) if not kept]
    except (*_UNREADABLE, OSError, ArrowException) as error:
        broken = [f"it cannot be read ({type(error).__name__})"]
    words = (
        f"Altered on purpose, and not as stated: {'; '.join(broken)}." if broken else "Altered on purpose, as stated."
    )
    yield Check(name="statement", ok=not broken, words=words)


def _shape(path: Path) -> tuple[list[str], int]:
    """Return the column names and the number of rows of a data file, without loading it."""
    if path.suffix == ".parquet":
        metadata = pq.read_metadata(path)
        return list(pq.read_schema(path).names), metadata.num_rows
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file, strict=True)
        return next(lines, []), sum(1 for _ in lines)


def _walk(folder: Path) -> tuple[set[str], list[str]]:
    """Return the regular files (and empty folders) below `folder`, and what is neither file nor folder."""
    found: set[str] = set()
    strange: list[str] = []
    for place, folders, files in os.walk(folder, followlinks=False):
        if not folders and not files:
            found.add(Path(place).relative_to(folder).as_posix() + "/")
        for name in (*folders, *files):
            path = Path(place) / name
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                found.add(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                strange.append(path.relative_to(folder).as_posix())
    return found, sorted(strange)


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    plain = path.as_posix() == name and not path.is_absolute() and name.isprintable() and "\\" not in name
    return bool(name) and plain and ":" not in name and not set(path.parts) & {"..", "."}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and isinstance(entry.get("bytes"), int)


def _is_same(path: Path, entry: Mapping[str, Any]) -> bool:
    return bool(path.stat().st_size == entry["bytes"] and sha256_of(path) == entry["sha256"])


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(repr(name[:80]) for name in names[:MOST_NAMED]) + rest
