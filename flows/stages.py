"""The work of a run, one plain function a step; `flows.tasks` wraps them for Prefect, which they do not know.

Large things pass between steps as references: a path, the SHA-256 of what lies there, and its rows.
"""

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from flows.candidates import config_of, family_of
from flows.gpu_slots import held
from flows.judging import Judgement, judge_table, write_evidence
from flows.progress import Bars
from flows.run_folder import RunFolder, digest_of_folder, digest_of_json, lineage_key, one_at_a_time
from flows.shards import seed_of, sizes_of
from flows.spec import CandidateSpec, Spec
from flows.spec_file import made_spec
from generators.base import Budget, GeneratorInputError, OnStep, RowNats, Synthesizer
from generators.device import num_threads
from generators.rebalancing import sample_rebalanced
from generators.training.memory import said_clearly
from releases.c2pa_credential import Credential
from releases.keys import SigningKey
from releases.provenance import Candidate, FittedModel, Provenance
from releases.publish import publish
from releases.remote_store import RemoteStore
from releases.stores import Address
from sources.canaries import Canaries
from sources.conform import conform_loosely
from sources.dataset import Dataset, concatenated
from sources.files import write_json
from sources.fingerprint import fingerprint
from sources.randomness import derive, stream
from sources.readers import read_table
from sources.schema import Schema
from sources.split import Split
from sources.storage import to_storage, write_table
from sources.synthetic_mark import XMP
from sources.targets import Targets
from validators.evidence import Evidence
from validators.features.making import features_of
from validators.fidelity.c2st import c2st
from validators.fidelity.image_c2st import image_c2st
from validators.gate import Outcome, decide
from validators.policy import Policy
from validators.report import Report
from validators.stated_law import under_stated_law

Reference = dict[str, Any]
"""Plain JSON: `path`, `sha256`, `rows`, and for a fit its `report`, `config`, `threads` and `key`."""
ROOT = Path(__file__).resolve().parent.parent
ORDER = (Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.REFUSE, Outcome.INVALID)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One candidate after its judgement.

    Args:
        candidate: of the spec.
        fit, sample: references; None where the fit failed.
        judgement: on the sample; None where the fit failed.
        failure: why it never came to a judgement, in words.
        refusal: the error, where its family cannot learn this data.

    """

    candidate: CandidateSpec
    fit: Reference | None = None
    sample: Reference | None = None
    judgement: Judgement | None = None
    failure: str = ""
    refusal: GeneratorInputError | None = None

    @property
    def outcome(self) -> str:
        """The verdict's word, or FAILED."""
        return self.judgement.verdict.outcome.value if self.judgement else "FAILED"


def fit_key(train: Dataset, candidate: CandidateSpec, *, seed: int, budget: Budget) -> str:
    """Return the digest of everything that decides a fit; equal keys give equal models, so a model is kept under it."""
    return digest_of_json(
        {
            "task": "fit",
            "family": candidate.kind,
            "config": asdict(config_of(candidate)),
            "train": fingerprint(train),
            "seed": fit_seed(seed, candidate.kind),
            "budget": asdict(budget),
            "code": code_digest(),
            "threads": num_threads(),
        }
    )


def fit_seed(seed: int, kind: str) -> int:
    """Return the seed of a family's fit; budgets do not enter, so that a step reached reproduces its bytes."""
    return derive(seed, "fit", kind)


@cache
def code_digest() -> str:
    """Return the digest of the code and the libraries that make a model from data."""
    digest = hashlib.sha256()
    for room in ("generators", "sources"):
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    for library in ("torch", "numpy", "pandas", "sdv"):
        digest.update(f"{library}=={version_of(library)}".encode())
    return digest.hexdigest()


def fit(
    train: Dataset, candidate: CandidateSpec, *, seed: int, budget: Budget, key: str, fits: Path, on_step: OnStep
) -> Reference:
    """Fit the candidate on `train`, going on from a checkpoint where one is left, and return the model's reference.

    Raises:
        GeneratorError: the family cannot learn this data, or diverged.

    """
    folder = fits / key[:16]
    config = config_of(candidate)
    with one_at_a_time(folder):
        kept = kept_fit(folder, key)
        if kept is not None:  # ended between the model and Prefect's note of it
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            return kept
        synthesizer = family_of(candidate.kind).build(config)
        device = str(getattr(config, "device", "cpu"))
        with (
            held(device, lambda: on_step({"phase": "waiting for a GPU"})),
            said_clearly(f"{candidate.kind} was fitted"),
        ):
            report = synthesizer.fit(
                train,
                seed=fit_seed(seed, candidate.kind),
                budget=budget,
                run_dir=folder / "checkpoints",
                on_step=on_step,
            )
        model = folder / "model"
        if model.exists():
            shutil.rmtree(model)
        synthesizer.save(model)
        reference: Reference = {
            "path": str(model.resolve()),
            "sha256": digest_of_folder(model),
            "rows": len(train),
            "key": key,
            "config": json.loads(json.dumps(asdict(config))),
            "threads": num_threads(),
            "report": json.loads(json.dumps(asdict(report))),
        }
        write_json(folder / "fit.json", reference)
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)  # they have served
    return reference


def kept_fit(folder: Path, key: str) -> Reference | None:
    """Return the reference of the fit that was finished in `folder` under `key`, where its model is as it was."""
    try:
        reference = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(reference, dict) and reference.get("key") == key
    return reference if same and holds(reference) else None


def sample(
    fitted: Reference, *, family: str, rows: int, seed: int, folder: Path, targets: Targets | None = None
) -> Reference:
    """Draw `rows` rows from a fitted model, under `targets` where given, into `folder/sample.parquet`.

    Returns:
        The file's reference.

    Raises:
        GeneratorInputError: the model does not draw what `targets` ask for, or too rarely.

    """
    synthesizer = family_of(family).load(Path(fitted["path"]))
    plan = sizes_of(rows, synthesizer.sample(0, seed=seed).schema, targets)
    pieces = [
        _drawn(synthesizer, family=family, rows=size, seed=seed, piece=piece, targets=targets)
        for piece, size in enumerate(plan)
    ]
    return {**write_sample(pieces, folder), "model": model_of(fitted, family)}


def model_of(fitted: Reference, family: str) -> Reference:
    """Return what a sample says of the model that drew it; the judge looks into it where rows have a likelihood."""
    return {"path": fitted["path"], "sha256": fitted["sha256"], "family": family}


def draw(
    fitted: Reference, *, family: str, rows: int, seed: int, piece: int, targets: Targets | None = None
) -> Dataset:
    """Return the `rows` rows of one piece of a sample; raises as `sample` does."""
    synthesizer = family_of(family).load(Path(fitted["path"]))
    return _drawn(synthesizer, family=family, rows=rows, seed=seed, piece=piece, targets=targets)


def _drawn(
    synthesizer: Synthesizer, *, family: str, rows: int, seed: int, piece: int, targets: Targets | None
) -> Dataset:
    own = seed_of(seed, family, piece)
    if targets is None:
        return synthesizer.sample(rows, seed=own)
    return sample_rebalanced(synthesizer, rows, seed=own, targets=targets, conditions=family_of(family).conditions)


def write_sample(pieces: Sequence[Dataset], folder: Path) -> Reference:
    """Write the rows of all pieces, in their order, into `folder/sample.parquet`; return the file's reference."""
    whole = concatenated(pieces)
    path = folder / "sample.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    write_table(to_storage(whole), path, "parquet", xmp=XMP)
    return {"path": str(path.resolve()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": len(whole)}


def holds(reference: Reference) -> bool:
    """Return whether what the reference names is still there, unchanged."""
    path = Path(reference["path"])
    if path.is_dir():
        return bool(digest_of_folder(path) == reference["sha256"])
    return path.is_file() and bool(hashlib.sha256(path.read_bytes()).hexdigest() == reference["sha256"])


def judge_sample(
    sampled: Reference,
    split: Split,
    canaries: Canaries | None,
    *,
    policy: Policy,
    seed: int,
    folder: Path,
    bars: Bars,
    name: str,
    targets: Targets | None = None,
) -> Judgement:
    """Judge the rows as they lie in the file, which are the rows that would be published, with their model at hand."""
    judgement = judge_table(
        read_table(sampled["path"]),
        train=split.train,
        holdout=split.holdout,
        reference=split.reference,
        policy=policy,
        seed=derive(seed, "judge"),
        bars=bars,
        name=name,
        canaries=canaries,
        targets=targets,
        row_nats=likelihood_of(sampled),
    )
    write_json(folder / "report.json", judgement.report.to_json())
    return judgement


def likelihood_of(sampled: Reference) -> RowNats | None:
    """Return the likelihood of rows under the model that drew the sample; None where its family has none."""
    model = sampled.get("model")
    likelihood = family_of(model["family"]).likelihood if model else None
    return None if model is None or likelihood is None else likelihood(Path(model["path"]))


def judgement_of(
    report: Report, sampled: Reference, split: Split, canaries: Canaries | None, *, targets: Targets | None
) -> Judgement:
    """Return the judgement whose `report` another process has made of the rows in the file."""
    synthetic, mismatches = conform_loosely(read_table(sampled["path"]), split.train.schema)
    evidence = (
        None
        if synthetic is None or mismatches
        else Evidence(
            train=split.train,
            holdout=split.holdout,
            reference=split.reference,
            synthetic=synthetic,
            schema=split.train.schema,
            policy=report.policy,
            canaries=canaries,
            targets=targets,
        )
    )
    return Judgement(report=report, verdict=decide(report, report.policy), evidence=evidence)


def best_of(tried: Sequence[Tried]) -> Tried:
    """Return the candidate to release, or the one nearest to it.

    PASS before INCONCLUSIVE before REFUSE before INVALID; among equals the one whose rows a classifier tells least from
    those of the reference part, then the spec's order. The holdout, on which the verdicts rest, chooses nothing.
    """
    judged = [one for one in tried if one.judgement is not None]
    assert judged, "a run without any judged candidate has ended earlier"
    first = min(_rank(one) for one in judged)
    equals = [one for one in judged if _rank(one) == first]
    return equals[0] if len(equals) == 1 else min(equals, key=_told_from_reference)


def _rank(one: Tried) -> int:
    assert one.judgement is not None
    return ORDER.index(one.judgement.verdict.outcome)


def _told_from_reference(one: Tried) -> float:
    """Return how far the C2ST AUC against the reference part is from 0.5; infinite where it cannot be taken.

    Pictures are told by their features, of networks that half of the reference part has trained; rows by their cells.
    """
    assert one.judgement is not None
    evidence = one.judgement.evidence
    if evidence is None or evidence.reference is None:
        return float("inf")
    policy = replace(evidence.policy, extractor=None)  # a user's own network judges, and chooses nothing
    there = replace(evidence, holdout=evidence.reference, reference=None, policy=policy)
    seed = one.judgement.report.seed
    there = under_stated_law(there, seed=seed)
    there = replace(there, features=features_of(there, seed=seed))
    rng = stream(seed, "choose")
    found = image_c2st(there, rng) or c2st(there, rng)
    return abs(found[0].value - 0.5) if found and found[0].value is not None else float("inf")


def provenance_of(
    spec: Spec,
    tried: Sequence[Tried],
    chosen: Tried,
    *,
    budget: Budget,
    split: Split,
    source_fingerprint: str,
    folder: RunFolder,
    gate_calls: int,
    num_canaries: int = 0,
) -> Provenance:
    """Return the story of the run for manifest, card and reports."""
    assert chosen.fit is not None
    report = chosen.fit["report"]
    return Provenance(
        name=spec.name,
        spec=made_spec(spec),
        seed=spec.seed,
        model=FittedModel(
            **{
                **report,
                "config": chosen.fit["config"],
                "threads": chosen.fit["threads"],
                "history": tuple(report["history"]),
                "notes": tuple(report["notes"]),
            }
        ),
        budget_seconds=budget.seconds,
        budget_steps=budget.steps,
        split_rows={
            "train": len(split.train),
            "holdout": len(split.holdout),
            "reference": len(split.reference),
            **({"canaries": num_canaries} if num_canaries else {}),
        },
        source_fingerprint=source_fingerprint,
        lineage_key=lineage_key(folder),
        title=spec.title,
        description=spec.description,
        license=spec.license,
        not_for=spec.not_for,
        gate_calls=gate_calls,
        candidates=tuple(
            Candidate(
                name=one.candidate.kind,
                outcome=one.outcome,
                words=words_of(one),
                seconds=one.fit["report"]["seconds"] if one.fit else None,
                chosen=one is chosen,
            )
            for one in tried
        ),
    )


def words_of(one: Tried) -> str:
    """Return in a few words why a candidate has its outcome."""
    if one.judgement is None:
        return one.failure
    verdict = one.judgement.verdict
    families = list(dict.fromkeys(reason.family for reason in verdict.reasons))
    return ", ".join(families)


def publish_best(
    chosen: Tried,
    spec: Spec,
    provenance: Provenance,
    *,
    to: Path | RemoteStore,
    signers: Sequence[SigningKey] = (),
    credential: Credential | None = None,
) -> Path | Address:
    """Publish the rows of a candidate that passed; returns the folder of the version."""
    judgement = chosen.judgement
    assert judgement is not None
    assert judgement.evidence is not None
    return publish(
        to=to,
        synthetic=judgement.evidence.synthetic,
        report=judgement.report,
        verdict=judgement.verdict,
        pictures=judgement.pictures(),
        provenance=provenance,
        formats=spec.publish.formats,
        signers=signers,
        credential=credential,
    )


def write_private(folder: Path, chosen: Tried, schema: Schema, provenance: Provenance, *, version: str | None) -> Path:
    """Write the private evidence on the candidate into `folder` and return the page."""
    assert chosen.judgement is not None
    return write_evidence(folder, chosen.judgement, schema, title="", provenance=provenance, version=version)
