"""Cells that repeat another column: found where they do, kept to the last digit, refused by chance."""

import numpy as np
import pandas as pd
import pytest

from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.numeric import NumericCodec
from sources.conform import conform
from sources.dataset import Dataset
from sources.inference import infer_schema
from sources.overrides import ColumnOverrides, SchemaOverrides


def bills(n: int = 3000, paid: float = 0.2) -> pd.DataFrame:
    """Bills in cents, of which a part is paid to the cent; the rest pays what it likes."""
    rng = np.random.default_rng(3)
    bill = np.round(rng.lognormal(5, 1, n), 2)
    payment = np.where(rng.random(n) < paid, bill, np.round(rng.lognormal(4, 1, n), 2))
    return pd.DataFrame({"bill": bill, "payment": payment, "sex": rng.choice(["f", "m"], n)})


def fitted(frame: pd.DataFrame) -> tuple[TableCodec, Dataset]:
    dataset = conform(frame, infer_schema(frame))
    return fit_codec(dataset, CodecConfig(), seed=0), dataset


def echoes_of(codec: TableCodec) -> dict[str, tuple[str, ...]]:
    return {name: one.echoes for name, one in codec.columns.items() if isinstance(one, NumericCodec) and one.echoes}


def payable(codec: TableCodec, bill: pd.Series) -> np.ndarray:
    """Return which bills lie where payments are drawn: nearly all."""
    numeric = codec.columns["payment"]
    assert isinstance(numeric, NumericCodec)
    inside = bill.between(*numeric.ends).to_numpy(dtype=bool)
    assert inside.sum() > 0.8 * len(bill)
    return inside


@pytest.fixture(scope="module")
def paid() -> tuple[TableCodec, Dataset]:
    return fitted(bills())


def test_a_repeated_number_is_the_same_to_the_last_digit_in_every_drawn_row(paid: tuple[TableCodec, Dataset]) -> None:
    codec, dataset = paid
    assert echoes_of(codec) == {"payment": ("bill",)}
    drawn = codec.decode(codec.encode(dataset.frame), seed=1)
    equal = (dataset.frame["bill"] == dataset.frame["payment"]).to_numpy()
    assert 0.15 < equal.mean() < 0.25
    assert (drawn["bill"] == drawn["payment"])[equal & payable(codec, drawn["bill"])].all()
    assert (drawn["bill"] == drawn["payment"])[~equal].mean() < 0.01


def test_what_is_equal_by_chance_or_never_is_no_echo() -> None:
    rng = np.random.default_rng(0)
    few = pd.DataFrame({"a": rng.integers(0, 400, 3000), "b": rng.integers(0, 400, 3000)})  # equal in 1 of 400 rows
    assert echoes_of(fitted(few)[0]) == {}
    assert echoes_of(fitted(bills(paid=0.0))[0]) == {}


def test_point_masses_that_agree_are_no_echo() -> None:
    frame = bills(paid=0.0)
    zero = np.random.default_rng(1).random(len(frame)) < 0.3
    frame.loc[zero, ["bill", "payment"]] = 0.0
    assert echoes_of(fitted(frame)[0]) == {}


def test_a_missing_number_is_not_repeated() -> None:
    frame = bills()
    frame.loc[::7, "bill"] = np.nan
    codec, dataset = fitted(frame)
    tokens = codec.encode(dataset.frame)
    payment, bill = codec.position("payment"), codec.position("bill")
    numeric = codec.columns["payment"], codec.columns["bill"]
    assert isinstance(numeric[0], NumericCodec)
    assert isinstance(numeric[1], NumericCodec)
    tokens[:, payment] = numeric[0].num_values  # as if every payment repeated its bill
    drawn = codec.decode(tokens, seed=2)
    absent = tokens[:, bill] == numeric[1].num_coarse - 1
    assert absent.sum() == dataset.frame["bill"].isna().sum()
    assert drawn["payment"].notna().all()
    assert (drawn["payment"] == drawn["bill"])[~absent & payable(codec, drawn["bill"])].all()


def test_what_is_given_or_present_is_what_is_repeated(paid: tuple[TableCodec, Dataset]) -> None:
    codec, dataset = paid
    tokens = codec.encode(dataset.frame)
    given = dataset.frame[["bill"]]
    drawn = codec.decode(tokens, seed=3, given=given)
    equal = (dataset.frame["bill"] == dataset.frame["payment"]).to_numpy()
    bill = dataset.frame["bill"]
    assert (drawn["payment"] == bill)[equal & payable(codec, bill)].all()


def test_a_codec_is_read_back_with_its_echoes(paid: tuple[TableCodec, Dataset]) -> None:
    codec, dataset = paid
    again = TableCodec.from_json(codec.to_json(), codec.schema)
    assert echoes_of(again) == echoes_of(codec)
    tokens = codec.encode(dataset.frame)
    assert np.array_equal(again.encode(dataset.frame), tokens)
    assert again.decode(tokens, seed=4).equals(codec.decode(tokens, seed=4))


def test_a_present_number_is_what_a_drawn_one_repeats(paid: tuple[TableCodec, Dataset]) -> None:
    codec, dataset = paid
    tokens = codec.encode(dataset.frame)
    present = dataset.frame.assign(payment=np.nan)
    present.loc[::2, "bill"] = np.nan
    drawn = codec.decode(tokens, seed=5, present=present)
    equal = (dataset.frame["bill"] == dataset.frame["payment"]).to_numpy()
    known = present["bill"].notna().to_numpy()
    bill = dataset.frame["bill"].where(known, drawn["bill"])
    assert known[equal].any()
    assert not known[equal].all()
    assert (drawn["payment"] == bill)[equal & payable(codec, bill)].all()


def test_what_a_repeated_number_cannot_be_becomes_the_end_of_the_range() -> None:
    frame = bills()
    large = np.arange(len(frame)) % 10 == 0
    frame.loc[large, "bill"] = frame.loc[large, "bill"] + 1e5  # no payment is so large
    codec, dataset = fitted(frame)
    tokens = codec.encode(dataset.frame)
    payment = codec.position("payment")
    numeric = codec.columns["payment"]
    assert isinstance(numeric, NumericCodec)
    tokens[:, payment] = numeric.num_values
    assert codec.decode(tokens, seed=6)["payment"].max() == numeric.ends[1] < 1e5


def test_the_many_rows_of_one_entity_count_once() -> None:
    frame = bills(paid=0.0)
    everybody = np.arange(len(frame)) // 2
    one = np.where(np.arange(len(frame)) < 600, 0, everybody)  # a fifth of the rows is one person, who pays all bills
    frame.loc[one == 0, "payment"] = frame.loc[one == 0, "bill"]
    for owner, found in ((one, {}), (everybody, {"payment": ("bill",)})):
        owned = frame.assign(owner=[f"P{number:06d}" for number in owner])
        said = SchemaOverrides(columns={"owner": ColumnOverrides(kind="id")}, entity_key="owner")
        codec = fit_codec(conform(owned, infer_schema(owned, said)), CodecConfig(), seed=0)
        assert echoes_of(codec) == found
