"""Which checks are asked: all of a table, and of pictures those whose answer can be something."""

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.schema import Column, Schema
from validators.applicable import OF_ATTRIBUTES, OF_ROWS, applicable, told_by_attributes
from validators.evidence import Evidence
from validators.policy import LIMITS, Policy
from validators.policy import OF_ATTRIBUTES as NAMES_OF_ATTRIBUTES
from validators.policy import OF_ROWS as NAMES_OF_ROWS
from validators.registry import VALIDATORS

IMAGE = Column(name="scan", kind="image", shape=(2, 2, 1), storage="uint8")
LABEL, AGE = Column(name="sex", kind="categorical"), Column(name="age", kind="numeric")


def evidence_of(*columns: Column, ages: int = 3, rows: int = 40) -> Evidence:
    plain = {"scan": np.arange(rows), "sex": ["f", "m"] * (rows // 2), "age": np.arange(rows) % ages + 20.0}
    schema = Schema(columns=columns)
    media = {"scan": np.zeros((rows, 2, 2, 1), dtype=np.uint8)} if "scan" in schema.names else {}
    data = Dataset(frame=pd.DataFrame(plain)[list(schema.names)], schema=schema, media=media)
    return Evidence(train=data, holdout=data, synthetic=data, schema=schema, policy=Policy.preset("standard"))


def asked(evidence: Evidence) -> set[str]:
    return set(applicable(VALIDATORS, evidence))


def test_a_table_is_asked_everything() -> None:
    assert asked(evidence_of(LABEL)) == asked(evidence_of(LABEL, AGE)) == set(VALIDATORS)


def test_pictures_whose_attributes_tell_no_row_are_not_compared_by_attributes() -> None:
    evidence = evidence_of(IMAGE, LABEL, AGE)
    assert not told_by_attributes(evidence.train)
    assert set(VALIDATORS) - asked(evidence) == set(OF_ROWS)


def test_pictures_whose_attributes_tell_rows_apart_are_asked_everything() -> None:
    evidence = evidence_of(IMAGE, LABEL, AGE, ages=40)
    assert told_by_attributes(evidence.train)
    assert asked(evidence) == set(VALIDATORS)


def test_bare_pictures_are_asked_what_needs_no_attribute() -> None:
    assert set(VALIDATORS) - asked(evidence_of(IMAGE)) == set(OF_ROWS | OF_ATTRIBUTES)


def test_what_is_not_always_asked_is_not_required_with_pictures_and_is_of_tables() -> None:
    policy = Policy.preset("standard")
    table = [("categorical", "plain"), ("numeric", "plain")]
    with_pictures = policy.required([("image", "plain"), *table])
    assert policy.required(table) - with_pictures == NAMES_OF_ROWS - {"group_matches"}
    assert "exact_copies" in with_pictures
    assert not policy.required([("image", "plain")]) & (NAMES_OF_ROWS | NAMES_OF_ATTRIBUTES)
    assert set(LIMITS) >= (NAMES_OF_ROWS | NAMES_OF_ATTRIBUTES)
    assert set(OF_ROWS | OF_ATTRIBUTES) <= set(VALIDATORS)
