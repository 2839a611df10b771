"""`report.json` has a schema that a judgement keeps and a spoilt report does not."""

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from validators.evidence import Evidence
from validators.judge import judge
from validators.report_schema import report_schema


@pytest.fixture(scope="module")
def plain(evidence_of: Callable[..., Evidence]) -> dict[str, Any]:
    judged: dict[str, Any] = json.loads(judge(evidence_of(seed=1, sizes=(300, 200, 90)), seed=1).dumps())
    return judged


def test_it_is_a_schema_and_a_judgement_keeps_it(plain: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())
    jsonschema.validate(plain, report_schema())


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("measurements", 0, "status"), "FINE"),
        (("measurements", 0, "value"), "0.1"),
        (("measurements", 0, "extra"), 1),
        (("policy", "limits", "c2st"), [0.1]),
        (("columns", 0, "kind"), "number"),
        (("seed",), 0.5),
    ],
)
def test_a_spoilt_report_does_not(plain: dict[str, Any], where: tuple[str | int, ...], value: object) -> None:
    spoilt = copy.deepcopy(plain)
    place: Any = spoilt
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, report_schema())
