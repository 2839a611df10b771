"""What a recipient is told of the columns."""

from releases.card import _columns
from releases.locations import public_spec
from releases.schema_file import column_names, public_schema
from sources.schema import Column, Rules, Schema

SCHEMA = Schema(
    columns=(
        Column(name="mail", kind="id", pii="email", locale="de_DE", rules=Rules(pattern="ann@.+")),
        Column(name="x", kind="numeric"),
    ),
    dropped=("notes", "a|b"),
)


def test_sorts_of_personal_details_and_dropped_columns_are_told_and_rules_are_not() -> None:
    plain = public_schema(SCHEMA)
    assert column_names(plain) == ["mail", "x"]
    assert (plain["columns"][0]["pii"], plain["columns"][0]["locale"]) == ("email", "de_DE")
    assert "pii" not in plain["columns"][1]
    assert plain["dropped"] == ["notes", "a|b"]
    assert "ann@" not in str(plain)


def test_the_card_says_that_details_are_made_up_and_which_columns_are_left_out() -> None:
    text = _columns(SCHEMA)
    assert "| mail | personal detail (email) |" in text
    assert "Columns of the source that are left out: notes, a" in text
    assert "Personal details are made up" in text
    plain = _columns(Schema(columns=(Column(name="x", kind="numeric"),)))
    assert "left out" not in plain
    assert "made up" not in plain


def test_the_spec_in_the_manifest_says_what_was_dropped() -> None:
    said = {"schema": {"columns": {"notes": {"drop": True}, "mail": {"kind": "id", "pii": "email"}}}}
    assert public_spec(said) == said
