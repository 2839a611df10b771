"""Specs: what YAML means, short forms, overrides, shares of the budget, and the JSON Schema for editors."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

from flows.candidates import budgets, config_of
from flows.cli import command_line
from flows.errors import FlowInputError, SpecError
from flows.opening import open_source
from flows.progress import InLines, clock, narrator, share_of, words_of
from flows.spec_file import check_spec, dotted, load_spec, plain_spec
from flows.starting import json_schema, spec_text
from generators.base import GeneratorInputError
from generators.registry import SYNTHESIZERS
from sources.inference import examine
from sources.readers import read_table

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PLAIN: dict[str, Any] = {"name": "a", "source": "b.csv"}


def written(folder: Path, text: str) -> Path:
    (folder / "spec.yaml").write_text(text)
    return folder / "spec.yaml"


def test_plain_words_and_codes_stay_what_they_are(tmp_path: Path) -> None:
    column = "{missing_marks: [no, 2020-01-01, 007, 1:30]}"
    spec = load_spec(written(tmp_path, f"name: a\nsource: b.csv\nschema: {{columns: {{c: {column}}}}}\n"))
    assert spec.table.columns["c"].missing_marks == ("no", "2020-01-01", "007", "1:30")


def test_overrides_win_and_reach_short_forms(tmp_path: Path) -> None:
    path = written(tmp_path, "name: a\nsource: b.csv\ncandidates: [tabular.vae]\npolicy: strict\n")
    sets = ["candidates.0.latent=9", "policy.alarm=1e-3", "source.path=c.csv", 'schema.columns."x.y".role=target']
    spec = load_spec(path, sets)
    assert config_of(spec.candidates[0]).latent == 9
    assert spec.policy == {"preset": "strict", "alarm": 0.001}
    assert plain_spec(spec)["source"]["path"] == "c.csv"
    assert spec.table.columns["x.y"].role == "target"


def test_a_spec_survives_the_way_through_plain_json() -> None:
    kinds = [{"kind": "tabular.vae", "latent": 3, "budget": {"steps": 5}}, "sdv.gaussian_copula"]
    spec = check_spec({**PLAIN, "candidates": kinds, "schema": {"rules": [{"greater": ["a", "b"]}]}}, place="x")
    assert check_spec(json.loads(json.dumps(plain_spec(spec))), place="x") == spec


def test_minutes_are_shared_among_those_that_train() -> None:
    kinds = ["tabular.vae", "tabular.autoregressive", {"kind": "tabular.vae", "budget": {"minutes": 9}}]
    spec = check_spec({**PLAIN, "candidates": kinds, "budget": {"minutes": 4}}, place="x")
    assert [budget.seconds for budget in budgets(spec)] == [120, 120, 540]
    closed = next(kind for kind, family in SYNTHESIZERS.items() if not family.trains)
    spec = check_spec({**PLAIN, "candidates": ["tabular.vae", closed], "budget": {"minutes": 4}}, place="x")
    assert budgets(spec)[0].seconds == 240


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_a_spec_and_fits_the_json_schema(path: Path) -> None:
    spec = load_spec(path, ["source.path=x.csv"] if path.stem == "adult" else [])
    jsonschema.validate(plain_spec(spec) | {"schema": {}}, json_schema())
    assert "/work" not in path.read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"budgett": 1},
        {"candidates": ["tabular.vea"]},
        {"candidates": [{"kind": "tabular.vae", "latnt": 3}]},
        {"policy": "lax"},
    ],
)
def test_the_json_schema_refuses_what_the_program_refuses(change: dict[str, Any]) -> None:
    plain = copy.deepcopy(PLAIN) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain, json_schema())
    with pytest.raises(SpecError):
        check_spec(plain, place="x")


def test_schema_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(json_schema()))


def test_init_writes_a_spec_that_holds_no_rare_value(tmp_path: Path) -> None:
    frame = pd.DataFrame({"person": [f"P{i:04}" for i in range(400)], "wage": [1234.5 + i for i in range(400)]})
    frame["town"] = ["Brno"] * 200 + ["Praha"] * 199 + ["Zlín"]
    frame.to_csv(tmp_path / "my people.csv", index=False)
    source = str(tmp_path / "my people.csv")
    table = read_table(source)
    text = spec_text(source, table, *examine(table))
    assert "Brno" in text
    assert all(value not in text for value in ("Zl", "1234.5", "1633.5", "P0007"))
    spec = load_spec(written(tmp_path, text))
    assert spec.name == "my-people"
    assert set(spec.table.columns) == {"person", "wage", "town"}


def test_init_writes_found_rules_that_a_run_accepts_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    net, fee = (np.round(rng.exponential(scale, 400), 2) for scale in (50, 9))
    frame = pd.DataFrame({"net": net, 'fee # "of" us': fee, "gross": np.round(net + fee, 2)})
    frame["from"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 400), unit="D")
    frame["until"] = frame["from"] + pd.to_timedelta(rng.integers(0, 90, 400), unit="D")
    frame["town"] = rng.choice(["Brno", "Praha", "Oslo"], 400)
    frame["country"] = np.where(frame["town"] == "Oslo", "no", "cz")
    frame.to_csv(tmp_path / "bills.csv", index=False)
    source = str(tmp_path / "bills.csv")
    table = read_table(source)
    text = spec_text(source, table, *examine(table))
    assert "# town decides country" in text
    assert not any(f"{value}" in text for value in (*net[:20], *frame["from"].dt.date.astype(str)[:20]))
    spec = load_spec(written(tmp_path, text))
    jsonschema.validate(plain_spec(spec), json_schema())
    assert [rule.model_dump(exclude_none=True) for rule in spec.table.rules] == [
        {"sum": ("gross", "net", 'fee # "of" us')},
        {"greater_or_equal": ("until", "from")},
    ]
    assert open_source(spec, place="spec.yaml").schema.rules[0].columns[0] == "gross"


def test_init_proposes_a_spec_of_a_customer_table_that_a_run_accepts_and_names_what_it_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    count = range(400)
    names = [f"{first} {last}" for first in ("Ann", "Bea", "Cid", "Dan") for last in map("L{}".format, "abcdefghij")]
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{i:05d}" for i in count],
            "full_name": [f"{names[i % 40]}{'xyz'[i % 3] * (i // 40)}" for i in count],
            "email": [f"person{i}@mail.com" for i in count],
            "phone": [f"+44 20 7{i % 9}{i // 9:02d} {i:04d}" for i in count],
            "segment": ["basic", "plus"] * 200,
            "balance": [i * 1.25 for i in count],
            "notes": [f"called on the {i}th day" for i in count],
            "fax": [None] * 400,
        }
    )
    frame.to_csv(tmp_path / "customers.csv", index=False)
    assert command_line(["init", str(tmp_path / "customers.csv"), "-o", str(tmp_path / "made.yaml")]) == 0
    text = (tmp_path / "made.yaml").read_text()
    assert not any(str(cell) in text for name in ("full_name", "email", "phone", "notes") for cell in frame[name])
    spec = load_spec(str(tmp_path / "made.yaml"))
    jsonschema.validate(plain_spec(spec), json_schema())
    said = {name: column.pii for name, column in spec.table.columns.items() if column.pii is not None}
    assert said == {"full_name": "name", "email": "email", "phone": "phone_number"}
    assert spec.table.columns["fax"].drop
    with pytest.raises(FlowInputError, match="kind text") as caught:
        open_source(spec, place="made.yaml")
    assert "drop: true" in str(caught.value.remedy)
    spec = load_spec(written(tmp_path, text.replace("notes: {", "notes: {drop: true, ")))
    opened = open_source(spec, place="made.yaml")
    assert opened.schema.dropped == ("notes", "fax")
    assert not {"notes", "fax"} & set(opened.dataset.frame.columns)
    assert opened.contract.rules[0].description.endswith('without "notes", "fax" of the source')
    wrong = load_spec(written(tmp_path, text.replace("notes: {", "notes: {drop: true, ").replace("en_US", "de_DX")))
    with pytest.raises(GeneratorInputError, match="de_DE"):
        open_source(wrong, place="made.yaml")


def test_dotted_paths_are_what_set_takes() -> None:
    assert dotted(("schema", "columns", "a.b", "role")) == 'schema.columns."a.b".role'


def test_progress_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = {"step": 1840, "loss": 9.711, "best": 9.69, "elapsed_s": 79.0, "left_s": 41.2}
    assert words_of(metrics) == "step 1,840  loss 9.71  best 9.69  0:41 left"
    assert share_of(metrics) == (120.2, 79.0)
    assert share_of({"step": 3}) == (None, 0.0)
    assert clock(3725) == "1:02:05"
    voice = narrator(quiet=False)
    assert isinstance(voice, InLines)
    with voice.bars("fit", ("a", "bb")) as bars:
        bars.step("a", metrics)
        bars.done("a", "done 0:38")
    narrator(quiet=True).line("fit", "nothing of this")
    assert capsys.readouterr().out == "fit        a   done 0:38\n"


def test_judging_and_verifying_know_neither_prefect_nor_torch() -> None:
    code = "import sys, flows.judging, flows.verifying, flows.starting; print({'prefect', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
