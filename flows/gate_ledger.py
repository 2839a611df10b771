"""The list of judgements of one root, by source: `<out>/runs/gate_calls.json`, which runs and `understudy judge` share.

A source is named by its keyed HMAC and a judgement by a digest, so the file alone tells nobody what was judged.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from flows.errors import FlowInputError
from flows.run_folder import lineage_key_of, one_at_a_time
from sources.dataset import Dataset, with_hashes
from sources.files import write_json
from sources.fingerprint import keyed
from validators.policy import Policy

FILE_NAME = "gate_calls.json"


def note(root: Path, source: str, calls: Iterable[str]) -> int:
    """Note `calls` under `source` and return how many judgements of this source there were, these included.

    Args:
        root: the folder `runs/`, made when absent.
        source: names the real rows; written as its HMAC alone.
        calls: digests of judgements (`call_of`); one that is known is not counted again.

    Raises:
        FlowInputError: the list is there and cannot be read, or cannot be written.

    """
    try:
        return _noted(root, source, calls)
    except OSError as error:
        raise FlowInputError(
            f"{root}: judgements cannot be counted there",
            seen=error.strerror or type(error).__name__,
            remedy="give a folder that can be written by --out",
        ) from None


def _noted(root: Path, source: str, calls: Iterable[str]) -> int:
    name = keyed(source, lineage_key_of(root))
    with one_at_a_time(root):
        ledger = _read(root / FILE_NAME)
        try:
            known = {*ledger.get(name, []), *calls}
        except TypeError as error:
            raise _spoilt(root / FILE_NAME, error) from None
        write_json(root / FILE_NAME, {**ledger, name: sorted(known)})
    return len(known)


def check(root: Path) -> None:
    """Refuse a list that cannot be read, before anything is judged; make nothing.

    Raises:
        FlowInputError: it is not such a list.

    """
    _read(root / FILE_NAME)


def call_of(rows: str, policy: Policy, *, seed: int | None = None) -> str:
    """Return the digest of one judgement: of these rows (a digest), under this policy, with this seed where it varies.

    A seed that the asker chooses is part of it: who tries seeds until one passes has asked as often.
    """
    words = [rows, json.dumps(policy.to_json(), sort_keys=True), *([] if seed is None else [str(seed)])]
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def rows_digest(part: Dataset) -> str:
    """Return the SHA-256 (hex) over the rows in any order; roles that columns are given change nothing. Private."""
    hashes = pd.util.hash_pandas_object(with_hashes(part), index=False).to_numpy(dtype="<u8", copy=True)
    hashes.sort()
    names = json.dumps(part.schema.names)
    return hashlib.sha256(names.encode() + hashes.tobytes()).hexdigest()


def table_digest(table: pd.DataFrame) -> str:
    """Return the SHA-256 (hex) over the cells of a table that fits no schema, as text."""
    return hashlib.sha256(table.to_csv(index=False).encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: Path) -> dict[str, Any]:
    try:
        ledger = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise _spoilt(path, error) from None
    if not isinstance(ledger, dict):
        raise _spoilt(path, TypeError())
    return ledger


def _spoilt(path: Path, error: Exception) -> FlowInputError:
    return FlowInputError(
        f"{path}: not the list of judgements that was written there",
        seen=type(error).__name__,
        remedy="put the file back, or remove it and say in the release that the count starts anew",
    )
