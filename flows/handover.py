"""What is too large for a scheduler's messages goes between processes as a private file in the run folder.

A file is written once, named by its content, read with its hash checked, and gone when the run has ended. Pickle is
what Prefect's task runners move values with as well, and the file lies where only runs write; it is no model and is
never published.
"""

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.errors import FlowInputError
from sources.files import write_bytes

FOLDER = "handover"


@contextmanager
def handing_over(folder: Path) -> Iterator[Callable[[Any], dict[str, str]]]:
    """Yield a function that hands a value over and returns its reference, in plain JSON; the files end with the block.

    Args:
        folder: of the run; on several machines it must lie where all of them see it.

    """
    place = folder.resolve() / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)

    def put(value: Any) -> dict[str, str]:
        data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        digest = hashlib.sha256(data).hexdigest()
        path = place / f"{digest[:16]}.pickle"
        write_bytes(path, data)
        return {"path": str(path), "sha256": digest}

    try:
        yield put
    finally:
        shutil.rmtree(place, ignore_errors=True)


def taken(reference: dict[str, str]) -> Any:
    """Return what was handed over.

    Raises:
        FlowInputError: this process does not see the file, or another one lies there.

    """
    path = Path(reference["path"])
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FlowInputError(
            f"{path}: a worker does not see the run's folder",
            seen=error.strerror,
            remedy="give --out a folder that all machines of the cluster share under one path",
        ) from None
    if hashlib.sha256(data).hexdigest() != reference["sha256"]:
        raise FlowInputError(f"{path}: another file than the one handed over", remedy="run again")
    return pickle.loads(data)  # noqa: S301 - written by this run, its hash is checked
