"""Guessing one column from all others: the control, the secrets, and what counts as right."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.measurement import Measurement, Status
from validators.policy import Policy
from validators.privacy.attribute_inference import attribute_inference


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def measured(evidence: Evidence, seed: int = 0) -> Measurement:
    (found,) = attribute_inference(evidence, rng_of(seed))
    return found


def table(columns: dict[str, np.ndarray], schema: Schema) -> Dataset:
    return Dataset(frame=pd.DataFrame(columns), schema=schema)


def with_copies(evidence: Evidence, num: int) -> Evidence:
    synthetic = evidence.synthetic
    frame = pd.concat([evidence.train.frame.iloc[:num], synthetic.frame.iloc[num:]], ignore_index=True)
    return replace(evidence, synthetic=Dataset(frame=frame, schema=synthetic.schema))


def numbers(num_columns: int, sizes: tuple[int, int, int], *, schema: Schema, centre: float = 0.0) -> Evidence:
    """Return evidence of unrelated heavy-tailed numbers on both sides of `centre`."""
    rng = rng_of(11)
    parts = [
        table({c.name: centre + rng.standard_t(1.5, size=n) for c in schema.columns[:num_columns]}, schema)
        for n in sizes
    ]
    return Evidence(
        train=parts[0], holdout=parts[1], synthetic=parts[2], schema=schema, policy=Policy.preset("standard")
    )


def test_what_the_population_teaches_is_no_advantage(evidence_of: Callable[..., Evidence]) -> None:
    found = [measured(evidence_of(seed, (2000, 2000, 2000)), seed) for seed in range(2)]
    assert {one.status for one in found} == {Status.PASS}
    every = [row for one in found for row in one.detail["advantages"]]
    guessed = [row["train"] for row in every if row["secret"].startswith("bought")]
    assert min(guessed) > 0.6  # it is guessed well
    assert np.mean([row["value"] for row in every]) == pytest.approx(0.0, abs=0.015)  # but no better on train


def test_copies_give_their_secrets_away(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(3, (1000, 1000, 1000))
    found = measured(replace(evidence, synthetic=evidence.train))
    assert found.status is Status.FAIL
    assert found.detail["advantages"][0]["train"] > 0.95
    assert f"{found.detail['secret']!r}" in found.reading


def test_the_advantage_of_a_share_of_copies_is_that_share_of_what_is_not_known_anyhow() -> None:
    # unrelated numbers: a blind guess is right in a twentieth; a third of train is copied
    schema = Schema(columns=tuple(Column(name=c, kind="numeric") for c in "abc"))
    evidence = numbers(3, (1500, 1500, 1500), schema=schema)
    found = measured(with_copies(evidence, 500))
    assert found.status is Status.FAIL
    assert found.value == pytest.approx(0.95 / 3, abs=0.06)
    assert found.detail["advantages"][0]["fresh"] == pytest.approx(0.05, abs=0.03)


def test_negative_numbers_and_any_unit_are_guessed_alike() -> None:
    schema = Schema(columns=tuple(Column(name=c, kind="numeric") for c in "abc"))
    evidence = with_copies(numbers(3, (600, 600, 600), schema=schema), 200)

    def scaled(part: Dataset) -> Dataset:
        return Dataset(frame=-1000 * part.frame - 1e6, schema=schema)

    assert evidence.holdout is not None
    moved = replace(
        evidence,
        train=scaled(evidence.train),
        holdout=scaled(evidence.holdout),
        synthetic=scaled(evidence.synthetic),
    )
    first, second = (measured(one) for one in (evidence, moved))
    assert second.value == pytest.approx(first.value, abs=0.03)


def test_secrets_of_the_schema_are_the_only_ones(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(5, (600, 600, 600))
    without = measured(evidence)
    assert not without.detail["named"]
    assert {row["secret"] for row in without.detail["advantages"]} == set(evidence.schema.names)
    schema = evidence.schema.with_column("trade", role="secret")
    found = measured(replace(evidence, schema=schema))
    assert found.detail["named"]
    assert {row["secret"] for row in found.detail["advantages"]} == {"trade"}
    assert {row["attack"] for row in found.detail["advantages"]} == {"nearest", "forest"}


def test_of_many_columns_target_protected_and_the_hardest_are_taken() -> None:
    rng = rng_of(2)
    names = ["group", "outcome", *(f"easy {i}" for i in range(4)), *(f"hard {i}" for i in range(7))]
    columns = [
        Column(name=n, kind="categorical", role={"group": "protected", "outcome": "target"}.get(n, "plain"))  # type: ignore[arg-type]
        for n in names
    ]
    schema = Schema(columns=tuple(columns))

    def part() -> Dataset:
        cells = {n: rng.integers(0, 40 if "hard" in n else 2, 300).astype(str).astype(object) for n in names}
        return table(cells, schema)

    evidence = Evidence(train=part(), holdout=part(), synthetic=part(), schema=schema, policy=Policy.preset("standard"))
    secrets = {row["secret"] for row in measured(evidence).detail["advantages"]}
    assert len(secrets) == 8
    assert {"group", "outcome"} < secrets
    assert sum("hard" in name for name in secrets) == 6


def test_one_row_of_each_person_is_asked_about() -> None:
    rng = rng_of(9)
    schema = Schema(
        columns=(Column(name="who", kind="id"), *(Column(name=c, kind="numeric") for c in "xyz")), entity_key="who"
    )

    def part(first: int, people: int) -> Dataset:
        frame = pd.DataFrame(rng.normal(size=(people, 3)).repeat(4, axis=0), columns=list("xyz"))
        frame.insert(0, "who", np.repeat([f"p{first + i}" for i in range(people)], 4).astype(object))
        return Dataset(frame=frame, schema=schema)

    evidence = Evidence(
        train=part(0, 200),
        holdout=part(200, 150),
        synthetic=part(350, 150),
        schema=schema,
        policy=Policy.preset("standard"),
    )
    assert measured(evidence).n == 350


def test_missing_secrets_are_not_asked_about(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(6, (400, 400, 400))
    emptied = law.changed(evidence.synthetic, age=np.full(400, np.nan), trade=np.full(400, None, dtype=object))
    found = measured(replace(evidence, synthetic=emptied))
    secrets = {row["secret"] for row in found.detail["advantages"]}
    assert secrets == set(evidence.schema.names) - {"age", "trade"}


def test_a_constant_secret_is_no_leak() -> None:
    schema = Schema(columns=(Column(name="a", kind="numeric"), Column(name="b", kind="categorical")))
    part = table({"a": np.zeros(300), "b": np.full(300, "x", dtype=object)}, schema)
    evidence = Evidence(train=part, holdout=part, synthetic=part, schema=schema, policy=Policy.preset("standard"))
    assert measured(evidence).value == 0.0


def test_what_cannot_be_guessed_at_is_undecided_and_one_column_is_nothing() -> None:
    words = pd.Series([f"w{i}" for i in range(200)], dtype=object)
    schema = Schema(columns=(Column(name="words", kind="text"), Column(name="size", kind="numeric")))
    part = Dataset(frame=pd.DataFrame({"words": words, "size": np.arange(200.0)}), schema=schema)
    evidence = Evidence(train=part, holdout=part, synthetic=part, schema=schema, policy=Policy.preset("standard"))
    assert measured(evidence).status is Status.INCONCLUSIVE
    assert measured(replace(evidence, holdout=None)).status is Status.INCONCLUSIVE
    single = Schema(columns=(Column(name="size", kind="numeric"),))
    assert not attribute_inference(replace(evidence, schema=single), rng_of())


def test_rows_with_thousands_of_labels_are_guessed_at_in_little_memory() -> None:
    rng = rng_of(4)
    schema = Schema(columns=(Column(name="code", kind="categorical", role="secret"), Column(name="x", kind="numeric")))

    def part(n: int) -> Dataset:
        code = pd.Series([f"c{i}" for i in rng.integers(0, 3000, n)], dtype=object)
        return Dataset(frame=pd.DataFrame({"code": code, "x": rng.normal(size=n)}), schema=schema)

    evidence = Evidence(
        train=part(800), holdout=part(800), synthetic=part(800), schema=schema, policy=Policy.preset("standard")
    )
    assert measured(evidence).status is Status.PASS
    assert measured(replace(evidence, synthetic=evidence.train)).status is Status.FAIL
