"""What holds between columns is found, and what holds by chance or by plain ranges is not."""

from typing import Any

import numpy as np
import pandas as pd

from sources.conform import conform
from sources.dataset import Dataset
from sources.inference import infer_schema
from sources.randomness import stream
from sources.relations import Relation, find_deciding_labels, find_relations
from sources.schema import Column, Schema

N = 2_000


def read(cells: dict[str, Any]) -> Dataset:
    frame = pd.DataFrame(cells)
    return conform(frame, infer_schema(frame))


def found(dataset: Dataset) -> set[tuple[str, ...]]:
    return {(rule.kind, *rule.columns) for rule in find_relations(dataset)}


def orders(num_rows: int = N, seed: int = 1) -> dict[str, Any]:
    """Subtotal + tax + tip = total, net = total - subtotal; asked <= sent <= paid, some never sent; other numbers."""
    rng = stream(seed, "orders")
    subtotal = rng.lognormal(3, 1, num_rows).round(2) + 1
    tax = (subtotal * rng.choice([0.0, 0.05, 0.21], num_rows)).round(2)
    tip = np.where(rng.random(num_rows) < 0.5, 0.0, rng.exponential(2, num_rows).round(2))
    asked = pd.Timestamp("2020-01-01") + pd.to_timedelta(pd.Series(rng.integers(0, 900, num_rows)), unit="D")
    sent = asked + pd.to_timedelta(pd.Series(rng.integers(1, 9, num_rows)), unit="D")
    return {
        "subtotal": subtotal,
        "tax": tax,
        "tip": tip,
        "total": (subtotal + tax + tip).round(2),
        "extras": (tax + tip).round(2),
        "asked": asked,
        "sent": sent.mask(pd.Series(rng.random(num_rows) < 0.1)),
        "paid": sent + pd.to_timedelta(pd.Series(rng.integers(0, 30, num_rows)), unit="D"),
        "age": rng.integers(18, 90, num_rows),
        "height": rng.normal(170, 9, num_rows).round(1),
        "shop": rng.choice(["a", "b", "c"], num_rows),
    }


def test_sums_and_chains_are_found_and_nothing_that_follows_from_them() -> None:
    cells = orders()
    assert found(read(cells)) == {
        ("sum", "extras", "tax", "tip"),
        ("sum", "total", "subtotal", "extras"),
        ("greater_or_equal", "subtotal", "tax"),
        ("greater_or_equal", "paid", "sent"),
        ("greater", "sent", "asked"),
    }


def test_three_parts_and_a_copy_are_sums_too() -> None:
    cells = orders()
    cells["again"] = cells["total"]
    del cells["extras"]
    sums = {rule for rule in found(read(cells)) if rule[0] == "sum"}
    assert sums == {("sum", "again", "total"), ("sum", "total", "subtotal", "tax", "tip")}


def test_a_single_row_that_breaks_it_breaks_it() -> None:
    cells = orders()
    cells["total"][7] += 0.01
    cells["sent"][8] = cells["asked"][8] - pd.Timedelta(days=1)
    rules = found(read(cells))
    assert ("sum", "total", "subtotal", "extras") not in rules
    assert not any(rule[1:] == ("sent", "asked") for rule in rules)


def test_ranges_that_hardly_touch_few_rows_and_chance_show_nothing() -> None:
    rng = stream(2, "nothing")
    noise = {f"x{number}": rng.normal(size=N).round(3) for number in range(40)}
    assert found(read(noise)) == set()
    assert found(read({"small": rng.random(N), "large": 1_000 + 50 * rng.random(N)})) == set()
    assert found(read({name: cells[:150] for name, cells in orders(150).items()})) == set()
    zeros = {"total": rng.integers(1, 9, N), "none": np.where(np.arange(N) < 3, 1, 0)}
    zeros["both"] = zeros["total"] + zeros["none"]
    assert not any(rule[0] == "sum" for rule in found(read(zeros)))


def test_numbers_of_two_units_are_not_compared() -> None:
    rng = stream(3, "units")
    low = rng.normal(10, 3, N)
    frame = pd.DataFrame({"low": low, "high": low + rng.random(N)})
    for units, expected in ((("m", "m"), 1), (("m", "s"), 0), (("m", ""), 1)):
        columns = tuple(Column(name=name, kind="numeric", unit=unit) for name, unit in zip(frame, units, strict=True))
        assert len(find_relations(Dataset(frame=frame, schema=Schema(columns=columns)))) == expected


def test_reasons_count_rows_and_hold_no_cell() -> None:
    first, *_, last = find_relations(read(orders()))
    assert first == Relation(
        kind="sum", columns=("total", "subtotal", "extras"), reason="holds in all 2,000 rows that know them all"
    )
    known = int(pd.Series(orders()["sent"]).notna().sum())
    assert last.reason.startswith(f"holds in all {known:,} rows that know both; ")


def test_labels_that_decide_others_are_found() -> None:
    rng = stream(4, "labels")
    town = rng.choice(["Brno", "Praha", "Oslo", "Bergen"], N)
    country = np.where(np.isin(town, ["Brno", "Praha"]), "cz", "no")
    other = rng.choice(["x", "y"], N)
    labels = read({"town": town, "country": country, "other": other})
    assert find_deciding_labels(labels) == (("town", "country"),)
    country[5] = "no" if country[5] == "cz" else "cz"
    assert find_deciding_labels(read({"town": town, "country": country, "other": other})) == ()


def test_the_search_is_quadratic_in_columns_and_takes_wide_tables() -> None:
    rng = stream(5, "wide")
    cells = {f"x{number}": rng.integers(0, 10**6, 400) for number in range(300)}
    cells["x7"] = cells["x3"] + cells["x250"]
    cells["x9"] = cells["x11"] + cells["x13"] + cells["x17"]
    assert {rule for rule in found(read(cells)) if rule[0] == "sum"} == {
        ("sum", "x7", "x3", "x250"),
        ("sum", "x9", "x11", "x13", "x17"),
    }
