import json

import pandas as pd
import pytest

from sources import schema_json
from sources.errors import SourceInputError
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.sdv_metadata import from_sdv, to_sdv

FRAME = pd.DataFrame(
    {
        "key": [f"K-{n:04d}" for n in range(40)],
        "secret <name>": ["alpha", "beta"] * 20,
        "n": [1.5, 2.5] * 20,
        "b": [True, False] * 20,
        "t": pd.date_range("2024-01-01", periods=40),
        "remark": [f"the {n} quick brown foxes" for n in range(40)],
    }
)


def test_what_is_written_is_read_back_as_the_same_kinds_and_keys() -> None:
    schema = infer_schema(FRAME)
    plain = json.loads(json.dumps(to_sdv(schema)))
    assert infer_schema(FRAME, from_sdv(plain)) == schema
    assert plain["tables"]["table"]["primary_key"] == "key"


def test_no_value_of_the_source_is_in_it() -> None:
    said = {"columns": {"secret <name>": {"rules": {"values": ["alpha", "beta"]}}}}
    text = json.dumps(to_sdv(infer_schema(FRAME, from_mapping(said))))
    assert not any(value in text for value in ("alpha", "beta", "K-0001", "2024", "1.5", "foxes"))


def test_sequences_keep_their_keys() -> None:
    frame = pd.DataFrame({"who": [1, 1, 2, 2] * 10, "t": pd.date_range("2024-01-01", periods=40)})
    schema = infer_schema(frame, from_mapping({"entity_key": "who", "order_key": "t"}))
    overrides = from_sdv(to_sdv(schema))
    assert (overrides.entity_key, overrides.order_key) == ("who", "t")


def test_ranges_values_and_personal_types_of_sdv_are_not_taken_over() -> None:
    plain = {
        "tables": {
            "people": {
                "columns": {
                    "n": {"sdtype": "numerical", "range_min": 1.5, "range_max": 2.0, "decimal_places": 1},
                    "c": {"sdtype": "categorical", "range_values": ["Ann", "Bob"]},
                    "mail": {"sdtype": "email", "pii": True},
                    "what": {"sdtype": "unknown"},
                }
            }
        },
        "METADATA_SPEC_VERSION": "V2",
    }
    overrides = from_sdv(plain)
    assert [overrides.columns[name].kind for name in ("n", "c", "mail", "what")] == [
        "numeric",
        "categorical",
        "id",
        None,
    ]
    assert overrides.columns["mail"].pii == "email"
    assert "Ann" not in str(overrides)


def test_sorts_of_personal_details_go_out_and_come_back() -> None:
    schema = infer_schema(FRAME, from_mapping({"columns": {"key": {"pii": "email"}, "remark": {"pii": "first_name"}}}))
    plain = to_sdv(schema)
    columns = plain["tables"]["table"]["columns"]
    assert (columns["key"]["sdtype"], columns["remark"]["sdtype"]) == ("email", "first_name")
    assert plain["tables"]["table"]["primary_key"] == "key"
    assert infer_schema(FRAME, from_sdv(plain)) == schema


def test_the_form_of_a_single_table_is_read() -> None:
    assert from_sdv({"columns": {"a": {"sdtype": "id"}}, "primary_key": "a"}).columns["a"].kind == "id"


@pytest.mark.parametrize(
    "plain",
    [
        [],
        {},
        {"tables": {}},
        {"tables": {"a": 1}},
        {"columns": {"a": {}}},
        {"columns": {"a": 1}},
        {"tables": {"a": {}, "b": {}}},
    ],
)
def test_what_is_no_metadata_is_a_user_error(plain: object) -> None:
    with pytest.raises(SourceInputError, match="metadata"):
        from_sdv(plain)  # type: ignore[arg-type]


def test_a_schema_survives_json() -> None:
    said = {
        "columns": {
            "n": {"bins": [1, 2], "rules": {"minimum": 0}},
            "secret <name>": {"rules": {"values": ["alpha", "beta"]}, "missing_marks": ["?"]},
        },
        "rules": [{"unique": ["key", "n"]}],
        "order_key": "t",
    }
    schema = infer_schema(FRAME, from_mapping(said))
    assert schema_json.from_json(json.loads(json.dumps(schema_json.to_json(schema)))) == schema
