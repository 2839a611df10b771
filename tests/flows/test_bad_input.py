"""Bad input ends in one message with what, seen and remedy, exit code 2, and nothing left behind."""

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.cli import command_line
from flows.spec_file import load_spec

ROWS = 40
Case = Callable[[Path], list[str]]


def people(rows: int = ROWS) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows),
            "sex": rng.choice(["F", "M"], rows),
            "wage": np.round(rng.lognormal(7, 0.4, rows), 2),
            "paid": rng.choice(["yes", "no"], rows),
        }
    )


def table(folder: Path, frame: pd.DataFrame | None = None, name: str = "people.csv") -> str:
    (people() if frame is None else frame).to_csv(folder / name, index=False)
    return name


def text(folder: Path, content: str | bytes, name: str) -> str:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(data)
    return name


def spec(folder: Path, more: str = "", source: str = "people.csv") -> str:
    if source == "people.csv":
        table(folder)
    return text(folder, f"name: people\nsource: {{path: {json.dumps(source)}}}\n{more}\n", "spec.yaml")


def run(more: str = "", *arguments: str, source: str = "people.csv") -> Case:
    return lambda folder: ["run", spec(folder, more, source), *arguments]


def run_on(content: str | bytes, name: str = "bad.csv") -> Case:
    return lambda folder: ["run", spec(folder, source=text(folder, content, name))]


def run_frame(frame: pd.DataFrame, more: str = "") -> Case:
    return lambda folder: ["run", spec(folder, more, source=table(folder, frame, "bad.csv"))]


def judging(*arguments: str) -> Case:
    return lambda folder: [
        "judge",
        "--train",
        table(folder),
        "--synthetic",
        table(folder, name="synthetic.csv"),
        *arguments,
    ]


def synthetic(content: str | bytes, name: str = "bad.csv") -> Case:
    return lambda folder: ["judge", "--train", table(folder), "--synthetic", text(folder, content, name)]


def blocked(folder: Path) -> list[str]:
    text(folder, "in the way", "out")
    return ["run", spec(folder), "--out", "out"]


def blocked_releases(folder: Path) -> list[str]:
    text(folder, "in the way", "releases")
    return ["run", spec(folder)]


def own_folder(name: str) -> Case:
    def case(folder: Path) -> list[str]:
        (folder / name).mkdir()
        return ["run", spec(folder, source=name)]

    return case


def existing_spec(folder: Path) -> list[str]:
    return ["init", table(folder), "-o", spec(folder)]


def parquet(folder: Path) -> bytes:
    people().to_parquet(folder / "good.parquet")
    return (folder / "good.parquet").read_bytes()


def cut_parquet(folder: Path) -> list[str]:
    return ["run", spec(folder, source=text(folder, parquet(folder)[:300], "cut.parquet"))]


def release_not_model(folder: Path) -> list[str]:
    (folder / "release").mkdir()
    text(folder, "{}", "release/MANIFEST.json")
    return ["sample", "release", "-n", "5", "-o", "more.csv"]


CASES: dict[str, tuple[Case, str]] = {
    # the spec
    "missing spec": (lambda _: ["run", "nowhere.yaml"], "nowhere.yaml: no such file"),
    "a folder for a spec": (lambda _: ["run", "."], "a folder, not a spec"),
    "bad YAML": (lambda folder: ["run", text(folder, "name: [a\nsource: b\n", "s.yaml")], "s.yaml, line 2"),
    "a tab in YAML": (lambda folder: ["run", text(folder, "name: a\nsource:\n\tpath: b\n", "s.yaml")], "line 3"),
    "binary spec": (lambda folder: ["run", text(folder, b"\xff\xfe\x00\x01", "s.yaml")], "not UTF-8 text"),
    "a list for a spec": (lambda folder: ["run", text(folder, "- a\n- b\n", "s.yaml")], "not a mapping"),
    "a key twice": (lambda folder: ["run", text(folder, "name: a\nname: b\n", "s.yaml")], "'name' stands twice"),
    "unknown key": (run("budgett: {minutes: 3}"), 'spec.yaml: budgett: no such key (did you mean "budget"?)'),
    "unknown inner key": (run("budget: {minuts: 3}"), 'budget.minuts: no such key (did you mean "minutes"?)'),
    "wrong type": (run('rows: "many"'), "rows: wrong type"),
    "negative budget": (run("budget: {minutes: -3}"), "budget.minutes: not allowed"),
    "endless budget": (run("budget: {minutes: .inf}"), "budget.minutes"),
    "no budget": (run("budget: {}"), "budget: not allowed"),
    "no rows": (run("rows: 0"), "rows: not allowed"),
    "bad name": (run("", "--set", "name=../up"), "name: not a plain name"),
    "no source": (lambda folder: ["run", text(folder, "name: a\n", "s.yaml")], "source: missing"),
    "no source path": (run("", "--set", "source={kind: file}"), "source.path: missing"),
    "unknown candidate": (run("candidates: [tabular.vea]"), 'no such family (did you mean "tabular.vae"?)'),
    "unknown option": (run("candidates: [{kind: tabular.vae, latnt: 3}]"), 'did you mean "latent"?'),
    "wrong option": (run("candidates: [{kind: tabular.vae, latent: wide}]"), "candidates.0.latent: wrong value"),
    "option out of range": (run("candidates: [{kind: tabular.vae, latent: -1}]"), "latent must be positive"),
    "no candidates": (run("candidates: []"), "candidates: not allowed"),
    "unknown policy": (run("policy: standrad"), 'did you mean "standard"?'),
    "unknown limit": (run("policy: {c2ts: [0.4, 0.6]}"), 'policy.c2ts: no such limit (did you mean "c2st"?)'),
    "no cron": (run('schedule: "tomorrow"'), "schedule.cron: not allowed"),
    "a day that no month has": (run('schedule: "0 3 31 2 *"'), "no such day in any of these months"),
    "unknown zone": (run('schedule: {cron: "0 3 * * 1", timezone: Europe/Prag}'), 'did you mean "Europe/Prague"?'),
    "unknown key of a schedule": (run('schedule: {crn: "* * * * *"}'), 'no such key (did you mean "cron"?)'),
    "unknown runner": (run("runner: daks"), 'runner.kind: unknown word (did you mean "dask"?)'),
    "several fits in threads": (run("runner: {kind: threads, workers: 4}"), "choose kind: processes"),
    "no workers": (run("runner: {kind: processes, workers: 0}"), "runner.workers: not allowed"),
    "a cluster that is nowhere": (run("runner: {kind: dask, address: $NO_SUCH_NAME}"), "has no NO_SUCH_NAME"),
    "an address for processes": (run("runner: {kind: processes, address: a}"), "an address is for kind: dask or ray"),
    "a hook in the spec": (run("notify: {url: 'https://hooks.example/t0ken'}"), "the address of a hook is a secret"),
    "a hook that is nowhere": (run("notify: {url: $NO_SUCH_NAME}"), "has no NO_SUCH_NAME"),
    "unknown ending": (run("notify: {url: $HOOK, on: [publishd]}"), 'did you mean "published"?'),
    "unknown answer to drift": (run("drift: stop"), "drift: unknown word"),
    "a zone without a time": (
        lambda folder: ["deploy", spec(folder), "--pool", "p", "--timezone", "UTC"], "--timezone: only with --cron"
    ),
    "a bad --cron": (
        lambda folder: ["deploy", spec(folder), "--pool", "p", "--cron", "0 25 * * *"], "hour: '25' is not a number"
    ),
    "a bad --timezone": (
        lambda folder: ["deploy", spec(folder), "--pool", "p", "--cron", "0 3 * * *", "--timezone", "Mars"], "IANA"
    ),
    "deploy a spec that is not there": (lambda _: ["deploy", "nowhere.yaml", "--pool", "p"], "no such file"),
    "serve with a bad --cron": (lambda folder: ["serve", spec(folder), "--cron", "x"], "--cron: not allowed"),
    "unknown format": (run("publish: {formats: [parket]}"), 'did you mean "parquet"?'),
    "bad --set": (run("", "--set", "budget"), "--set: not of the form key=value"),
    "--set below a number": (run("seed: 3", "--set", "seed.x=1"), "nothing can stand below seed"),
    "--set with bad YAML": (run("", "--set", "budget={"), "not YAML"),
    "unknown kind of source": (run("", "--set", "source={kind: fiel, path: a}"), 'did you mean "file"?'),
    # roles and columns
    "unknown column": (
        run("schema: {columns: {sxe: {role: protected}}}"), 'schema.columns.sxe: no such column (did you mean "sex"?)'
    ),
    "unknown entity key": (run("schema: {entity_key: person}"), "schema.entity_key: no such column"),
    "unknown role": (run("schema: {columns: {sex: {role: protektd}}}"), 'did you mean "protected"?'),
    "two targets": (run("schema: {columns: {sex: {role: target}, paid: {role: target}}}"), "more than one target"),
    "constant target": (
        run_frame(people().assign(paid="yes"), "schema: {columns: {paid: {role: target}}}"), "the target is constant"
    ),
    "impossible kind": (run("schema: {columns: {sex: {kind: numeric}}}"), "sex"),
    "broken contract": (run("schema: {columns: {age: {rules: {maximum: 30}}}}"), "the source breaks its own contract"),
    "bad pattern": (run("schema: {columns: {sex: {rules: {pattern: '['}}}}"), "not a regular expression"),
    # sources
    "missing file": (run(source="peple.csv"), "peple.csv: no such file"),
    "empty file": (run_on(""), "the file is empty"),
    "header only": (run_on("a,b\n"), "a header and no rows"),
    "one row": (run_on("a,b\n1,x\n"), "too few rows"),
    "all-null column": (run_frame(people().assign(sex=None)), "sex"),
    "ragged CSV": (run_on("a,b\n1,2\n3,4,5\n" + "1,2\n" * 20), "bad.csv"),
    "wrong encoding": (run_on(b"a,b\n" + b"\xe9,\xff\n" * 20), "bad.csv"),
    "binary rubbish": (run_on(bytes(range(256)) * 4), "bad.csv"),
    "binary rubbish as Parquet": (run_on(b"\x00\x01" * 200, "bad.parquet"), "bad.parquet"),
    "cut Parquet": (cut_parquet, "not a readable Parquet file"),
    "unknown suffix": (run_on("a,b\n1,2\n", "bad.xlsm"), "bad.xlsm"),
    "a folder for a file": (own_folder("data.csv"), "a folder, not a file"),
    "repeated column": (run_on("a,a\n" + "1,2\n" * 20), "two columns have one name"),
    "column without a name": (run_on("a,\n" + "1,2\n" * 20), "has no name"),
    "10,000 columns": (
        run_on(",".join(f"c{i}" for i in range(10_000)) + "\n" + (",".join(["1"] * 10_000) + "\n") * 12), "too many col"
    ),
    "free text": (
        run_frame(people().assign(name=[f"Ann Lee {n} of Ulm" * n for n in range(ROWS)])), "no synthesizer learns"
    ),
    "an Excel file called CSV": (run_on(b"PK\x03\x04\x14\x00\x06\x00"), "an Excel workbook"),
    "cut gzip": (run_on(gzip.compress(b"a,b\n1,2\n" * 50, mtime=0)[:-9], "bad.csv.gz"), "not a readable gzip file"),
    "infinite numbers": (run_frame(people().assign(wage=[np.inf, *[1.5] * (ROWS - 1)])), "wage"),
    "unknown bundled set": (run("", "--set", "source={kind: statsmodels, dataset: fairr}"), 'did you mean "fair"?'),
    "bad SQL URL": (run("", "--set", "source={url: not-a-url, sql: select 1}"), "source.url"),
    "missing database": (run("", "--set", "source={url: 'sqlite:///none.db', sql: t}"), "no such database file"),
    "unset environment": (run("", "--set", "source={url: $NO_SUCH_NAME, sql: t}"), "has no NO_SUCH_NAME"),
    # where to
    "a file where the output goes": (blocked, "is a file, not a folder"),
    "a file where releases go": (blocked_releases, "is a file, not a folder"),
    "the spec exists": (existing_spec, "exists already"),
    # judging
    "train given as holdout": (judging("--holdout", "people.csv"), "the same rows as --train"),
    "no synthetic file": (judging("--holdout", "none.csv"), "none.csv: no such file"),
    "synthetic rubbish": (synthetic(bytes(range(256)) * 4), "bad.csv"),
    "synthetic without columns": (synthetic("\n\n\n"), "bad.csv"),
    "unknown target": (judging("--target", "payd"), '--target: no such column (did you mean "paid"?)'),
    "unknown protected": (judging("--protected", "sex,agee"), '--protected: no such column (did you mean "age"?)'),
    "protected is the target": (judging("--target", "sex", "--protected", "sex"), "the same column is protected"),
    "unknown preset": (judging("--policy", "lax"), "no such preset"),
    "report on a file": (judging("--report", "people.csv"), "is a file, not a folder"),
    "holdout of other columns": (
        lambda folder: [*judging()(folder), "--holdout", text(folder, "x,y\n" + "1,2\n" * 20, "other.csv")], "differ"
    ),
    # usage, models, releases
    "unknown option of the program": (lambda _: ["run", "s.yaml", "--sett", "a=b"], "--sett"),
    "unknown command": (lambda _: ["rum", "s.yaml"], "rum"),
    "no release": (lambda _: ["verify", "."], "MANIFEST.json"),
    "no model": (lambda _: ["sample", ".", "-n", "5", "-o", "more.csv"], "no model of a run"),
    "a release is no model": (release_not_model, "a release holds rows, never a model"),
    "negative rows": (lambda _: ["sample", ".", "-n", "-5", "-o", "more.csv"], "--rows"),
}  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


def assert_one_message(error: str, expected: str) -> None:
    assert error.startswith("error: ")
    assert expected in error
    assert "remedy: " in error
    assert "Traceback" not in error
    assert len(error) < 2_000


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_message_and_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    case, expected = CASES[name]
    arguments = case(tmp_path)
    before = tree(tmp_path)
    code = command_line(arguments)
    output = capsys.readouterr()
    assert code == 2, output
    assert_one_message(output.err, expected)
    assert tree(tmp_path) == before


def test_no_message_quotes_a_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = "Q7-distinctive"
    rows = f"a,b\n{cell},1\n" + "x,2\n" * 20
    for more in ("schema: {columns: {a: {kind: numeric}}}", "schema: {columns: {a: {rules: {values: [x]}}}}"):
        assert command_line(["run", spec(tmp_path, more, source=text(tmp_path, rows, "in.csv"))]) == 2
        output = capsys.readouterr()
        assert cell not in output.err + output.out


def test_an_error_is_json_where_json_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command_line(["run", "nowhere.yaml", "--json"]) == 2
    plain = json.loads(capsys.readouterr().out)
    assert plain["outcome"] == "ERROR"
    assert plain["exit"] == 2
    assert "nowhere.yaml" in plain["what"]
    assert plain["remedy"]


def test_names_with_quotes_html_and_unicode_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    renamed = people(300).set_axis(['he said "x"', "a, b", "<b>wage</b>", "žluťoučký [red]: #1"], axis=1)
    for name, part in (("t.csv", renamed[:150]), ("h.csv", renamed[150:])):
        part.to_csv(tmp_path / name, index=False)
    arguments = ["judge", "--train", "t.csv", "--holdout", "h.csv", "--synthetic", "h.csv", "--report", "r"]
    code = command_line([*arguments, "--protected", "a, b", "--target", "žluťoučký [red]: #1"])
    assert code in (0, 3, 4), capsys.readouterr().err
    page = (tmp_path / "r" / "evidence.html").read_text()
    assert "<b>wage</b>" not in page
    assert command_line(["init", "t.csv", "-o", "made.yaml"]) == 0
    assert set(load_spec("made.yaml").table.columns) == set(renamed.columns)


@pytest.mark.parametrize("arguments", [["run", "nowhere.yaml"], ["judge", "--train", "x.csv", "--synthetic", "y.csv"]])
def test_the_program_itself_says_it_the_same_way(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2
    assert_one_message(done.stderr, "no such file")
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
