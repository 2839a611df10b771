"""The way of the data as one Prefect flow: eight steps down, none up.

    read source -> contract check -> split (train | holdout | reference)
      -> fit candidates -> sample -> judge each -> gate -> publish, or keep the evidence alone

What Prefect gets to see is the name of the release and its run folder. Spec, rows and progress travel in a
`Company`, held in a context variable, because whatever is a parameter of a flow is sent to its server.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import sights, stages, tasks
from flows.approval import Request
from flows.beside import Parts, make_beside, require_any
from flows.candidates import budgets
from flows.ending import end_if_interrupted
from flows.errors import Exit
from flows.gate_calls import counted
from flows.judging import EXITS, tally, verdict_json
from flows.last_release import foresee, remember
from flows.notices import ENDINGS, Ending
from flows.opening import Opened, targets_of
from flows.progress import Bars, Narrator, clock
from flows.run_folder import RunFolder
from flows.runners import computing_with, elsewhere
from flows.spec import CandidateSpec, Spec
from flows.stages import Tried
from flows.timing import so_far
from generators.base import Budget, Diverged, GeneratorInputError
from releases.c2pa_credential import Credential
from releases.keys import SigningKey
from releases.stores import Address
from sources.canaries import Canaries, canaries_for, plant
from sources.dataset import Dataset
from sources.files import write_json
from sources.split import Split
from sources.targets import Targets
from validators.gate import Outcome, Verdict
from validators.policy import Policy

BUDGET_WORDS = {"time": "time budget struck", "steps": "step budget reached", "early_stopping": "stopped early"}


@dataclass(frozen=True, kw_only=True)
class Company:
    """What a run travels with.

    Args:
        spec, place: the spec and how messages name its file.
        folder: the run's folders, claimed.
        voice: where it speaks.
        opened: the source, where the command line has read it already.
        targets: the law that the spec states, once the source is open.
        signers: the keys that sign a release.
        requested_by: who asks for approval, where the spec wants one.
        credential: signs the C2PA manifests of pictures.

    """

    spec: Spec
    place: str
    folder: RunFolder
    voice: Narrator
    opened: Opened | None = None
    targets: Targets | None = None
    signers: tuple[SigningKey, ...] = ()
    requested_by: str = ""
    credential: Credential | None = None


@dataclass(frozen=True, kw_only=True)
class Released:
    """How a run ended.

    Args:
        verdict: on the chosen candidate.
        chosen: the kind of the candidate that was released, or came nearest.
        release: the folder of the version, or its address on a store; None unless published.
        evidence: the private page.
        tried: kind and outcome of each candidate.
        targets: the law that the rows were altered to on purpose, or None.
        waiting: what waits for approval, or None.
        seconds: step -> wall clock.

    """

    verdict: Verdict
    chosen: str
    release: Path | Address | None
    evidence: Path
    tried: tuple[tuple[str, str], ...]
    targets: Targets | None = None
    waiting: Request | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return EXITS[self.verdict.outcome] if self.waiting is None else Exit.WAITING

    @property
    def ending(self) -> Ending:
        """The word for notices and events, and with a capital the name of Prefect's state."""
        return ENDINGS[self.verdict.outcome] if self.waiting is None else "waiting"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as `--json` prints them."""
        return {
            **verdict_json(self.verdict),
            "exit": int(self.exit),
            "chosen": self.chosen,
            "release": None if self.release is None else str(self.release),
            "report": None if self.release is None else str(self.release / "report.html"),
            "evidence": str(self.evidence),
            "candidates": [{"kind": kind, "outcome": outcome} for kind, outcome in self.tried],
            "rebalanced": None if self.targets is None else self.targets.to_json(),
            "waiting": None
            if self.waiting is None
            else {"request": self.waiting.request, "expires": self.waiting.expires},
            "seconds": dict(self.seconds),
        }


COMPANY: ContextVar[Company] = ContextVar("company")


def travelling() -> Company:
    """Return the company of this run; a function, because Prefect pickles a flow with what it names for workers."""
    return COMPANY.get()


@flow(name="release", flow_run_name="{name}", persist_result=False, validate_parameters=False)
def release(name: str, run_folder: str) -> State[Released]:
    """Run the whole way for the spec in `COMPANY`; a refusal is a completed run called Refused.

    Args:
        name: of the release.
        run_folder: where its private files go.

    """
    company = travelling()
    assert (company.spec.name, str(company.folder.path)) == (name, run_folder)
    spec, voice, folder = company.spec, company.voice, company.folder
    policy = Policy.from_spec(spec.policy)
    opened = tasks.read_source(spec, company.place, company.opened)
    contract = tasks.check_contract(opened, company.place)
    _say_source(voice, opened, len(contract.rules))
    if company.targets is None:
        targets = targets_of(spec.rebalance, [opened.dataset], place=company.place)
        company = replace(company, targets=targets)
    split = tasks.split_source(opened, spec.seed)
    _say_split(voice, split)
    limits = budgets(spec)
    canaries = canaries_for(split, spec.canaries, seed=spec.seed) if spec.canaries else None
    learnt = split.train if canaries is None else plant(split.train, canaries, seed=spec.seed)
    rows = spec.rows or len(opened.dataset)
    with computing_with(spec.runner):
        if elsewhere(spec.runner):
            parts = Parts(split=split, canaries=canaries, policy=policy, targets=company.targets)
            tried = make_beside(spec, folder, learnt, parts, limits, rows=rows, names=labels_of(spec), voice=voice)
        else:
            tried = fit_all(company, learnt, limits, rows=rows)
            tried = judge_all(company, split, canaries, tried, policy)
    chosen = tasks.gate(tried)
    assert chosen.judgement is not None
    verdict = chosen.judgement.verdict
    budget = limits[tried.index(chosen)]
    provenance = stages.provenance_of(
        spec,
        tried,
        chosen,
        budget=budget,
        split=split,
        source_fingerprint=opened.fingerprint,
        folder=folder,
        gate_calls=counted(folder, opened.fingerprint, tried),
        num_canaries=spec.canaries,
    )
    passed, asks = verdict.outcome is Outcome.PASS, spec.publish.approval is not None
    end_if_interrupted()
    sealed = {"credential": company.credential}
    published = (
        tasks.publish(chosen, spec, provenance, folder, company.signers, **sealed) if passed and not asks else None
    )
    version = None if published is None else published.name
    page = tasks.write_evidence(chosen, opened.schema, provenance, folder, version)
    asked = None
    if passed and asks:
        foresee(spec, opened, folder)
        asked = tasks.ask(chosen, spec, provenance, folder, requested_by=company.requested_by)
    ended = Released(
        verdict=verdict,
        chosen=chosen.candidate.kind,
        release=published,
        evidence=page,
        tried=tuple((one.candidate.kind, one.outcome) for one in tried),
        targets=company.targets,
        waiting=asked,
        seconds=so_far(),
    )
    write_json(folder.path / "outcome.json", ended.to_json())
    if published is not None:
        remember(spec, opened, folder, published)  # last: the next run may find nothing left to be done
    sights.show_ending(spec.name, tried, chosen, ended.ending, published=published, evidence=page)
    state: State[Released] = Completed(name=sights.STATES[ended.ending], data=ended)
    return state


def fit_all(company: Company, train: Dataset, limits: Sequence[Budget], *, rows: int) -> list[Tried]:
    """Fit every candidate on `train` and draw its rows; one that cannot learn this data is noted, the others go on.

    Raises:
        FlowInputError: no candidate can learn this data.
        NothingFitted: no candidate is left, and at least one diverged.

    """
    names = labels_of(company.spec)
    tried: list[Tried] = []
    with company.voice.bars("fit", names) as shown:
        bars = sights.with_progress(shown, company.spec.name, names)
        for position, (candidate, budget, name) in enumerate(zip(company.spec.candidates, limits, names, strict=True)):
            try:
                tried.append(
                    _fit_one(
                        company,
                        train=train,
                        candidate=candidate,
                        budget=budget,
                        name=name,
                        position=position,
                        rows=rows,
                        bars=bars,
                    )
                )
            except GeneratorInputError as error:
                tried.append(Tried(candidate=candidate, failure=error.what, refusal=error))
                bars.done(name, f"cannot learn this data: {error.what}")
            except Diverged as error:
                tried.append(Tried(candidate=candidate, failure=str(error)))
                bars.done(name, f"diverged: {error}")
    require_any(tried)
    return tried


def _fit_one(
    company: Company,
    *,
    train: Dataset,
    candidate: CandidateSpec,
    budget: Budget,
    name: str,
    position: int,
    rows: int,
    bars: Bars,
) -> Tried:
    spec, folder = company.spec, company.folder
    key = stages.fit_key(train, candidate, seed=spec.seed, budget=budget)
    seen: list[Mapping[str, Any]] = []

    def on_step(metrics: Mapping[str, Any]) -> None:
        end_if_interrupted()
        seen[:] = [metrics]
        bars.step(name, metrics)

    def once(*, anew: bool) -> stages.Reference:
        return tasks.fit.with_options(refresh_cache=anew, result_storage=folder.results.resolve())(
            train,
            candidate,
            name=name,
            seed=spec.seed,
            budget=budget,
            key=key,
            fits=folder.fits.resolve(),
            on_step=on_step,
            limit=None if spec.gpu is None else spec.gpu.limit,
        )

    reference = once(anew=False)
    if not stages.holds(reference):  # somebody tidied up: what Prefect remembers is no longer there
        reference = once(anew=True)
    report = reference["report"]
    ended = BUDGET_WORDS.get(report["stopped_by"], "")
    how = f"step {report['steps']:,}  {ended}".strip() if report["steps"] else ""
    bars.done(name, f"done {clock(report['seconds'])}  {how}  {'' if seen else '(kept from an earlier run)'}".rstrip())
    place = folder.candidate(position, candidate.kind)
    sampled = tasks.sample(reference, candidate.kind, rows, spec.seed, place, targets=company.targets)
    return Tried(candidate=candidate, fit=reference, sample=sampled)


def judge_all(
    company: Company, split: Split, canaries: Canaries | None, tried: Sequence[Tried], policy: Policy
) -> list[Tried]:
    """Judge the rows of every candidate that has some."""
    names = labels_of(company.spec)
    judged = []
    with company.voice.bars("judge", tuple(name for one, name in zip(tried, names, strict=True) if one.sample)) as bars:
        for position, (one, name) in enumerate(zip(tried, names, strict=True)):
            if one.sample is None:
                judged.append(one)
                continue
            judgement = tasks.judge(
                one.sample,
                split,
                canaries,
                policy=policy,
                seed=company.spec.seed,
                folder=company.folder.candidate(position, one.candidate.kind),
                root=company.folder,
                bars=bars,
                name=name,
                targets=company.targets,
            )
            bars.done(name, tally(judgement.report))
            judged.append(replace(one, judgement=judgement))
    return judged


def labels_of(spec: Spec) -> tuple[str, ...]:
    """Return one name for each candidate, numbered where a family is tried twice."""
    kinds = [candidate.kind for candidate in spec.candidates]
    return tuple(
        kind if kinds.count(kind) == 1 else f"{kind} #{kinds[: position + 1].count(kind)}"
        for position, kind in enumerate(kinds)
    )


def _say_source(voice: Narrator, opened: Opened, num_rules: int) -> None:
    schema = opened.schema
    broken = len(opened.contract.broken)
    contract = f"contract ok ({num_rules} rules{f', {broken} warnings' if broken else ''})"
    roles = [f"{len(schema.protected)} protected"] if schema.protected else []
    roles += [f"target {schema.target.name}"] if schema.target else []
    voice.line(
        "source",
        f"{len(opened.dataset):,} rows × {len(schema.columns)} columns   {contract}   {' · '.join(roles)}".rstrip(),
    )


def _say_split(voice: Narrator, split: Split) -> None:
    parts = f"train {len(split.train):,} · holdout {len(split.holdout):,} · reference {len(split.reference):,}"
    repeated = f"   {split.duplicates:,} rows repeat another exactly" if split.duplicates else ""
    voice.line("split", parts + repeated)
