"""Paths and URLs as they may be shown: without what opens the door."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?:(?P<user>[^\s/?#]*)@)?(?P<rest>[^\s?#]*)(?P<query>[?#]\S*)?"
)
_SECRET = re.compile(
    r"passw|pwd|secret|token|credential|(api|access|account|private|signing|shared)_?key|signature|connection_string",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """Return `text` in which every URL has lost its password and its query, which signs it or names a user.

    >>> without_credentials("https://ann:pw@host/in/people.csv?sig=1")
    'https://ann@host/in/people.csv'
    """

    def bare(found: re.Match[str]) -> str:
        user = (found["user"] or "").partition(":")[0]
        return found["scheme"] + (f"{user}@" if user else "") + found["rest"]

    return "::".join(_URL.sub(bare, part) for part in text.split("::"))  # fsspec chains URLs so


def without_secrets(plain: Any, *, key: str = "") -> Any:
    """Return plain JSON values without secrets: options of a store, what a key says is one, credentials in URLs.

    >>> without_secrets({"path": "s3://a/b.csv", "options": {"anon": True, "secret": "x"}})
    {'path': 's3://a/b.csv', 'options': {'anon': True, 'secret': '(hidden)'}}
    """
    if isinstance(plain, Mapping):
        inside = key == "options"
        return {name: without_secrets(value, key="options" if inside else name) for name, value in plain.items()}
    if isinstance(plain, list | tuple):
        return [without_secrets(value, key=key) for value in plain]
    if not isinstance(plain, str):
        return plain
    if key == "options" or _SECRET.search(key):
        return HIDDEN
    return without_credentials(plain)
