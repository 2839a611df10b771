"""Personal details: made of their sort, never of the source, kept apart and together as the source has them."""

import json
import random
import re
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from generators.base import GeneratorInputError
from generators.sdv import unit_interval
from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.identifiers import IdCodec, fit_declared_id
from sources.conform import conform
from sources.dataset import Dataset
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.randomness import stream
from sources.schema import Column, Pii, Rules

NUM_ROWS = 400


def people(locale: str = "en_US") -> Dataset:
    """Return rows with details of every common sort; e-mail and telephone are of ranges that made ones use too."""
    rng = stream(1, "people")
    n = np.arange(NUM_ROWS)
    frame = pd.DataFrame(
        {
            "first_name": [f"Vor{'abcdefghij'[i % 10]}{'abcdefghij'[i // 40]}" for i in n],
            "last_name": [f"Nach{'abcdefghij'[i % 10]}{'abcdefghij'[i // 10 % 10]}" for i in n],
            "full_name": [f"Vor{'abcdefghij'[i % 10]} Nach{'abcdefghij'[i // 10 % 10]}{i % 7 * 'x'}" for i in n],
            "email": [f"p{i}@example.org" for i in n],
            "second_email": [f"q{i}@mail.com" for i in n],
            "phone": [f"+1-2{i % 10}{i // 10 % 10}-555-01{i // 4 % 100:02d}" for i in n],
            "street": [f"{i} Hill Road" for i in n],
            "city": [f"Town {'abcdefghij'[i % 10]}{'abcdefghij'[i // 40]}" for i in n],
            "amount": rng.normal(size=NUM_ROWS).round(2),
        }
    )
    frame.loc[rng.random(NUM_ROWS) < 0.2, "phone"] = None
    said = {name: {"pii": sort} for name, sort in SORTS.items()}
    return conform(frame, infer_schema(frame, from_mapping({"locale": locale, "columns": said})))


SORTS: dict[str, Pii] = {
    "first_name": "first_name",
    "last_name": "last_name",
    "full_name": "name",
    "email": "email",
    "second_email": "email",
    "phone": "phone_number",
    "street": "street_address",
    "city": "city",
}


@pytest.fixture(scope="module")
def train() -> Dataset:
    return people()


@pytest.fixture(scope="module")
def codec(train: Dataset) -> TableCodec:
    return fit_codec(train, CodecConfig(), seed=3)


def drawn(codec: TableCodec, n: int = 1000, seed: int = 5) -> pd.DataFrame:
    return codec.decode(np.zeros((n, len(codec.tokens)), dtype=np.int64), seed=seed)


def test_no_key_of_the_source_is_made_though_the_source_uses_the_same_ranges(train: Dataset, codec: TableCodec) -> None:
    made = drawn(codec)
    for name in ("email", "second_email", "phone"):
        assert not set(made[name].dropna()) & set(train.frame[name].dropna())
    assert set(made["email"].str.rpartition("@")[2]) == {"example.com"}
    assert set(made["second_email"].str.rpartition("@")[2]) == {"example.org"}
    assert made["phone"].dropna().str.fullmatch(r"\+1-\d{3}-555-01\d\dx\d").all()


def test_what_is_saved_holds_nothing_of_the_source(train: Dataset, codec: TableCodec) -> None:
    text = json.dumps(codec.to_json())
    cells = {str(cell) for name in SORTS for cell in train.frame[name].dropna()}
    assert not [cell for cell in cells if cell in text]
    again = TableCodec.from_json(json.loads(text), train.schema)
    assert drawn(again).equals(drawn(codec))


def test_uniqueness_and_the_share_of_missing_cells_are_kept(train: Dataset, codec: TableCodec) -> None:
    made = drawn(codec)
    for name in ("email", "second_email", "street"):
        assert made[name].is_unique
    assert made["phone"].dropna().is_unique
    assert abs(made["phone"].isna().mean() - train.frame["phone"].isna().mean()) <= 1 / len(made)
    assert made["last_name"].duplicated().any()


def test_the_details_of_a_row_are_of_one_person_and_a_second_e_mail_of_another(codec: TableCodec) -> None:
    made = drawn(codec)
    local = made["email"].str.partition("@")[0].str.replace(r"\d+$", "", regex=True)
    bare = [made[name].str.lower().str.replace(r"[^a-z]", "", regex=True) for name in ("first_name", "last_name")]
    assert (local == bare[0] + "." + bare[1]).all()
    assert (made["full_name"] == made["first_name"] + " " + made["last_name"]).mean() > 0.9  # others have initials
    other = made["second_email"].str.partition("@")[0].str.replace(r"\d+$", "", regex=True)
    assert (other == local).mean() < 0.05


def test_the_same_seed_makes_the_same_and_nothing_global_is_seeded(codec: TableCodec) -> None:
    python, numpy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - it must stay as it is
    assert drawn(codec, seed=8).equals(drawn(codec, seed=8))
    assert not drawn(codec, seed=8)["full_name"].equals(drawn(codec, seed=9)["full_name"])
    assert random.getstate() == python
    assert np.random.get_state()[1].tolist() == numpy  # noqa: NPY002 - likewise


def test_names_are_of_the_locale_and_addresses_are_plain_letters_in_each() -> None:
    for locale, letters in (("de_DE", r"[A-Za-zÄÖÜäöüß .'-]+"), ("ja_JP", r"[^A-Za-z]+")):
        made = drawn(fit_codec(people(locale), CodecConfig(), seed=3), 200)
        assert made["full_name"].str.fullmatch(letters).all()
        assert made["email"].str.fullmatch(r"[a-z.]+\d*@example\.com").all()
        assert made["email"].is_unique
    assert made["full_name"].iloc[0].startswith(made["last_name"].iloc[0])


def test_a_locale_that_faker_lacks_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(GeneratorInputError, match=r'did you mean "de_DE"'):
        fit_codec(people("de_DX"), CodecConfig(), seed=3)


def test_without_faker_the_error_names_the_remedy(train: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(GeneratorInputError, match="Faker is not installed") as caught:
        fit_codec(train, CodecConfig(), seed=3)
    assert "pip install faker" in str(caught.value.remedy)


def fitted(sort: Pii, cells: list[Any], **more: Any) -> IdCodec:
    return fit_declared_id(Column(name="c", kind="id", pii=sort, **more), np.array(cells, dtype=object))


def test_a_key_that_names_several_rows_does_so_anew() -> None:
    made = fitted("email", [f"p{i // 3}@mail.com" for i in range(300)]).draw(600, stream(4, "draw"))
    counts = pd.Series(made).value_counts()
    assert (counts == 3).all()


def test_columns_that_files_hold_as_numbers_get_numbers_that_they_hold() -> None:
    for sort in ("phone_number", "credit_card_number", "ssn", "postcode"):
        made = fitted(sort, [str(2_125_550_000 + 7 * i) for i in range(100)], storage="int64").draw(
            500, stream(4, sort)
        )
        assert all(re.fullmatch(r"[1-9][0-9]{0,17}", text) for text in made)
    with pytest.raises(GeneratorInputError, match="more digits"):
        fitted("credit_card_number", ["4111"] * 50, storage="float64")


def test_declared_uniqueness_is_kept_or_refused() -> None:
    names = fitted("name", ["Ann Adler"] * 50, rules=Rules(unique=True)).draw(30_000, stream(4, "names"))
    assert len(set(names)) == 30_000
    firms = fitted("company", [f"c{i}" for i in range(50)]).draw(5000, stream(4, "firms"))
    assert len(set(firms)) == 5000
    countries = fitted("country", ["Peru"] * 50)
    assert len(countries.draw(2000, stream(4, "countries"))) == 2000
    with pytest.raises(GeneratorInputError, match="not so many different country"):
        fitted("country", ["Peru"] * 50, rules=Rules(unique=True)).draw(2000, stream(4, "c"))


def test_a_declared_pattern_that_made_ones_break_is_refused() -> None:
    assert fitted("email", ["a@mail.com"] * 30, rules=Rules(pattern=r".+@.+")).made is not None
    with pytest.raises(GeneratorInputError, match="do not match the declared pattern"):
        fitted("email", ["a@mail.com"] * 30, rules=Rules(pattern=r".+@mail\.com"))


def test_no_rows_and_one_row_can_be_made(codec: TableCodec) -> None:
    assert len(drawn(codec, 0)) == 0
    assert drawn(codec, 1).notna().all(axis=1).sum() in (0, 1)


def test_the_adapters_of_sdv_make_them_in_the_same_way(train: Dataset) -> None:
    encoded, codes, _ = unit_interval.encode(train, 5, seed=3)
    assert not set(SORTS) & set(encoded.columns)
    made = unit_interval.decode(train.schema, codes, encoded, NUM_ROWS, seed=4).frame
    assert not set(made["email"]) & set(train.frame["email"])
    assert (made["full_name"].str.partition(" ")[0] == made["first_name"]).all()


def test_rows_that_agree_in_what_is_declared_unique_get_new_details() -> None:
    frame = pd.DataFrame(
        {"mail": [f"p{i // 4}@mail.com" for i in range(NUM_ROWS)], "day": ["a", "b"] * (NUM_ROWS // 2)}
    )
    said = {"columns": {"mail": {"pii": "email"}}, "rules": [{"unique": ["mail", "day"]}]}
    codec = fit_codec(conform(frame, infer_schema(frame, from_mapping(said))), CodecConfig(), seed=3)
    made = drawn(codec, 500)
    assert not made.duplicated(["mail", "day"]).any()
    assert not set(made["mail"]) & set(frame["mail"])
