"""A real server, a real worker, one scheduled release; and nothing of the source or of a secret at the server."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pandas as pd
import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events import Event
from prefect.workers.process import ProcessWorker

from flows.cli import command_line
from flows.deployed import scheduled_release
from tests.flows.hook import listening
from tests.flows.test_release_flow import lenient

ROOT = Path(__file__).parents[2]
LABEL, NUMBER, TOKEN = "Zanzibar-7731", 2718.28, "t0ken-5150"
ENDPOINTS = ("flow_runs", "task_runs", "artifacts", "logs", "deployments", "work_pools", "block_documents")


@pytest.fixture
def client(prefect_server: None) -> Any:
    with get_client(sync_client=True) as opened:
        yield opened


def make_pool(client: SyncPrefectClient, name: str, kind: str = "process") -> None:
    template = ProcessWorker.get_default_base_job_template()
    client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template), overwrite=True)


def planted(folder: Path) -> None:
    """Write a spec and a source with a label, and a number, that nobody else would write."""
    people = pd.read_csv(folder / "people.csv")
    people["group"] = people["group"].replace("south", LABEL)
    people.loc[7, "wage"] = NUMBER
    people.to_csv(folder / "people.csv", index=False)
    text = lenient().replace(", {kind: tabular.vae, width: 32, hidden: 32, latent: 4, components: 8}", "")
    (folder / "spec.yaml").write_text(text + 'schedule: "* * * * *"\nnotify: {url: $HOOK}\n')


def wait_for_schedule(client: SyncPrefectClient, deployment: UUID) -> None:
    """Wait until the server has made runs of the schedule: its scheduler looks every few seconds."""
    deadline_s = time.monotonic() + 60
    while not any(run.deployment_id == deployment for run in client.read_flow_runs()):
        assert time.monotonic() < deadline_s, "the server schedules nothing"
        time.sleep(0.1)


def events_at(client: SyncPrefectClient) -> list[Event]:
    """Return all events of the server, page after page."""
    page = client.read_events(limit=50)
    found = list(page.events)
    while page.next_page is not None:
        page = client.read_events_page(str(page.next_page))
        found += page.events
    return found


def _is_of(event: Event, run: UUID) -> bool:
    """Return whether an event is related to a run; the server of the session has seen other runs."""
    return any(one.id == f"prefect.flow-run.{run}" for one in event.related)


def wait_for_event(client: SyncPrefectClient, name: str, run: UUID) -> Event:
    """Wait until the server has written the event of a run down, which it does a moment after it was told."""
    deadline_s = time.monotonic() + 30
    while not (found := [one for one in events_at(client) if one.event == name and _is_of(one, run)]):
        assert time.monotonic() < deadline_s, f"no event {name}"
        time.sleep(0.1)
    return found[0]


def everything_at(client: SyncPrefectClient) -> str:
    """Return what the server holds, as JSON texts."""
    held = [client.request("POST", f"/{name}/filter", json={}).json() for name in ENDPOINTS]
    held += [one.model_dump(mode="json") for one in events_at(client)]
    return json.dumps(held, ensure_ascii=False)


@pytest.mark.timeout(240)
def test_a_worker_runs_what_is_due_and_the_server_learns_no_value(
    client: SyncPrefectClient, survey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(survey)
    make_pool(client, "here")
    with listening() as hook:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/{TOKEN}")
        assert command_line(["deploy", "spec.yaml", "--pool", "here", "--json"]) == 0
        plain = json.loads(capsys.readouterr().out)
        deployment = client.read_deployment(UUID(plain["id"]))
        assert deployment.parameters == {"spec": str(survey / "spec.yaml"), "out": str(survey)}
        assert [one.schedule.cron for one in deployment.schedules] == ["* * * * *"]  # type: ignore[union-attr]
        wait_for_schedule(client, deployment.id)
        worker = subprocess.run(
            [*(sys.executable, "-m", "prefect", "worker", "start", "--pool", "here", "--type", "process"),
             *("--run-once", "--limit", "1", "--prefetch-seconds", "61", "--install-policy", "never")],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_LOGGING_TO_API_ENABLED": "true"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )  # fmt: skip
    output = worker.stdout + worker.stderr
    assert worker.returncode == 0, output
    runs = [run for run in client.read_flow_runs() if run.deployment_id == deployment.id]
    (run,) = [run for run in runs if run.start_time is not None]
    assert run.auto_scheduled
    assert run.state is not None
    assert (run.state.type.value, run.state.name, run.state.message) == ("COMPLETED", "Published", "version 1"), output
    assert (survey / "releases" / "people" / "1" / "MANIFEST.json").is_file()
    assert hook.told == [(f"/{TOKEN}", {"ending": "published", "release": "people", "version": "1"})]

    # What a person sees: the verdict, the way to the report, progress, the log, an event to act on.
    artifacts = {one.key: one for one in client.read_artifacts() if one.flow_run_id == run.id}
    assert "| **sdv.gaussian_copula** | PASS | 1/1 |" in str(artifacts["people-verdict"].data)
    assert (survey / "releases" / "people" / "1" / "report.html").as_uri() in str(artifacts["people-report"].data)
    assert artifacts["people-sdv-gaussian-copula-fit"].data == 100
    said = [log.message for log in client.read_logs() if log.flow_run_id == run.id]
    assert any(line.startswith("split      train 975") for line in said)
    event = wait_for_event(client, "understudy.release.published", run.id)
    assert event.resource.id == "understudy.release.people"
    assert event.payload["version"] == "1"

    # The same source again, in this process, as a worker would call it: nothing is made, and that is said.
    state = scheduled_release(spec="spec.yaml", return_state=True)
    assert (state.name, state.message) == ("Unchanged", "as version 1")
    # One that has drifted: it is told which column, and not what is in it.
    people = pd.read_csv("people.csv")
    people.assign(group=people["group"].replace(LABEL, f"{LABEL}-2")).to_csv("people.csv", index=False)
    Path("spec.yaml").write_text(Path("spec.yaml").read_text() + "drift: refuse\n")
    state = scheduled_release(spec="spec.yaml", return_state=True)
    assert (state.type.value, state.name) == ("COMPLETED", "Refused"), state.message
    (drift,) = [one for one in client.read_artifacts() if one.key == "people-drift"]
    assert "group" in str(drift.data)
    assert sorted(path.name for path in (survey / "releases" / "people").glob("[0-9]*")) == ["1"]

    assert state.state_details.flow_run_id is not None
    wait_for_event(client, "understudy.release.refused", state.state_details.flow_run_id)
    held = everything_at(client)
    client.delete_deployment(deployment.id)  # it is due every minute
    for secret in (LABEL, str(NUMBER), f"{NUMBER:,.2f}", TOKEN):
        assert secret not in held
        assert secret not in output
    assert "split      train 975" in held  # the grep reads what is there
    assert "Published" in held


@pytest.mark.usefixtures("prefect_server")
def test_bad_input_is_a_failed_run_with_the_one_message(survey: Path) -> None:
    with get_client(sync_client=True) as client:
        state = scheduled_release(spec="nowhere.yaml", return_state=True)
        assert state.is_failed()
        assert state.message is not None
        assert state.message.startswith("nowhere.yaml: no such file")
        assert "remedy: " in state.message
        run = client.read_flow_run(state.state_details.flow_run_id)  # type: ignore[arg-type]
        said = "\n".join(log.message for log in client.read_logs() if log.flow_run_id == run.id)
        assert "Traceback" not in said
    assert sorted(path.name for path in survey.iterdir()) == ["people.csv"]
