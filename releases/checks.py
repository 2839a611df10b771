"""What a verification consists of: checks in the order in which they were made."""

from dataclasses import dataclass
from typing import Literal

Trust = Literal["signed", "unchecked", "unsigned"]
"""Signatures by enough of the given keys; signatures, but no key was given; no signature."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Args:
        name: of the thing.
        ok: whether nothing wrong was found.
        words: what was found.
        made: False where a part could not be looked at for want of a library; then `ok` says nothing about that part.

    """

    name: str
    ok: bool
    words: str
    made: bool = True


@dataclass(frozen=True, kw_only=True)
class Verification:
    """All checks of one release.

    Args:
        checks: in their order; the first that fail may keep later ones from being made.
        trust: what the signatures are worth to this recipient; `signed` only where every check of them holds.
        name, version: as the manifest states them.

    """

    checks: tuple[Check, ...]
    trust: Trust = "unsigned"
    name: str = ""
    version: str = ""

    @property
    def ok(self) -> bool:
        """Whether every check holds."""
        return all(check.ok for check in self.checks)


def shown(text: object, most: int = 120) -> str:
    """Return a text from a release that may be hostile as one harmless line of a terminal."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text)[: most + 1])
    return plain if len(plain) <= most else plain[: most - 1] + "…"
