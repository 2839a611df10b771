"""`understudy sample`: rows from a fitted model. They have not been judged, and stay where the model is."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from flows.candidates import family_of
from flows.errors import Exit, FlowInputError
from flows.judging import check_folder
from flows.opening import names_of
from flows.pictures import has_pictures
from flows.progress import narrator
from generators.base import Synthesizer
from generators.registry import SYNTHESIZERS
from sources.conform import conform_loosely
from sources.errors import did_you_mean
from sources.picture_folder import image_column_of, write_folder
from sources.schema import Schema
from sources.storage import Format, to_storage, write_table
from sources.synthetic_mark import XMP

FORMATS: Mapping[str, Format] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}
PICTURE_PLACES = ("", ".zip")
"""Suffixes of a folder and an archive of pictures."""


def sample_command(model: str, rows: int, output: Path, *, given: Sequence[str], seed: int, force: bool) -> Exit:
    """Draw `rows` rows from the model in the folder `model` into the file `output`.

    Raises:
        UserError: no model is there, a condition means nothing, or the file cannot be written.

    """
    suffix = check_output(output, force=force, pictures=True)
    synthesizer = load_model(Path(model))
    schema = synthesizer.sample(0, seed=seed).schema
    _check_form(schema, output, suffix)
    conditions = _conditions(schema, given, rows)
    drawn = to_storage(synthesizer.sample(rows, seed=seed, given=conditions))
    if suffix in PICTURE_PLACES:
        write_folder(drawn, output, image=image_column_of(schema), form="png", table="parquet")
    else:
        write_table(drawn, output, FORMATS[suffix], xmp=XMP)
    narrator(quiet=False).line("sampled", f"{output}   {rows:,} rows, not judged: keep them where the source is")
    return Exit.OK


def _check_form(schema: Schema, output: Path, suffix: str) -> None:
    """Refuse a file that does not hold the rows, before they are drawn."""
    pictures = has_pictures(schema)
    if suffix in PICTURE_PLACES and not pictures:
        raise FlowInputError(
            f"{output}: neither .parquet nor .csv",
            seen=suffix or "no suffix",
            remedy="choose one: no pictures are drawn",
        )
    if pictures and FORMATS.get(suffix) == "csv":
        raise FlowInputError(
            f"{output}: CSV holds no pictures", seen=suffix, remedy="choose .parquet, .zip, or a new folder"
        )
    if suffix in PICTURE_PLACES:
        image_column_of(schema)


def check_output(output: Path, *, force: bool, pictures: bool = False) -> str:
    """Return the suffix of the file `output`: a key of `FORMATS`, or one of `PICTURE_PLACES` where `pictures` may be.

    Raises:
        FlowInputError: another suffix, a file that is there already, or a folder that cannot be written.

    """
    suffix = output.suffix.lower()
    if suffix not in FORMATS and not (pictures and suffix in PICTURE_PLACES):
        raise FlowInputError(
            f"{output}: neither .parquet nor .csv", seen=output.suffix or "no suffix", remedy="choose one"
        )
    if output.is_dir() or (output.exists() and not force):
        raise FlowInputError(f"{output}: exists already", remedy="give another name, or --force to overwrite it")
    check_folder(output.absolute().parent, option="--output")
    return suffix


def load_model(folder: Path) -> Synthesizer:
    """Return the fitted synthesizer that a run saved.

    Raises:
        FlowInputError: there is no model, or `folder` is a release, which never holds one.

    """
    remedy = "give the model's folder of a run: runs/fits/…/model, which runs/fits/…/fit.json names"
    if (folder / "MANIFEST.json").is_file():
        raise FlowInputError(f"{folder}: a release holds rows, never a model", remedy=remedy)
    if not folder.is_dir():
        raise FlowInputError(f"{folder}: no such folder", remedy=remedy)
    inner = folder / "model" if (folder / "fit.json").is_file() else folder
    try:
        plain: dict[str, Any] = json.loads((inner.parent / "fit.json").read_text(encoding="utf-8"))
        kind = str(plain["report"]["family"])
    except (OSError, ValueError, KeyError, TypeError):
        raise FlowInputError(f"{folder}: no model of a run", remedy=remedy) from None
    if kind not in SYNTHESIZERS:
        raise FlowInputError(
            f"{folder}: a model of an unknown family", seen=kind, remedy="use the version that made it"
        )
    return family_of(kind).load(inner)


def _conditions(schema: Schema, given: Sequence[str], rows: int) -> pd.DataFrame | None:
    """Return `COLUMN=VALUE` conditions in canonical form, one row for each to be drawn."""
    if not given:
        return None
    values: dict[str, str] = {}
    for condition in given:
        name, equals, value = condition.partition("=")
        if not equals:
            raise FlowInputError(
                "--given: not of the form column=value", seen=condition, remedy="write --given sex=Female"
            )
        if name not in schema.names:
            hint = did_you_mean(name, schema.names)
            raise FlowInputError(f"--given: no such column{hint}", seen=name, remedy=names_of(schema.names))
        if schema[name].kind == "image":
            raise FlowInputError(
                f'--given: column "{name}" holds pictures, which are drawn given the other columns',
                seen=name,
                remedy="hold another column at a value",
            )
        if schema[name].kind == "id":
            raise FlowInputError(
                f'--given: column "{name}" is an identifier, which is made anew and relates to no other column',
                seen=condition,
                remedy="leave it out",
            )
        values[name] = value
    cells = {name: _cell(schema, name, value) for name, value in values.items()}
    one_row = pd.concat([cells[name] for name in schema.names if name in cells], axis=1)
    return one_row.loc[[0] * rows].reset_index(drop=True)


def _cell(schema: Schema, name: str, value: str) -> pd.Series:
    """Return the canonical cell, a series of one, for the text `value` of the column `name`."""
    cell, mismatches = conform_loosely(
        pd.DataFrame({name: pd.Series([value], dtype=object)}), Schema(columns=(schema[name],))
    )
    if cell is None or mismatches:
        raise FlowInputError(
            f'--given: no value of column "{name}", which is {schema[name].kind}',
            seen=value,
            remedy="write the value as the table's files do",
        )
    return cell.frame[name]
