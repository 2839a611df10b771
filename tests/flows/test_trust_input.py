"""Bad keys, signatures and approvals end in one message with a remedy, exit code 2, and nothing changed."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows import approval
from flows.approval import check_words
from flows.cli import command_line
from flows.judging import Judgement
from flows.run_folder import RunFolder, folder_of
from flows.spec import ApprovalSpec
from flows.spec_file import check_spec, plain_spec
from releases.keys import new_key, read_public_key, write_pair
from releases.manifest import sha256_of
from releases.publish import publish
from sources.files import write_json
from sources.storage import to_storage, write_table
from tests.flows.test_bad_input import assert_one_message, spec, tree
from tests.releases.judged_sample import provenance_of, report_of, schema_of, synthetic_of
from validators.evidence import Evidence
from validators.gate import decide

PASSPHRASE = "planted-passphrase-4711"  # noqa: S105 - of these tests alone
NOW = datetime.now(UTC)
Case = Callable[[Path], list[str]]


def asked(folder: Path, *, requested_by: str = "ann@desk", hours: float = 1.0, **rule: object) -> RunFolder:
    """Make a run folder in which the judged sample waits for approval."""
    schema = schema_of()
    report, synthetic = report_of(schema), synthetic_of(schema)
    spec = check_spec({"name": "wages", "source": "wages.csv", "publish": {"approval": "required"}}, place="spec")
    run = folder_of(spec, folder)
    place = run.candidate(0, "tabular.autoregressive")
    place.mkdir(parents=True)
    write_json(run.path / "spec.json", plain_spec(spec))
    write_table(to_storage(synthetic), place / "sample.parquet", "parquet")
    write_json(place / "report.json", report.to_json())
    parts = dict.fromkeys(("train", "holdout", "synthetic"), synthetic)
    evidence = Evidence(**parts, reference=None, schema=schema, policy=report.policy)
    judgement = Judgement(report=report, verdict=decide(report, report.policy), evidence=evidence)
    sample = place / "sample.parquet"
    signed_by = [read_public_key(Path(str(path))) for path in rule.pop("signed_by", ())]  # type: ignore[attr-defined]
    approval.ask(
        run,
        judgement,
        {"path": str(sample.resolve()), "sha256": sha256_of(sample), "rows": len(synthetic)},
        provenance_of(),
        rule=ApprovalSpec.model_validate({**rule, "expires_hours": hours}),
        keys=signed_by,
        requested_by=requested_by,
        now=NOW - timedelta(hours=2) if hours < 1 else NOW,
    )
    return run


def pair(folder: Path, name: str = "ann", passphrase: str | None = None) -> Path:
    return write_pair(new_key(), folder / name, passphrase=passphrase)[0]


def release(folder: Path, *signers: str) -> str:
    from releases.keys import read_signing_key  # noqa: PLC0415

    report = report_of(schema_of())
    made = publish(
        to=folder / "releases",
        synthetic=synthetic_of(schema_of()),
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(),
        signers=[read_signing_key(pair(folder, name), passphrase=None) for name in signers],
    )
    return str(made)


def run(publish: str) -> Case:
    return lambda folder: ["run", spec(folder, f"publish: {publish}")]


def run_with(make: Callable[[Path], object], publish: str) -> Case:
    def case(folder: Path) -> list[str]:
        make(folder)
        return ["run", spec(folder, f"publish: {publish}")]

    return case


def open_key(folder: Path) -> None:
    pair(folder).chmod(0o644)


def copied_key(folder: Path) -> None:
    (folder / "same.pem").write_bytes(pair(folder).read_bytes())
    (folder / "same.pem").chmod(0o600)


def in_environment(value: Callable[[Path], str], publish: str = "{sign: true}") -> Case:
    def case(folder: Path) -> list[str]:
        os.environ["UNDERSTUDY_SIGNING_KEY"] = value(folder)
        return ["run", spec(folder, f"publish: {publish}")]

    return case


def closed_key(folder: Path) -> str:
    os.environ["UNDERSTUDY_SIGNING_KEY_PASSPHRASE"] = "wrong-" + PASSPHRASE
    return str(pair(folder, passphrase=PASSPHRASE))


def flattened(folder: Path) -> str:
    return pair(folder).read_text().replace("\n", "")[28:]


def verifying(*arguments: str, signers: tuple[str, ...] = ("ann",)) -> Case:
    return lambda folder: ["verify", release(folder, *signers), *arguments]


def signing(key: str, *, change: bool = False) -> Case:
    def case(folder: Path) -> list[str]:
        made = release(folder, "ann")
        pair(folder, "ben")
        if change:
            (Path(made) / "README.md").write_text("Real data.")
        return ["sign", made, "--key", key]

    return case


def deciding(
    *arguments: str,
    command: str = "approve",
    change: Callable[[RunFolder], object] = id,
    hours: float = 1.0,
    **rule: object,
) -> Case:
    def case(folder: Path) -> list[str]:
        run = asked(folder, hours=hours, **rule)
        change(run)
        return [command, str(run.path), *(arguments or ("--as", "Ben", "--reason", "as agreed"))]

    return case


def needs_key(*arguments: str) -> Case:
    def case(folder: Path) -> list[str]:
        pair(folder, "ben")
        pair(folder, "eve")
        run = asked(folder, signed_by=[folder / "ben.pub"])
        return ["approve", str(run.path), "--as", "Ben", "--reason", "as agreed", *arguments]

    return case


def longer(run: RunFolder) -> None:
    plain = json.loads((run.path / "pending.json").read_text())
    write_json(run.path / "pending.json", {**plain, "expires": "2999-01-01T00:00:00+00:00"})


def spoiled(name: str) -> Callable[[RunFolder], object]:
    def change(run: RunFolder) -> None:
        (path,) = run.path.rglob(name)
        data = path.read_bytes()
        path.write_bytes(data[:-3] + b" " + data[-2:])

    return change


def gone(name: str) -> Callable[[RunFolder], object]:
    return lambda run: next(iter(run.path.rglob(name))).unlink()


def refused(run: RunFolder) -> None:
    (run.path / "pending.json").unlink()
    write_json(run.path / "outcome.json", {"outcome": "REFUSE"})


def other_code(run: RunFolder) -> None:
    request = approval.read_request(run)
    assert request is not None
    plain = json.loads((run.path / "pending.json").read_text())
    plain.pop("hmac_sha256")
    plain["code"] = {"understudy": "0.0.1", "revision": None}
    key = bytes.fromhex((run.root / "lineage.key").read_text())
    write_json(run.path / "pending.json", {**plain, "hmac_sha256": approval._mac(plain, key)})


def decided(command: str) -> Callable[[RunFolder], object]:
    def change(run: RunFolder) -> None:
        assert command_line([command, str(run.path), "--as", "Cleo", "--reason", "first"]) == 0

    return change


CASES: dict[str, tuple[Case, str]] = {
    # keys of a spec, before anything else is looked at
    "missing key": (run("{sign: [none.pem]}"), "none.pem: no such file"),
    "no key in the environment": (run("{sign: true}"), "has no signing key in UNDERSTUDY_SIGNING_KEY"),
    "no key in a named variable": (run('{sign: ["env:NO_SUCH_KEY"]}'), "has no signing key in NO_SUCH_KEY"),
    "a key open to all": (run_with(open_key, "{sign: ann.pem}"), "everybody on this machine"),
    "a public key to sign": (run_with(pair, "{sign: ann.pub}"), "a public key, which cannot sign"),
    "no PEM": (lambda folder: ["run", spec(folder, "publish: {sign: people.csv}")], "no private key in PKCS#8 PEM"),
    "a wrong passphrase": (in_environment(closed_key), "the passphrase does not open this key"),
    "PEM without its lines": (in_environment(flattened), "names no file and is no PEM text"),
    "rubbish for a key": (in_environment(lambda _: "a\nb"), "neither a path nor PEM text"),
    "PEM in a spec": (run('{sign: ["-----BEGIN PRIVATE KEY-----"]}'), "never write a key into a spec"),
    "a number for a key": (run("{sign: 3}"), "publish.sign: wrong type"),
    "the same key twice": (run_with(copied_key, "{sign: [ann.pem, same.pem]}"), "two places hold the same key"),
    "a block without a server": (run('{sign: "block:board"}'), "kept by a Prefect server, and none is named"),
    # approval in a spec
    "an unknown word": (run("{approval: maybe}"), "give none, required, or keys"),
    "an unknown key": (run("{approval: {expire_hours: 3}}"), 'did you mean "expires_hours"?'),
    "no time at all": (run("{approval: {expires_hours: 0}}"), "publish.approval.expires_hours: not allowed"),
    "a text for a list": (run("{approval: {by: Ann}}"), "publish.approval.by: wrong type"),
    "nobody could approve": (
        lambda folder: ["run", spec(folder, "publish: {approval: {by: [ANN]}}"), "--as", "ann"], "the only one who may"
    ),
    "an approver's key that is missing": (run("{approval: {signed_by: [none.pub]}}"), "none.pub: no such file"),
    "an approver's private key": (run_with(pair, "{approval: {signed_by: [ann.pem]}}"), "a private key, where a pub"),
    "nobody asks": (lambda folder: ["run", spec(folder), "--as", " "], "--as: empty"),
    # verifying
    "no such public key": (verifying("--key", "none.pub"), "none.pub: no such file"),
    "a private key to verify": (verifying("--key", "ann.pem"), "a private key, where a public one is wanted"),
    "a threshold without keys": (verifying("--threshold", "1"), "no key is given"),
    "a threshold of none": (verifying("--key", "ann.pub", "--threshold", "0"), "not between 1"),
    "a threshold above the keys": (verifying("--key", "ann.pub", "--threshold", "2"), "seen: 2 of 1"),
    "a public key twice": (verifying("--key", "ann.pub", "--key", "ann.pub"), "given twice"),
    # signing and keys
    "signed already": (signing("ann.pem"), "this key has signed it already"),
    "signing what was changed": (signing("ben.pem", change=True), "not what was published"),
    "signing nothing": (lambda folder: ["sign", "none", "--key", str(pair(folder))], "none: no such folder"),
    "signing without a key": (signing("env:NO_SUCH_KEY"), "has no signing key in NO_SUCH_KEY"),
    "a new key over an old one": (lambda folder: ["keys", "new", "-o", str(pair(folder).with_suffix(""))], "exists al"),
    "showing what is no key": (lambda folder: ["keys", "show", spec(folder)], "no public key in PEM"),
    # approving and rejecting
    "an unknown run": (lambda _: ["approve", "runs/none", "--as", "B", "--reason", "r"], "runs/none: no such folder"),
    "a folder of something else": (lambda _: ["approve", ".", "--as", "B", "--reason", "r"], "not the folder of a run"),
    "an empty reason": (deciding("--as", "Ben", "--reason", " "), "--reason: empty"),
    "no reason": (deciding("--as", "Ben"), "--reason"),
    "a reason of two lines": (deciding("--as", "Ben", "--reason", "a\nb"), "not one line of at most 500"),
    "a long name": (deciding("--as", "B" * 81, "--reason", "r"), "not one line of at most 80"),
    "the requester": (deciding("--as", "Ann", "--reason", "r"), "whoever asked may not approve"),
    "somebody not named": (deciding(by=("Cleo", "Dan")), "one of: Cleo, Dan"),
    "an approval without its key": (needs_key(), "this approval must be signed"),
    "an approval by another key": (needs_key("--key", "eve.pem"), "not a key that may approve"),
    "an expired request": (deciding(hours=0.5), "this request has expired"),
    "a request that was edited": (deciding(change=longer), "changed since it was written"),
    "rows that were edited": (deciding(change=spoiled("sample.parquet")), "changed since the rows were judged"),
    "a report that was edited": (deciding(change=spoiled("report.json")), "changed since the rows were judged"),
    "a story that was edited": (deciding(change=spoiled("story.json")), "changed since the rows were judged"),
    "a spec that was edited": (deciding(change=spoiled("spec.json")), "changed since the rows were judged"),
    "rows that are gone": (deciding(change=gone("sample.parquet")), "gone since the rows were judged"),
    "no key of the root": (deciding(change=lambda run: (run.root / "lineage.key").unlink()), "the key of this run"),
    "judged by another version": (deciding(change=other_code), "judged by another version"),
    "a refused run": (deciding(change=refused), "the gate did not let it pass"),
    "no request": (deciding(change=gone("pending.json")), "nothing waits for approval here"),
    "approving twice": (deciding(change=decided("approve")), "it was approved already, published as"),
    "approving what was rejected": (deciding(change=decided("reject")), "it was rejected already"),
    "rejecting what was approved": (deciding(command="reject", change=decided("approve")), "it was approved already"),
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the working directory, without keys in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("UNDERSTUDY_SIGNING_KEY", "UNDERSTUDY_SIGNING_KEY_PASSPHRASE", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_message_and_changes_nothing(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case, expected = CASES[name]
    arguments = case(here)
    before = tree(here)
    capsys.readouterr()
    code = command_line(arguments)
    output = capsys.readouterr()
    assert code == 2, output
    assert_one_message(output.err, expected)
    assert {name: data for name, data in tree(here).items() if not name.endswith(".lock")} == {
        name: data for name, data in before.items() if not name.endswith(".lock")
    }
    keys = [path.read_text().splitlines()[1] for path in here.glob("*.pem")]
    assert not any(secret in output.err + output.out for secret in [PASSPHRASE, *keys])


@pytest.mark.parametrize("text", ["a\x1b[2J", "a\u2028b"])
def test_names_cannot_speak_to_a_terminal(text: str) -> None:
    with pytest.raises(approval.FlowInputError, match="not one line"):
        check_words(text)
