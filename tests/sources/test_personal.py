"""What tells a column of personal details: the form of its cells, or its name where the cells do not deny it."""

from typing import Any

import pandas as pd
import pytest

from sources.errors import SourceInputError
from sources.inference import examine, infer_common, infer_schema
from sources.overrides import from_mapping
from sources.schema import Column

FIRST = ["Ann", "Béla", "Çağla", "Dov", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jan", "Kim", "Lea", "Mia", "Ned"]
LAST = ["Adler", "Baker", "Černá", "Dubois", "Evans", "O'Neill", "García-López", "Hill", "Ito", "Jones", "Kuhn"]
NAMES = [f"{first} {last}" for first in FIRST for last in LAST]


def luhn(body: str) -> str:
    """Append the check digit that makes the sum of digits, every second one doubled, a multiple of ten."""
    for last in "0123456789":
        digits = [int(digit) for digit in reversed(body + last)]
        if sum(digits[0::2] + [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]) % 10 == 0:
            return body + last
    raise AssertionError(body)


def found(name: str, values: Any, **said: Any) -> Column:
    overrides = from_mapping({"columns": {name: said}}) if said else None
    return infer_schema(pd.DataFrame({name: list(values)}), overrides)[name]


@pytest.mark.parametrize(
    ("values", "sort"),
    [
        ([f"person{n}@mail{n % 7}.com" for n in range(60)], "email"),
        (["one@shop.com", "two@shop.com"] * 500, "email"),
        ([f"+44 20 7{n:03d} {n:04d}" for n in range(60)], "phone_number"),
        ([f"(212) 5{n:02d}-{1000 + n}" for n in range(60)], "phone_number"),
        ([f"{n:03d}-{n % 90 + 10}-{1000 + n}" for n in range(60)], "ssn"),
        ([f"10.{n}.3.{n + 1}" for n in range(60)], "ipv4_address"),
        ([f"2001:db8::{n:x}:1" for n in range(60)], "ipv6_address"),
        ([f"https://site{n}.com/a" for n in range(60)], "url"),
        (["GB29NWBK60161331926819", "DE89370400440532013000", "FR1420041010050500013M02606"], "iban"),
        ([luhn(f"4{n:014d}") for n in range(60)], "credit_card_number"),
    ],
)
def test_what_has_a_form_is_told_by_it_whatever_the_name(values: list[str], sort: str) -> None:
    column = found("c", values)
    assert (column.kind, column.pii) == ("id", sort)


@pytest.mark.parametrize(
    ("name", "values", "sort"),
    [
        ("first_name", FIRST * 20, None),
        ("first_name", [f"{first}{last[0].lower()}" for first in FIRST for last in LAST], "first_name"),
        ("CustomerLastName", [f"{last}{first.lower()}" for first in FIRST for last in LAST], "last_name"),
        ("Full Name", NAMES, "name"),
        ("name", NAMES, "name"),
        ("name", [f"model {n}" for n in range(100)], None),
        ("street", [f"{n} Hill Road" for n in range(100)], "street_address"),
        ("address", [f"{n} Hill Road, Leeds" for n in range(100)], "address"),
        ("address", [f"{n} Hill Road" for n in range(100)], "street_address"),
        ("city", NAMES, "city"),
        ("city", ["Leeds", "York", "Hull"] * 40, None),
        ("zip", [10_000 + 17 * n for n in range(300)], "postcode"),
        ("mobile", [2_125_550_000 + n for n in range(300)], "phone_number"),
        ("phone_balance", [2_125_550_000.0 + n for n in range(300)], None),
        ("mobile_minutes", [100.5 + n for n in range(300)], None),
        ("company", [f"{name} Ltd" for name in NAMES], "company"),
        ("job", ["clerk", "cook", "nurse"] * 40, None),
    ],
)
def test_names_and_addresses_are_told_by_the_columns_name_unless_the_cells_deny_it_or_are_labels(
    name: str, values: list[Any], sort: str | None
) -> None:
    assert found(name, values).pii == sort


def test_dates_amounts_and_versions_are_no_personal_details() -> None:
    for values in (
        [f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d}" for n in range(90)],
        [f"{n % 28 + 1:02d}.{n % 12 + 1:02d}.2024" for n in range(90)],
        [f"{n}.{n % 10}" for n in range(90)],
        [f"{n:05d}" for n in range(90)],
    ):
        assert found("c", values).pii is None


def test_a_spec_wins_over_what_was_found() -> None:
    mails = [f"person{n}@mail.com" for n in range(60)]
    assert found("c", mails, kind="text").pii is None
    assert found("c", mails, kind="id").pii is None
    assert found("c", [f"x{n}" for n in range(60)], pii="company").kind == "id"
    with pytest.raises(SourceInputError, match=r"c\.pii: personal details are made anew"):
        found("c", mails, pii="email", kind="text")
    with pytest.raises(SourceInputError, match=r'c\.pii: unknown \(did you mean "email"'):
        found("c", mails, pii="emai")


def test_personal_details_have_the_locale_of_the_schema_and_only_keys_are_held_to_be_unique() -> None:
    frame = pd.DataFrame({"email": [f"p{n}@mail.com" for n in range(99)], "name": NAMES[:99], "n": range(99)})
    schema = infer_schema(frame, from_mapping({"locale": "de_DE"}))
    assert [column.locale for column in schema.columns] == ["de_DE", "de_DE", None]
    assert [column.rules.unique for column in schema.columns] == [True, False, False]
    assert infer_schema(frame)["email"].locale == "en_US"
    with pytest.raises(SourceInputError, match="locale: not a language"):
        from_mapping({"locale": "german"})


def test_an_entity_key_of_e_mail_addresses_is_one_of_personal_details() -> None:
    frame = pd.DataFrame({"who": [f"p{n // 2}@mail.com" for n in range(90)], "n": range(90)})
    assert infer_schema(frame, from_mapping({"entity_key": "who"}))["who"].pii == "email"


def test_a_dropped_column_is_not_looked_at_and_the_schema_says_so() -> None:
    frame = pd.DataFrame({"n": [1.5, 2.5] * 20, "void": [None] * 40, "bad": [[1]] * 40})
    said = from_mapping({"columns": {"void": {"drop": True}, "bad": {"drop": True}}})
    schema, findings = examine(frame, said)
    assert (schema.names, schema.dropped) == (("n",), ("void", "bad"))
    assert len(findings) == 1
    assert infer_common([frame, frame.drop(columns="bad")], said).dropped == ("void", "bad")


def test_what_cannot_be_dropped_is_refused() -> None:
    frame = pd.DataFrame({"n": [1.5, 2.5] * 20})
    with pytest.raises(SourceInputError, match="every column is left out"):
        infer_schema(frame, from_mapping({"columns": {"n": {"drop": True}}}))
    with pytest.raises(SourceInputError, match="has no role"):
        from_mapping({"columns": {"n": {"drop": True, "role": "target"}}})
    with pytest.raises(SourceInputError, match="no such column"):
        infer_schema(frame, from_mapping({"columns": {"m": {"drop": True}}}))
