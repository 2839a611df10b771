"""What one column is, by its distinct values: one reader for each physical form.

A reader returns the column and the reason in words; it raises `SourceInputError` where the spec wants a kind that the
cells cannot be. No message holds a cell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sources import moments, numbers, words
from sources.cells import NUMBER, Cells, Physical, label_of
from sources.errors import SourceInputError
from sources.images import words_of
from sources.overrides import ColumnOverrides
from sources.schema import Column, Kind, Storage

MOST_NAMED = 5
_INFINITE = frozenset({"inf", "-inf", "+inf", "infinity", "-infinity", "+infinity"})
_STORAGE: dict[str, Storage] = {"int": "int64", "float": "float64", "bool": "bool", "timestamp": "timestamp"}


@dataclass(kw_only=True)
class Draft:
    """A column while it is examined.

    Args:
        name: the column's name.
        cells: its cells in their physical form.
        wishes: what the spec says about it.
        place: where the spec says it, for messages.
        notes: remarks for a person, added while reading.
        unique: no two cells that are not missing agree; set while reading.

    """

    name: str
    cells: Cells
    wishes: ColumnOverrides
    place: str
    notes: list[str]
    unique: bool = False


def read(draft: Draft) -> tuple[Column, str]:
    """Return the column (without role and rules) and the reason for its kind."""
    return _READERS[draft.cells.physical](draft)


def _empty(draft: Draft) -> tuple[Column, str]:
    if draft.wishes.kind is None:
        raise SourceInputError(
            f'column "{draft.name}": every cell is missing',
            remedy=f"leave it out ({draft.place}.drop: true), or say what it is: {draft.place}.kind",
        )
    kind = draft.wishes.kind
    storage: dict[Kind, Storage] = {"numeric": "float64", "boolean": "bool", "datetime": "timestamp"}
    marks = draft.wishes.missing_marks or _marks_present(draft)
    return Column(name=draft.name, kind=kind, storage=storage.get(kind, "string"), missing_marks=marks), ""


def _marks_present(draft: Draft) -> tuple[str, ...]:
    if draft.cells.physical != "text":
        return ()
    return tuple(sorted({text.strip() for text in draft.cells.series.dropna().unique()} - {""}))


def _from_bool(draft: Draft) -> tuple[Column, str]:
    if draft.cells.series.isna().all():
        return _empty(draft)
    kind = draft.wishes.kind or "boolean"
    if kind == "datetime":
        raise _cannot(draft, "truth values are no dates")
    if kind == "numeric":
        return Column(name=draft.name, kind=kind, integer=True, decimals=0, storage="int64"), ""
    return Column(name=draft.name, kind=kind, storage="bool" if kind == "boolean" else "string"), "truth values"


def _from_moments(draft: Draft) -> tuple[Column, str]:
    if draft.cells.series.isna().all():
        return _empty(draft)
    kind = draft.wishes.kind or "datetime"
    if kind in ("numeric", "boolean"):
        raise _cannot(draft, "its cells are dates")
    if kind != "datetime":
        return Column(name=draft.name, kind=kind, storage="string"), ""
    storage: Storage = "date" if draft.cells.physical == "date" else "timestamp"
    return Column(name=draft.name, kind=kind, storage=storage, timezone=draft.cells.timezone), "dates"


def _from_numbers(draft: Draft) -> tuple[Column, str]:
    counts = draft.cells.series.value_counts(dropna=True)
    if len(counts) == 0:
        return _empty(draft)
    storage = _STORAGE[draft.cells.physical]
    infinite = np.isinf(draft.cells.series.to_numpy()) if storage == "float64" else np.zeros(0, dtype=bool)
    if infinite.any():
        raise _infinite(draft, infinite)
    return _number_column(draft, counts.index.to_list(), counts.to_numpy(), storage, marks=())


def _from_text(draft: Draft) -> tuple[Column, str]:
    counts = draft.cells.series.value_counts(dropna=True)
    distinct = counts.index.to_list()
    marks = draft.wishes.missing_marks
    if marks is None:
        marks = words.marks_of(distinct, lambda texts: _all_numbers(texts) or moments.form_of(texts) is not None)
    counts = counts[[bool(text.strip()) and text.strip() not in marks for text in distinct]]
    rest = counts.index.to_list()
    if not rest:
        return _empty(draft)
    if marks:
        draft.notes.append("read as missing: " + ", ".join(f'"{mark}"' for mark in marks))
    rows = counts.to_numpy()
    draft.unique = len(rest) == int(rows.sum())
    wanted = draft.wishes.kind
    if wanted in (None, "numeric"):
        _refuse_infinite_texts(draft, rest)
    if wanted in (None, "numeric", "categorical", "boolean", "id") and not draft.cells.declared and _all_numbers(rest):
        whole = all(text.strip().lstrip("-").isdigit() for text in rest)
        values = [int(text) if whole else float(text) for text in rest]
        form = _compact_dates(draft, values)
        if form is None:
            return _number_column(draft, values, rows, "int64" if whole else "float64", marks=marks)
    return _word_column(draft, rest, rows, marks)


def _word_column(draft: Draft, rest: list[str], rows: np.ndarray, marks: tuple[str, ...]) -> tuple[Column, str]:
    wanted = draft.wishes.kind
    base = Column(name=draft.name, kind="text", missing_marks=marks)
    if wanted == "numeric":
        misfits = sum(int(count) for text, count in zip(rest, rows, strict=True) if not NUMBER.fullmatch(text.strip()))
        raise _cannot(draft, f"{misfits:,} cells are no numbers (or hold more digits than a number can)")
    truth = draft.wishes.truth or _truth_of(rest)
    if wanted == "boolean" and (truth is None or not {text.strip() for text in rest} <= set(truth)):
        raise _cannot(draft, "it needs two labels; name them in `truth: [no, yes]`")
    if truth is not None and (wanted == "boolean" or (wanted is None and _says_true(rest))):
        plain = _says_true(rest)
        return replace(
            base, kind="boolean", storage="bool" if plain else "string", truth=None if plain else truth
        ), "true and false"
    if wanted in (None, "datetime"):
        form = _form(draft, rest)
        if form is not None:
            if form.ambiguous and draft.wishes.datetime_format is None:
                draft.notes.append(
                    f"day and month could be exchanged; read as {form.format}, set datetime_format to change it"
                )
            storage: Storage = "string" if form.format else "date" if form.only_dates else "timestamp"
            return replace(
                base, kind="datetime", storage=storage, timezone=form.timezone, datetime_format=form.format
            ), "dates in text"
        if wanted == "datetime":
            raise _cannot(draft, "not all cells are dates in one known form; give `datetime_format`")
    kind, reason = words.kind_of_words(draft.name, rest, int(rows.sum()), declared=draft.cells.declared)
    numeric = sum(int(count) for text, count in zip(rest, rows, strict=True) if NUMBER.fullmatch(text.strip()))
    if wanted is None and 2 * numeric > int(rows.sum()) and numeric < int(rows.sum()):
        draft.notes.append(f"{numeric:,} of {int(rows.sum()):,} cells are numbers; the others keep it from being one")
    elif wanted is None and kind == "text" and words.quantities(rest):
        draft.notes.append("its cells look like amounts or times of day; written as plain numbers they are modelled")
    return replace(base, kind=wanted or kind), reason


def _number_column(
    draft: Draft, values: list[Any], rows: np.ndarray, storage: Storage, *, marks: tuple[str, ...]
) -> tuple[Column, str]:
    wishes = draft.wishes
    num_rows = int(rows.sum())
    draft.unique = len(values) == num_rows
    compact = _compact_dates(draft, values)
    base = Column(name=draft.name, kind="numeric", storage=storage, missing_marks=marks)
    if compact is not None:
        return replace(base, kind="datetime", datetime_format=compact), "whole numbers that are dates"
    if wishes.kind == "datetime":
        raise _cannot(draft, "its numbers are no dates; give `datetime_format`")
    if storage == "int64" and not numbers.fits_int64(values):
        base = replace(base, storage="string")
    shape = numbers.shape_of(values)
    if wishes.kind is None:
        kind, reason = numbers.kind_of_numbers(draft.name, values, num_rows, declared=draft.cells.declared)
    else:
        kind, reason = wishes.kind, ""
    if kind == "boolean":
        if set(values) <= {0, 1}:
            return replace(base, kind=kind), reason
        truth = wishes.truth
        if truth is None or not {label_of(value) for value in values} <= set(truth):
            raise _cannot(draft, "it needs two labels; name them in `truth: [1, 2]`, false first")
        return replace(base, kind=kind, truth=truth), reason
    if kind != "numeric":
        return replace(base, kind=kind), reason
    if not shape.exact:
        raise _cannot(draft, "whole numbers beyond 2^53 would lose digits; choose id or categorical")
    integer = shape.whole if wishes.integer is None else wishes.integer
    decimals = (0 if integer else shape.decimals) if wishes.decimals is None else wishes.decimals
    if integer and not shape.whole:
        raise _cannot(draft, "not all of its numbers are whole; leave `integer` out")
    unit = "s" if draft.cells.notes and "seconds" in draft.cells.notes[0] else ""
    whole_storage: Storage = "float64" if base.storage == "int64" and not integer else base.storage
    return replace(base, integer=integer, decimals=decimals, storage=whole_storage, unit=unit), reason


def _all_numbers(texts: list[str]) -> bool:
    """Return whether all texts are numbers that float64 holds (whole ones of any size, for ids)."""
    for text in texts:
        bare = text.strip()
        if not NUMBER.fullmatch(bare) or not np.isfinite(float(bare)):
            return False
    return bool(texts)


def _compact_dates(draft: Draft, values: list[Any]) -> str | None:
    """Return the form of whole numbers that are dates (20261121), where the name or the spec says they are."""
    wishes = draft.wishes
    if wishes.kind not in (None, "datetime"):
        return None
    named = any(word in draft.name.lower() for word in ("date", "day", "datum"))
    if wishes.kind is None and not named:
        return None
    form = wishes.datetime_format or "%Y%m%d"
    texts = [label_of(value) for value in values]
    if wishes.datetime_format is None and not all(len(text) == 8 and text[:2] in ("18", "19", "20") for text in texts):  # noqa: PLR2004
        return None
    return form if all(moments.read(text, form) is not None for text in texts) else None


def _form(draft: Draft, rest: list[str]) -> moments.Form | None:
    wanted = draft.wishes.datetime_format
    if wanted is None:
        return moments.form_of(rest)
    if any(moments.read(text, wanted) is None for text in rest):
        return None
    return moments.Form(format=wanted, only_dates="%H" not in wanted and "%I" not in wanted)


_PAIRS = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("0", "1"), ("off", "on"))


def _truth_of(rest: list[str]) -> tuple[str, str] | None:
    """Return the texts for false and true, where the column has one well-known pair of them."""
    texts = {text.strip() for text in rest}
    for no, yes in _PAIRS:
        if {text.lower() for text in texts} == {no, yes} and len(texts) == 2:  # noqa: PLR2004 - a pair
            return next(text for text in texts if text.lower() == no), next(
                text for text in texts if text.lower() == yes
            )
    return None


def _says_true(rest: list[str]) -> bool:
    return {text.strip().lower() for text in rest} == {"true", "false"}


def _refuse_infinite_texts(draft: Draft, rest: list[str]) -> None:
    finite = [text for text in rest if text.strip().lower() not in _INFINITE]
    if len(finite) < len(rest) and (not finite or _all_numbers(finite)):
        texts = draft.cells.series
        raise _infinite(
            draft, texts.map(lambda text: isinstance(text, str) and text.strip().lower() in _INFINITE).to_numpy()
        )


def _infinite(draft: Draft, infinite: np.ndarray) -> SourceInputError:
    return SourceInputError(
        f'column "{draft.name}": infinite numbers in {int(infinite.sum()):,} cells, the first in row '
        f"{int(np.argmax(infinite)) + 1:,}",
        remedy="replace them by the missing mark or by a number in the source",
    )


def _cannot(draft: Draft, why: str) -> SourceInputError:
    return SourceInputError(f"{draft.place}.kind: cannot be {draft.wishes.kind or 'numeric'}: {why}")


def _from_images(draft: Draft) -> tuple[Column, str]:
    """Return the column of pictures, which must be alike."""
    if draft.wishes.kind not in (None, "image"):
        raise _cannot(draft, "its cells are pictures")
    cells = draft.cells.series
    if cells.isna().any():
        raise SourceInputError(
            f'column "{draft.name}": a picture is missing in {int(cells.isna().sum()):,} rows',
            remedy="leave these rows out of the source",
        )
    kinds = {(cell.pixels.shape, str(cell.pixels.dtype)): words_of(cell.pixels) for cell in cells}
    if len(kinds) > 1:
        raise SourceInputError(
            f'column "{draft.name}": its pictures are not alike',
            seen="; ".join(list(kinds.values())[:MOST_NAMED]),
            remedy="set source.resize: [height, width], or source.mode: RGB (or L)",
        )
    (shape, depth), words_ = next(iter(kinds.items()))
    storage: Storage = "uint8" if depth == "uint8" else "uint16"
    return Column(name=draft.name, kind="image", storage=storage, shape=shape), f"pictures, {words_}"


_READERS: dict[Physical, Callable[[Draft], tuple[Column, str]]] = {
    "empty": _empty,
    "bool": _from_bool,
    "int": _from_numbers,
    "float": _from_numbers,
    "timestamp": _from_moments,
    "date": _from_moments,
    "text": _from_text,
    "image": _from_images,
}
