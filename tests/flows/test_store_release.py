"""A run that publishes to a real S3 server: the release, what the terminal says of it, and no credential anywhere."""

import json
from pathlib import Path

import pytest

from flows.cli import command_line
from releases.stores import open_store
from releases.verify import verify
from tests.flows.test_release_flow import lenient


@pytest.mark.usefixtures("prefect_server")
def test_a_run_publishes_to_a_store_and_keeps_its_credentials_to_itself(
    survey: Path, s3_server: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    options = {"endpoint_url": s3_server, "key": "$STORE_KEY", "secret": "$STORE_SECRET"}
    store = open_store("s3://people-bucket/releases", options=options)
    store.system.mkdir("people-bucket")  # type: ignore[attr-defined]
    publish = json.dumps({"to": "s3://people-bucket/releases", "options": options})
    spec = lenient().replace(", {kind: tabular.vae, width: 32, hidden: 32, latent: 4, components: 8}", "")
    (survey / "spec.yaml").write_text(f"{spec}publish: {publish}\n")
    caplog.set_level("INFO")
    assert command_line(["run", "spec.yaml"]) == 0, capsys.readouterr()
    said = capsys.readouterr()
    assert "published  s3://people-bucket/releases/people/1   500 rows" in said.out
    assert "report     s3://people-bucket/releases/people/1/report.html" in said.out

    copy = survey / "copy"
    for path in store.sizes("people/1"):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes(store.read(f"people/1/{path}", most_bytes=10**8))
    assert verify(copy).ok, verify(copy).checks
    assert json.loads(store.read("people/latest.json", most_bytes=10**4))["version"] == "1"
    assert not (survey / "releases").exists()
    assert [path.name for path in (survey / "runs" / "uploads").iterdir()] == [".lock"]

    assert command_line(["releases", "list", "--spec", "spec.yaml"]) == 0
    listed = capsys.readouterr()
    assert "latest" in listed.out

    everything = [said.out, said.err, listed.out, caplog.text]
    everything += [path.read_text(errors="replace") for path in [*survey.rglob("*")] if path.is_file()]
    for planted in ("planted-secret-9d1f", "AKIAPLANTEDKEYID"):
        assert not [text for text in everything if planted in text]
    (run_folder,) = survey.glob("runs/people-*")
    assert json.loads((run_folder / "spec.json").read_text())["publish"]["options"] == options
    public = json.loads((copy / "MANIFEST.json").read_text())["spec"]["publish"]
    assert (public["to"], public["options"]) == ("releases", "(kept private)")
