"""One hash for a dataset's content, the same in every process and whatever file type it came from."""

import hashlib
import hmac
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.schema import Column, Schema

_UNSAID = ("description", "unit", "missing_marks")  # words for the card, and marks of cells that are missing now
_LATER = ("pii", "locale", "shape")  # said by few columns; silent ones have the fingerprint that they had before


def fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256 (hex) over the schema and the cells; the order of rows and of columns counts.

    It is private: who can guess the data can confirm the guess with it. For the public see `keyed`.
    """
    digest = hashlib.sha256()
    _update(digest, b"schema", _schema_bytes(dataset.schema))
    _update(digest, b"rows", str(len(dataset)).encode())
    for column in dataset.schema.columns:
        _update(digest, b"column", column.name.encode("utf-8", "surrogatepass"))
        for part in _cells(dataset.frame[column.name], column):
            _update(digest, b"cells", part)
    for name in sorted(dataset.media):
        array = np.ascontiguousarray(dataset.media[name])
        _update(digest, b"media", f"{name}:{array.dtype.str}:{array.shape}".encode("utf-8", "surrogatepass"))
        _update(digest, b"pixels", array.tobytes())
    return digest.hexdigest()


def keyed(dataset_fingerprint: str, key: bytes) -> str:
    """Return HMAC-SHA-256 (hex) of a fingerprint: it binds a release to its source for those who hold `key` alone."""
    assert len(key) >= 16, "a key shorter than 16 bytes can be guessed"  # noqa: PLR2004
    return hmac.new(key, dataset_fingerprint.encode(), hashlib.sha256).hexdigest()


def _update(digest: Any, label: bytes, data: bytes) -> None:
    digest.update(label + len(data).to_bytes(8, "big"))
    digest.update(data)


def _schema_bytes(schema: Schema) -> bytes:
    plain = asdict(schema)
    for column in plain["columns"]:
        for key in _UNSAID:
            del column[key]
        for key in _LATER:
            if column[key] is None:
                del column[key]
    if not plain["dropped"]:
        del plain["dropped"]
    return json.dumps(plain, sort_keys=True, ensure_ascii=True).encode()


def _cells(values: pd.Series, column: Column) -> tuple[bytes, ...]:
    if column.kind == "numeric":
        numbers = values.to_numpy(dtype="<f8", copy=True) + 0.0  # -0.0 is 0.0
        numbers[np.isnan(numbers)] = np.nan  # one NaN of the many
        return (numbers.tobytes(),)
    if column.kind == "datetime":
        return (values.to_numpy().astype("datetime64[us]").astype("<i8").tobytes(),)
    if column.kind == "boolean":
        return (values.astype("Int8").fillna(-1).to_numpy(dtype="<i1").tobytes(),)
    if column.kind == "image":
        return ()
    codes, uniques = pd.factorize(values)  # in the order of appearance
    texts = [str(text).encode("utf-8", "surrogatepass") for text in uniques]
    lengths = np.array([len(text) for text in texts], dtype="<i8").tobytes()
    return (codes.astype("<i8").tobytes(), lengths, b"".join(texts))
