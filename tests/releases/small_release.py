"""Stores for tests, releases of three small files, and a file system whose calls can be made to fail."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec

from releases.manifest import file_entry
from releases.pointer import newest, settle_latest
from releases.remote_store import RemoteStore
from releases.retrying import Retry
from releases.uploading import uploaded_version

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
NAME = "wages"
PATIENT = Retry(attempts=3, sleep=lambda _: None)
CALLS = ("ls", "find", "info", "pipe_file", "put_file", "cat_file", "rm_file")


def write_release(staging: Path, version: str, name: str = NAME) -> None:
    """Write what the catalogue looks at: two files and the manifest that lists them."""
    (staging / "data").mkdir()
    (staging / "data" / "data.csv").write_text(f"a\n{version}\n")
    (staging / "README.md").write_text("# wages\n")
    paths = [path for path in sorted(staging.rglob("*")) if path.is_file()]
    manifest = {
        "format": "understudy release",
        "format_version": 1,
        "name": name,
        "this_run": {"version": version, "created": WHEN.isoformat()},
        "rows": 1,
        "columns": 1,
        "verdict": "PASS",
        "generator": {"family": "tabular.vae"},
        "data_sha256": "00" * 32,
        "files": {path.relative_to(staging).as_posix(): file_entry(path) for path in paths},
    }
    (staging / "MANIFEST.json").write_text(json.dumps(manifest))


def publish_small(store: RemoteStore, name: str = NAME) -> str:
    """Publish a small release and return its version."""
    with uploaded_version(store, name, versioning="number", created=WHEN) as (version, staging):
        write_release(staging, version, name)
    settle_latest(store, name)
    return version


def folder_store(root: Path, system: Any = None) -> RemoteStore:
    """Return a remote store over the local file system of fsspec, below `root`."""
    system = system or fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)
    return RemoteStore(
        system=system, root=str(root / "bucket"), address="test://bucket", retry=PATIENT, staging=root / "staging"
    )


def listed(store: RemoteStore, name: str = NAME) -> str | None:
    """Return the newest complete version."""
    found = newest(store, name)
    return None if found is None else found.version


class Failing:
    """A real file system, whose call number `at` and, where `forever`, all later ones fail.

    Args:
        system: what does the work.
        at: the first call that fails, from 0; None never.
        error: what is raised.
        forever: whether later calls fail as well.
        late: whether the failing call does its work first, as when an answer is lost.

    """

    def __init__(  # noqa: D107 - see the class
        self, system: Any, *, at: int | None, error: type[OSError], forever: bool = False, late: bool = False
    ) -> None:
        self.system = system
        self.at = at
        self.error = error
        self.forever = forever
        self.late = late
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        """Return the file system's own, counted where it is a call to the store."""
        original = getattr(self.system, name)
        return self._counted(original) if name in CALLS else original

    def _counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            number, self.calls = self.calls, self.calls + 1
            bad = self.at is not None and (number == self.at or (self.forever and number > self.at))
            if bad and not self.late:
                raise self.error("injected")
            result = original(*arguments, **named)
            if bad:
                raise self.error("injected, after the work was done")
            return result

        return call
