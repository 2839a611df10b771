"""Candidates of a spec: their options checked against their families, and their shares of the budget.

This module imports the registry of synthesizers, and with it torch.
"""

import dataclasses
import json
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from flows.errors import SpecError
from flows.spec import STRICT, BudgetSpec, CandidateSpec, Spec
from generators.base import Budget, Family
from generators.registry import SYNTHESIZERS
from sources.errors import UserError, did_you_mean

OWN_KEYS = ("kind", "budget")


def family_of(kind: str) -> Family:
    """Return the family called `kind`, which `check_candidate` has found to exist."""
    return SYNTHESIZERS[kind]


def check_candidate(candidate: CandidateSpec, *, place: str) -> None:
    """Check that the family exists and takes the options.

    Raises:
        SpecError: an unknown family or option, or a value of the wrong type or range.

    """
    if candidate.kind not in SYNTHESIZERS:
        raise SpecError(
            f"{place}: no such family{did_you_mean(candidate.kind, SYNTHESIZERS)}",
            seen=candidate.kind,
            remedy="families: " + ", ".join(SYNTHESIZERS),
        )
    config_of(candidate, place=place)


def config_of(candidate: CandidateSpec, *, place: str = "candidates") -> Any:
    """Return the `Config` of the candidate's family with its options.

    Raises:
        SpecError: an unknown option, or a value of the wrong type or range.

    """
    config = SYNTHESIZERS[candidate.kind].config
    names = [field.name for field in dataclasses.fields(config)]
    try:
        options = options_model(candidate.kind).model_validate_json(json.dumps(dict(candidate.options)))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = [*names, "budget"]
            raise SpecError(
                f"{place}.{key}: no such option of {candidate.kind}{did_you_mean(key, known)}",
                seen=key,
                remedy="options: " + ", ".join(known),
            ) from None
        raise SpecError(
            f"{place}.{key}: wrong value", seen=json.dumps(problem["input"], default=str)[:80], remedy=problem["msg"]
        ) from None
    given = {name: getattr(options, name) for name in options.model_fields_set}
    try:
        return config(**given)
    except UserError as error:
        remedy = error.remedy or f"change it under {place}, or leave it out"
        raise SpecError(f"{place}: {error.what}", seen=error.seen, remedy=remedy) from None


@cache
def options_model(kind: str) -> type[BaseModel]:
    """Return the strict model of the options of a family, made from the fields of its `Config`."""
    config = SYNTHESIZERS[kind].config
    hints = typing.get_type_hints(config, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
        fields[field.name] = (hints[field.name], default)
    settings = ConfigDict(**{**STRICT, "protected_namespaces": ()})
    return create_model(f"{kind} options", __config__=settings, __doc__=SYNTHESIZERS[kind].summary, **fields)


def budgets(spec: Spec) -> tuple[Budget, ...]:
    """Return each candidate's budget: its own, or an equal share of the minutes among those that train.

    A family that needs no training takes no share; its own limit is the whole of the minutes.
    """
    sharing = [
        candidate for candidate in spec.candidates if candidate.budget is None and SYNTHESIZERS[candidate.kind].trains
    ]
    shares = max(len(sharing), 1)
    return tuple(
        _budget(candidate.budget, 1)
        if candidate.budget is not None
        else _budget(spec.budget, shares if SYNTHESIZERS[candidate.kind].trains else 1)
        for candidate in spec.candidates
    )


def _budget(given: BudgetSpec, shares: int) -> Budget:
    return Budget(seconds=None if given.minutes is None else 60 * given.minutes / shares, steps=given.steps)


def candidates_schema(budget: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of one candidate: a family's name, or its kind with options.

    Args:
        budget: the schema of a budget, which every candidate may carry.

    """
    forms: list[dict[str, Any]] = [{"enum": list(SYNTHESIZERS)}]
    for kind, family in SYNTHESIZERS.items():
        options = options_model(kind).model_json_schema()
        forms.append(
            {
                "type": "object",
                "title": kind,
                "description": family.summary,
                "properties": {"kind": {"const": kind}, "budget": budget, **options.get("properties", {})},
                "required": ["kind"],
                "additionalProperties": False,
                **({"$defs": options["$defs"]} if "$defs" in options else {}),
            }
        )
    return {"anyOf": forms}
