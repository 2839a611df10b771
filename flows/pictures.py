"""What a spec may ask for where the table has an image column, and where it has none; what silence means there.

The only place of the flow that knows of pictures: families, formats of a release, and what is not done with them.
"""

from collections.abc import Sequence
from dataclasses import replace

from flows.errors import FlowInputError
from flows.spec import CandidateSpec, Spec
from flows.spec_file import parse
from sources.errors import SourceInputError, UserError
from sources.picture_folder import PICTURE_FORMATS, image_column_of
from sources.schema import Schema
from validators.features.extractor import read_extractor
from validators.policy import Policy

FAMILIES = "image."
"""How the names of families that draw pictures begin; all others draw tables without any."""
DEFAULT = CandidateSpec(kind="image.autoregressive")
MOST_FILES = 80_000
"""Pictures of a release that are files of their own: the manifest names each, and at most 16 MiB of it are read."""


def settled(spec: Spec, schema: Schema) -> Spec:
    """Return the spec with what it is silent about decided for pictures: the family, and the format of the release."""
    if not has_pictures(schema):
        return spec
    changes: dict[str, object] = {}
    if "candidates" not in spec.model_fields_set:
        changes["candidates"] = (DEFAULT,)
    if "formats" not in spec.publish.model_fields_set:
        changes["publish"] = spec.publish.model_copy(update={"formats": ("parquet",)})
    return spec.model_copy(update=changes)


def has_pictures(schema: Schema) -> bool:
    """Return whether a column holds pictures."""
    return any(column.kind == "image" for column in schema.columns)


def check_pictures(spec: Spec, schema: Schema, *, rows: int, place: str) -> None:
    """Refuse what cannot be done with this table's pictures, or without any.

    Args:
        spec: see `settled`; its candidates, canaries, rows and formats are looked at.
        schema: of the source.
        rows: of the source, which are released where the spec names no other number.
        place: the spec's file, for messages.

    Raises:
        FlowInputError: a family that does not learn this table, canaries, or a format that does not hold it.

    """
    check_families(spec.candidates, schema, place=place)
    _check_formats(spec, schema, rows=spec.rows or rows, place=place)
    if spec.canaries and has_pictures(schema):
        raise FlowInputError(
            f"{place}: canaries: rows can be made up, pictures cannot: they are not planted in a table with pictures",
            seen=spec.canaries,
            remedy="leave canaries out; whether pictures are remembered is measured without them",
        )


def check_families(candidates: Sequence[CandidateSpec], schema: Schema, *, place: str) -> None:
    """Refuse families of pictures for a table without any, and the others for one with pictures.

    Raises:
        FlowInputError: names the first such candidate.

    """
    images = [column.name for column in schema.columns if column.kind == "image"]
    for position, candidate in enumerate(candidates):
        where = f"{place}: candidates.{position}: {candidate.kind}"
        if candidate.kind.startswith(FAMILIES) and not images:
            raise FlowInputError(
                f"{where} draws pictures, and the table has no image column",
                seen=f"columns of kind {', '.join(sorted({column.kind for column in schema.columns}))}",
                remedy="choose tabular.* or sdv.*; pictures are read from source.folder, source.arrays, or Parquet "
                "with encoded pictures",
            )
        if len(images) > 1 and candidate.kind.startswith(FAMILIES):
            raise FlowInputError(
                f"{where} learns one image column, and the table has {len(images)}",
                seen=", ".join(images[:5]),
                remedy="set drop: true for all but one",
            )
        if images and not candidate.kind.startswith(FAMILIES):
            raise FlowInputError(
                f'{where} draws no pictures, and column "{images[0]}" holds pictures',
                seen=candidate.kind,
                remedy=f"choose {DEFAULT.kind} or another of {FAMILIES}*, or set drop: true for the column",
            )


def with_extractor(policy: Policy, option: str | None) -> Policy:
    """Return the policy with the extractor that `--extractor` names, in the words of a spec, on top.

    Raises:
        UserError: the text is no YAML, or names none.

    """
    if option is None:
        return policy
    remedy = "write --extractor '{kind: torchscript, path: FILE, sha256: ...}'"
    return replace(policy, extractor=read_extractor(parse(option, "--extractor", remedy)))


def check_extractor(policy: Policy, schema: Schema, *, place: str) -> None:
    """Open the policy's own extractor and try it on noise of the pictures' shape, before anything is trained.

    Raises:
        FlowInputError: there are no pictures, the file is not the stated one, or its network does not take them.

    """
    if policy.extractor is None:
        return
    images = [column for column in schema.columns if column.kind == "image"]
    if not images:
        raise FlowInputError(
            f"{place}: policy.extractor: the table has no image column",
            seen=policy.extractor.kind,
            remedy="leave it out, or give a source of pictures",
        )
    import numpy as np  # noqa: PLC0415 - with torch, loaded where pictures are judged by a user's own network

    from validators.features import own  # noqa: PLC0415

    try:
        network = own.load(policy.extractor)
        for column in images:
            assert column.shape is not None
            own.check(network, column.shape, np.uint16 if column.storage == "uint16" else np.uint8)
    except UserError as error:
        raise FlowInputError(f"{place}: {error.what}", seen=error.seen, remedy=error.remedy) from None


def _check_formats(spec: Spec, schema: Schema, *, rows: int, place: str) -> None:
    formats = spec.publish.formats
    where = f"{place}: publish.formats"
    asked = [one for one in formats if one in PICTURE_FORMATS]
    if not has_pictures(schema):
        if asked:
            raise FlowInputError(
                f"{where}: the table has no image column", seen=asked[0], remedy="choose parquet, csv, or both"
            )
        return
    if len(asked) > 1:
        raise FlowInputError(f"{where}: one kind of picture file", seen=", ".join(asked), remedy="choose one of them")
    if not asked:
        if "csv" in formats:
            raise FlowInputError(
                f"{where}: CSV holds no pictures", seen="csv", remedy="choose parquet, or [png, csv]: files and a table"
            )
        return
    try:
        name = image_column_of(schema)
    except SourceInputError as error:
        raise FlowInputError(f"{where}: {error.what}", seen=error.seen, remedy=error.remedy) from None
    if asked == ["webp"] and schema[name].storage == "uint16":
        raise FlowInputError(f"{where}: WebP holds 8 bits, the pictures have 16", seen="webp", remedy="choose png")
    if rows > MOST_FILES:
        raise FlowInputError(
            f"{where}: a file for each of so many pictures", seen=f"{rows:,} rows", remedy="choose parquet"
        )
