import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings

from releases.card import card, escape
from releases.data_files import DataFiles
from releases.public import public_measurements
from releases.terminal import shown
from sources.schema import Schema
from tests.releases.judged_sample import WHEN, provenance_of, report_of, schema_of
from tests.releases.nasty import nasty_texts
from validators.policy import Policy

FIELDS = {
    "license", "license_name", "license_link", "pretty_name", "annotations_creators", "tags", "size_categories",
    "task_categories", "configs",
}  # fmt: skip
"""Of https://github.com/huggingface/hub-docs/blob/main/datasetcard.md, those that are written here."""
CARD_SCHEMA = schema_of()
MEASUREMENTS = public_measurements(report_of(CARD_SCHEMA).measurements, CARD_SCHEMA.names)


def card_of(
    text: str = "wages", *, schema: Schema = CARD_SCHEMA, rows: int = 60, formats: tuple[str, ...] = ("parquet", "csv")
) -> str:
    """Return a card in which every text that a stranger can choose is `text`."""
    story = replace(provenance_of(), title=text, description=text, license=text, not_for=(text,))
    return card(
        schema=schema,
        rows=rows,
        measurements=MEASUREMENTS,
        policy=Policy.preset("standard"),
        provenance=story,
        data=DataFiles(tables=tuple(f"data/data.{one}" for one in formats)),
        version="1",
        created=WHEN,
    )


def front_of(text: str) -> dict[str, object]:
    start, front, _ = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    assert start == ""
    plain = yaml.safe_load(front)
    assert isinstance(plain, dict)
    return plain


@given(nasty_texts)
@settings(max_examples=150, deadline=None)
def test_hostile_texts_stay_texts_in_front_matter_markdown_and_on_a_terminal(text: str) -> None:
    columns = (replace(CARD_SCHEMA.columns[0], name=text, description=text, unit=text), *CARD_SCHEMA.columns[1:])
    whole = card_of(text, schema=Schema(columns=columns, dropped=(text + "2",)))
    front = front_of(whole)
    assert set(front) <= FIELDS
    assert (
        front["pretty_name"] == " ".join("".join(c if c.isprintable() else " " for c in text).split())
        or not text.strip()
    )
    body = whole.split("\n---\n", 1)[1]
    assert re.search(r"(?<!\\)<(script|!--|/td)|(?<!\\)\]\(", body) is None
    assert all(sign.isprintable() or sign == "\n" for sign in whole)
    table = body.split("\n## Columns\n")[1].split("\n## ")[0].strip().splitlines()
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 6 for line in table if line.startswith("|"))
    assert len([line for line in table if line.startswith("|")]) == 2 + len(columns)
    assert len(re.findall(r"^#+ ", body, re.MULTILINE)) == len(re.findall(r"^#+ ", card_of(), re.MULTILINE))
    assert shown(text).isprintable() or not text


def test_front_matter_holds_the_hubs_fields_and_words(schema: Schema) -> None:
    front = front_of(card_of("CC-BY-4.0"))
    assert front["license"] == "cc-by-4.0"
    assert front["task_categories"] == ["tabular-classification"]
    assert front["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/data.parquet"}]}
    ]
    assert front_of(card_of(formats=("csv",)))["configs"][0]["data_files"][0]["path"] == "data/data.csv"  # type: ignore[index]
    target = replace(schema.columns[1], role="target")
    numeric = Schema(columns=(schema.columns[0], target, *schema.columns[2:4]))
    assert front_of(card_of(schema=numeric))["task_categories"] == ["tabular-regression"]
    assert "task_categories" not in front_of(card_of(schema=Schema(columns=schema.columns[:2])))


@pytest.mark.parametrize(
    ("rows", "words"), [(999, "n<1K"), (1_000, "1K<n<10K"), (10**7, "10M<n<100M"), (10**12, "n>1T")]
)
def test_sizes_are_the_hubs_words(rows: int, words: str) -> None:
    assert front_of(card_of(rows=rows))["size_categories"] == [words]


def test_the_card_says_in_plain_words_what_it_is_how_it_was_made_and_what_not_to_do(
    published: Callable[..., Path],
) -> None:
    text = (published() / "README.md").read_text()
    heads = [
        "Read it",
        "Columns",
        "How it was made",
        "What was checked",
        "Known gaps",
        "Do not use it for",
        "Verify",
        "Licence",
    ]
    order = [text.index(f"## {head}") for head in heads]
    assert order == sorted(order)
    assert "**Synthetic data.**" in text.split("##")[0]
    assert "It saw 130 real rows. 40 other real rows were kept from it" in text
    assert "apostrophe" in text
    assert "croissant.json" in text
    assert "cc-by-4.0: https://spdx.org/licenses/CC-BY-4.0" in text
    assert "secret-folder" not in text


@pytest.mark.parametrize("formats", [("parquet", "csv"), ("csv",), ("csv", "parquet")])
def test_the_lines_that_the_card_gives_read_the_data(
    formats: tuple[str, ...], published: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    release = published(formats=formats)
    (block,) = re.findall(r"```python\n(.*?)```", (release / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(release)
    found: dict[str, pd.DataFrame] = {}
    exec(block, found)  # type: ignore[arg-type]  # noqa: S102 - our own card
    assert found["rows"].shape == (60, 5)


def test_a_release_without_a_licence_says_so() -> None:
    assert "ask whoever gave you this data" in card_of("other").split("## Licence")[1]


def test_an_escaped_text_shows_literally() -> None:
    assert escape("a|b\n<b>") == r"a\|b \<b\>"
