"""Text of strangers on a terminal: shown literally, on one line, never obeyed."""

from collections.abc import Sequence

MOST_CHARS = 120


def shown(text: object, most: int = MOST_CHARS) -> str:
    r"""Return `text` with everything that a terminal may obey written out, and cut to `most` characters.

    Control characters, line breaks, marks that turn the direction of writing and lone surrogates are written as
    escapes; other characters, also of other scripts, stay.

    >>> print(shown("wages\x1b[2J\u202egnp.exe"))
    wages\x1b[2J\u202egnp.exe
    """
    plain = "".join(sign if sign.isprintable() else _escaped(sign) for sign in str(text)[: most + 1])
    return plain if len(plain) <= most else plain[: most - 1] + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> list[str]:
    """Return the lines of a table with aligned columns; those named in `right` are set to the right."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(
            f"{cell:>{width}}" if name in right else f"{cell:<{width}}"
            for cell, width, name in zip(row, widths, head, strict=True)
        ).rstrip()
        for row in (head, *rows)
    ]


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004
