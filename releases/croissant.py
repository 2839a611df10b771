"""`croissant.json`: the release as data tools find and read it (MLCommons Croissant 1.0, with its RAI vocabulary).

Each table is a FileObject with its SHA-256 and a RecordSet with one Field a column; pictures that are files of their
own are a FileSet (their hashes are in the manifest). Files are named relative to the folder of the release, so it can
be read offline and after it was moved.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from releases.data_files import DataFiles, has_pictures, is_metadata
from releases.guarded_csv import BACK_PATTERN, guarded
from releases.licences import licence_url
from releases.manifest import MEDIA_TYPES
from releases.provenance import Provenance
from sources.image_files import FILE_COLUMN, METADATA
from sources.picture_folder import FOLDER
from sources.schema import Column, Schema

FILE_NAME = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of the specification, in full: readers warn of any other."""
_TYPES = {
    "int64": "sc:Integer",
    "float64": "sc:Float",
    "bool": "sc:Boolean",
    "timestamp": "sc:DateTime",
    "date": "sc:Date",
    "string": "sc:Text",
}
_ID = re.compile(r"[A-Za-z0-9_.-]{1,60}")


def croissant(
    *,
    schema: Schema,
    files: Mapping[str, Mapping[str, Any]],
    data: DataFiles,
    limits: Sequence[str],
    provenance: Provenance,
    version: str,
    created: datetime,
) -> dict[str, Any]:
    """Return the description as plain JSON values.

    Args:
        schema: of the released columns.
        files: path of each table -> its entry in the manifest.
        data: which files hold the rows.
        limits: sentences on what the data does not show well.
        provenance: name, title, description, licence, warnings.
        version: of the release.
        created: the moment of publishing.

    """
    title = provenance.title or provenance.name
    ids = field_ids(schema.names)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": provenance.name,
        "alternateName": one_line(title),
        "description": one_line(
            f"Synthetic data that stand in for a real dataset; no row is a record of a real person or thing. "
            f"{provenance.description}"
        ),
        "license": licence_url(provenance.license) or one_line(provenance.license),
        "version": semantic(version),
        "datePublished": created.date().isoformat(),
        "citeAs": _bibtex(provenance.name, title, version, created),
        "keywords": ["synthetic", "image" if has_pictures(schema) else "tabular", "understudy"],
        "isLiveDataset": False,
        "rai:hasSyntheticData": True,
        "rai:dataLimitations": [one_line(sentence) for sentence in limits],
        "rai:dataUseCases": ["Not for: " + one_line(sentence) for sentence in provenance.warnings],
        "rai:personalSensitiveInformation": _personal(schema),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": path,
                "name": path.removeprefix("data/"),
                "contentUrl": path,
                "contentSize": f"{entry['bytes']} B",
                "encodingFormat": _encoding(path),
                "sha256": entry["sha256"],
                **({"description": CSV_WORDS} if path.endswith(".csv") else {}),
            }
            for path, entry in files.items()
        ]
        + _file_set(data),
        "recordSet": [_records(path, schema, ids, data.guarded_columns) for path in files] + _picture_records(data),
    }


CSV_WORDS = (
    "Texts and column names that a spreadsheet would run as a formula have one apostrophe in front; take one "
    "apostrophe off every text that begins with one to have the data as they are in the Parquet file."
)


def _records(path: str, schema: Schema, ids: Sequence[str], guarded_columns: Sequence[str]) -> dict[str, Any]:
    """Return the record set of a table; one that describes files of pictures names the file of each row."""
    described = is_metadata(path)
    records = METADATA if described else path.rpartition(".")[2]
    named = {
        "@type": "cr:Field",
        "@id": f"{records}/{METADATA}-{FILE_COLUMN}",
        "name": FILE_COLUMN,
        "description": "The picture of the row: a path beside the table.",
        "dataType": "sc:Text",
        "source": {"fileObject": {"@id": path}, "extract": {"column": FILE_COLUMN}},
    }
    return {
        "@type": "cr:RecordSet",
        "@id": records,
        "name": records,
        "description": f"All rows, from {path}.",
        "field": ([named] if described else [])
        + [
            _field(column, f"{records}/{id_}", path, guards=column.name in guarded_columns)
            for column, id_ in zip(schema.columns, ids, strict=True)
            if not (described and column.kind == "image")
        ],
    }


def _file_set(data: DataFiles) -> list[dict[str, Any]]:
    if data.pictures is None:
        return []
    return [
        {
            "@type": "cr:FileSet",
            "@id": f"data/{FOLDER}",
            "name": FOLDER,
            "description": "One file a row; each says in its XMP that a model made it.",
            "encodingFormat": f"image/{data.pictures}",
            "includes": f"data/{FOLDER}/*.{data.pictures}",
        }
    ]


def _picture_records(data: DataFiles) -> list[dict[str, Any]]:
    if data.pictures is None:
        return []
    files = {"@id": f"data/{FOLDER}"}
    extracts = (
        (FILE_COLUMN, "The name of the file.", "sc:Text", "filename"),
        ("image", "The picture.", "sc:ImageObject", "content"),
    )
    return [
        {
            "@type": "cr:RecordSet",
            "@id": FOLDER,
            "name": FOLDER,
            "description": f"All pictures, from data/{FOLDER}.",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"{FOLDER}/{name}",
                    "name": name,
                    "description": words,
                    "dataType": type_,
                    "source": {"fileSet": files, "extract": {"fileProperty": property_}},
                }
                for name, words, type_, property_ in extracts
            ],
        }
    ]


def field_ids(names: Sequence[str]) -> list[str]:
    """Return one identifier a column: its name where that is a plain one, else its position.

    >>> field_ids(["age", "<b>", "column-2", "age"])
    ['age', 'column-2', 'column-3', 'column-4']
    """
    positions = {f"column-{at}" for at in range(1, len(names) + 1)}
    return [
        name if _ID.fullmatch(name) and name not in positions and names.index(name) == at - 1 else f"column-{at}"
        for at, name in enumerate(names, start=1)
    ]


def semantic(version: str) -> str:
    """Return a version as MAJOR.MINOR.PATCH, which Croissant asks for.

    >>> semantic("3"), semantic("20260304T050607Z-2")
    ('3.0.0', '20260304.50607.2')
    """
    if version.isdigit():
        return f"{int(version)}.0.0"
    parts = [int(digits) for digits in re.findall(r"[0-9]+", version)[:3]]
    return ".".join(str(part) for part in [*parts, 0, 0, 0][:3])


def one_line(text: str) -> str:
    r"""Return `text` with everything that is not printed made a space, on one line.

    >>> one_line("a\x1b[2J\n b")
    'a [2J b'
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _field(column: Column, id_: str, path: str, *, guards: bool) -> dict[str, Any]:
    csv = path.endswith(".csv")
    words = [column.description, f"Unit: {column.unit}." if column.unit else "", _role(column)]
    extract: dict[str, Any] = {
        "fileObject": {"@id": path},
        "extract": {"column": guarded(column.name) if csv else column.name},
    }
    if csv and guards:
        extract["transform"] = {"regex": BACK_PATTERN}
    if column.kind == "image":
        extract["transform"] = {"jsonPath": "bytes"}
    return {
        "@type": "cr:Field",
        "@id": id_,
        "name": column.name,
        "description": one_line(" ".join(filter(None, words))) or f"A column of kind {column.kind}.",
        "dataType": "sc:ImageObject" if column.kind == "image" else _TYPES[column.storage],
        "source": extract,
    }


def _role(column: Column) -> str:
    return {"target": "What a model would predict.", "protected": "Names groups that must be treated alike."}.get(
        column.role, ""
    )


def _personal(schema: Schema) -> str:
    made = [column.name for column in schema.columns if column.pii is not None]
    if not made:
        return "None: no row describes anybody."
    return one_line(f"None: the personal details in {', '.join(made)} are made up, and no row describes anybody.")


def _encoding(path: str) -> str:
    suffix = path[path.rfind(".") :]
    return "application/x-parquet" if suffix == ".parquet" else MEDIA_TYPES[suffix]


def _bibtex(name: str, title: str, version: str, created: datetime) -> str:
    plain = re.sub(r"[{}\\%#$&~^_@]", " ", one_line(title))
    key = re.sub(r"[^A-Za-z0-9-]", "-", f"{name}-{version}")
    fields = {"title": " ".join(plain.split()), "note": f"Synthetic data, version {version}", "year": created.year}
    return f"@misc{{{key}, " + ", ".join(f"{name} = {{{text}}}" for name, text in fields.items()) + "}"


def to_text(plain: Mapping[str, Any]) -> str:
    """Return the description as the file holds it."""
    return json.dumps(plain, indent=2, ensure_ascii=True, allow_nan=False) + "\n"
