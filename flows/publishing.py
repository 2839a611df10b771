"""Where a spec's releases go: the folder or the store is opened, and written to, before anything is trained."""

from pathlib import Path

from flows.judging import check_folder
from flows.spec import Spec
from releases.remote_store import RemoteStore
from releases.stores import Store, open_store


def releases_of(spec: Spec, out: Path, *, staging: Path) -> Path | RemoteStore:
    """Return the folder of all releases, or the store of them after a small file was written there and removed.

    Args:
        spec: its name and `publish` are used.
        out: what relative folders are relative to.
        staging: the local folder in which versions are made whole before they are uploaded.

    Raises:
        UserError: it cannot be reached or written, or it asks for a library that is not installed.

    """
    store = store_of(spec, out, staging=staging)
    if isinstance(store, RemoteStore):
        return store.check_writable()
    folder = Path(store.address)
    check_folder(folder / spec.name, option="publish.to")
    return folder


def store_of(spec: Spec, out: Path, *, staging: Path | None = None) -> Store:
    """Return the store that the spec publishes to, without reaching it.

    Raises:
        UserError: it asks for a library that is not installed, or for no store at all.

    """
    return open_store(spec.publish.to, base=out, options=spec.publish.options, staging=staging, place="publish.to")
