"""The data contract as a judgement: one measurement for all rules together, one more for each rule that is broken.

The rules are those of the schema and those inferred from the real rows (`sources.contract`). A rule of severity
`warning` is told and refuses nothing; a rule that could not be checked makes the verdict INVALID.

What a release is stated to be (`Evidence.targets`) is a rule too: its own rows keep it or do not, without any chance.

A table that does not even have the schema's columns cannot become a `Dataset`. For it there is `unfit_report`: a whole
report in which the contract fails and everything else was not judged, so the verdict is a refusal and not a crash.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from sources.conform import Mismatch
from sources.contract import ContractResult, RuleResult, check, contract_of
from sources.dataset import Dataset
from sources.targets import broken_targets
from validators.evidence import Evidence
from validators.gate import invalid, judged, undecided
from validators.measurement import Measurement
from validators.policy import Policy
from validators.report import Report, column_notes, due

NAME = "contract_rules"
EVERY = "all rules"


def contract_rules(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return what the synthetic rows make of the contract of the schema and of all real rows."""
    real = [part for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
    contract = contract_of(evidence.schema, *real)
    result = check(evidence.synthetic, contract, public=False)
    if evidence.targets is not None and len(evidence.synthetic):
        stated = broken_targets(evidence.synthetic.frame, evidence.targets)
        result = ContractResult(
            rules=(
                *result.rules,
                *(
                    RuleResult(
                        rule=f"stated law {number}", column=None, description=words, severity="error", success=kept
                    )
                    for number, (words, kept) in enumerate(stated, start=1)
                ),
            )
        )
    return rule_measurements(result, num_rows=len(evidence.synthetic), policy=evidence.policy)


def rule_measurements(result: ContractResult, *, num_rows: int, policy: Policy) -> list[Measurement]:
    """Return the measurements of checked rules.

    Args:
        result: of `sources.contract.check` on the synthetic rows.
        num_rows: how many they are; with none of them the contract fails, with too few it is undecided.
        policy: the limit.

    """
    errors = [rule for rule in result.rules if rule.severity == "error"]
    broken = [rule for rule in errors if rule.success is False]
    warned = [rule.description for rule in result.broken if rule.severity == "warning"]
    reading = f"{len(errors) - len(broken)} of {len(errors)} rules hold."
    if warned:
        reading += f" {len(warned)} more are broken that only warn: " + "; ".join(warned[:3]) + "."
    found = [_broken_count(EVERY, len(broken), reading, num_rows=num_rows, policy=policy, warned=len(warned))]
    found += [
        _broken_count(rule.rule, 1, f"Broken: {rule.description}.", num_rows=num_rows, policy=policy) for rule in broken
    ]
    found += [
        invalid(
            name=NAME,
            family="contract",
            subject=rule.rule,
            reading=f"Could not be checked: {rule.description}.",
            policy=policy,
        )
        for rule in errors
        if rule.success is None
    ]
    return found + _number_of_rows(num_rows, policy)


def contract_measurements(mismatches: Iterable[Mismatch], *, num_rows: int, policy: Policy) -> list[Measurement]:
    """Return one failed measurement for each way in which a table does not fit its schema, and one for all of them.

    Args:
        mismatches: of `sources.conform.conform_loosely` on the synthetic table.
        num_rows: of that table.
        policy: the limit.

    """
    mismatches = list(mismatches)
    ways = "one way" if len(mismatches) == 1 else f"{len(mismatches)} ways"
    reading = f"The table does not fit its schema in {ways}."
    found = [_broken_count("table", len(mismatches), reading, num_rows=num_rows, policy=policy)] if mismatches else []
    subjects = [f"{one.column}: {one.what.replace('_', ' ')}" for one in mismatches]
    return found + [
        _broken_count(subject, 1, f"{one.words}.", num_rows=num_rows, policy=policy)
        for subject, one in zip(subjects, mismatches, strict=True)
    ]


def unfit_report(
    table: pd.DataFrame, mismatches: Iterable[Mismatch], *, train: Dataset, holdout_rows: int, policy: Policy, seed: int
) -> Report:
    """Return the report on a table that does not fit the schema: the contract fails, nothing else was judged.

    Args:
        table: the synthetic table as it was read.
        mismatches: of `sources.conform.conform_loosely`; at least one.
        train: the training part; only its schema and its number of rows are looked at.
        holdout_rows: of the holdout, 0 where there is none.
        policy: the limits.
        seed: of the judgement.

    """
    found = contract_measurements(mismatches, num_rows=len(table), policy=policy)
    assert found, "a table that fits is judged"
    found.append(
        _broken_count(
            EVERY,
            len(found) - 1,
            "Not checked: the cells could not be read as the schema says.",
            num_rows=len(table),
            policy=policy,
        )
    )
    reading = "Not judged: the table does not fit the schema."
    found += [
        undecided(name=name, subject="all rows", n=len(table), reading=reading, policy=policy)
        for name in sorted(due(column_notes(train.schema), policy) - {NAME})
    ]
    return Report(
        measurements=tuple(found),
        policy=policy,
        seed=seed,
        sizes={"train": len(train), "holdout": holdout_rows, "reference": 0, "synthetic": len(table)},
        columns=column_notes(train.schema),
    )


def _number_of_rows(num_rows: int, policy: Policy) -> list[Measurement]:
    if num_rows == 0:
        return [_broken_count("number of rows", 1, "The table has no rows.", num_rows=0, policy=policy)]
    if num_rows < policy.min_rows:
        reading = f"The table has {num_rows} rows; under {policy.min_rows} nothing is concluded."
        return [undecided(name=NAME, subject="number of rows", n=num_rows, reading=reading, policy=policy)]
    return []


def _broken_count(
    subject: str, count: int, reading: str, *, num_rows: int, policy: Policy, warned: int = 0
) -> Measurement:
    return judged(
        name=NAME,
        subject=subject,
        value=count,
        low=count,
        high=count,
        n=num_rows,
        reference=0.0,
        reading=reading,
        policy=policy,
        detail={"warnings": warned} if warned else {},
    )
