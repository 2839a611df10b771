"""The judge: runs every check on the evidence and writes the report. Nothing that happens in a check stops it."""

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, get_args

from sources.randomness import stream
from validators.applicable import applicable
from validators.evidence import Evidence
from validators.features.making import features_of
from validators.gate import invalid
from validators.measurement import Family, Measurement
from validators.registry import VALIDATORS, Validator
from validators.report import Report, column_notes
from validators.stated_law import AS_THEY_ARE, under_stated_law

logger = logging.getLogger(__name__)
OnStep = Callable[[Mapping[str, Any]], None]
"""Called before each check and once at the end with `phase` (the check's name), `step`, `steps`, `elapsed_s`."""
LIBRARIES: tuple[str, ...] = ("numpy", "pandas", "scikit-learn", "scipy")


def judge(
    evidence: Evidence,
    *,
    seed: int,
    on_step: OnStep | None = None,
    validators: Mapping[str, Validator] = VALIDATORS,
) -> Report:
    """Run every validator on `evidence` and return what they measured.

    A validator that raises becomes one INVALID measurement, so the verdict can never be PASS. Where the evidence states
    targets, all families but privacy see real rows under the stated law (`validators.stated_law`).

    Args:
        evidence: the rows before the court; not changed.
        seed: each check draws from its own stream under it, so same evidence and seed give the same report.
        on_step: progress.
        validators: the checks to run; all that are registered, but for tests. Of rows with pictures those are left out
            that have nothing to say of them (`validators.applicable`).

    """
    began_s = time.perf_counter()
    thinned = under_stated_law(evidence, seed=seed)
    asked = thinned is not evidence
    evidence = replace(evidence, features=features_of(evidence, seed=seed))
    stated = replace(thinned, features=features_of(thinned, seed=seed)) if asked else evidence
    validators = applicable(evidence, validators)
    measurements: list[Measurement] = []
    timings_s: dict[str, float] = {}
    for step, (name, validator) in enumerate(validators.items()):
        if on_step is not None:
            on_step({"phase": name, "step": step, "steps": len(validators), "elapsed_s": time.perf_counter() - began_s})
        started_s = time.perf_counter()
        measurements += _run(name, validator, evidence if family_of(name) in AS_THEY_ARE else stated, seed)
        timings_s[name] = round(time.perf_counter() - started_s, 3)
    if on_step is not None:
        elapsed_s = time.perf_counter() - began_s
        on_step({"phase": "done", "step": len(validators), "steps": len(validators), "elapsed_s": elapsed_s})
    return Report(
        measurements=tuple(measurements),
        policy=evidence.policy,
        seed=seed,
        sizes={
            "train": len(evidence.train),
            "holdout": len(evidence.holdout) if evidence.holdout is not None else 0,
            "reference": len(evidence.reference) if evidence.reference is not None else 0,
            "synthetic": len(evidence.synthetic),
            "canaries": len(evidence.canaries.planted) if evidence.canaries is not None else 0,
            **({} if evidence.targets is None else {"train under the stated law": len(stated.train)}),
        },
        columns=column_notes(evidence.schema),
        versions={library: version(library) for library in LIBRARIES},
        timings_s=timings_s,
        targets=evidence.targets,
    )


def _run(name: str, validator: Validator, evidence: Evidence, seed: int) -> list[Measurement]:
    """Return what the validator measured, or one INVALID measurement when it raised."""
    try:
        return list(validator(evidence, stream(seed, "judge", name)))
    except Exception as error:  # noqa: BLE001 - whatever breaks in a check must make the verdict INVALID, not end the run
        # The message may hold a cell of the source: only the type and the place are told.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        logger.error("check %s raised %s at %s", name, type(error).__name__, place)  # noqa: TRY400 - see above
        return [
            invalid(
                name=name,
                family=family_of(name),
                subject="all rows",
                reading=f"The check did not finish: {type(error).__name__} at {place}.",
                policy=evidence.policy,
            )
        ]


def family_of(name: str) -> Family:
    """Return the family in the registry's key `family.check`."""
    family = name.split(".", maxsplit=1)[0]
    assert family in get_args(Family), f"{name}: not a key of the form family.check"
    return cast("Family", family)
