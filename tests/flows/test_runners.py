"""Whatever the runner, a run ends with the same bytes."""

import hashlib
import json
from pathlib import Path

import pytest

from flows import shards
from flows.cli import command_line
from flows.errors import FlowInputError
from flows.handover import handing_over, taken
from flows.runners import EXTRAS, RunnerSpec, check_runner
from flows.shards import seed_of, sizes_of
from sources.schema import Column, Schema
from tests.flows.test_release_flow import lenient

PLAIN = Schema(columns=(Column(name="age", kind="numeric"),))


def made(out: Path) -> dict[str, str]:
    """Return name -> digest of models, samples, reports (their timings apart) and released rows below `out`."""
    patterns = ("runs/fits/*/model/*", "runs/people-*/[0-9]-*/*", "releases/people/1/data/*")
    found: dict[str, str] = {}
    for path in (path for pattern in patterns for path in out.glob(pattern)):
        data = path.read_bytes()
        if path.name == "report.json":
            plain = json.loads(data)
            assert plain.pop("timings_s")
            data = json.dumps(plain).encode()
        if path.name in ("sample.json", "judgement.json"):  # notes, which hold a path and the seal of one root
            data = b"there"
        found[str(path.relative_to(out))] = hashlib.sha256(data).hexdigest()
    return found


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("kind", ["dask", pytest.param("processes", marks=pytest.mark.slow)])
def test_processes_make_the_same_bytes_as_the_run_itself(
    kind: str, survey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shards, "PIECE_ROWS", 128)  # 500 rows in four pieces
    (survey / "spec.yaml").write_text(lenient())
    assert command_line(["run", "spec.yaml", "--out", "here", "--set", "runner.threads=1"]) == 0
    runner = f"{{kind: {kind}, workers: 2, threads: 1}}"
    assert command_line(["run", "spec.yaml", "--out", "there", "--set", f"runner={runner}"]) == 0
    here, there = made(survey / "here"), made(survey / "there")
    assert here == there
    assert {Path(name).name for name in here} >= {"sample.parquet", "report.json", "data.csv", "model.json"}
    assert len([name for name in here if name.endswith("sample.parquet")]) == 2
    assert not list((survey / "there").rglob("*.pickle"))
    # Asked again, the processes find everything made: no file of a step is another one.
    steps = {path: path.stat().st_ino for path in (survey / "there" / "runs").rglob("[0-9]-*/*")}
    assert command_line(["run", "spec.yaml", "--out", "there", "--set", f"runner={runner}", "--force"]) == 0
    assert {path: path.stat().st_ino for path in steps} == steps
    assert "done" in capsys.readouterr().out


def test_pieces_of_pictures_are_smaller_and_never_tiny() -> None:
    def pictures(side: int, storage: str) -> Schema:
        return Schema(columns=(Column(name="scan", kind="image", shape=(side, side, 1), storage=storage),))  # type: ignore[arg-type]

    assert sizes_of(70_000, pictures(28, "uint8"), None) == (70_000,)
    assert sizes_of(40_000, pictures(128, "uint8"), None) == (2**14, 2**14, 40_000 - 2**15)
    assert sizes_of(20_000, pictures(128, "uint16"), None)[0] == 2**13
    assert sizes_of(3_000, pictures(4_000, "uint8"), None) == (1_024, 1_024, 952)


def test_pieces_depend_on_the_rows_alone() -> None:
    assert sizes_of(2**17, PLAIN, None) == (2**17,)
    assert sizes_of(2**18 + 5, PLAIN, None) == (2**17, 2**17, 5)
    assert sizes_of(0, PLAIN, None) == (0,)
    with_id = Schema(columns=(Column(name="person", kind="id"), *PLAIN.columns))
    assert sizes_of(2**18, with_id, None) == (2**18,)
    assert len({seed_of(7, "tabular.vae", piece) for piece in range(100)}) == 100


def test_what_is_handed_over_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    with handing_over(tmp_path) as put:
        reference = json.loads(json.dumps(put({"rows": [1, 2]})))
        assert taken(reference) == {"rows": [1, 2]}
        Path(reference["path"]).write_bytes(b"another file")
        with pytest.raises(FlowInputError, match="another file"):
            taken(reference)
    with pytest.raises(FlowInputError, match="does not see the run's folder"):
        taken(reference)
    assert list(tmp_path.iterdir()) == []


def test_a_runner_that_is_not_there_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "ray", "prefect_ray_that_nobody_has")
    with pytest.raises(FlowInputError, match=r"ray is not installed here") as raised:
        check_runner(RunnerSpec(kind="ray"), place="spec.yaml")
    assert "understudy[ray]" in str(raised.value.remedy)
    monkeypatch.delenv("NO_CLUSTER", raising=False)
    with pytest.raises(FlowInputError, match="the environment has no NO_CLUSTER"):
        check_runner(RunnerSpec(kind="dask", address="$NO_CLUSTER"), place="spec.yaml")
