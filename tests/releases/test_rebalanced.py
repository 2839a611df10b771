"""A release that was altered on purpose says so wherever it speaks, and a recipient can count it again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from releases.manifest import FIELDS, read_manifest
from releases.report.page import render_private
from releases.verify import verify
from sources.dataset import Dataset
from sources.schema import Schema
from sources.targets import Targets
from validators.gate import decide
from validators.report import Report

Published = Callable[..., Path]


@pytest.fixture
def kept(synthetic: Dataset, report: Report) -> Report:
    """The judged sample, stated to have the shares that it has."""
    frame = synthetic.frame
    shares = {
        "paid": {"yes": float((frame["paid"] == "yes").mean())},
        "works": {"True": float(frame["works"].mean())},
    }
    return replace(report, targets=Targets(shares=shares))


def test_card_reports_and_manifest_say_what_was_altered(published: Published, kept: Report, schema: Schema) -> None:
    release = published(report=kept)
    private = render_private(report=kept, verdict=decide(kept, kept.policy), pictures=None, schema=schema)
    for text in ((release / "README.md").read_text(), (release / "report.html").read_text(), private):
        assert "ltered on purpose" in text
        assert "Shares of paid are set, yes to " in text
    manifest = read_manifest(release)
    assert Targets.from_json(manifest["rebalanced"]) == kept.targets
    assert set(manifest) == {*FIELDS, "rebalanced"}
    assert verify(release).ok, verify(release).checks


def test_a_release_like_its_source_says_nothing_of_it(published: Published) -> None:
    release = published()
    assert "rebalanced" not in read_manifest(release)
    assert "ltered on purpose" not in (release / "README.md").read_text() + (release / "report.html").read_text()


def test_rows_that_do_not_keep_the_statement_do_not_verify(published: Published, report: Report) -> None:
    release = published(report=replace(report, targets=Targets(shares={"paid": {"yes": 0.9}})))
    (check,) = [one for one in verify(release).checks if not one.ok]
    assert check.name == "statement"
    assert "stated to be 0.9 of all rows" in check.words
