"""A web hook is told how a run ended; its address is a secret, and its failure changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import command_line
from flows.errors import FlowInputError
from flows.notices import NotifySpec, check_notify, notify_of
from tests.flows.hook import Hook, listening


@pytest.fixture
def hook() -> Iterator[Hook]:
    with listening() as server:
        yield server


def test_a_hook_is_told_of_the_endings_that_were_asked_for(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/in?token=t0ken")
    notify = NotifySpec(url="$HOOK", on=("refused",))
    assert notify_of(notify, "published", {"release": "people"}) is None
    assert hook.told == []
    assert notify_of(notify, "refused", {"release": "people"}) is None
    assert hook.told == [("/in?token=t0ken", {"ending": "refused", "release": "people"})]


def test_a_hook_that_fails_is_said_without_its_address(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/in?token=t0ken")
    hook.status = 500
    assert notify_of(NotifySpec(url="${HOOK}"), "refused", {}) == "the hook answered 500"
    monkeypatch.setenv("HOOK", "http://127.0.0.1:9/in?token=t0ken")
    assert notify_of(NotifySpec(url="$HOOK"), "refused", {}) == "the hook was not reached (ConnectionRefusedError)"


@pytest.mark.parametrize(
    "address", ["", "hooks.example/in?token=t0ken", "http://hooks.example/t0ken", "ftp://x/t0ken", "https://[t0ken"]
)
def test_an_address_that_is_none_is_refused_and_not_shown(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", address)
    with pytest.raises(FlowInputError) as raised:
        check_notify(NotifySpec(url="$HOOK"), place="spec.yaml")
    assert "HOOK" in str(raised.value)
    assert "t0ken" not in str(raised.value)
    assert raised.value.remedy


SPEC = """
name: people
source: {path: nowhere.csv}
candidates: [sdv.gaussian_copula]
budget: {minutes: 1}
notify: {url: $HOOK}
"""


def test_a_run_whose_source_is_gone_tells_the_hook_that_it_failed_and_nothing_else(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/in")
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert command_line(["run", "spec.yaml"]) == 2
    assert hook.told == [("/in", {"ending": "failed", "release": "people"})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spec.yaml"]


def test_a_workers_run_whose_source_is_gone_tells_the_hook_as_well(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from flows.deployed import scheduled_release  # noqa: PLC0415 - imports Prefect

    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{hook.server_port}/in")
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    state = scheduled_release.fn("spec.yaml")
    assert state.is_failed()
    assert "nowhere.csv" in state.message
    assert hook.told == [("/in", {"ending": "failed", "release": "people"})]


def test_a_spec_that_cannot_be_read_names_no_hook(hook: Hook, tmp_path: Path) -> None:
    assert command_line(["run", str(tmp_path / "spec.yaml")]) == 2
    assert hook.told == []
