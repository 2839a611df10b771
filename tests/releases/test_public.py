import math
from dataclasses import replace

import pytest

from releases.locations import PRIVATE, public_location, public_spec
from releases.public import ALL_ROWS, badness, coarse, public_measurements
from sources.randomness import stream
from tests.releases.judged_sample import measured
from validators.gate import judged, status_of
from validators.measurement import Measurement, Status
from validators.policy import Policy

POLICY = Policy.preset("standard")


def one(name: str, low: float, high: float, *, subject: str = ALL_ROWS, reference: float | None = 0.0) -> Measurement:
    return judged(
        name=name, subject=subject, value=low, low=low, high=high, n=9, reading="", policy=POLICY, reference=reference
    )


def test_numbers_keep_two_digits() -> None:
    assert [coarse(number) for number in (0.123456, 98.765, -0.000451, 0.0)] == [0.12, 99.0, -0.00045, 0.0]


def test_rounding_never_changes_a_status() -> None:
    rng = stream(1, "tests", "coarse")
    for _ in range(2_000):
        low = POLICY.limits["kway_1"] * (1 + rng.normal(0, 10.0 ** -rng.integers(1, 12)))
        high = low + abs(rng.normal(0, 10.0 ** -rng.integers(1, 9)))
        private = one("kway_1", low, high)
        public = public_measurements([private], ["age"])[0]
        assert public.status is private.status
        assert status_of(public.low, public.high, public.limit, public.direction) is private.status


def test_a_group_a_count_and_a_reading_stay_behind() -> None:
    private = one("representation", 0.9, 1.1, subject="group=north", reference=1.0)
    private = replace(private, reading="17 people from the north", detail={"rows": 17})
    plain = public_measurements([private], ["age", "group"])[0].to_json()
    assert plain["subject"] == "group"
    assert set(plain) == {
        "name", "family", "subject", "value", "low", "high", "direction", "limit", "reference", "status"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("age × group", "age × group"),
        ("age × group=1st quarter × north", "age × group"),
        ("a=b=c", "a=b"),
        ("worst column", "worst column"),
        ("Jane Doe", ALL_ROWS),
        ("age × Jane Doe", ALL_ROWS),
    ],
)
def test_only_columns_and_fixed_words_are_public_subjects(subject: str, shown: str) -> None:
    assert (
        public_measurements([one("association", 0, 0.1, subject=subject)], ["age", "group", "a", "a=b"])[0].subject
        == shown
    )


def test_the_worst_group_speaks_for_its_column() -> None:
    good = one("representation", 0.95, 1.05, subject="group=north", reference=1.0)
    bad = one("representation", 0.55, 0.8, subject="group=south", reference=1.0)
    assert [public.low for public in public_measurements([good, bad, good], ["group"])] == [0.55]


def test_badness_orders_by_status_then_by_used_margin() -> None:
    limit = POLICY.limits["kway_1"]
    assert isinstance(limit, float)
    ladder = [
        one("kway_1", 0, limit / 9),
        one("kway_2", 0, 0.9 * float(POLICY.limits["kway_2"])),  # type: ignore[arg-type]
        one("kway_1", 0, limit * 2),
        one("kway_1", limit * 2, limit * 3),
    ]
    assert [one.status for one in ladder] == [Status.PASS, Status.PASS, Status.INCONCLUSIVE, Status.FAIL]
    mixed = [ladder[place] for place in (2, 0, 3, 1)]
    assert sorted(mixed, key=badness) == ladder
    assert math.isclose(badness(measured("excess_matches", POLICY))[1], math.log(0.4) / math.log(0.001))


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/home/ann/people.parquet", "people.parquet"),
        ("C:\\Users\\ann\\people.csv", "people.csv"),
        ("s3://key:secret@bucket/in/people.csv?X-Amz-Signature=1", "people.csv"),
        ("zip://people.csv::https://ann:pw@host/a.zip?token=1", "a.zip"),
        ("postgresql+psycopg://ann:pw@host:5432/hospital", "postgresql+psycopg"),
        ("sqlite:////home/ann/people.db", "sqlite"),
        ("https://[broken", PRIVATE),
        ("", PRIVATE),
    ],
)
def test_locations_keep_their_last_part(location: str, shown: str) -> None:
    assert public_location(location) == shown


def test_a_spec_keeps_its_settings_and_loses_its_secrets() -> None:
    spec = {
        "source": {"sql": "select 'Ann'", "url": "mysql://a:b@h/d", "options": {"key": "AKIA"}},
        "schema": {
            "columns": {"age": {"kind": "numeric", "rules": {"maximum": 97, "minimum": None}, "bins": [31, 57]}}
        },
        "budget": {"minutes": 5, "steps": None},
        "candidates": ["tabular.vae", {"kind": "tabular.gan", "token_dim": 8}],
        "description": "from https://ann:pw@host/x?sig=1, see there",
        "api_key": "AKIA",
    }
    assert public_spec(spec) == {
        "source": {"sql": PRIVATE, "url": "mysql", "options": PRIVATE},
        "schema": {
            "columns": {"age": {"kind": "numeric", "rules": {"maximum": PRIVATE, "minimum": None}, "bins": PRIVATE}}
        },
        "budget": {"minutes": 5, "steps": None},
        "candidates": ["tabular.vae", {"kind": "tabular.gan", "token_dim": 8}],
        "description": "from x see there",
        "api_key": PRIVATE,
    }


def test_an_extractor_is_named_by_kind_and_sha256_and_not_by_its_path() -> None:
    extractor = {"kind": "dino_vit", "path": "/home/ann/secret.pth", "sha256": "0" * 64, "size": [98, 98]}
    public = public_spec({"policy": {"preset": "strict", "extractor": extractor}})
    wanted = {name: value for name, value in extractor.items() if name != "path"}
    assert public == {"policy": {"preset": "strict", "extractor": wanted}}
