"""Registering at a server: what is missing is said in one message, and what is registered is what was asked for."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.workers.process import ProcessWorker

from flows.cli import command_line

SPEC = 'name: people\nsource: {path: people.csv}\nschedule: {cron: "0 3 * * 1", timezone: Europe/Prague}\n'


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "no Prefect server is named"),
        ("127.0.0.1:4200/api", "not the address of a Prefect server"),
        ("ftp://ann:t0ken@127.0.0.1/api", "not the address of a Prefect server"),
        ("http://ann:t0ken@127.0.0.1:9/api", "http://127.0.0.1:9/api: no server answers"),
    ],
)
def test_without_a_server_nothing_is_deployed(
    url: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", url)
    (tmp_path / "spec.yaml").write_text(SPEC)
    with temporary_settings({PREFECT_API_URL: url or None}):
        for command in (["deploy", "spec.yaml", "--pool", "p"], ["serve", "spec.yaml"]):
            assert command_line(command) == 2
            error = capsys.readouterr().err
            assert words in error
            assert "remedy: " in error
            assert "t0ken" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]


@pytest.mark.usefixtures("prefect_server")
def test_what_is_registered_is_the_schedule_and_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(SPEC)
    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        assert command_line(["deploy", "spec.yaml", "--pool", "theer"]) == 2
        assert "--pool: no such work pool" in capsys.readouterr().err
        client.create_work_pool(
            WorkPoolCreate(name="there", type="process", base_job_template=template), overwrite=True
        )
        client.create_work_pool(
            WorkPoolCreate(name="cloud", type="kubernetes", base_job_template=template), overwrite=True
        )
        assert command_line(["deploy", "spec.yaml", "--pool", "theer"]) == 2
        assert '(did you mean "there"?)' in capsys.readouterr().err

        def deployed(*arguments: str) -> Any:
            assert command_line(["deploy", "spec.yaml", *arguments, "--json"]) == 0
            return client.read_deployment(UUID(json.loads(capsys.readouterr().out)["id"]))

        first = deployed("--pool", "there")
        assert first.parameters == {"spec": str(tmp_path / "spec.yaml"), "out": str(tmp_path)}
        assert first.job_variables == {"working_dir": str(tmp_path)}
        assert first.entrypoint == "flows.deployed.scheduled_release"
        assert [(one.schedule.cron, one.schedule.timezone) for one in first.schedules] == [
            ("0 3 * * 1", "Europe/Prague")
        ]
        # Again, elsewhere: the same deployment is changed, and a container gets paths as they were given.
        again = deployed("--pool", "cloud", "--cron", "30 4 * * *", "--out", "data")
        assert again.id == first.id
        assert again.parameters == {"spec": "spec.yaml", "out": "data"}
        assert [(one.schedule.cron, one.schedule.timezone) for one in again.schedules] == [("30 4 * * *", "UTC")]
        assert again.work_pool_name == "cloud"
        assert "working_dir" not in again.job_variables
