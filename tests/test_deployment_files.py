"""The files that deploy the project: what they name is there, what they run imports, no secret is in them."""

import fnmatch
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint

from flows.schedule import checked_cron, checked_timezone
from flows.spec_file import load_spec

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "examples" / "deploy"
PREFECT_FILES = (ROOT / "prefect.yaml", DEPLOY / "docker.prefect.yaml", DEPLOY / "kubernetes.prefect.yaml")
FILES = (*PREFECT_FILES, ROOT / "Dockerfile", ROOT / "docker-compose.yml", *DEPLOY.iterdir())
SECRET = re.compile(r"(?i)(password|secret|token|api_key)\w*['\"]?\s*[=:]\s*['\"]?[A-Za-z0-9+/]{8,}")


def deployments() -> list[Any]:
    found = [(path, one) for path in PREFECT_FILES for one in yaml.safe_load(path.read_text())["deployments"]]
    return [pytest.param(path, one, id=f"{path.name} {one['name']}") for path, one in found]


@pytest.mark.parametrize(("path", "deployment"), deployments())
def test_every_entrypoint_imports_and_takes_its_parameters(
    path: Path, deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    flow: Flow[..., Any] = load_flow_from_entrypoint(deployment["entrypoint"])
    parameters = deployment["parameters"]
    assert flow.validate_parameters({"force": False, **parameters}) == {"force": False, **parameters}
    for schedule in deployment["schedules"]:
        assert checked_cron(schedule["cron"]) == schedule["cron"]
        assert checked_timezone(schedule["timezone"])
    if path.parent == ROOT:
        assert load_spec(ROOT / parameters["spec"], check_candidates=False).name == deployment["name"]


def test_the_dockerfile_copies_what_is_there_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ") and "--from" not in line]
    names = [name for part in copied for name in part]
    assert {"flows", "generators", "releases", "sources", "validators", "constraints.txt"} <= set(names)
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in names:
        assert (ROOT / name).exists()
        assert any(pattern == name or pattern.startswith(f"{name}/") for pattern in taken), f"{name} is ignored"
    # Whatever the packages hold besides code is taken into the image as well.
    tracked = subprocess.run(["git", "ls-files", *names], cwd=ROOT, capture_output=True, text=True, check=True)
    for file in tracked.stdout.split():
        assert any(fnmatch.fnmatch(file, pattern.replace("**/", "*")) for pattern in taken), f"{file} is ignored"
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in {"root", "0"}
    assert lines[-1].startswith("CMD ")


def test_the_compose_file_names_what_is_there() -> None:
    plain = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = plain["services"]
    assert set(services) == {"postgres", "server", "worker", "deploy"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in plain["volumes"] or (ROOT / source).is_dir()
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "the server asks nobody for a name"
    assert (ROOT / services["server"]["build"]["context"] / "Dockerfile").is_file()
    command = services["deploy"]["command"][-1]
    spec = re.search(r"understudy deploy /specs/(\S+)", command)
    assert spec is not None
    load_spec(ROOT / "examples" / spec[1], check_candidates=False)
    pools = {re.search(r"--pool (\S+)", command)[1], services["worker"]["command"][4]}  # type: ignore[index]
    assert pools == {"understudy"}


def test_the_template_for_kubernetes_asks_for_a_gpu_and_names_its_variables() -> None:
    template = json.loads((DEPLOY / "kubernetes-gpu.json").read_text())
    configuration = json.dumps(template["job_configuration"])
    used = set(re.findall(r"\{\{ (\w+) \}\}", configuration))
    assert used == set(template["variables"]["properties"])
    (container,) = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "{{ gpus }}"}
    assert [one["mountPath"].split("/")[1] for one in container["volumeMounts"]] == ["dev", "data", "specs"]
    given = yaml.safe_load((DEPLOY / "kubernetes.prefect.yaml").read_text())["deployments"][0]["work_pool"]
    assert set(given["job_variables"]) <= set(template["variables"]["properties"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_holds_a_secret(path: Path) -> None:
    assert SECRET.search(path.read_text()) is None
    assert SECRET.search('POSTGRES_PASSWORD="hunter2hunter2"')


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd checks its own units")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for name in ("understudy.service", "understudy.timer"):
        text = (DEPLOY / name).read_text().replace("/opt/understudy/bin/understudy", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(path) for path in tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "understudy" in line]
    assert (done.returncode, complaints) == (0, [])
