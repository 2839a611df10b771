from typing import Any

import pandas as pd
import pytest

from sources.errors import SourceInputError
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.schema import TableRule


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"colums": {}}, r'schema.colums: no such key \(did you mean "columns"\?\)'),
        ({"columns": {"a": {"knd": "numeric"}}}, r'schema.columns.a.knd: no such key \(did you mean "kind"\?\)'),
        ({"columns": {"a": {"kind": "numerical"}}}, r'unknown \(did you mean "numeric"\?\)'),
        ({"columns": {"a": {"role": "targt"}}}, r'unknown \(did you mean "target"\?\)'),
        ({"columns": ["a"]}, "schema.columns: not a mapping"),
        ({"columns": {"a": "numeric"}}, "schema.columns.a: not a mapping"),
        ({"columns": {"a": {"threshold": "zero"}}}, "threshold: not number"),
        ({"columns": {"a": {"bins": [3, 1]}}}, "edges must rise"),
        ({"columns": {"a": {"truth": ["yes", "yes"]}}}, "two different texts"),
        ({"columns": {"a": {"timezone": "Europe/Atlantis"}}}, "no such zone"),
        ({"columns": {"a": {"rules": {"min": 1}}}}, r"rules.min: no such key"),
        ({"columns": {"a": {"rules": {"minimum": 3, "maximum": 1}}}}, "minimum is above maximum"),
        ({"columns": {"a": {"rules": {"pattern": "("}}}}, "not a regular expression"),
        ({"columns": {"a": {"rules": {"max_missing": 7}}}}, "not a share"),
        ({"rules": {"unique": ["a"]}}, "schema.rules: not a list"),
        ({"rules": [{"summ": ["a", "b"]}]}, r'schema.rules\[0\].summ: no such key \(did you mean "sum"\?\)'),
        ({"rules": [{"sum": ["a"]}]}, "needs a total and at least one part"),
        ({"rules": [{"sum": ["a", "b", "a"]}]}, "needs a total and at least one part"),
        ({"rules": [{"greater": ["a"]}]}, "needs two different columns"),
        ({"rules": [{"severity": "warning"}]}, "needs exactly one of"),
        ({"entity_key": ["a"]}, "entity_key: not text"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_place(said: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceInputError, match=words):
        from_mapping(said)


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"columns": {"religous": {"role": "protected"}}}, "schema.columns.religous"),
        ({"entity_key": "religous"}, "schema.entity_key"),
        ({"order_key": "religous"}, "schema.order_key"),
        ({"rules": [{"unique": ["religous"]}]}, "schema.rules.unique"),
    ],
)
def test_an_unknown_column_is_named_with_the_nearest_one(said: dict[str, Any], place: str) -> None:
    frame = pd.DataFrame({"religious": [1, 2], "age": [3, 4]})
    with pytest.raises(SourceInputError) as caught:
        infer_schema(frame, from_mapping(said))
    assert caught.value.what == f'{place}: no such column (did you mean "religious"?)'
    assert caught.value.remedy == "columns: religious, age"


def test_labels_may_be_written_as_bare_numbers_and_truth_values() -> None:
    overrides = from_mapping(
        {
            "columns": {"a": {"positive": 1.0, "missing_marks": [-9, "x"], "rules": {"values": [1, "b", True]}}},
            "rules": [{"greater_or_equal": ["a", "b"], "severity": "warning"}],
        }
    )
    assert overrides.columns["a"].positive == "1"
    assert overrides.columns["a"].missing_marks == ("-9", "x")
    assert overrides.columns["a"].rules.values == ("1", "b", "True")  # noqa: PD011 - a rule
    assert overrides.rules == (TableRule(kind="greater_or_equal", columns=("a", "b"), severity="warning"),)


def test_what_is_left_out_or_null_is_silence() -> None:
    assert from_mapping({}) == from_mapping({"columns": None, "rules": None, "entity_key": None})


@pytest.mark.parametrize("rule", [{"sum": ["n", "word"]}, {"greater": ["n", "word"]}, {"greater": ["n", "day"]}])
def test_what_cannot_be_added_or_compared_is_said(rule: dict[str, list[str]]) -> None:
    frame = pd.DataFrame({"n": [1, 2], "word": ["x", "y"], "day": ["2020-01-01", "2020-01-02"]})
    with pytest.raises(SourceInputError, match="needs columns of one kind") as caught:
        infer_schema(frame, from_mapping({"rules": [rule]}))
    assert caught.value.remedy
