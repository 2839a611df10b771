"""Exact copies against the holdout."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.measurement import Status
from validators.policy import Policy
from validators.privacy.copies import against_real, exact_copies, row_codes
from validators.privacy.real_rows import RealRows


def categories(n: int, seed: int, labels: Any = 4) -> Any:
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "abcdef"))
    cells = stream(seed, "cells").integers(0, labels, (n, 6)).astype(str)
    return Dataset(frame=pd.DataFrame(cells, columns=list("abcdef"), dtype=object), schema=schema)


def judge(train: Any, holdout: Any, synthetic: Any) -> Any:
    evidence = Evidence(
        train=train, holdout=holdout, synthetic=synthetic, schema=train.schema, policy=Policy.preset("standard")
    )
    (found,) = exact_copies(evidence, stream(0, "unused"))
    return found


def test_row_codes_are_equal_exactly_where_rows_are() -> None:
    left = pd.DataFrame({"x": [1.0, 1.0, np.nan, np.nan], "y": pd.Series(["a", "b", None, "a"], dtype=object)})
    codes, other = row_codes([left, left.iloc[[2, 0]]], ["x", "y"])
    assert len(set(codes)) == 4
    assert other.tolist() == [codes[2], codes[0]]


def test_natural_duplicates_pass_and_copies_among_them_do_not() -> None:
    for seed in range(10):
        train, holdout, fresh = (categories(2000, 3 * seed + i) for i in range(3))
        assert judge(train, holdout, fresh).status is Status.PASS
    assert judge(train, holdout, train).status is Status.FAIL


def test_unequal_parts_and_few_copies(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(1, (1500, 500, 1000))
    assert exact_copies(evidence, stream(0, "u"))[0].status is Status.PASS
    for copies, status in ((30, Status.FAIL), (2, Status.PASS)):
        frame = pd.concat(
            [evidence.synthetic.frame.iloc[copies:], evidence.train.frame.iloc[:copies]], ignore_index=True
        )
        (found,) = exact_copies(
            replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)), stream(0, "u")
        )
        assert found.status is status
        assert found.detail["looks"]["single rows"]["train"] == copies


@pytest.mark.parametrize(("sizes", "copies"), [((500, 250, 250), 12), ((600, 200, 200), 10), ((700, 150, 150), 8)])
def test_a_dozen_copies_are_seen_where_fresh_rows_are_few(
    evidence_of: Callable[..., Evidence], sizes: tuple[int, int, int], copies: int
) -> None:
    for seed in range(5):
        evidence = evidence_of(seed, sizes)
        assert exact_copies(evidence, stream(0, "u"))[0].status is Status.PASS
        frame = pd.concat(
            [evidence.synthetic.frame.iloc[copies:], evidence.train.frame.iloc[:copies]], ignore_index=True
        )
        (found,) = exact_copies(
            replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)), stream(0, "u")
        )
        assert found.status is Status.FAIL


def test_a_synthesizer_that_likes_common_rows_copies_nobody() -> None:
    train, holdout = categories(1_000, 1, labels=3), categories(500, 2, labels=3)  # 729 kinds of rows
    common = train.frame.value_counts().index[:300].to_frame(index=False).astype(object)
    seen_in_both = common.merge(holdout.frame.drop_duplicates()).sample(500, replace=True, random_state=0)
    synthetic = Dataset(frame=seen_in_both.reset_index(drop=True), schema=train.schema)
    assert judge(train, holdout, synthetic).status is Status.PASS


def test_rows_of_both_parts_alike_are_told_by_the_holdout_that_was_seen() -> None:
    for seed in range(10):
        train, holdout, pool = (categories(1000, 3 * seed + i) for i in range(3))
        common = Dataset(
            frame=pd.concat([train.frame, holdout.frame]).sample(800, random_state=seed, ignore_index=True),
            schema=train.schema,
        )
        found = judge(train, holdout, common)
        assert found.status is Status.FAIL
        assert found.detail["worst"] == "fresh rows"
        assert found.detail["looks"]["single rows"]["p"] > 0.001
        assert judge(train, holdout, pool).status is Status.PASS


def test_a_new_id_does_not_hide_a_copy_and_copied_ids_are_seen() -> None:
    schema = Schema(
        columns=(Column(name="id", kind="id"), Column(name="x", kind="numeric"), Column(name="t", kind="text"))
    )

    def part(first: Any, seed: int) -> Any:
        rng = stream(seed, "x")
        ids = pd.Series([f"id{first + i}" for i in range(300)], dtype=object)
        texts = pd.Series([f"said {first + i}" for i in range(300)], dtype=object)
        return Dataset(frame=pd.DataFrame({"id": ids, "x": rng.normal(size=300), "t": texts}), schema=schema)

    train, holdout, fresh = part(0, 1), part(300, 2), part(600, 3)
    assert judge(train, holdout, fresh).status is Status.PASS
    renamed = Dataset(frame=train.frame.assign(id=fresh.frame["id"]), schema=schema)
    assert judge(train, holdout, renamed).detail["worst"] in ("single rows", "single values of t")
    with_ids = Dataset(frame=fresh.frame.assign(id=train.frame["id"]), schema=schema)
    found = judge(train, holdout, with_ids)
    assert found.status is Status.FAIL
    assert found.detail["worst"] == "single values of id"


@pytest.mark.parametrize("part", ["holdout", "rows"])
def test_too_little_is_inconclusive(evidence_of: Callable[..., Evidence], part: Any) -> None:
    evidence = evidence_of(1, holdout=None) if part == "holdout" else evidence_of(1, (600, 400, 50))
    (found,) = exact_copies(evidence, stream(0, "u"))
    assert found.status is Status.INCONCLUSIVE
    assert found.value is None


def test_copies_with_one_or_two_columns_drawn_anew_are_copies(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(3, (1500, 1000, 1200))
    for changed in (["bought"], ["bought", "income"]):
        copied = evidence.train.frame.iloc[:40].copy()
        for name in changed:
            copied[name] = evidence.synthetic.frame[name].iloc[:40].to_numpy()
        frame = pd.concat([evidence.synthetic.frame.iloc[40:], copied], ignore_index=True)
        (found,) = exact_copies(
            replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)), stream(0, "u")
        )
        assert found.status is Status.FAIL
        assert found.detail["looks"]["rows but for one or two columns"]["p"] < 1e-4  # itself, not the few left whole


def test_a_holdout_that_was_learnt_from_is_seen(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4, (1500, 1000, 1200))
    assert evidence.holdout is not None
    both = [evidence.train.frame.iloc[:30], evidence.holdout.frame.iloc[:30]]
    frame = pd.concat([evidence.synthetic.frame.iloc[60:], *both], ignore_index=True)
    (found,) = exact_copies(replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)), stream(0, "u"))
    assert found.status is Status.FAIL
    assert found.detail["looks"]["fresh rows"]["only_synthetic"] == 30


def customers(first: int, seed: int, mails: str = "p{}@mail.com") -> Dataset:
    """Return 600 rows of persons with numbers from `first`; in fifty there are two of one name."""
    rng = stream(seed, "customers")
    columns = (
        Column(name="mail", kind="id", pii="email"),
        Column(name="first", kind="id", pii="first_name"),
        Column(name="last", kind="id", pii="last_name"),
        Column(name="x", kind="numeric"),
    )
    numbers = range(first, first + 600)
    frame = {
        "mail": pd.Series([mails.format(n) for n in numbers], dtype=object),
        "first": pd.Series([f"F{rng.integers(60)}" for _ in numbers], dtype=object),
        "last": pd.Series([f"L{rng.integers(500)}" for _ in numbers], dtype=object),
        "x": rng.normal(size=600),
    }
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns))


def with_cells(data: Dataset, **cells: Any) -> Dataset:
    return Dataset(frame=data.frame.assign(**cells), schema=data.schema)


@pytest.mark.parametrize("part", ["train", "holdout"])
def test_one_e_mail_address_of_a_real_row_refuses_in_whatever_case_it_is_written(part: str) -> None:
    real = {"train": customers(0, 1), "holdout": customers(600, 2)}
    fresh = customers(0, 3, "p{}@example.org")
    assert judge(real["train"], real["holdout"], fresh).status is Status.PASS
    mails = fresh.frame["mail"].copy()
    mails[5] = real[part].frame["mail"][77].upper()
    found = judge(real["train"], real["holdout"], with_cells(fresh, mail=mails))
    assert (found.status, found.value, found.detail["worst"]) == (Status.FAIL, 0.0, "personal details")
    assert found.reading.startswith("1 of 600 synthetic rows hold personal details")
    assert "mail.com" not in found.reading.lower()


def test_names_that_chance_gives_pass_and_names_of_train_do_not() -> None:
    train, holdout = customers(0, 1), customers(600, 2)
    fresh = customers(0, 3, "p{}@example.org")
    names = train.frame[["first", "last"]]
    copied = with_cells(fresh, first=names["first"], last=names["last"])
    assert judge(train, holdout, fresh).status is Status.PASS
    found = judge(train, holdout, copied)
    assert found.status is Status.FAIL
    assert found.detail["worst"] == "single values of first and last"


def test_a_list_of_common_names_is_no_copy_of_a_source_where_they_are_rare() -> None:
    rng = stream(4, "lists")
    schema = Schema(columns=(Column(name="who", kind="id", pii="name"), Column(name="x", kind="numeric")))

    def part(names: list[str]) -> Dataset:
        frame = {"who": pd.Series(names, dtype=object), "x": rng.normal(size=len(names))}
        return Dataset(frame=pd.DataFrame(frame), schema=schema)

    def real(first: int) -> Dataset:
        common = rng.random(2000) < 0.03
        return part([f"C{rng.integers(1500)}" if is_common else f"L{first + n}" for n, is_common in enumerate(common)])

    listed = part([f"C{number}" for number in rng.integers(1500, size=2000)])
    assert judge(real(0), real(2000), listed).status is Status.PASS


def test_pairs_of_equal_real_rows_are_one_witness_each_and_are_weighed_by_their_number() -> None:
    names = [f"r{i}" for i in range(1_000)]
    names[990:] = names[600:605] + names[605:610]  # five pairs of train and five pairs of train with fresh rows
    frame = pd.DataFrame({"id": pd.Series(names, dtype=object)})
    real = RealRows(frame=frame, is_train=np.arange(1_000) < 700, entities=None)
    synthetic = pd.DataFrame({"id": [*names[:3], "r0", *(f"s{i}" for i in range(96))]})
    assert against_real(real, synthetic, ["id"]) == (0, 0, 0.0)  # a hundredth of the rows and more repeat another one
    frame.loc[995:, "id"] = [f"new{i}" for i in range(5)]
    frame.loc[991:994, "id"] = [f"own{i}" for i in range(4)]  # one pair is left
    copied, both, chance = against_real(real, synthetic, ["id"])
    assert (copied, both) == (3, 4)
    assert chance / (1 - chance) == pytest.approx(2 * 100 * 700 / (1_000**2 / 2))
