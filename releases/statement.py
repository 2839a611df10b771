"""What is signed: an in-toto Statement v1 about every file of a release and about how it came to be.

The statement follows from `MANIFEST.json` and `verdict.json` alone. So a second signer signs the same bytes, and
`verify` works the statement out again instead of believing the one that lies there.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:understudy:release:v1"
"""Raised to v2 when the predicate is made otherwise; what v1 means stays as it is, for old releases verify by it."""


def statement_of(manifest: Mapping[str, Any], manifest_bytes: bytes, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return the statement as plain JSON values.

    Args:
        manifest: of the release.
        manifest_bytes: the same as it stands in the file.
        verdict: what stands in `verdict.json`.

    Raises:
        KeyError, TypeError, AttributeError: the manifest or the verdict do not have the fields of one.

    """
    digests = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    digests["MANIFEST.json"] = hashlib.sha256(manifest_bytes).hexdigest()
    generator, policy, this_run = manifest["generator"], manifest["policy"], manifest["this_run"]
    predicate = {
        "name": manifest["name"],
        "version": this_run["version"],
        "created": this_run["created"],
        "data_sha256": manifest["data_sha256"],
        "lineage": manifest["lineage"],
        "spec_sha256": digest_of_json(manifest["spec"]),
        "policy": {
            "name": policy["name"],
            "presets_version": policy["presets_version"],
            "sha256": digest_of_json(policy),
        },
        "verdict": manifest["verdict"],
        "measurements": [
            {"name": one["name"], "subject": one["subject"], "status": one["status"]} for one in verdict["measurements"]
        ],
        "code": manifest["code"],
        "dependencies": manifest["dependencies"],
        "seeds": manifest["seeds"],
        "generator": generator["family"],
        "device": {"name": generator["device"], "precision": generator["precision"], "threads": generator["threads"]},
        "approvals": manifest.get("approvals", []),
        "signers": manifest.get("signers", []),
    }
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digests[name]}} for name in sorted(digests)],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }


def payload_of(statement: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: canonical JSON (sorted keys, no spaces, ASCII)."""
    return _canonical(statement)


def digest_of_json(value: Any) -> str:
    """Return the SHA-256 (hex) over canonical JSON."""
    return hashlib.sha256(_canonical(value)).hexdigest()


def difference(stated: bytes, expected: Mapping[str, Any]) -> str | None:
    """Return in words where a signed payload differs from what the release says of itself, or None.

    Args:
        stated: the payload of an envelope, perhaps hostile.
        expected: what `statement_of` says of the files that lie there.

    """
    if stated == payload_of(expected):
        return None
    try:
        plain = json.loads(stated)
        kind = plain["predicateType"]
        if kind != PREDICATE_TYPE:
            return "it is a statement of another kind or of a later version of this program"
        named = {one["name"]: one["digest"] for one in plain["subject"]}
        own = {one["name"]: one["digest"] for one in expected["subject"]}
        files = [name for name in sorted(own.keys() | named.keys()) if own.get(name) != named.get(name)]
        if files:
            return "other files were signed: " + ", ".join(repr(str(name)[:80]) for name in files[:5])
        predicate = plain["predicate"]
        fields = [name for name in expected["predicate"] if predicate.get(name) != expected["predicate"][name]]
        return f"something else was signed: {', '.join(fields) or 'the statement'}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "it is no statement on a release"


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
