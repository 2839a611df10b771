"""`MANIFEST.json`: every file with its hash, and how the rows came about; it is written last, so it means complete.

What differs between two runs of one spec with one seed stands under `this_run` alone (and in the files that show it,
report and card); `data_sha256` is equal for equal data files. `digest` covers the rest of the manifest: it finds
accidents, not forgers, who can compute it as well; proof of origin is `SIGNATURE.dsse`, which covers this file. C2PA
manifests are salted at random: with them, equal data has equal `c2pa.unsigned_data_sha256`.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from releases.approvals import Approval
from releases.errors import ReleaseInputError
from releases.keys import PublicKey
from releases.locations import public_spec
from releases.provenance import Provenance, code_version, dependency_versions
from sources.fingerprint import keyed
from validators.gate import Verdict
from validators.report import Report

FILE_NAME = "MANIFEST.json"
FORMAT = "understudy release"
FORMAT_VERSION = 1
MOST_BYTES = 16 * 2**20
FIELDS = (
    "format",
    "format_version",
    "name",
    "this_run",
    "rows",
    "columns",
    "split_rows",
    "data_sha256",
    "verdict",
    "policy",
    "generator",
    "budget",
    "seeds",
    "lineage",
    "spec",
    "code",
    "dependencies",
    "files",
    "digest",
)
OPTIONAL_FIELDS = ("rebalanced", "approvals", "signers", "c2pa")
"""Fields of releases that were altered on purpose, that somebody approved, that were signed when published, and whose
pictures hold C2PA manifests (their signer, and `data_sha256` without them)."""
MEDIA_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".png": "image/png",
    ".webp": "image/webp",
}


def manifest_of(
    folder: Path,
    *,
    version: str,
    created: datetime,
    rows: int,
    columns: int,
    report: Report,
    verdict: Verdict,
    provenance: Provenance,
    approvals: Sequence[Approval] = (),
    signers: Sequence[PublicKey] = (),
    c2pa: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the manifest of the files that lie in `folder`, as plain JSON values.

    Args:
        folder: all files of the release but the manifest.
        version: of the release.
        created: the moment of publishing.
        rows: of the data.
        columns: of the data, their number.
        report: the judgement.
        verdict: what the gate decided on it.
        provenance: the rest of the story; its lineage key is used and not kept.
        approvals: of people, where the spec asks for one.
        signers: the keys that will sign it.
        c2pa: what it says of C2PA manifests, see `releases.c2pa_manifests.embedded`.

    """
    files = {
        path.relative_to(folder).as_posix(): file_entry(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    model = provenance.model
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": provenance.name,
        "this_run": {
            "version": version,
            "created": created.astimezone(UTC).isoformat(timespec="seconds"),
            "fit_seconds": round(model.seconds, 1),
            "gate_calls": provenance.gate_calls,
        },
        "rows": rows,
        "columns": columns,
        "split_rows": dict(provenance.split_rows),
        "data_sha256": data_digest(files),
        "verdict": verdict.outcome.value,
        "policy": report.policy.to_json(),
        "generator": {
            "family": model.family,
            "config": dict(model.config),
            "steps": model.steps,
            "stopped_by": model.stopped_by,
            "parameters": model.parameters,
            "device": model.device,
            "precision": model.precision,
            "threads": model.threads,
            **_halved(model.notes),
        },
        "budget": {"seconds": provenance.budget_seconds, "steps": provenance.budget_steps},
        "seeds": {"run": provenance.seed, "judge": report.seed},
        "lineage": {"source_hmac_sha256": lineage_of(provenance)},
        "spec": public_spec(provenance.spec),
        "code": code_version(),
        "dependencies": dependency_versions(),
        "files": files,
    }
    if report.targets is not None:
        manifest["rebalanced"] = {**report.targets.to_json(), "words": list(report.targets.sentences())}
    if approvals:
        manifest["approvals"] = [one.to_json() for one in approvals]
    if signers:
        manifest["signers"] = sorted({key.key_id for key in signers})
    if c2pa is not None:
        manifest["c2pa"] = dict(c2pa)
    manifest = json.loads(json.dumps(manifest, allow_nan=False))
    return {**manifest, "digest": digest_of(manifest)}


def _halved(notes: Sequence[str]) -> dict[str, list[str]]:
    """Return the fit's notes that batches were smaller than its config says, where there are any."""
    halved = [note for note in notes if note.startswith("Memory ran out")]
    return {"notes": halved} if halved else {}


def lineage_of(provenance: Provenance) -> str | None:
    """Return the HMAC that binds the source to whoever holds the key, or None without fingerprint or key."""
    if provenance.source_fingerprint is None or provenance.lineage_key is None:
        return None
    return keyed(provenance.source_fingerprint, provenance.lineage_key)


def file_entry(path: Path) -> dict[str, Any]:
    """Return hash, size and media type of one file."""
    return {
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "media_type": MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
    }


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def data_digest(files: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one SHA-256 over path and hash of every file under `data/`."""
    return _digest({path: entry["sha256"] for path, entry in files.items() if path.startswith("data/")})


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the manifest without its `digest`, in canonical form (sorted keys, no spaces)."""
    return _digest({key: value for key, value in manifest.items() if key != "digest"})


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a release as it stands in the file.

    Raises:
        ReleaseInputError: no folder, no manifest, no JSON, not of this format, or of a later version of it.

    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise ReleaseInputError(f"{folder}: no such folder", remedy="give the folder of one version of a release")
    if not path.is_file() or path.is_symlink():
        raise ReleaseInputError(
            f"{folder}: not a release, for it has no {FILE_NAME}",
            remedy="give the folder of one version, such as releases/<name>/1; without its manifest it is incomplete",
        )
    return checked_manifest(read_json(path), str(path))


def checked_manifest(manifest: Any, path: str) -> dict[str, Any]:
    """Return `manifest` when it says that it is one of a format that is known here.

    Raises:
        ReleaseInputError: not of this format, or of a later version of it.

    """
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ReleaseInputError(
            f"{path}: not the manifest of a release of this program", remedy=f'it should hold "format": "{FORMAT}"'
        )
    version = manifest.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ReleaseInputError(f"{path}: format_version is no version", seen=version, remedy="get the release again")
    if version > FORMAT_VERSION:
        raise ReleaseInputError(
            f"{path}: written by a later version of this program",
            seen=f"format_version {version}, known up to {FORMAT_VERSION}",
            remedy="update this program and verify again",
        )
    return manifest


def read_json(path: Path) -> Any:
    """Return the value in a JSON file of a release that may be damaged or hostile.

    Raises:
        ReleaseInputError: too large, not UTF-8, not JSON, nested too deep, a key twice, NaN or an infinity.

    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ReleaseInputError(
            f"{path}: too large", seen=f"{size} bytes", remedy=f"such a file has at most {MOST_BYTES} bytes"
        )
    return parse_json(path.read_bytes(), str(path))


def parse_json(data: bytes, path: str) -> Any:
    """Return the value in JSON text that may be damaged or hostile; `path` is for messages.

    Raises:
        ReleaseInputError: as `read_json`.

    """
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ReleaseInputError(
            f"{path}: no JSON of this program", seen=type(error).__name__, remedy="get the release again"
        ) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that no float can hold")
    return number


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
