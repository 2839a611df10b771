"""What a policy may say of a user's own extractor, and what it keeps of it."""

import json
from typing import Any

import pytest

from sources.errors import UserError
from validators.errors import ValidatorInputError
from validators.features.extractor import IMAGENET_MEAN, KINDS, Extractor, read_extractor
from validators.policy import Policy

SHA = "0123456789abcdef" * 4
GIVEN: dict[str, Any] = {"kind": "torchscript", "path": "own.pt", "sha256": SHA}


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_keeps_what_decides_features_and_not_where_the_file_lies(kind: str) -> None:
    policy = Policy.from_spec({"preset": "strict", "extractor": {**GIVEN, "kind": kind}})
    plain = json.loads(json.dumps(policy.to_json()))
    assert "own.pt" not in json.dumps(plain)
    assert plain["extractor"]["sha256"] == SHA
    assert plain == policy.to_json()  # as `verify` asks
    again = Policy.from_json(plain)
    assert again == policy
    assert again.extractor is not None
    assert again.to_json() == policy.to_json()
    elsewhere = Policy.from_spec({"preset": "strict", "extractor": {**GIVEN, "kind": kind, "path": "other/own.pt"}})
    assert elsewhere == policy


def test_a_policy_without_an_extractor_says_nothing_of_one() -> None:
    assert "extractor" not in Policy.preset("standard").to_json()
    assert Policy.from_spec({"extractor": None}) == Policy.preset("standard")


def test_silence_means_what_the_authors_of_the_weights_do() -> None:
    dino = read_extractor({**GIVEN, "kind": "dino_vit"})
    assert (dino.size, dino.mean, dino.pixels) == ((224, 224), IMAGENET_MEAN, (0.0, 1.0))
    inception = read_extractor({**GIVEN, "kind": "inception_fid", "size": 128})
    assert (inception.size, inception.pixels) == ((128, 128), (-1.0, 1.0))
    assert read_extractor(GIVEN).size is None
    assert read_extractor({**GIVEN, "sha256": SHA.upper()}).sha256 == SHA
    assert dino.words == f"dino_vit, SHA-256 {SHA}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "inception"}, 'did you mean "inception_v3"?'),
        ({"kind": ["x"]}, "no such kind"),
        ({"sha": SHA}, 'did you mean "sha256"?'),
        ({"sha256": SHA[:-1]}, "sha256sum"),
        ({"sha256": 12}, "64 hexadecimal digits"),
        ({"path": ""}, "give the path"),
        ({"size": [0, 4]}, "[height, width]"),
        ({"size": 2000}, "at most 1,024"),
        ({"size": True}, "[height, width]"),
        ({"channels": 2}, "3 (colours) or 1 (grey)"),
        ({"pixels": [1, 0]}, "what black and white are"),
        ({"pixels": "bytes"}, "list of numbers"),
        ({"mean": [0.5]}, "3 numbers"),
        ({"mean": [0.5, 0.5, float("nan")]}, "list of numbers"),
        ({"std": [1, 1, 0]}, "above 0"),
        ({"pixels": "uint8", "mean": [0.5, 0.5, 0.5]}, "no mean taken off"),
        ({"arguments": {"x y": True}}, "return_features"),
        ({"arguments": {"x": "y"}}, "return_features"),
        ({"heads": 2}, "for dino_vit alone"),
        ({"kind": "dino_vit", "heads": 0}, "positive whole number"),
        ({"kind": "dino_vit", "channels": 1}, "for torchscript alone"),
        ({"kind": "inception_v3", "pixels": "uint8"}, "for torchscript alone"),
    ],
)
def test_what_means_nothing_is_one_clear_complaint(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=r"^policy\.extractor") as caught:
        Policy.from_spec({"extractor": {**GIVEN, **change}})
    assert said in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("key", ["kind", "path", "sha256"])
def test_kind_path_and_sha256_are_needed(key: str) -> None:
    with pytest.raises(ValidatorInputError, match=rf"policy\.extractor\.{key}: missing"):
        read_extractor({name: value for name, value in GIVEN.items() if name != key})
    with pytest.raises(ValidatorInputError, match="not keys and values"):
        read_extractor("own.pt")
    with pytest.raises(ValidatorInputError):
        Extractor.from_json({"kind": "torchscript"})
