"""What a run that was ended left finished: fits, samples and judgements that need not be made again.

Each lies in a file that is written last, with the digest of everything that decides it. A fit is kept in its own
folder for all specs, a sample and its judgement in the folder of their candidate. A judgement carries a seal under the
secret of the root (`flows.run_folder.lineage_key`), because on it rests what is published.
"""

import hashlib
import hmac
import json
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from flows import stages
from flows.gpu_slots import held
from flows.judging import Judgement
from flows.progress import Bars
from flows.run_folder import RunFolder, digest_of_json, lineage_key
from flows.stages import ROOT, Reference
from generators.device import num_threads
from generators.training.memory import said_clearly
from sources.canaries import Canaries
from sources.conform import conform_loosely
from sources.errors import UserError
from sources.files import write_json
from sources.fingerprint import fingerprint
from sources.readers import read_table
from sources.split import Split
from sources.targets import Targets
from validators.evidence import Evidence
from validators.gate import decide
from validators.policy import Policy
from validators.report import Report

SEAL = "judgement.json"
JUDGES = ("numpy", "pandas", "pillow", "scikit-learn", "scipy", "statsmodels", "torch")
"""The libraries that can change a measurement."""


def sampled(
    fitted: Reference, *, family: str, rows: int, seed: int, folder: Path, targets: Targets | None = None
) -> Reference:
    """Return the rows that were drawn like this before, where their file is as it was; else draw them."""
    key = sample_key(fitted, family=family, rows=rows, seed=seed, targets=targets)
    found = found_sample(folder, key)
    if found is not None:
        return found
    device = str(fitted["config"].get("device", "cpu"))
    with held(device, lambda: None), said_clearly(f"rows of {family} were drawn"):
        reference = stages.sample(fitted, family=family, rows=rows, seed=seed, folder=folder, targets=targets)
    note_sample(folder, key, reference)
    return reference


def sample_key(fitted: Reference, *, family: str, rows: int, seed: int, targets: Targets | None) -> str:
    """Return the digest of everything that decides the rows of a sample."""
    return digest_of_json(
        {
            "task": "sample",
            "fit": fitted["sha256"],
            "family": family,
            "rows": rows,
            "seed": seed,
            "targets": None if targets is None else targets.to_json(),
            "code": stages.code_digest(),
            "threads": num_threads(),
        }
    )


def found_sample(folder: Path, key: str) -> Reference | None:
    """Return the rows that lie in `folder` under this key, unchanged; None where there are none."""
    found = read(folder / "sample.json")
    if found.get("key") == key and stages.holds(found["reference"]):
        return dict(found["reference"])
    return None


def note_sample(folder: Path, key: str, reference: Reference) -> None:
    """Note beside the rows in `folder` under which key they were drawn."""
    write_json(folder / "sample.json", {"key": key, "reference": reference})


def judged(
    sample: Reference,
    split: Split,
    canaries: Canaries | None,
    *,
    policy: Policy,
    seed: int,
    folder: Path,
    root: RunFolder,
    bars: Bars,
    name: str,
    targets: Targets | None = None,
) -> Judgement:
    """Return the judgement that was made on these rows before, where its report is as it was; else judge them.

    Args:
        sample: the rows' reference.
        split: the real rows.
        canaries: planted rows, or None.
        policy: limits and knobs.
        seed: of the run.
        folder: of the candidate.
        root: the folders of the run; the secret of their root seals the judgement.
        bars: where progress is shown.
        name: under which name.
        targets: the law that the rows are stated to have, or None.

    """
    key = judgement_key(sample, split, canaries, policy=policy, seed=seed, targets=targets)
    again = found_judgement(sample, split, canaries, policy=policy, folder=folder, root=root, key=key, targets=targets)
    if again is not None:
        return again
    judgement = stages.judge_sample(
        sample, split, canaries, policy=policy, seed=seed, folder=folder, bars=bars, name=name, targets=targets
    )
    note_judgement(folder, key, root)
    return judgement


def judgement_key(
    sample: Reference, split: Split, canaries: Canaries | None, *, policy: Policy, seed: int, targets: Targets | None
) -> str:
    """Return the digest of everything that decides a judgement."""
    parts = (split.train, split.holdout, split.reference, *((canaries.planted, canaries.control) if canaries else ()))
    return digest_of_json(
        {
            "task": "judge",
            "sample": sample["sha256"],
            "model": [sample["model"]["sha256"], stages.code_digest()] if "model" in sample else None,
            "real": [fingerprint(part) for part in parts],
            "canaries": canaries is not None,
            "policy": policy.to_json(),
            "seed": seed,
            "targets": None if targets is None else targets.to_json(),
            "code": judges_digest(),
            "threads": num_threads(),
        }
    )


def found_judgement(
    sample: Reference,
    split: Split,
    canaries: Canaries | None,
    *,
    policy: Policy,
    folder: Path,
    root: RunFolder,
    key: str,
    targets: Targets | None,
) -> Judgement | None:
    """Return the judgement whose report lies in `folder`, sealed under this key; None where there is none."""
    report_file = folder / "report.json"
    seal = read(folder / SEAL).get("seal")
    if not report_file.is_file() or not isinstance(seal, str):
        return None
    if not hmac.compare_digest(seal, _seal(key, report_file, lineage_key(root))):
        return None
    return _again(report_file, sample, split, canaries, policy=policy, targets=targets)


def note_judgement(folder: Path, key: str, root: RunFolder) -> None:
    """Seal the report in `folder` under its key and the secret of the root."""
    write_json(folder / SEAL, {"seal": _seal(key, folder / "report.json", lineage_key(root))})


@cache
def judges_digest() -> str:
    """Return the digest of the code and the libraries that make a judgement of rows."""
    digest = hashlib.sha256()
    for room in ("validators", "sources"):
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    for library in JUDGES:
        digest.update(f"{library}=={version_of(library)}".encode())
    return digest.hexdigest()


def read(path: Path) -> dict[str, Any]:
    """Return the JSON object in `path`; an empty one where there is none, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _seal(key: str, report: Path, secret: bytes) -> str:
    return hmac.new(secret, f"{key} {hashlib.sha256(report.read_bytes()).hexdigest()}".encode(), "sha256").hexdigest()


def _again(
    report_file: Path,
    sample: Reference,
    split: Split,
    canaries: Canaries | None,
    *,
    policy: Policy,
    targets: Targets | None,
) -> Judgement | None:
    """Return the judgement whose report lies in the file; None where the rows did not fit the schema."""
    synthetic, mismatches = conform_loosely(read_table(sample["path"]), split.train.schema)
    if synthetic is None or mismatches:
        return None
    try:
        report = Report.loads(report_file.read_text(encoding="utf-8"))
    except UserError:
        return None
    evidence = Evidence(
        train=split.train,
        holdout=split.holdout,
        reference=split.reference,
        synthetic=synthetic,
        schema=split.train.schema,
        policy=policy,
        canaries=canaries,
        targets=targets,
    )
    return Judgement(report=report, verdict=decide(report, policy), evidence=evidence)
