"""Judgements of files are counted by their training rows, beside those of runs, and shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.cli import command_line
from flows.errors import FlowInputError
from flows.gate_ledger import FILE_NAME, call_of, note, rows_digest, table_digest
from sources.conform import conform
from sources.inference import infer_common
from sources.overrides import ColumnOverrides, SchemaOverrides
from validators.policy import Policy


def people(seed: int, rows: int = 60) -> pd.DataFrame:
    """Return too few rows to judge much: what is counted is that they were judged."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"age": rng.integers(18, 80, rows), "town": rng.choice(["ab", "cd"], rows), "wage": rng.random(rows).round(3)}
    )


@pytest.fixture
def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that judges `synthetic` against the training rows and returns what `--json` says."""
    monkeypatch.chdir(tmp_path)
    people(0).to_csv("train.csv", index=False)
    people(1).to_csv("holdout.csv", index=False)

    def run(
        synthetic: pd.DataFrame, *arguments: str, train: str = "train.csv", exits: tuple[int, ...] = (0, 3, 4)
    ) -> Any:
        synthetic.to_csv("synthetic.csv", index=False)
        code = command_line(["judge", "--train", train, "--synthetic", "synthetic.csv", "--json", *arguments])
        assert code in exits
        return json.loads(capsys.readouterr().out)

    return run


def test_each_judgement_of_other_rows_policy_or_seed_counts_once(judged: Any) -> None:
    assert judged(people(2))["gate_calls"] == 1
    assert judged(people(2).iloc[::-1])["gate_calls"] == 1  # the order of rows tells nothing new
    assert judged(people(3))["gate_calls"] == 2
    assert judged(people(3), "--seed", "8")["gate_calls"] == 3
    assert judged(people(3), "--policy", "strict")["gate_calls"] == 4
    assert judged(people(3).rename(columns={"age": "years"}))["gate_calls"] == 5  # fits no schema, and is an answer


def test_neither_roles_nor_order_nor_another_holdout_start_the_count_anew(judged: Any) -> None:
    judged(people(2))
    assert judged(people(3), "--protected", "town", "--target", "wage")["gate_calls"] == 2
    assert judged(people(4), "--holdout", "holdout.csv")["gate_calls"] == 3
    people(0).iloc[::-1].to_csv("reversed.csv", index=False)
    assert judged(people(5), train="reversed.csv")["gate_calls"] == 4
    assert judged(people(5), train="holdout.csv")["gate_calls"] == 1  # other rows, another source
    assert judged(people(6), "--out", "elsewhere")["gate_calls"] == 1  # another folder knows nothing of this one


def test_the_count_stands_on_the_page_and_the_list_names_nothing(judged: Any, tmp_path: Path) -> None:
    judged(people(2))
    judged(people(3), "--report", "evidence")
    assert "2 judgements against these training rows so far" in (tmp_path / "evidence" / "evidence.html").read_text()
    text = (tmp_path / "runs" / FILE_NAME).read_text()
    schema = infer_common([people(0)], SchemaOverrides())
    assert rows_digest(conform(people(0), schema)) not in text  # whoever can guess the rows could confirm the guess
    assert [len(calls) for calls in json.loads(text).values()] == [2]


def test_a_spoilt_list_stops_the_command_before_anything_is_judged(judged: Any, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / FILE_NAME).write_text("[")
    said = judged(people(2), "--report", "evidence", exits=(2,))
    assert FILE_NAME in said["what"]
    assert not (tmp_path / "evidence").exists()
    assert (tmp_path / "runs" / FILE_NAME).read_text() == "["


def test_roles_are_no_part_of_the_rows() -> None:
    plain = infer_common([people(0)], SchemaOverrides())
    roles = infer_common([people(0)], SchemaOverrides(columns={"town": ColumnOverrides(role="protected")}))
    assert rows_digest(conform(people(0), plain)) == rows_digest(conform(people(0), roles))
    assert rows_digest(conform(people(0), plain)) != rows_digest(conform(people(0).iloc[1:], plain))
    assert table_digest(people(0)) != table_digest(people(1))


def test_a_seed_is_part_of_a_call_only_where_it_is_given(tmp_path: Path) -> None:
    policy = Policy.preset("standard")
    calls = [call_of("a", policy), call_of("a", policy, seed=1), call_of("a", policy, seed=2)]
    assert note(tmp_path / "runs", "source", calls) == 3


def test_a_folder_that_cannot_be_written_is_one_error_that_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FlowInputError, match="judgements cannot be counted there") as refusal:
        note(tmp_path / "file" / "runs", "rows", ["call"])
    assert "--out" in str(refusal.value.remedy)
