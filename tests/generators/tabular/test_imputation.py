"""Missing cells drawn given the others: by the learnt law, present cells untouched, any patterns at once."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from generators.base import Budget, GeneratorInputError, NotFitted, ignore_step
from generators.tabular import imputation, masked
from generators.tabular.autoregressive import Autoregressive, Config, build, load
from generators.tabular.imputation import cells_not_read, impute
from sources.dataset import Dataset
from sources.schema import Column, Schema, TableRule

N = 3_000
SCHEMA = Schema(
    columns=(
        Column(name="who", kind="id"),
        Column(name="town", kind="categorical"),
        Column(name="country", kind="categorical"),
        Column(name="answer", kind="boolean"),
        Column(name="amount", kind="numeric", decimals=3),
        Column(name="day", kind="datetime", storage="date"),
    )
)
SHARES = {"Brno": 0.1, "Oslo": 0.9, "Praha": 0.3, "Bergen": 0.6}
COUNTRY = {"Brno": "cz", "Praha": "cz", "Oslo": "no", "Bergen": "no"}


def whole(n: int, *, seed: int) -> pd.DataFrame:
    """A town decides its country; answer depends on town, amount on answer."""
    rng = np.random.default_rng(seed)
    town = rng.choice(list(SHARES), size=n, p=[0.4, 0.3, 0.15, 0.15])
    answer = rng.random(n) < np.array([SHARES[name] for name in town])
    return pd.DataFrame(
        {
            "who": pd.Series([f"P{number:05d}" for number in range(n)], dtype=object),
            "town": pd.Series(town.astype(object), dtype=object),
            "country": pd.Series([COUNTRY[name] for name in town], dtype=object),
            "answer": pd.Series(answer, dtype="boolean"),
            "amount": np.round(rng.normal(np.where(answer, 3.0, 0.0), 1.0), 3),
            "day": pd.Series(np.datetime64("2020-01-01", "us") + rng.integers(0, 300, n).astype("timedelta64[D]")),
        }
    )


def holed(frame: pd.DataFrame, share: float, *, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return (
        frame.copy()
        .assign(**{name: cells.mask(pd.Series(rng.random(len(frame)) < share)) for name, cells in frame.items()})
        .astype(frame.dtypes)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Autoregressive:
    """Fitted on rows of which a tenth of the answers, amounts and days is missing; rules between towns are whole."""
    torch.set_num_threads(1)
    frame = whole(N, seed=1)
    with_gaps = holed(frame, 0.1, seed=2)
    frame[["answer", "amount"]] = with_gaps[["answer", "amount"]]
    fitted = build(Config(width=64, hidden=128, depth=2, batch_size=256, correct=False, fall_back=False))
    train = Dataset(frame=frame, schema=SCHEMA)
    run_dir = tmp_path_factory.mktemp("run")
    fitted.fit(train, seed=7, budget=Budget(steps=400), run_dir=run_dir, on_step=ignore_step)
    return fitted


def test_missing_cells_are_filled_and_present_ones_untouched(model: Autoregressive) -> None:
    frame = holed(whole(2_000, seed=3), 0.3, seed=4)
    before = frame.copy(deep=True)
    filled = impute(model, frame, seed=5)
    pd.testing.assert_frame_equal(frame, before)
    assert filled.dtypes.equals(frame.dtypes)
    for name in frame:
        present = frame[name].notna()
        assert filled[name][present].equals(frame[name][present])
        assert filled[name].notna().all() == (name != "who")  # nobody's identity is made up
    rules = set(zip(filled["town"], filled["country"], strict=True))
    assert rules == set(COUNTRY.items())


def test_cells_follow_the_law_given_what_the_row_has(model: Autoregressive) -> None:
    """Shares learnt of n rows and drawn of n: their error is sqrt(2 p (1 - p) / n), of which 6 are allowed."""
    frame = whole(4_000, seed=6)
    gaps = frame.assign(answer=pd.array([pd.NA] * len(frame), dtype="boolean"), amount=np.nan)
    filled = impute(model, gaps, seed=7)
    for town, share in SHARES.items():
        answers = filled["answer"][filled["town"] == town]
        assert abs(answers.mean() - share) < 6 * np.sqrt(2 * share * (1 - share) / len(answers))
    for answer, mean in ((True, 3.0), (False, 0.0)):
        amounts = filled["amount"][filled["answer"] == answer]
        assert abs(amounts.mean() - mean) < 6 * np.sqrt(2 / len(amounts))
    told = impute(model, frame.assign(answer=pd.array([pd.NA] * len(frame), dtype="boolean")), seed=7)
    certain = (frame["amount"] > 4) | (frame["amount"] < -1)  # Bayes' rule: all but certain there
    assert (told["answer"] == frame["answer"])[certain].mean() > 0.9


def test_a_cell_is_drawn_at_the_networks_own_probability_without_missing(model: Autoregressive) -> None:
    """Against one pass of the network over the row, in which the place is unknown; the amount is unknown too."""
    codec, network = model.fitted.codec, model.fitted.network
    assert network is not None
    row = whole(30, seed=21).assign(amount=np.nan).iloc[[4]]
    n = 20_000
    drawn = impute(model, row.loc[[4] * n].assign(answer=pd.array([pd.NA] * n, dtype="boolean")), 22, ["answer"])
    tokens = torch.from_numpy(codec.encode(row).astype(np.int64))
    place = codec.position("answer")
    assert place is not None
    for position, token in enumerate(codec.tokens):
        if token.column in ("answer", "amount"):
            tokens[:, position] = token.size
    start = sum(token.size for token in codec.tokens[:place])
    with torch.no_grad():
        no, yes, missing = network(tokens)[0, start : start + 3].softmax(0).tolist()
    assert missing > 0.01  # a tenth of the training rows: leaving it out shows
    assert stats.binomtest(int(drawn["answer"].sum()), n, yes / (no + yes)).pvalue > 1e-6


def test_a_rule_read_backwards_restricts_what_decides_it(model: Autoregressive) -> None:
    frame = whole(3_000, seed=8)
    filled = impute(model, frame.assign(town=pd.Series([None] * len(frame), dtype=object))[["town", "country"]], seed=9)
    assert all(COUNTRY[town] == country for town, country in zip(filled["town"], frame["country"], strict=True))
    northern = filled["town"][filled["country"] == "no"]
    assert stats.binomtest(int((northern == "Oslo").sum()), len(northern), 2 / 3).pvalue > 1e-6


def test_rows_do_not_depend_on_their_company_and_pieces_do_not_show(
    model: Autoregressive, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = holed(whole(500, seed=10), 0.3, seed=11)
    at_once = impute(model, frame, seed=12)
    pd.testing.assert_frame_equal(at_once, impute(model, frame, seed=12))
    assert not at_once.equals(impute(model, frame, seed=13))
    monkeypatch.setattr(imputation, "SAMPLE_ROWS", 130)
    in_pieces = impute(model, frame, seed=12)
    assert (in_pieces["town"] == at_once["town"]).mean() > 0.99  # other batch sizes round differently


def test_passes_through_the_network_do_not_grow_with_patterns(
    model: Autoregressive, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    real = masked.Painter.probabilities

    def counted(self: masked.Painter, features: torch.Tensor, place: int, tokens: torch.Tensor) -> torch.Tensor:
        passes.append(len(features))
        return real(self, features, place, tokens)

    monkeypatch.setattr(masked.Painter, "probabilities", counted)
    frame = holed(whole(400, seed=14), 0.4, seed=15)
    assert len(frame.isna().drop_duplicates()) > 25
    impute(model, frame, seed=16)
    assert len(passes) <= 2 * len(model.fitted.codec.tokens)


def test_columns_that_are_not_asked_for_stay_missing(model: Autoregressive, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    frame = holed(whole(300, seed=17), 0.3, seed=18)
    filled = impute(load(tmp_path / "model"), frame, seed=19, columns=["answer"])
    assert filled["answer"].notna().all()
    others = [name for name in frame if name != "answer"]
    pd.testing.assert_frame_equal(filled[others], frame[others])
    assert len(impute(model, frame.iloc[:0], seed=1)) == 0


def test_cells_that_the_model_never_saw_are_counted_and_kept(model: Autoregressive) -> None:
    frame = whole(50, seed=20)
    frame["town"] = pd.Series(["atlantis"] * 3 + frame["town"].tolist()[3:], dtype=object)
    frame.loc[:9, "answer"] = pd.NA
    assert cells_not_read(model, frame) == {"town": 3}
    filled = impute(model, frame, seed=1)
    assert filled["town"].equals(frame["town"])
    assert filled["answer"].notna().all()


def test_what_cannot_be_imputed_is_said(model: Autoregressive) -> None:
    frame = whole(10, seed=1)
    with pytest.raises(GeneratorInputError, match=r'no such column \(did you mean "town"\?\)'):
        impute(model, frame, seed=1, columns=["twon"])
    with pytest.raises(GeneratorInputError, match="identifier"):
        impute(model, frame, seed=1, columns=["who"])
    with pytest.raises(GeneratorInputError, match="no such column"):
        impute(model, frame.assign(more=1), seed=1)
    with pytest.raises(NotFitted):
        impute(build(Config()), frame, seed=1)


def test_columns_that_are_made_from_others_keep_their_rule_whichever_cells_are_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    n = 900
    start = rng.integers(0, 60, n).astype(np.float64)
    parts = rng.integers(1, 30, (2, n)).astype(np.float64)
    frame = pd.DataFrame({"start": start, "end": start + rng.poisson(3, n), "a": parts[0], "b": parts[1]})
    frame["total"] = frame["a"] + frame["b"]
    columns = tuple(Column(name=name, kind="numeric", integer=True, decimals=0, storage="int64") for name in frame)
    fitted = build(Config(width=32, hidden=64, depth=1, batch_size=256))
    rules = (
        TableRule(kind="greater_or_equal", columns=("end", "start")),
        TableRule(kind="sum", columns=("total", "a", "b")),
    )
    train = Dataset(frame=frame, schema=Schema(columns=columns, rules=rules))
    fitted.fit(train, seed=1, budget=Budget(steps=80), run_dir=tmp_path, on_step=ignore_step)
    assert {rule.column for rule in fitted.fitted.codec.relations.derivations} == {"end", "total"}
    gaps = holed(frame, 0.3, seed=2)
    filled = impute(fitted, gaps, seed=3)
    for name in frame:
        assert filled[name][gaps[name].notna()].equals(gaps[name][gaps[name].notna()])
    assert not (filled["end"] < filled["start"]).any()
    whole_sums = filled[["a", "b", "total"]].notna().all(axis=1)
    assert (filled["a"] + filled["b"] == filled["total"])[whole_sums].all()
    assert filled["total"][gaps["a"].notna() & gaps["b"].notna()].notna().all()
    assert filled["end"].notna().all()
    assert filled["start"].notna().mean() > 0.95  # ends near the beginning allow hardly any start that is drawn
