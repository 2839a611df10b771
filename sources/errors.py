"""Errors that a user can act on, and the base of this room's own.

`UserError` is the user branch of every room: each room derives its own class from its base and from
`UserError`, and the command line turns any of them into one message and exit code 2.
"""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input or usage: what is wrong, the value that was seen, what to do about it.

    Args:
        what: the fact, beginning with the place (`spec.yaml: schema.columns.age: no such column`).
        seen: the value seen, or None. Never a cell of the source: give a count and a row number instead.
        remedy: what the user can do, or None.

    """

    def __init__(self, what: str, *, seen: object = None, remedy: str | None = None) -> None:
        """Keep the three parts apart, so that each front end can lay them out."""
        super().__init__(what)
        self.what = what
        self.seen = seen
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message as the terminal shows it: the fact, then the value, then the remedy."""
        lines = [self.what]
        if self.seen is not None:
            lines.append(f"seen: {self.seen}")
        if self.remedy is not None:
            lines.append(f"remedy: {self.remedy}")
        return "\n".join(lines)


class SourceError(Exception):
    """Base of what this room raises."""


class SourceInputError(SourceError, UserError):
    """A source, schema or split that the user must change."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the known name nearest to `name`, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""
