"""A release that is altered on purpose says so everywhere; a table with drawn cells says that it is none."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from flows.cli import command_line
from flows.errors import SpecError
from flows.spec_file import check_spec, plain_spec
from flows.starting import json_schema
from releases.manifest import read_manifest
from validators.limits.limits import LIMITS

SPEC = """
name: people
source: {path: people.csv}
schema: {columns: {paid: {role: target, positive: "yes"}, group: {role: protected}, who: {kind: id}}}
candidates: [{kind: tabular.autoregressive, width: 32, hidden: 32, depth: 1, correct: false}]
budget: {steps: 40}
rows: 300
rebalance: {shares: {paid: {"yes": 0.6}}, equal_rates: {outcome: paid, over: [group]}}
"""


def lenient() -> str:
    """Return a policy with every limit wide open but the contract's."""
    bounds: dict[str, object] = {}
    for name, limit in LIMITS.items():
        if isinstance(limit.bound, tuple):
            bounds[name] = [1e-9 if limit.bound[0] > 0 else -1e9, 1e9]
        elif name != "contract_rules":
            bounds[name] = 1e9 if limit.direction == "lower_is_better" else 1e-6
    return f"policy: {json.dumps({'preset': 'research', 'alarm': 0.9, 'checks': 1, **bounds})}\n"


@pytest.mark.usefixtures("prefect_server")
def test_a_rebalanced_run_keeps_its_statement_and_says_it_everywhere(
    survey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = pd.read_csv("people.csv").head(800).assign(who=[f"P{number:05d}" for number in range(800)])
    people.to_csv("people.csv", index=False)
    (survey / "spec.yaml").write_text(SPEC + lenient())
    assert command_line(["run", "spec.yaml"]) == 0, capsys.readouterr()
    said = "Shares of paid are set, yes to 60 % of all rows"
    assert said in capsys.readouterr().out
    release = survey / "releases" / "people" / "1"
    rows = pd.read_csv(release / "data" / "data.csv")
    assert abs((rows["paid"] == "yes").sum() - 180) <= 1
    rates = rows.groupby("group")["paid"].apply(lambda cells: (cells == "yes").sum() - 0.6 * len(cells))
    assert rates.abs().max() <= 1
    manifest = read_manifest(release)
    assert manifest["rebalanced"]["shares"] == {"paid": {"yes": 0.6}}
    (evidence,) = survey.glob("runs/people-*/evidence.html")
    for page in (release / "README.md", release / "report.html", evidence):
        assert said in page.read_text()
    assert command_line(["verify", str(release)]) == 0

    # Judged elsewhere, the spec's statement counts too: rows in the source's shares do not keep it.
    people.head(150).to_csv("few.csv", index=False)
    assert command_line(["judge", "--train", "few.csv", "--synthetic", "few.csv", "--spec", "spec.yaml"]) == 3
    output = capsys.readouterr().out
    assert said in output
    assert "is stated to be 0.6 of all rows" in output

    # The model that the run kept conditions, and fills gaps in real rows; neither on an identifier.
    (model,) = (path.parent for path in survey.glob("runs/fits/*/fit.json"))
    assert command_line(["sample", str(model), "-n", "5", "-o", "x.csv", "--given", "who=P00001"]) == 2
    assert "identifier" in capsys.readouterr().err
    assert command_line(["sample", str(model), "-n", "5", "-o", "x.csv", "--given", "age=1000"]) == 2
    assert "never draws" in capsys.readouterr().err
    gaps = people.assign(wage=people["wage"].mask(np.arange(800) % 3 == 0))
    gaps.to_csv("gaps.csv", index=False)
    assert command_line(["impute", str(model), "gaps.csv", "-o", "whole.csv"]) == 0
    assert "no synthetic data" in capsys.readouterr().out
    assert "cannot be released" in Path("whole.csv.PRIVATE.txt").read_text()
    whole = pd.read_csv("whole.csv")
    assert whole["wage"].notna().all()
    kept = gaps["wage"].notna()
    pd.testing.assert_frame_equal(whole[kept], people[kept][list(whole.columns)])
    assert command_line(["impute", str(model), "gaps.csv", "-o", "whole.csv"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rebalance", "good"),
    [
        ({"shares": {"paid": {"yes": 0.5}}}, True),
        ({"equal_rates": {"outcome": "paid", "over": ["group"]}}, True),
        ({"shares": {"paid": {"yes": 1.5}}}, False),
        ({"shares": {"paid": {}}}, False),
        ({"equal_rates": {"outcome": "paid"}}, False),
        ({"share": {}}, False),
    ],
)
def test_editors_and_the_program_agree_on_what_may_be_stated(rebalance: dict[str, object], *, good: bool) -> None:
    plain = {"name": "a", "source": "b.csv", "rebalance": rebalance}
    if good:
        spec = check_spec(plain, place="x")
        assert check_spec(json.loads(json.dumps(plain_spec(spec))), place="x") == spec
        jsonschema.validate(plain, json_schema())
        return
    with pytest.raises(SpecError):
        check_spec(plain, place="x")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, json_schema())


@pytest.mark.parametrize(
    ("rebalance", "message"),
    [
        ("{shares: {payed: {yes: 0.5}}}", 'did you mean "paid"'),
        ("{shares: {paid: {yess: 0.5}}}", 'did you mean "yes"'),
        ("{shares: {paid: {yes: 1.5}}}", "rebalance.shares.paid.yes"),
        ("{shares: {wage: {'1': 0.5}}}", "has no labels"),
        ("{sharess: {}}", 'did you mean "shares"'),
        ("{equal_rates: {outcome: paid, ovre: [group]}}", 'did you mean "over"'),
        ("{equal_rates: {outcome: paid, over: [grp]}}", "no such column"),
    ],
)
def test_a_statement_that_means_nothing_is_one_message_before_anything_is_fitted(
    survey: Path, capsys: pytest.CaptureFixture[str], rebalance: str, message: str
) -> None:
    spec = SPEC.replace(", who: {kind: id}", "").split("rebalance:", maxsplit=1)[0] + f"rebalance: {rebalance}\n"
    (survey / "spec.yaml").write_text(spec)
    assert command_line(["run", "spec.yaml"]) == 2
    assert message in capsys.readouterr().err
    assert not (survey / "runs").exists()
