import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from releases.report.glossary import GLOSSARY
from releases.report.page import render_private, render_public
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from tests.releases.judged_sample import WHEN, measured, provenance_of, report_of, synthetic_of
from validators.evidence import Evidence
from validators.gate import decide, judged, undecided
from validators.limits.limits import LIMITS
from validators.pictures import AttackPicture, Pictures, pictures
from validators.policy import Policy
from validators.report import Report

VOID = {"meta", "br", "img", "link", "hr", "input"}
HOSTILE = (
    '<script>alert("1")</script>',
    "a'b\"c",
    "x | y `z` [l](http://evil.example)",
    "{{ 7 * 7 }}",
    "]]><!-- \u202e",
)
POLICY = Policy.preset("standard")


class Page(HTMLParser):
    """Notes what is not balanced, what would be fetched or run, and where links inside the page lead."""

    def __init__(self, text: str) -> None:
        """Read the whole page."""
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element could do."""
        if tag in {"script", "iframe", "object", "embed", "link", "base", "form", "img", "image", "use"}:
            self.faults.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in {"src", "srcset", "action", "style", "xlink:href"}:
                self.faults.append(f"{tag} {name}")
            if name == "href":
                assert value is not None
                self.targets.append(value)
            if name == "id":
                self.ids.append(str(value))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open and close."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Keep the words."""
        self.text.append(data)


def check_page(text: str) -> Page:
    page = Page(text)
    assert page.faults == []
    assert all(target.startswith("#") for target in page.targets)
    assert {target[1:] for target in page.targets} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert re.search(r"url\(|@import|https?:", text) is None
    assert len(text.encode()) < 2 * 2**20
    return page


def marked(schema: Schema, rows: int, mark: int) -> Dataset:
    """Return rows whose numbers and labels tell which part they come from."""
    rng = stream(mark, "tests", "marked")
    data = synthetic_of(schema, rows)
    frame = data.frame.copy()
    frame["wage"] = np.round(7_000 + mark * 100_000 + rng.random(rows) * 90_000, 2)
    frame["age"] = np.arange(rows, dtype=float) + mark * 10_000 + 13
    return replace(data, frame=frame)


def drawn(schema: Schema, report: Report, synthetic: Dataset, real: Dataset) -> Pictures:
    third = len(real) // 3
    parts = [real.take(np.arange(third) + third * place) for place in range(3)]
    evidence = Evidence(
        train=parts[0],
        holdout=parts[1],
        reference=parts[2],
        synthetic=synthetic,
        schema=schema,
        policy=report.policy,
    )
    return pictures(evidence, report, 1)


def renderings(report: Report, schema: Schema, shown: Pictures | None = None) -> tuple[str, str]:
    verdict = decide(report, report.policy)
    private = render_private(
        report=report, verdict=verdict, pictures=shown, schema=schema, provenance=provenance_of(), created=WHEN
    )
    public = render_public(
        report=report, verdict=verdict, pictures=shown, schema=schema, provenance=provenance_of(), created=WHEN
    )
    return private, public


def test_every_measurement_that_a_policy_knows_is_explained() -> None:
    assert set(GLOSSARY) == set(LIMITS)
    assert all(len(entry.meaning) > 60 and len(entry.remedy) > 20 for entry in GLOSSARY.values())


def test_both_pages_are_whole_and_ask_for_nothing(schema: Schema, report: Report) -> None:
    shown = drawn(schema, report, synthetic_of(schema, 60), synthetic_of(schema, 90))
    for text in renderings(report, schema, shown):
        page = check_page(text)
        assert {"fidelity", "privacy", "bias", "contract", "making", "not-for", "glossary"} <= set(page.ids)
        assert "@media print" in text
        assert "prefers-color-scheme: dark" in text
        assert 'name="viewport"' in text


def test_the_curve_of_attacks_is_private(schema: Schema, report: Report) -> None:
    shown = drawn(schema, report, synthetic_of(schema, 60), synthetic_of(schema, 90))
    shown = replace(shown, attack=AttackPicture(accused=(0.001, 0.01, 1.0), found=(0.002, 0.04, 1.0)))
    private, public = renderings(report, schema, shown)
    assert "Who can be recognised" in private
    assert "Who can be recognised" not in public


def test_the_same_judgement_renders_to_the_same_bytes(schema: Schema, report: Report) -> None:
    assert renderings(report, schema) == renderings(report, schema)


def test_no_real_row_shows_in_public(schema: Schema, tmp_path: Path, published: Callable[..., Path]) -> None:
    """Every cell of the real rows is told by its number; none may stand in any public file but the data."""
    real, synthetic = marked(schema, 150, mark=7), marked(schema, 60, mark=2)
    quill = "Ms Quill of 8,231.77"
    report = report_of(schema)
    loud = [
        replace(one, reading=f"{quill} {one.reading}", n=777_123, detail={"rows": [quill, 777_123]})
        for one in report.measurements
    ]
    extra = measured("representation", report.policy, subject=f"group={quill}")
    report = replace(report, measurements=(*loud, replace(extra, n=777_123)))
    shown = drawn(schema, report, synthetic, real)
    release = published(synthetic=synthetic, report=report, verdict=decide(report, report.policy), pictures=shown)
    files = [path for path in release.rglob("*") if path.is_file() and "data" not in path.relative_to(release).parts]
    assert len(files) == 6
    cells = {str(cell) for name in ("age", "wage") for cell in real.frame[name]}
    cells |= {f"{cell:.0f}" for cell in real.frame["age"]} | {f"{cell:,.0f}" for cell in real.frame["wage"]}
    for path in files:
        text = re.sub(r'"bytes": [0-9]+', "", path.read_text())  # sizes of files are numbers of their own
        words = set(re.findall(r"(?<!\w)[0-9][0-9,.]*[0-9](?!\w)", text))  # no digits within a hash
        assert not words & cells, path.name
        for text in (quill, "Quill", "777123", "777,123", "secret-folder", "/home/ann"):
            assert text not in path.read_text(), path.name
    private = render_private(report=report, verdict=decide(report, report.policy), pictures=shown, schema=schema)
    assert quill in private


def test_the_public_page_says_nothing_of_candidates_and_losses(schema: Schema, report: Report) -> None:
    private, public = renderings(report, schema)
    for word in ("tabular.vae", "Best loss", "How it learnt", "train 130"):
        assert word in private
        assert word not in public


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_and_never_obeyed(name: str, schema: Schema, published: Callable[..., Path]) -> None:
    columns = (
        replace(schema.columns[0], name=name, description=name, unit=name),
        *schema.columns[1:2],
        replace(schema.columns[2], name=f"group {name}"),
        *schema.columns[3:],
    )
    hostile = Schema(columns=columns)
    plain = synthetic_of(schema, 60)
    synthetic = Dataset(frame=plain.frame.set_axis(list(hostile.names), axis=1), schema=hostile)
    synthetic.frame.iloc[:30, 2] = name
    about = [measured("representation", POLICY, subject=f"group {name}={name}", reading=name)]
    report = report_of(hostile, more=about)
    shown = drawn(hostile, report, synthetic, synthetic)
    story = replace(provenance_of(), title=name, description=name, license=name, not_for=(name,))
    release = published(
        synthetic=synthetic, report=report, verdict=decide(report, POLICY), pictures=shown, provenance=story
    )
    text = (release / "report.html").read_text()
    Page(text)
    assert "<script" not in text
    assert "49" not in re.findall(r"<h1>.*?</h1>", text, re.DOTALL)[0]
    private = render_private(
        report=report, verdict=decide(report, POLICY), pictures=shown, schema=hostile, provenance=story
    )
    assert Page(private).faults == []
    readme = (release / "README.md").read_text()
    body = readme.split("---\n", 2)[2]
    assert re.search(r"(?<!\\)<script|(?<!\\)\]\(http|(?<!\\)<!--", body) is None
    table = [line for line in body.splitlines() if line.startswith("| ") and "meaning" not in line][: len(columns)]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in table)


@pytest.mark.parametrize(
    ("more", "outcome", "tried"),
    [
        (judged(name="c2st", subject="against holdout", value=0.8, low=0.75, high=0.85, n=9, reading="", policy=POLICY),
         "REFUSE", "Too high: train longer"),
        (undecided(name="tstr", subject="paid", n=9, reading="Too few.", policy=POLICY),
         "INCONCLUSIVE", "more real rows"),
        (replace(measured("kway_1", POLICY, subject="twice"), limit=0.5), "INVALID", "log of the run"),
    ],
)  # fmt: skip
def test_what_did_not_pass_says_so_first_and_what_to_try(
    more: object, outcome: str, tried: str, schema: Schema
) -> None:
    report = report_of(schema, more=[more])  # type: ignore[list-item]
    for text in renderings(report, schema):
        page = check_page(text)
        assert f"<title>{outcome} · wages</title>" in text
        assert text.index('class="reasons"') < text.index('class="tiles"')
        assert tried in " ".join(page.text)


def test_a_judgement_without_pictures_and_provenance_is_a_page_too(schema: Schema, report: Report) -> None:
    for render in (render_private, render_public):
        page = check_page(render(report=report, verdict=decide(report, report.policy), pictures=None, schema=schema))
        assert "the rows were made elsewhere" in " ".join(page.text)


def test_overrides_stand_out_in_red(schema: Schema) -> None:
    policy = Policy.from_spec({"preset": "standard", "kway_1": 0.2})
    for text in renderings(report_of(schema, policy=policy), schema):
        assert '<div class="overrides">' in text
        assert "kway_1: 0.03 -&gt; 0.2" in text


def test_a_wide_table_stays_small(report: Report) -> None:
    rng = stream(1, "tests", "wide")
    names = [f"column {number}" for number in range(300)]
    schema = Schema(columns=tuple(Column(name=name, kind="numeric", storage="float64") for name in names))
    frame = pd.DataFrame(rng.normal(size=(200, 300)), columns=names)
    data = Dataset(frame=frame, schema=schema)
    shown = drawn(schema, report_of(schema, rows=200), data, data)
    for text in renderings(report_of(schema, rows=200), schema, shown):
        check_page(text)
        assert "240 further columns are not drawn" in text


def test_moments_are_named_by_year_and_month() -> None:
    schema = Schema(columns=(Column(name="born", kind="datetime", storage="date"), Column(name="n", kind="numeric")))
    frame = pd.DataFrame(
        {"born": pd.date_range("1950-01-01", periods=120, freq="120D").astype("datetime64[us]"), "n": np.arange(120.0)}
    )
    data = Dataset(frame=frame, schema=schema)
    report = report_of(schema, rows=120)
    private, public = renderings(report, schema, drawn(schema, report, data, data))
    assert ">1950-" in private
    assert ">1950-" in public or ">2000-" in public


def test_the_card_has_front_matter_and_the_three_worst_gaps(published: Callable[..., Path]) -> None:
    import yaml  # noqa: PLC0415 - only here

    text = (published() / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "cc-by-4.0"
    assert front["size_categories"] == ["n<1K"]
    assert "synthetic" in front["tags"]
    assert text.split("## Known gaps")[1].split("##")[0].count("\n- ") == 3
    assert "understudy verify ." in text
    assert json.dumps("wages") in text
