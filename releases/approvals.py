"""Approvals: who let a release out, asked by whom, and why; they stand in the manifest and are signed with it."""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MOST_NAME_CHARS = 80
MOST_REASON_CHARS = 500


@dataclass(frozen=True, kw_only=True)
class Approval:
    """One approval; all of it is public.

    Args:
        request: the random id of what was asked, so that one request is published once.
        requested_by, by: names as people gave them.
        requested, approved: moments, ISO 8601 in UTC.
        reason: the approver's words.
        key_id: the key that the approver signed with, or None: then the name is a claim of the publisher.

    """

    request: str
    requested_by: str
    requested: str
    by: str
    approved: str
    reason: str
    key_id: str | None = None

    @property
    def by_requester(self) -> bool:
        """Whether the same person asked and approved, as far as names tell."""
        return same_person(self.by, self.requested_by)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Approval":
        """Return the approval that `to_json` wrote; TypeError or ValueError when it is none."""
        approval = cls(**plain)
        texts = [value for name, value in plain.items() if name != "key_id" or value is not None]
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError("not an approval")
        return approval


def same_person(one: str, other: str) -> bool:
    """Return whether two names may be one person's; in doubt they are.

    Case, spaces and the way accents are encoded do not tell people apart, nor does what follows an @: the machine that
    somebody asked from, or the domain of an address.

    >>> same_person("Ann@laptop", "ann"), same_person("ann", "ben")
    (True, False)
    """
    return _core(one) == _core(other)


def _core(name: str) -> str:
    plain = "".join(unicodedata.normalize("NFKC", name).casefold().split())
    return plain.partition("@")[0] or plain
