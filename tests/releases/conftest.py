"""Fixtures of the judged sample."""

from collections.abc import Callable
from pathlib import Path

import pytest

from releases.provenance import Provenance
from releases.publish import publish
from sources.dataset import Dataset
from sources.schema import Schema
from tests.releases.judged_sample import WHEN, provenance_of, report_of, schema_of, synthetic_of
from validators.gate import decide
from validators.report import Report


@pytest.fixture(scope="session")
def schema() -> Schema:
    return schema_of()


@pytest.fixture(scope="session")
def synthetic(schema: Schema) -> Dataset:
    return synthetic_of(schema)


@pytest.fixture(scope="session")
def report(schema: Schema) -> Report:
    return report_of(schema)


@pytest.fixture(scope="session")
def provenance() -> Provenance:
    return provenance_of()


@pytest.fixture
def published(tmp_path: Path, synthetic: Dataset, report: Report) -> Callable[..., Path]:
    """Return a function that publishes the sample, with changes."""

    def run(**changes: object) -> Path:
        arguments: dict[str, object] = {
            "to": tmp_path / "releases",
            "synthetic": synthetic,
            "report": report,
            "verdict": decide(report, report.policy),
            "pictures": None,
            "provenance": provenance_of(),
            "created": WHEN,
        }
        return publish(**(arguments | changes))  # type: ignore[arg-type]

    return run
