"""Broken contracts are refused, never crashed on."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.conform import conform_loosely
from sources.contract import ContractResult, RuleResult
from sources.dataset import Dataset
from sources.randomness import stream
from validators.contract import contract_measurements, contract_rules, rule_measurements, unfit_report
from validators.evidence import Evidence
from validators.gate import Outcome, decide
from validators.measurement import Status
from validators.policy import Policy

POLICY = Policy.preset("standard")


def judge(evidence: Evidence) -> Any:
    return contract_rules(evidence, stream(0, "unused"))


def test_fresh_rows_keep_the_contract(evidence_of: Callable[..., Evidence]) -> None:
    (found,) = judge(evidence_of(1))
    assert found.status is Status.PASS
    assert found.value == 0


def test_each_broken_rule_is_named(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(1)
    age = evidence.synthetic.frame["age"].to_numpy().copy()
    age[:100] = -5
    trade = evidence.synthetic.frame["trade"].to_numpy(dtype=object).copy()
    trade[:200] = "astronaut"
    found = judge(replace(evidence, synthetic=law.changed(evidence.synthetic, age=age, trade=trade)))
    assert found[0].subject == "all rules"
    assert found[0].value == 2
    assert {one.subject for one in found[1:]} == {"age.range", "trade.values"}
    assert {one.status for one in found} == {Status.FAIL}


def test_no_rows_fail_and_few_rows_are_inconclusive(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(1)
    statuses = {}
    for n in (0, 40):
        part = evidence.synthetic.take(np.arange(n))
        statuses[n] = {one.status for one in judge(replace(evidence, synthetic=part))}
    assert Status.FAIL in statuses[0]
    assert Status.INCONCLUSIVE in statuses[40]
    assert Status.FAIL not in statuses[40]


def test_a_warning_is_told_and_a_rule_that_could_not_be_checked_is_invalid() -> None:
    def rule(name: Any, severity: Any, success: Any) -> Any:
        return RuleResult(rule=name, column=name, description=f"{name} holds", severity=severity, success=success)

    result = ContractResult(rules=(rule("a", "warning", False), rule("b", "error", True), rule("c", "error", None)))
    found = rule_measurements(result, num_rows=500, policy=POLICY)
    assert [(one.subject, one.status) for one in found] == [("all rules", Status.PASS), ("c", Status.INVALID)]
    assert "a holds" in found[0].reading


@pytest.mark.parametrize("spoil", ["drop", "type"])
def test_a_table_that_does_not_fit_its_schema_is_refused_for_its_contract(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace, spoil: Any
) -> None:
    table = law.draw(300, 5).frame
    table = table.drop(columns="age") if spoil == "drop" else table.assign(age="old", extra=1)
    dataset, mismatches = conform_loosely(table, law.schema)
    found = contract_measurements(mismatches, num_rows=len(table), policy=POLICY)
    assert {one.status for one in found} == {Status.FAIL}
    assert len({one.subject for one in found}) == len(found)
    if spoil == "drop":
        assert dataset is None
        report = unfit_report(table, mismatches, train=evidence_of(1).train, holdout_rows=400, policy=POLICY, seed=1)
        verdict = decide(report, POLICY)
        assert verdict.outcome is Outcome.REFUSE
        assert verdict.reasons[0].family == "contract"


def test_a_table_that_fits_has_no_mismatch() -> None:
    assert contract_measurements((), num_rows=10, policy=POLICY) == []


def test_measurements_hold_no_cell_of_the_table(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    table = law.draw(300, 5).frame.assign(age="very-distinctive-cell")
    _, mismatches = conform_loosely(table, law.schema)
    texts = [one.reading + one.subject for one in contract_measurements(mismatches, num_rows=300, policy=POLICY)]
    assert "very-distinctive-cell" not in " ".join(texts)
    assert isinstance(evidence_of(1).train, Dataset)
    assert isinstance(table, pd.DataFrame)
