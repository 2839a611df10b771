import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from releases import uploading
from releases.errors import ReleaseInputError
from releases.pointer import read_version, settle_latest
from releases.remote_store import RemoteStore, StoreFailed
from releases.stores import open_store
from releases.uploading import CLAIM_LASTS, uploaded_version
from tests.releases.small_release import (
    NAME,
    PATIENT,
    WHEN,
    Failing,
    folder_store,
    listed,
    publish_small,
    write_release,
)

ROOT = Path(__file__).resolve().parents[2]


def files_of(store: RemoteStore) -> set[str]:
    return set(store.sizes(NAME))


def whole(*versions: str) -> set[str]:
    return {f"{version}/{path}" for version in versions for path in ("MANIFEST.json", "README.md", "data/data.csv")}


def test_a_version_is_uploaded_with_its_pointer_and_leaves_neither_claim_nor_staging(tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    assert (publish_small(store), publish_small(store)) == ("1", "2")
    assert files_of(store) == whole("1", "2") | {"latest.json"}
    pointer = json.loads(store.read(f"{NAME}/latest.json", most_bytes=10_000))
    assert (pointer["version"], pointer["manifest"]) == ("2", "2/MANIFEST.json")
    assert [path.name for path in (tmp_path / "staging").iterdir()] == [".lock"]


def test_the_manifest_is_the_last_file_of_a_version(tmp_path: Path) -> None:
    order: list[str] = []

    class Watched:
        def __init__(self, system: Any) -> None:
            self.system = system

        def __getattr__(self, name: str) -> Any:
            original = getattr(self.system, name)
            if name not in ("pipe_file", "put_file"):
                return original

            def call(first: Any, second: Any, **named: Any) -> Any:
                order.append(str(second if name == "put_file" else first).partition("/bucket/")[2])
                return original(first, second, **named)

            return call

    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)
    publish_small(folder_store(tmp_path, Watched(system)))
    assert order[0].startswith(f"{NAME}/.writing-1")
    assert order[-2:] == [f"{NAME}/1/MANIFEST.json", f"{NAME}/latest.json"]
    assert set(order[1:-2]) == {f"{NAME}/1/README.md", f"{NAME}/1/data/data.csv"}


FAULTS = {
    "an error that passes": (ConnectionResetError, {}),
    "an answer that is lost": (ConnectionResetError, {"late": True}),
    "no connection from then on": (ConnectionResetError, {"forever": True}),
    "no answers from then on": (ConnectionResetError, {"forever": True, "late": True}),
    "a right that is missing once": (PermissionError, {}),
    "no rights from then on": (PermissionError, {"forever": True}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_at_any_call_leaves_a_half_release(fault: str, tmp_path: Path) -> None:
    """Fail the k-th call for every k; then publish in peace, which succeeds and leaves no rubbish."""
    error, how = FAULTS[fault]
    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)
    counting = Failing(system, at=None, error=error)
    publish_small(folder_store(tmp_path / "count", counting))
    assert counting.calls >= 25
    messages: list[str] = []
    for at in range(counting.calls):
        healthy = folder_store(tmp_path / str(at), system)
        failing = replace(healthy, system=Failing(system, at=at, error=error, **how))  # type: ignore[arg-type]
        try:
            version = publish_small(failing)
        except ReleaseInputError as caught:
            messages.append(str(caught))
            version = ""
        seen = listed(healthy)
        assert seen == version or (not version and seen in (None, "1")), (at, seen, version)
        if seen is None:
            assert all(read_version(healthy, NAME, str(number)) is None for number in range(1, 4))
        later = publish_small(healthy)
        assert listed(healthy) == later
        assert files_of(healthy) == whole(later, *([seen] if seen else [])) | {"latest.json"} | (
            {"1/MANIFEST.json"} if not seen and later != "1" else set()
        ), at
        assert json.loads(healthy.read(f"{NAME}/latest.json", most_bytes=10_000))["version"] == later
    expected = 0 if fault in ("an error that passes", "an answer that is lost") else 1
    assert (len(messages) > 0) == bool(expected)
    assert not [message for message in messages if "injected" in message]


def test_what_arrives_changed_is_sent_again_and_never_published(tmp_path: Path) -> None:
    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)

    class Corrupting:
        """Turns a byte of what is put, `times` times."""

        def __init__(self, times: int) -> None:
            self.times = times

        def __getattr__(self, name: str) -> Any:
            return getattr(system, name)

        def put_file(self, local: str, path: str, **named: Any) -> None:
            system.put_file(local, path, **named)
            if self.times:
                self.times -= 1
                data = Path(path).read_bytes()
                Path(path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    assert publish_small(folder_store(tmp_path / "once", Corrupting(1))) == "1"
    with pytest.raises(StoreFailed, match="did not upload") as caught:
        publish_small(folder_store(tmp_path / "always", Corrupting(99)))
    assert caught.value.seen == "ChangedOnTheWay"
    assert listed(folder_store(tmp_path / "always")) is None


def test_a_store_that_does_not_write_over_a_file_is_sent_a_torn_one_again(tmp_path: Path) -> None:
    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)

    class Jealous:
        """Keeps half of what is put first, and lets nobody write over it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(system, name)

        def put_file(self, local: str, path: str, **named: Any) -> None:
            if Path(path).exists():
                raise FileExistsError(path)
            system.put_file(local, path, **named)
            if path.endswith("README.md") and not (tmp_path / "torn").exists():
                (tmp_path / "torn").touch()
                Path(path).write_bytes(b"#")
                raise ConnectionResetError

    store = folder_store(tmp_path, Jealous())
    assert publish_small(store) == "1"
    assert store.read(f"{NAME}/1/README.md", most_bytes=99) == b"# wages\n"


def test_a_file_that_vanishes_while_it_is_sent_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="did not upload 1/a"):
        folder_store(tmp_path).upload("1/a", tmp_path / "gone")


def test_missing_rights_are_told_at_once_and_not_tried_again(tmp_path: Path) -> None:
    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)
    failing = Failing(system, at=0, error=PermissionError, forever=True)
    with pytest.raises(StoreFailed) as caught:
        folder_store(tmp_path, failing).check_writable()
    assert failing.calls == 1
    assert "lack a right" in str(caught.value.remedy)


def test_a_kill_of_the_block_that_makes_the_files_frees_the_number(tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    with (
        pytest.raises(ZeroDivisionError),
        uploaded_version(store, NAME, versioning="number", created=WHEN) as (version, _),
    ):
        raise ZeroDivisionError(version)
    assert files_of(store) == set()
    assert publish_small(store) == "1"


def test_versions_by_time_get_a_counter_when_the_moment_is_taken(tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    names = []
    for _ in range(2):
        with uploaded_version(store, NAME, versioning="time", created=WHEN) as (version, staging):
            write_release(staging, version)
        names.append(version)
    assert names == ["20260304T050607Z", "20260304T050607Z-2"]


def test_a_writer_that_was_taken_for_dead_gets_an_error_and_no_release(tmp_path: Path) -> None:
    """Another machine gives the version up while the writer still uploads: the manifest can no longer come."""
    slow, other = folder_store(tmp_path), replace(folder_store(tmp_path), staging=tmp_path / "elsewhere")
    with (  # noqa: PT012 - what happens meanwhile is the point
        pytest.raises(StoreFailed, match="abandoned"),
        uploaded_version(slow, NAME, versioning="number", created=WHEN) as (version, staging),
    ):
        write_release(staging, version)
        claim = json.loads(other.read(f"{NAME}/.writing-1.json", most_bytes=10_000))
        old = datetime.now(UTC) - CLAIM_LASTS - timedelta(minutes=1)
        other.replace(f"{NAME}/.writing-1.json", json.dumps({**claim, "claimed": old.isoformat()}).encode())
        assert publish_small(other) == "2"
    assert listed(slow) == "2"
    assert files_of(slow) == whole("2") | {"1/MANIFEST.json", "latest.json"}


def test_a_writer_elsewhere_is_left_alone_until_its_claim_is_old(tmp_path: Path) -> None:
    store, other = folder_store(tmp_path), replace(folder_store(tmp_path), staging=tmp_path / "elsewhere")
    with uploaded_version(store, NAME, versioning="number", created=WHEN) as (version, staging):
        write_release(staging, version)
        assert publish_small(other) == "2"
    settle_latest(store, NAME)
    assert files_of(store) == whole("1", "2") | {"latest.json"}
    assert json.loads(store.read(f"{NAME}/latest.json", most_bytes=10_000))["version"] == "2"


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"token": "../..", "machine": 1, "claimed": "2020-01-01"}'])
def test_a_claim_that_cannot_be_read_only_takes_its_number(content: bytes, tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    store.replace(f"{NAME}/.writing-1.json", content)
    assert publish_small(store) == "2"
    assert ".writing-1.json" in files_of(store)


@pytest.fixture
def bucket(s3_server: str, tmp_path: Path) -> Callable[..., RemoteStore]:
    """Return a function that opens a bucket of its own on the S3 server."""
    name = "b" + hashlib.sha256(str(tmp_path).encode()).hexdigest()[:20]

    def opened(*, make: bool = False, staging: str = "staging") -> RemoteStore:
        options = {"endpoint_url": s3_server, "key": "$STORE_KEY", "secret": "$STORE_SECRET"}
        store = open_store(
            f"s3://{name}/releases", options=options, staging=tmp_path / staging, retry=replace(PATIENT, attempts=4)
        )
        assert isinstance(store, RemoteStore)
        if make:
            store.system.mkdir(name)
        return store

    opened(make=True)
    return opened


def test_s3_keeps_the_promise_of_create(bucket: Callable[..., RemoteStore]) -> None:
    store = bucket().check_writable()
    assert store.conditional
    assert store.entries("") == {}
    store.create("a", b"1")
    store.create("a", b"1")  # ours, as after a lost answer
    with pytest.raises(FileExistsError):
        store.create("a", b"2")
    assert store.read("a", most_bytes=10) == b"1"


def test_writers_at_once_on_s3_get_one_number_each(bucket: Callable[..., RemoteStore]) -> None:
    gate = threading.Barrier(3)

    def write(number: int) -> str:
        store = bucket(staging=f"staging-{number % 2}")  # two machines, two writers on each
        gate.wait()
        return publish_small(store)

    with ThreadPoolExecutor(3) as pool:
        versions = sorted(pool.map(write, range(3)))
    assert versions == ["1", "2", "3"]
    store = bucket()
    assert files_of(store) == whole(*versions) | {"latest.json"}
    for version in versions:
        found = read_version(store, NAME, version)
        assert found is not None
        assert found.flaw == ""
        assert store.read(f"{NAME}/{version}/data/data.csv", most_bytes=99) == f"a\n{version}\n".encode()
    assert json.loads(store.read(f"{NAME}/latest.json", most_bytes=10_000))["version"] == "3"


def test_a_store_that_ignores_the_condition_is_found_out(tmp_path: Path) -> None:
    system = fsspec.filesystem("file", auto_mkdir=True, skip_instance_cache=True)

    class Ignoring:
        def __getattr__(self, name: str) -> Any:
            return getattr(system, name)

        def pipe_file(self, path: str, data: bytes, mode: str = "overwrite") -> None:
            del mode
            system.pipe_file(path, data)

    store = folder_store(tmp_path, Ignoring()).check_writable()
    assert not store.conditional
    assert publish_small(store) == "1"
    with pytest.raises(FileExistsError):
        store.create(f"{NAME}/1/MANIFEST.json", b"other")


KILLED = """
import os, signal, sys
from pathlib import Path
from releases.stores import open_store
from tests.releases.small_release import publish_small

endpoint, url, staging, die_at = sys.argv[1:]
options = {"endpoint_url": endpoint, "key": "$STORE_KEY", "secret": "$STORE_SECRET"}
for die in die_at.split(","):
    if os.fork():
        os.wait()
        continue
    store = open_store(url, options=options, staging=Path(staging))
    calls = 0
    for name in ("pipe_file", "put_file", "cat_file", "rm_file"):
        def counted(*arguments, _original=getattr(store.system, name), **named):
            global calls
            if calls == int(die):
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1
            return _original(*arguments, **named)
        setattr(store.system, name, counted)
    print(publish_small(store), flush=True)
    os._exit(0)
"""


def test_a_kill_between_uploads_to_s3_leaves_nothing_that_looks_like_a_release(
    bucket: Callable[..., RemoteStore], s3_server: str, tmp_path: Path
) -> None:
    moments = ["0", "3", "5", "7", "8", "99"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, s3_server, bucket().address, str(tmp_path / "staging"), ",".join(moments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (last,) = done.stdout.split()  # all but the last were killed
    store = bucket()
    complete = [v for v in store.entries(NAME) if (found := read_version(store, NAME, v)) and not found.flaw]
    assert last in complete
    assert listed(store) == last
    notes = {f"{number}/MANIFEST.json" for number in range(1, int(last))}
    assert files_of(store) <= whole(*complete) | notes | {"latest.json"}
    assert len(files_of(store) - whole(*complete)) >= 3, "some writers were killed in the middle"
    assert [path.name for path in (tmp_path / "staging").iterdir()] == [".lock"]


def test_no_lock_outlives_its_writer(tmp_path: Path) -> None:
    held = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        import fcntl  # noqa: PLC0415

        lock = held.open("a")
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert not uploading._is_held(held)
