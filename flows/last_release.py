"""What is kept of the last release of a name, in `<out>/runs/last/<name>.json`: enough to tell that nothing changed.

A run whose source, spec and code are those of the last release, which still stands where this run would publish, makes
nothing: the rows would be the same. Only a published release counts. A refused run is judged again each time (its fits
are kept, so that costs minutes, and the same rows are the same question to the gate): a schedule goes on saying
*refused* until somebody changes something, instead of an *unchanged* that looks like success.

The record is private. It names the source by a keyed HMAC, and holds the counts that `flows.drift` compares with.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flows.drift import Drift, drift_of
from flows.errors import FlowInputError
from flows.opening import Opened
from flows.run_folder import RunFolder, digest_of_json, lineage_key, one_at_a_time
from flows.source_summary import SourceSummary, summary_of
from flows.spec import Spec
from flows.spec_file import made_spec
from releases.catalogue import latest_version
from releases.provenance import dependency_versions
from releases.stores import Address, place_of
from sources.files import write_json
from sources.fingerprint import keyed
from validators.policy import PRESETS_VERSION

FORMAT = 1
FORESEEN = "waiting/last.json"
ROOMS = ("flows", "generators", "releases", "sources", "validators")
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class LastRelease:
    """The last release of a name that was made under one root of runs.

    Args:
        release: where it was published; a folder or a URL.
        version: of the release.
        to: the place of all releases that the spec named, resolved.
        source: keyed HMAC of the source's fingerprint.
        spec: digest of what the spec says on the content of the release.
        code: digest of the code and the libraries.
        presets_version: of the policies.
        made: when, in UTC.
        summary: counts of the source.

    """

    release: str
    version: str
    to: str
    source: str
    spec: str
    code: str
    presets_version: int
    made: str
    summary: SourceSummary


@dataclass(frozen=True, kw_only=True)
class LookBack:
    """What a run finds before it begins.

    Args:
        last: the last release of this name, or None.
        unchanged: whether this run would make the same again.
        drift: how the source differs from the one of the last release; None where there is no last one.

    """

    last: LastRelease | None
    unchanged: bool
    drift: Drift | None


def look_back(spec: Spec, opened: Opened, folder: RunFolder) -> LookBack:
    """Return how this run compares with the last release of its name.

    Raises:
        FlowInputError: the record is there and cannot be read.

    """
    last = recall(folder, spec.name)
    if last is None:
        return LookBack(last=None, unchanged=False, drift=None)
    now = _identity(spec, opened, folder)
    same = all(getattr(last, name) == value for name, value in now.items())
    if same and latest_version(folder.releases, spec.name) == last.version:
        return LookBack(last=last, unchanged=True, drift=None)
    drift = drift_of(opened.dataset, opened.contract, last.summary, against=last.version, key=lineage_key(folder))
    return LookBack(last=last, unchanged=False, drift=drift)


def remember(spec: Spec, opened: Opened, folder: RunFolder, release: Path | Address) -> None:
    """Keep what was published as the last release of its name."""
    _write(folder, spec.name, _made_from(spec, opened, folder), release)


def foresee(spec: Spec, opened: Opened, folder: RunFolder) -> None:
    """Keep in the run folder what `adopt` needs when an approval publishes the rows, perhaps days later."""
    path = folder.path / FORESEEN
    write_json(path, _made_from(spec, opened, folder))
    path.chmod(0o600)


def adopt(folder: RunFolder, name: str, release: Path | Address) -> bool:
    """Make what an approval published the last release of `name`; False where what `foresee` kept cannot be read."""
    path = folder.path / FORESEEN
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        SourceSummary.from_json(plain["summary"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    _write(folder, name, plain, release)
    return True


def _made_from(spec: Spec, opened: Opened, folder: RunFolder) -> dict[str, Any]:
    """Return of a record all but where and when the release was published."""
    summary = summary_of(opened.dataset, opened.contract, key=lineage_key(folder))
    return {**_identity(spec, opened, folder), "summary": summary.to_json()}


def _write(folder: RunFolder, name: str, made_from: Mapping[str, Any], release: Path | Address) -> None:
    where = str(release)
    plain = {
        "format": FORMAT,
        "release": where if "://" in where else str(Path(where).resolve()),
        "version": release.name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **made_from,
    }
    path = _path(folder, name)
    with one_at_a_time(path.parent):
        write_json(path, plain)
        path.chmod(0o600)


def recall(folder: RunFolder, name: str) -> LastRelease | None:
    """Return the record of the last release called `name`, or None.

    Raises:
        FlowInputError: it cannot be read.

    """
    path = _path(folder, name)
    try:
        plain: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            return None  # of another version of the code, hence of a release that counts as another one
        fields = {key: value for key, value in plain.items() if key != "format"}
        return LastRelease(**{**fields, "summary": SourceSummary.from_json(fields["summary"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FlowInputError(
            f"{path}: not the record of the last release that was written there",
            seen=type(error).__name__,
            remedy="put the file back, or remove it: the next run then makes a release, and compares it with none",
        ) from None


def _identity(spec: Spec, opened: Opened, folder: RunFolder) -> dict[str, Any]:
    """Return what must be equal for two runs to make the same release in the same place."""
    plain = made_spec(spec)
    plain["publish"].pop("to")
    to = str(place_of(folder.releases))
    return {
        "to": to if "://" in to else str(Path(to).resolve()),
        "source": keyed(opened.fingerprint, lineage_key(folder)),
        "spec": digest_of_json(plain),
        "code": code_digest(),
        "presets_version": PRESETS_VERSION,
    }


@cache
def code_digest() -> str:
    """Return the digest of all our code, and of the versions of the libraries that can change a number."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    digest.update(json.dumps(dependency_versions(), sort_keys=True).encode())
    return digest.hexdigest()


def _path(folder: RunFolder, name: str) -> Path:
    return folder.root / "last" / f"{name}.json"
