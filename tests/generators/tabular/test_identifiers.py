"""New ids keep a declared pattern, or the fit says why they could not; what is declared unique with an id stays so."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.base import GeneratorInputError
from generators.tabular.codec import CodecConfig, fit_codec
from generators.tabular.id_patterns import positions_of
from generators.tabular.identifiers import fit_declared_id
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Rules, Schema, Storage, TableRule

N = 200


def key(pattern: str | None, storage: Storage = "string") -> Column:
    return Column(name="key", kind="id", storage=storage, rules=Rules(pattern=pattern, unique=True))


def ids(form: str, n: int = N) -> np.ndarray:
    return np.array([form % number for number in range(n)], dtype=object)


@pytest.mark.parametrize(
    ("pattern", "form", "storage"),
    [
        ("P-[0-9]{6}", "P-%06d", "string"),
        (r"\d{3}-\d{4}", "555-%04d", "string"),
        ("[A-F0-9]{12}", "%012X", "string"),
        (r"^[A-Z][A-Z\d_.-]{7}\.x$", "A_%06d.x", "string"),
        ("[0-9]{6}", "1%05d", "int64"),
        ("(P|Q)-[0-9]+", "P-%05d", "string"),  # of no one length: what is drawn matches it
    ],
)
def test_new_ids_match_the_declared_pattern(pattern: str, form: str, storage: Storage) -> None:
    codec = fit_declared_id(key(pattern, storage), ids(form))
    drawn = codec.draw(1_000, stream(1, "ids")).tolist()
    assert all(re.fullmatch(pattern, text) for text in drawn)
    assert len(set(drawn)) == 1_000
    if storage == "int64":
        assert all(str(int(text)) == text for text in drawn)


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "-", "[0-9]", "[A-Cx]", r"\d", r"\.", "[^a]", "[z-a]"]), st.integers(1, 4)),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["", "+", "|b", ".", "(c)", "{2,3}"]),
)
def test_what_is_read_of_a_pattern_is_what_the_regular_expression_means(atoms: Any, tail: str) -> None:
    pattern = "".join(atom if count == 1 else f"{atom}{{{count}}}" for atom, count in atoms) + tail
    positions = positions_of(pattern)
    if tail or any(atom in ("[^a]", "[z-a]") for atom, _ in atoms):
        assert positions is None
    else:
        assert positions is not None
        for text in ("".join(one[0] for one in positions), "".join(one[-1] for one in positions)):
            assert re.fullmatch(pattern, text)
        assert len(positions) == sum(count for _, count in atoms)


@pytest.mark.parametrize(
    ("pattern", "form", "message"),
    [
        ("[0-9]{3}", "%03d", "too little room"),
        ("(?:A|B)[0-9]{4}", "A%04d", "do not match"),  # ids are lengthened, for there would be too little room
    ],
)
def test_a_pattern_that_new_ids_cannot_keep_is_refused_in_words(pattern: str, form: str, message: str) -> None:
    with pytest.raises(GeneratorInputError, match=message) as refusal:
        fit_declared_id(key(pattern), ids(form, 900))
    assert refusal.value.remedy
    assert "A0007" not in str(refusal.value)


def test_all_ids_of_a_pattern_can_be_drawn_and_no_more() -> None:
    codec = fit_declared_id(key("[0-9]{3}"), ids("%03d"))
    assert len(set(codec.draw(1_000, stream(2, "all")))) == 1_000
    with pytest.raises(GeneratorInputError, match="no room for so many"):
        codec.draw(1_001, stream(2, "all"))


def test_rows_that_are_declared_unique_by_an_id_stay_unique() -> None:
    rng = np.random.default_rng(3)
    visits = pd.DataFrame({"who": np.repeat(ids("W-%05d", 150), 4), "visit": np.tile(np.arange(4.0), 150)})
    columns = (Column(name="who", kind="id"), Column(name="visit", kind="numeric", integer=True))
    rules = (TableRule(kind="unique", columns=("who", "visit")),)
    train = Dataset(frame=visits, schema=Schema(columns=columns, rules=rules))
    codec = fit_codec(train, CodecConfig(), seed=1)
    tokens = rng.integers(0, 4, size=(1_000, 1))
    frame = codec.decode(tokens, seed=1)
    assert not frame.duplicated(["who", "visit"]).any()
    assert frame["who"].value_counts().max() > 1
    pd.testing.assert_frame_equal(codec.decode(tokens, seed=1), frame)
    loose = Dataset(frame=visits, schema=Schema(columns=columns))
    assert fit_codec(loose, CodecConfig(), seed=1).decode(tokens, seed=1).duplicated(["who", "visit"]).any()


def test_what_is_declared_unique_without_an_id_is_noted() -> None:
    frame = pd.DataFrame({"n": np.arange(60.0)})
    rules = (TableRule(kind="unique", columns=("n",)),)
    schema = Schema(columns=(Column(name="n", kind="numeric", integer=True),), rules=rules)
    codec = fit_codec(Dataset(frame=frame, schema=schema), CodecConfig(), seed=1)
    assert any("kept by chance alone" in note for note in codec.notes(frame))
