"""What `mlcroissant` makes of a release: its own validation, and the rows it reads, offline."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from releases.croissant import field_ids, semantic
from releases.licences import HUB_LICENCES, hub_fields, licence_url
from releases.manifest import read_manifest
from sources.dataset import Dataset
from sources.schema import Column, Schema
from tests.releases.judged_sample import provenance_of, report_of, synthetic_of
from tests.releases.nasty import NASTY
from validators.gate import decide

Published = Callable[..., Path]
pytestmark = pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own


def opened(release: Path, caplog: pytest.LogCaptureFixture) -> Any:
    """Return the release as `mlcroissant` opens it, without an error or a warning of any kind."""
    import mlcroissant  # noqa: PLC0415 - takes a second

    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=str(release / "croissant.json"))
    assert dataset.metadata.ctx.issues.errors == set()
    assert dataset.metadata.ctx.issues.warnings == set()
    assert caplog.records == []
    return dataset


def rows_of(dataset: Any, records: str) -> list[dict[str, Any]]:
    found = [
        {key.partition("/")[2]: value.decode() if isinstance(value, bytes) else value for key, value in row.items()}
        for row in dataset.records(records)
    ]
    assert found
    return found


def test_croissant_is_valid_and_reads_the_judged_rows_from_both_files(
    published: Published, synthetic: Dataset, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket  # noqa: PLC0415 - only to forbid it

    def no_network(*_: object) -> None:
        raise AssertionError("a network was asked for")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    release = published()
    dataset = opened(release, caplog)
    truth = pd.read_parquet(release / "data/data.parquet").to_dict("records")
    assert rows_of(dataset, "parquet") == truth
    assert rows_of(dataset, "csv") == truth
    assert len(truth) == len(synthetic)


def test_croissant_names_the_hashes_of_the_manifest_and_is_in_it(published: Published) -> None:
    release = published()
    manifest, plain = read_manifest(release), json.loads((release / "croissant.json").read_text())
    assert "croissant.json" in manifest["files"]
    assert {one["contentUrl"]: one["sha256"] for one in plain["distribution"]} == {
        path: entry["sha256"] for path, entry in manifest["files"].items() if path.startswith("data/")
    }
    assert plain["rai:hasSyntheticData"] is True
    assert len(plain["rai:dataLimitations"]) == 3
    assert [one["dataType"] for one in plain["recordSet"][0]["field"]] == [
        "sc:Integer", "sc:Float", "sc:Text", "sc:Boolean", "sc:Text",
    ]  # fmt: skip


def test_one_format_alone_is_described_alone(published: Published) -> None:
    plain = json.loads((published(formats=("csv",)) / "croissant.json").read_text())
    assert [one["@id"] for one in plain["distribution"]] == ["data/data.csv"]
    assert [one["@id"] for one in plain["recordSet"]] == ["csv"]


def test_hostile_names_and_cells_are_read_as_they_are(
    published: Published, schema: Schema, caplog: pytest.LogCaptureFixture
) -> None:
    """All nasty names are columns at once; the nasty texts that pandas does not take for missing are their cells."""
    cells = [text for text in NASTY if text != "null" and "\r" not in text]
    names = [name for name in NASTY if "\r" not in name]
    columns = (*schema.columns, *(Column(name=name, kind="categorical", description=name, unit=name) for name in names))
    wide = Schema(columns=columns)
    frame = synthetic_of(schema).frame
    extra = pd.DataFrame({name: [cells[at % len(cells)] for at in range(len(frame))] for name in names}, dtype=object)
    synthetic = Dataset(frame=pd.concat([frame, extra], axis=1), schema=wide)
    report = report_of(wide)
    story = replace(provenance_of(), title=NASTY[0], description=" ".join(NASTY), license=NASTY[13], not_for=NASTY)
    release = published(synthetic=synthetic, report=report, verdict=decide(report, report.policy), provenance=story)
    dataset = opened(release, caplog)
    ids = field_ids(wide.names)
    for records in ("parquet", "csv"):
        rows = rows_of(dataset, records)
        for name, id_ in zip(wide.names, ids, strict=True):
            if name in names:
                assert [row[id_] for row in rows] == synthetic.frame[name].tolist(), (records, name)


def test_identifiers_of_fields_are_unique_whatever_the_names() -> None:
    names = [*NASTY, "age", "age.", "AGE", "column-1", "column-30"]
    ids = field_ids(names)
    assert len(set(ids)) == len(names)
    assert all(id_.isascii() and " " not in id_ for id_ in ids)


@pytest.mark.parametrize(
    ("version", "expected"), [("1", "1.0.0"), ("12", "12.0.0"), ("20260304T050607Z", "20260304.50607.0")]
)
def test_versions_are_written_as_croissant_asks(version: str, expected: str) -> None:
    assert semantic(version) == expected


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        ("other", {"license": "other"}),
        ("", {"license": "other"}),
        ("Ours: see <b>", {"license": "other", "license_name": "ours-see-b"}),
        (
            "AGPL-3.0-only",
            {
                "license": "other",
                "license_name": "agpl-3.0-only",
                "license_link": "https://spdx.org/licenses/AGPL-3.0-only",
            },
        ),
    ],
)
def test_licences_are_named_as_the_hub_names_them(licence: str, fields: dict[str, str]) -> None:
    assert hub_fields(licence) == fields
    assert fields["license"] in HUB_LICENCES


@pytest.mark.parametrize(
    ("licence", "name"),
    [("cc-by-4.0", "CC-BY-4.0"), ("mit", "MIT"), ("apache-2.0", "Apache-2.0"), ("odbl", "ODbL-1.0"), ("my-1.0", None)],
)
def test_a_licence_has_a_page_where_spdx_knows_it(licence: str, name: str | None) -> None:
    assert licence_url(licence) == (None if name is None else f"https://spdx.org/licenses/{name}")
