"""Numbers as tokens: nothing of few rows is kept, and decoding gives back the distribution."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from generators.tabular.numeric import LEAF_ROWS, Lattice, NumericCodec, fit_numeric
from sources.randomness import stream

WHOLE = Lattice(step=1.0, decimals=0)
REAL = Lattice()


def incomes(n: int, seed: int = 1) -> np.ndarray:
    """Half zeros, a heavy tail, some missing."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random(n) < 0.5, 0.0, np.round(rng.lognormal(8, 1.5, size=n)))
    values[rng.random(n) < 0.1] = np.nan
    return values


def leaf_numbers(codec: NumericCodec, values: np.ndarray) -> np.ndarray:
    tokens = codec.encode(values)
    return tokens[:, 0] * codec.num_fine + tokens[:, 1]


@pytest.mark.parametrize("n", [20, 21, 100, 1_000, 20_000])
@pytest.mark.parametrize("lattice", [WHOLE, REAL])
def test_decoding_stays_in_the_leaf_and_every_leaf_has_its_support(n: int, lattice: Lattice) -> None:
    values = incomes(n)
    codec = fit_numeric(values, lattice, stream(0, "edges"))
    tokens = codec.encode(values)
    assert (tokens >= 0).all()
    assert codec.valid()[tokens[:, 0], tokens[:, 1]].all()
    decoded = codec.decode(tokens[:, 0], tokens[:, 1], stream(0, "draw"))
    assert np.array_equal(np.isnan(decoded), np.isnan(values) | (len(codec.knots) == 0))
    assert (codec.encode(decoded) == tokens).mean() > 0.995  # a draw may hit an exact value that lies in its range
    present = leaf_numbers(codec, values[~np.isnan(values)])
    if len(codec.knots):
        assert np.unique(present, return_counts=True)[1].min() >= LEAF_ROWS


def test_decoded_distribution_is_that_of_the_rows() -> None:
    values = incomes(20_000)
    codec = fit_numeric(values, WHOLE, stream(0, "edges"))
    tokens = codec.encode(values)
    decoded = codec.decode(tokens[:, 0], tokens[:, 1], stream(0, "draw"))
    # Every row stays in its leaf, and a leaf holds at most max(20, n / (47 * 16)) + ties of the 18,000 present rows.
    assert stats.ks_2samp(decoded, values, nan_policy="omit").statistic < 0.005
    assert np.array_equal(decoded == 0, values == 0)
    assert np.array_equal(decoded[~np.isnan(decoded)] % 1, np.zeros((~np.isnan(decoded)).sum()))


def test_a_value_of_many_rows_is_a_coarse_token_of_its_own() -> None:
    values = np.concatenate([np.zeros(500), np.random.default_rng(1).normal(size=20_000)])
    codec = fit_numeric(values, REAL, stream(0, "edges"))
    zero = codec.encode(np.array([0.0]))[0]
    assert codec.coarse.tolist().count(zero[0]) == 1
    assert codec.decode(zero[:1], zero[1:], stream(0, "x")).tolist() == [0.0]


def test_the_most_extreme_row_has_no_influence_on_what_is_kept() -> None:
    values = np.sort(np.random.default_rng(1).normal(size=2_000))
    states = []
    for extreme in (values[-1], 123_456.789):
        changed = np.append(values[:-1], extreme)
        states.append(fit_numeric(changed, REAL, stream(0, "edges")).to_json())
    assert states[0] == states[1]


def test_no_value_of_few_rows_is_kept() -> None:
    values = np.random.default_rng(1).normal(size=3_000)
    values[:30] = 0.123456789  # held by 30 rows: may be kept
    text = json.dumps(fit_numeric(values, REAL, stream(0, "edges")).to_json())
    kept = {number for number in set(values.tolist()) if repr(number) in text}
    assert kept == {0.123456789}


@pytest.mark.parametrize("holders", [1, 2, 3, 4])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_number_that_fewer_than_five_rows_share_is_not_kept_at_the_tail(holders: int, beyond: int) -> None:
    values = np.concatenate([np.arange(300.0) + 0.25, np.full(holders, 98_765.5), np.full(beyond, 10.0**7)])
    for lattice in (REAL, Lattice(step=0.25, decimals=2)):
        kept = json.dumps(fit_numeric(values, lattice, stream(0, "edges")).to_json())
        assert "98765.5" not in kept
        assert "98765.6225" not in kept  # half a step away, which snaps back


def test_few_numbers_among_missing_ones_become_missing() -> None:
    values = np.full(100, np.nan)
    values[:19] = np.arange(19.0)
    codec = fit_numeric(values, WHOLE, stream(0, "edges"))
    assert codec.num_coarse == 1
    assert np.isnan(codec.decode(*codec.encode(values).T, stream(0, "draw"))).all()


def test_values_not_seen_fall_into_the_nearest_leaf() -> None:
    codec = fit_numeric(np.repeat([1.0, 5.0, 9.0], 50), WHOLE, stream(0, "edges"))
    assert codec.encode(np.array([-100.0, 4.0, 1e9]))[:, 0].tolist() == [0, 1, 2]
    assert codec.encode(np.array([np.nan])).tolist() == [[-1, -1]]


def test_json_round_trip_gives_the_same_draws() -> None:
    values = incomes(2_000)
    codec = fit_numeric(values, WHOLE, stream(0, "edges"))
    other = NumericCodec.from_json(json.loads(json.dumps(codec.to_json())))
    tokens = codec.encode(values)
    assert np.array_equal(tokens, other.encode(values))
    draws = [one.decode(tokens[:, 0], tokens[:, 1], stream(0, "draw")) for one in (codec, other)]
    np.testing.assert_array_equal(*draws)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.lists(
        st.one_of(st.integers(-5, 5).map(float), st.floats(-1e12, 1e12), st.just(float("nan"))),
        min_size=20,
        max_size=300,
    )
)
def test_any_numbers_are_encoded_and_decoded_within_their_range(numbers: list[float]) -> None:
    values = np.array(numbers)
    codec = fit_numeric(values, REAL, stream(0, "edges"))
    tokens = codec.encode(values)
    assert (tokens >= 0).all()
    decoded = codec.decode(tokens[:, 0], tokens[:, 1], stream(0, "draw"))
    if not np.isnan(decoded).all():
        slack = 1e-9 * np.nanmax(np.abs(values))  # means are rounded
        assert np.nanmin(values) - slack <= np.nanmin(decoded)
        assert np.nanmax(decoded) <= np.nanmax(values) + slack


@pytest.mark.parametrize("seed", range(40))
def test_no_draw_lies_beyond_the_outermost_number_by_a_rounding(seed: int) -> None:
    """Real numbers heaped up at their ends, too few of them for an exact leaf of their own."""
    rng = np.random.default_rng(seed)
    low, high = np.sort(rng.random(2))
    values = np.concatenate([np.full(9, low), np.full(9, high), rng.uniform(low, high, size=60)])
    codec = fit_numeric(values, Lattice(), rng)
    leaf = rng.integers(len(codec.exact), size=2_000)
    drawn = codec.decode(codec.coarse[leaf], codec.fine[leaf], rng)
    assert low <= drawn.min()
    assert drawn.max() <= high
