"""A log of what went wrong in our code: where, never with what data."""

import contextlib
import tempfile
import traceback
from pathlib import Path


def write_log(defect: BaseException) -> Path:
    """Write the places that `defect` came through to a new file in the temporary folder, and return it.

    Messages and local values are left out: an exception of a library may quote cells of the source.
    """
    chain: list[str] = []
    current: BaseException | None = defect
    while current is not None:
        frames = traceback.extract_tb(current.__traceback__)
        chain += [f"{type(current).__module__}.{type(current).__qualname__}", *_places(frames)]
        current = current.__cause__ or current.__context__
    with contextlib.closing(
        tempfile.NamedTemporaryFile("w", prefix="understudy-", suffix=".log", delete=False, encoding="utf-8")
    ) as file:
        file.write("\n".join(chain) + "\n")
    return Path(file.name)


def _places(frames: traceback.StackSummary) -> list[str]:
    return [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
