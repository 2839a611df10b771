"""The shared encoding: bins from train, codes over the union, missing as its own cell."""

import numpy as np
import pandas as pd
import pytest

from sources.schema import Column
from validators.encoding import NUM_CODES, encode, encode_column, quantile_edges


def numeric(values: list[float], synthetic: list[float]) -> tuple[np.ndarray, np.ndarray, int]:
    column = Column(name="x", kind="numeric")
    note, _, cells = encode_column(column, {"train": pd.Series(values), "synthetic": pd.Series(synthetic)})
    return cells["train"], cells["synthetic"], note.num_cells


def test_bins_hold_equal_mass_of_train_and_missing_has_the_last_cell() -> None:
    train, synthetic, num_cells = numeric([*map(float, range(100)), np.nan], [-5.0, 1e9, np.nan, 9.0, 9.5])
    assert np.bincount(train, minlength=num_cells).tolist() == [10] * 10 + [1]
    assert synthetic.tolist() == [0, 9, 10, 0, 1]


def test_a_point_mass_stays_in_one_bin_of_its_own() -> None:
    values = [0.0] * 90 + [float(i) for i in range(1, 11)]
    train, synthetic, _ = numeric(values, [0.0, 0.5])
    assert len(set(train[:90])) == 1
    assert synthetic[0] != synthetic[1]


def test_edges_of_constant_and_empty_columns_are_none() -> None:
    assert len(quantile_edges(np.full(20, 3.0), 10)) == 0
    assert len(quantile_edges(np.full(20, np.nan), 10)) == 0


def test_labels_are_ranked_by_train_and_unseen_ones_come_last() -> None:
    column = Column(name="x", kind="categorical")
    series = {
        "train": pd.Series(["b", "b", "a", None, "c", "c"], dtype=object),
        "synthetic": pd.Series(["z", "a", None, "b"], dtype=object),
    }
    note, values, cells = encode_column(column, series)
    assert note.labels == ("b", "c", "a", "z")
    assert values["train"][:3].tolist() == [0, 0, 2]
    assert values["synthetic"].tolist()[:2] == [3, 2]
    assert np.isnan(values["synthetic"][2])
    assert cells["synthetic"].tolist() == [3, 2, 4, 0]
    assert note.num_cells == 5


def test_rare_labels_share_a_cell_and_codes_fit_into_a_byte() -> None:
    column = Column(name="x", kind="categorical")
    train = pd.Series([f"v{i}" for i in range(400) for _ in range(1 + (i < 5))], dtype=object)
    note, values, cells = encode_column(column, {"train": train, "synthetic": pd.Series(["new"], dtype=object)})
    assert note.num_cells == 12
    assert np.nanmax(values["train"]) == NUM_CODES - 1
    assert len(note.labels) == NUM_CODES
    assert set(cells["train"]) == set(range(11))
    assert cells["synthetic"].tolist() == [10]


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_dates_become_seconds_and_texts_lengths(unit: str) -> None:
    dates = pd.Series(["1970-01-02", None], dtype=f"datetime64[{unit}]")
    for series in (dates, dates.dt.tz_localize("UTC")):
        _, values, _ = encode_column(Column(name="t", kind="datetime"), {"train": series})
        assert values["train"][0] == 86_400
        assert np.isnan(values["train"][1])
    texts = pd.Series(["abc", None, ""], dtype=object)
    _, values, _ = encode_column(Column(name="t", kind="text"), {"train": texts})
    assert values["train"][[0, 2]].tolist() == [3, 0]
    assert np.isnan(values["train"][1])


def test_the_evidence_is_encoded_alike_for_every_part(evidence_of) -> None:  # noqa: ANN001
    evidence = evidence_of(synthetic=evidence_of().train)
    encoded = encode(evidence)
    assert np.array_equal(encoded.train.values, encoded.synthetic.values, equal_nan=True)
    assert np.array_equal(encoded.train.cells, encoded.synthetic.cells)
    assert encoded.reference is None
    assert (encoded.train.cells < encoded.num_cells).all()
    assert encoded.index("age") == 1
    assert encoded.index("nobody") is None
    assert encoded.categorical.tolist() == [False, False, True, True, True, False, True]
