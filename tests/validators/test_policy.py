"""The policy: presets, overrides that show, and what it demands of a dataset."""

import dataclasses
import hashlib
import json

import pytest

from sources.errors import UserError
from validators.errors import ValidatorInputError
from validators.limits.limits import LIMITS
from validators.policy import KNOBS, PRESETS, PRESETS_VERSION, Policy


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_a_limit_for_every_name_and_no_override(name: str) -> None:
    policy = Policy.preset(name)
    assert set(policy.limits) == set(LIMITS)
    assert policy.overrides == ()
    assert Policy.from_spec(name) == policy == Policy.from_json(policy.to_json())


def test_strict_is_never_looser_and_research_never_stricter_than_standard() -> None:
    for name, rule in LIMITS.items():
        standard, strict, research = (Policy.preset(preset).limits[name] for preset in PRESETS)
        if isinstance(standard, tuple):
            assert isinstance(strict, tuple)
            assert isinstance(research, tuple)
            assert research[0] <= standard[0] <= strict[0] < strict[1] <= standard[1] <= research[1]
        elif rule.direction == "lower_is_better":
            assert strict <= standard <= research
        else:
            assert strict >= standard >= research


def test_every_limit_says_why() -> None:
    assert all(len(rule.reason) > 30 and rule.reason.endswith(".") for rule in LIMITS.values())


def test_there_are_no_more_checks_than_share_the_alarm() -> None:
    policy = Policy.preset("standard")
    assert sum(policy.alarm_share_of(name) for name in LIMITS) <= policy.alarm
    assert all(policy.alarm_share_of(name) == policy.alarm_share() for name in LIMITS if not name.startswith("image_"))


def test_single_limits_and_knobs_are_overridden_and_shown() -> None:
    policy = Policy.from_spec({"preset": "strict", "kway_1": 0.5, "c2st": [0.1, 0.9], "min_rows": 50})
    assert policy.limits["kway_1"] == 0.5
    assert policy.limits["c2st"] == (0.1, 0.9)
    assert policy.min_rows == 50
    assert policy.limits["kway_2"] == Policy.preset("strict").limits["kway_2"]
    shown = (" ".join(policy.overrides)).replace(" -> ", ">")
    assert all(part in shown for part in ("kway_1: 0.015>0.5", "c2st: [0.42, 0.58]>[0.1, 0.9]", "min_rows: 100>50"))
    assert Policy.from_json(policy.to_json()) == policy


def test_a_limit_changed_behind_the_spec_shows_too() -> None:
    policy = Policy.preset("standard")
    hidden = dataclasses.replace(policy, limits={**policy.limits, "kway_1": 1.0}, alarm=0.9)
    assert len(hidden.overrides) == 2


def test_the_same_value_is_no_override() -> None:
    assert Policy.from_spec({"kway_1": LIMITS["kway_1"].bound}).overrides == ()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("standart", 'did you mean "standard"?'),
        ({"preset": "lax"}, "no such preset"),
        ({"preset": ["standard"]}, "no such preset"),
        ({"kwai_1": 0.1}, 'did you mean "kway_1"?'),
        ({"min_row": 5}, 'did you mean "min_rows"?'),
        ({3: 0.1}, "no such limit"),
        ({"kway_1": "a lot"}, "not a number"),
        ({"kway_1": float("nan")}, "not a number"),
        ({"kway_1": True}, "not a number"),
        ({"c2st": 0.6}, "not a pair"),
        ({"c2st": ["a", "b"]}, "not a pair"),
        ({"c2st": [0.6, 0.4]}, "empty interval"),
        ({"alarm": 1.5}, "out of range"),
        ({"min_rows": 2.5}, "out of range"),
        ({"checks": 0}, "out of range"),
        (7, "neither a preset nor overrides"),
    ],
)
def test_a_wrong_policy_is_a_user_error_that_helps(spec: object, said: str) -> None:
    with pytest.raises(UserError, match="policy") as caught:
        Policy.from_spec(spec)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert caught.value.remedy


def test_what_is_required_depends_on_the_columns() -> None:
    policy = Policy.preset("standard")
    one = policy.required([("numeric", "plain")])
    assert {"kway_1", "c2st"} <= one
    assert not {"kway_2", "tstr", "representation"} & one
    full = policy.required([("numeric", "target"), ("categorical", "protected"), ("numeric", "plain")])
    pictures = {name for name in LIMITS if name.startswith("image_")}
    assert full == set(LIMITS) - pictures - {"canaries", "time_order"}  # due where rows were planted, or have an order
    assert "tstr" not in policy.required([("id", "target"), ("numeric", "plain"), ("numeric", "plain")])


def test_what_is_required_of_pictures_depends_on_their_attributes() -> None:
    policy = Policy.preset("standard")
    bare = policy.required([("image", "plain")])
    assert {"contract_rules", "image_kid", "image_c2st", "image_modes", "image_sharpness"} <= bare
    assert not {"image_agreement", "image_tstr", "image_group_coverage", "exact_copies", "repeats", "membership"} & bare
    labelled = policy.required([("image", "plain"), ("categorical", "target"), ("id", "plain")])
    assert {"image_agreement", "image_tstr", "column_shape", "c2st", "lost_values", "exact_copies"} <= labelled
    assert not {"kway_1", "kway_2", "tstr", "excess_matches", "detectable_leak", "controls"} & labelled
    grouped = policy.required([("image", "plain"), ("categorical", "target"), ("numeric", "protected")])
    assert {"kway_1", "kway_2", "representation", "image_group_coverage", "image_group_agreement"} <= grouped
    assert not any(name.startswith("image_") for name in policy.required([("categorical", "target")]))


def test_the_alarm_is_shared_among_checks_and_subjects() -> None:
    policy = Policy.preset("standard")
    assert policy.alarm_share() * policy.checks == pytest.approx(policy.alarm)
    assert policy.alarm_share(7) * 7 == pytest.approx(policy.alarm_share())
    assert set(KNOBS) <= {field.name for field in dataclasses.fields(policy)}


def test_presets_change_only_with_their_version() -> None:
    rules = {name: [limit.family, limit.direction, limit.needs] for name, limit in LIMITS.items()}
    presets = [Policy.preset(name).to_json() for name in PRESETS]
    digest = hashlib.sha256(json.dumps([rules, presets], sort_keys=True).encode()).hexdigest()[:12]
    assert (PRESETS_VERSION, digest) == (3, "c345459e05db"), "raise PRESETS_VERSION together with the digest here"


def test_a_policy_on_other_presets_is_not_taken_for_one_of_ours() -> None:
    plain = {**Policy.preset("standard").to_json(), "presets_version": PRESETS_VERSION + 1}
    with pytest.raises(ValidatorInputError, match="other presets"):
        Policy.from_json(plain)
