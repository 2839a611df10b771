"""The Prefect tasks: each wraps one function of `flows.stages` or `flows.opening` and does nothing itself.

Samples and judgements are kept by `flows.kept`; a fit is kept in its folder and remembered by Prefect as well. Its
cache key is the digest that `stages.fit_key` makes of the training rows' content, the config, the seed, the budget and
the code, and what Prefect keeps is a reference in JSON, never a model. Prefect's own keys would not do: two tasks with
equal inputs share an entry under `INPUTS`, and frames are pickled.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.cache_policies import NO_CACHE

from flows import approval, kept, opening, stages
from flows.gpu_slots import counted_by_prefect
from flows.guarded import task
from flows.judging import Judgement
from flows.opening import Opened
from flows.progress import Bars
from flows.run_folder import RunFolder
from flows.signers import public_keys
from flows.spec import CandidateSpec, Spec
from flows.stages import Reference, Tried
from flows.timing import timed
from generators.base import Budget, OnStep
from releases.c2pa_credential import Credential
from releases.keys import SigningKey
from releases.provenance import Provenance
from releases.stores import Address
from sources.canaries import Canaries
from sources.contract import ContractResult
from sources.dataset import Dataset
from sources.schema import Schema
from sources.split import Split
from sources.targets import Targets
from validators.policy import Policy


def _key(_context: Any, parameters: Mapping[str, Any]) -> str:
    return f"fit-{parameters['key']}"


@task(name="read source", cache_policy=NO_CACHE, persist_result=False)
def read_source(spec: Spec, place: str, opened: Opened | None) -> Opened:
    """Read and check the source, unless the command line has just done so."""
    return opened or opening.open_source(spec, place=place)


@task(name="check contract", cache_policy=NO_CACHE, persist_result=False)
@timed("check contract")
def check_contract(opened: Opened, place: str) -> ContractResult:
    """Return what the source made of the declared rules, which stopped the run if one of severity error is broken."""
    assert opened.contract.passed, place
    return opened.contract


@task(name="split", cache_policy=NO_CACHE, persist_result=False)
@timed("split")
def split_source(opened: Opened, seed: int) -> Split:
    """Split into train, holdout and reference."""
    return opening.parts_of(opened, seed=seed)


@task(name="fit", cache_key_fn=_key, persist_result=True, result_serializer="json", task_run_name="fit {name}")
@timed("fit")
def fit(
    train: Dataset,
    candidate: CandidateSpec,
    *,
    name: str,
    seed: int,
    budget: Budget,
    key: str,
    fits: Path,
    on_step: OnStep,
    limit: str | None = None,
) -> Reference:
    """Fit one candidate; remembered by `key`. It holds one slot of Prefect's concurrency limit `limit`."""
    assert name
    with counted_by_prefect(limit):
        return stages.fit(train, candidate, seed=seed, budget=budget, key=key, fits=fits, on_step=on_step)


@task(name="sample", cache_policy=NO_CACHE, persist_result=False)
@timed("sample")
def sample(
    fitted: Reference, family: str, rows: int, seed: int, folder: Path, *, targets: Targets | None = None
) -> Reference:
    """Draw the rows of one candidate."""
    return kept.sampled(fitted, family=family, rows=rows, seed=seed, folder=folder, targets=targets)


@task(name="judge", cache_policy=NO_CACHE, persist_result=False)
@timed("judge")
def judge(
    sampled: Reference,
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
    """Judge the rows of one candidate."""
    return kept.judged(
        sampled,
        split,
        canaries,
        policy=policy,
        seed=seed,
        folder=folder,
        root=root,
        bars=bars,
        name=name,
        targets=targets,
    )


@task(name="gate", cache_policy=NO_CACHE, persist_result=False)
@timed("gate")
def gate(tried: Sequence[Tried]) -> Tried:
    """Choose the candidate to release, or the one nearest to it."""
    return stages.best_of(tried)


@task(name="publish", cache_policy=NO_CACHE, persist_result=False)
@timed("publish")
def publish(
    chosen: Tried,
    spec: Spec,
    provenance: Provenance,
    folder: RunFolder,
    signers: Sequence[SigningKey] = (),
    *,
    credential: Credential | None = None,
) -> Path | Address:
    """Publish the rows that passed."""
    return stages.publish_best(chosen, spec, provenance, to=folder.releases, signers=signers, credential=credential)


@task(name="ask for approval", cache_policy=NO_CACHE, persist_result=False)
def ask(chosen: Tried, spec: Spec, provenance: Provenance, folder: RunFolder, *, requested_by: str) -> approval.Request:
    """Keep what a release needs and ask a person to let it out."""
    rule = spec.publish.approval
    assert rule is not None
    assert chosen.judgement is not None
    assert chosen.sample is not None
    return approval.ask(
        folder,
        chosen.judgement,
        chosen.sample,
        provenance,
        rule=rule,
        keys=public_keys(rule.signed_by),
        requested_by=requested_by,
        now=datetime.now(UTC),
    )


@task(name="write evidence", cache_policy=NO_CACHE, persist_result=False)
@timed("evidence")
def write_evidence(
    chosen: Tried, schema: Schema, provenance: Provenance, folder: RunFolder, version: str | None
) -> Path:
    """Write the private evidence into the run folder; after a refusal this is all that is left."""
    return stages.write_private(folder.path, chosen, schema, provenance, version=version)
