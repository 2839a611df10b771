"""Candidates made beside each other, in processes of Prefect's task runner: fits, pieces of samples, judgements.

What goes to a process is plain: the spec's candidate, seeds, folders, and references to files in the run folder,
which all machines must see under one path. What comes back is a reference, or a report in its file. Models, samples
and reports have the bytes that `flows.release_flow.fit_all` and `judge_all` make, because each process computes with
the same number of threads and draws from the same streams.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner

from flows import kept, stages
from flows.errors import FlowInputError, NothingFitted
from flows.gpu_slots import counted_by_prefect
from flows.guarded import task
from flows.handover import handing_over, taken
from flows.judging import tally
from flows.progress import Bars, Narrator, Silent, clock
from flows.run_folder import RunFolder
from flows.runners import computing_with, task_runner_of
from flows.settings import quiet_peers
from flows.shards import sizes_of
from flows.sights import with_progress
from flows.spec import CandidateSpec, Spec
from flows.stages import Reference, Tried
from generators.base import Budget, Diverged, GeneratorInputError, ignore_step
from generators.device import num_threads
from sources.canaries import Canaries
from sources.dataset import Dataset
from sources.split import Split
from sources.targets import Targets
from validators.policy import Policy
from validators.report import Report


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a judgement needs besides the sample."""

    split: Split
    canaries: Canaries | None
    policy: Policy
    targets: Targets | None


def _key(_context: Any, parameters: Mapping[str, Any]) -> str:
    return f"fit-{parameters['key']}"


@task(name="fit", cache_key_fn=_key, persist_result=True, result_serializer="json", task_run_name="fit {name}")
def fit_there(
    train: dict[str, str],
    candidate: CandidateSpec,
    *,
    name: str,
    seed: int,
    budget: Budget,
    key: str,
    fits: Path,
    threads: int,
    limit: str | None,
) -> Reference:
    """Fit one candidate on rows that were handed over; remembered by `key`, as a fit in the run's own process is."""
    assert name
    with _at_work(threads), counted_by_prefect(limit):
        return stages.fit(taken(train), candidate, seed=seed, budget=budget, key=key, fits=fits, on_step=ignore_step)


@task(name="draw", cache_policy=NO_CACHE, persist_result=False, task_run_name="draw {family} {piece}")
def draw_there(
    fitted: Reference, family: str, rows: int, seed: int, piece: int, *, targets: Targets | None, threads: int
) -> Dataset:
    """Draw one piece of a candidate's rows."""
    with _at_work(threads):
        return stages.draw(fitted, family=family, rows=rows, seed=seed, piece=piece, targets=targets)


@task(name="judge", cache_policy=NO_CACHE, persist_result=False, task_run_name="judge {name}")
def judge_there(sampled: Reference, parts: dict[str, str], *, seed: int, folder: Path, name: str, threads: int) -> str:
    """Judge the rows of one candidate and write its report; return the report's JSON text."""
    with _at_work(threads), Silent().bars("judge", (name,)) as bars:
        given: Parts = taken(parts)
        judgement = stages.judge_sample(
            sampled,
            given.split,
            given.canaries,
            policy=given.policy,
            seed=seed,
            folder=folder,
            bars=bars,
            name=name,
            targets=given.targets,
        )
    return judgement.report.dumps()


def make_beside(
    spec: Spec,
    folder: RunFolder,
    learnt: Dataset,
    parts: Parts,
    limits: Sequence[Budget],
    *,
    rows: int,
    names: Sequence[str],
    voice: Narrator,
) -> list[Tried]:
    """Fit, sample and judge all candidates of `spec` beside each other.

    Args:
        spec: its runner says where.
        folder: the run's folders.
        learnt: the training rows, with canaries where there are some.
        parts: what judgements need.
        limits: the budget of each candidate.
        rows: to draw.
        names: of the candidates, for a person.
        voice: where the run speaks.

    Raises:
        FlowInputError: no candidate can learn this data, or a worker does not see the run's folder.
        NothingFitted: no candidate is left, and at least one diverged.

    """
    threads = num_threads()
    places = [folder.candidate(position, one.kind) for position, one in enumerate(spec.candidates)]
    with handing_over(folder.path) as put, task_runner_of(spec.runner) as runner:
        with voice.bars("fit", tuple(names)) as shown:
            bars = with_progress(shown, spec.name, names)
            tried = _fit_all(
                runner,
                spec,
                folder,
                learnt=learnt,
                train=put(learnt),
                limits=limits,
                names=names,
                threads=threads,
                bars=bars,
            )
        require_any(tried)
        plan = sizes_of(rows, learnt.schema, parts.targets)
        common = {"seed": spec.seed, "targets": parts.targets, "threads": threads}
        keys = [
            ""
            if one.fit is None
            else kept.sample_key(one.fit, family=one.candidate.kind, rows=rows, seed=spec.seed, targets=parts.targets)
            for one in tried
        ]
        found = [kept.found_sample(place, key) for place, key in zip(places, keys, strict=True)]
        drawn = [
            []
            if one.fit is None or before is not None
            else [
                runner.submit(
                    draw_there,
                    {"fitted": one.fit, "family": one.candidate.kind, "rows": size, "piece": piece, **common},
                )
                for piece, size in enumerate(plan)
            ]
            for one, before in zip(tried, found, strict=True)
        ]
        for position, one in enumerate(tried):
            sample = found[position]
            if one.fit is not None and sample is None:
                sample = stages.write_sample([future.result() for future in drawn[position]], places[position])
                sample["model"] = stages.model_of(one.fit, one.candidate.kind)
                kept.note_sample(places[position], keys[position], sample)
            tried[position] = replace(one, sample=sample)
        with voice.bars("judge", tuple(name for one, name in zip(tried, names, strict=True) if one.sample)) as bars:
            return _judge_all(
                runner,
                tried,
                put(parts),
                parts,
                root=folder,
                places=places,
                names=names,
                seed=spec.seed,
                threads=threads,
                bars=bars,
            )


def require_any(tried: Sequence[Tried]) -> None:
    """Refuse to go on where no candidate was fitted.

    Raises:
        FlowInputError: none can learn this data.
        NothingFitted: at least one diverged.

    """
    if any(one.fit for one in tried):
        return
    first = tried[0].refusal
    if first is not None and all(one.refusal is not None for one in tried):
        raise FlowInputError(f"no candidate can learn this data: {first.what}", seen=first.seen, remedy=first.remedy)
    raise NothingFitted("; ".join(f"{one.candidate.kind}: {one.failure}" for one in tried))


def _fit_all(
    runner: TaskRunner[Any],
    spec: Spec,
    folder: RunFolder,
    *,
    learnt: Dataset,
    train: dict[str, str],
    limits: Sequence[Budget],
    names: Sequence[str],
    threads: int,
    bars: Bars,
) -> list[Tried]:
    keys = [
        stages.fit_key(learnt, one, seed=spec.seed, budget=budget)
        for one, budget in zip(spec.candidates, limits, strict=True)
    ]

    def submitted(position: int, *, anew: bool) -> PrefectFuture[Any]:
        remembered = fit_there.with_options(refresh_cache=anew, result_storage=folder.results.resolve())
        given = {"candidate": spec.candidates[position], "name": names[position], "budget": limits[position]}
        common = {"train": train, "seed": spec.seed, "fits": folder.fits.resolve(), "threads": threads}
        common["limit"] = None if spec.gpu is None else spec.gpu.limit
        future: PrefectFuture[Any] = runner.submit(remembered, {**given, **common, "key": keys[position]})
        return future

    futures = [submitted(position, anew=False) for position in range(len(names))]
    tried = []
    for position, (candidate, name) in enumerate(zip(spec.candidates, names, strict=True)):
        try:
            reference = futures[position].result()
            if not stages.holds(reference):  # somebody tidied up: what Prefect remembers is no longer there
                reference = submitted(position, anew=True).result()
        except GeneratorInputError as error:
            tried.append(Tried(candidate=candidate, failure=error.what, refusal=error))
            bars.done(name, f"cannot learn this data: {error.what}")
        except Diverged as error:
            tried.append(Tried(candidate=candidate, failure=str(error)))
            bars.done(name, f"diverged: {error}")
        else:
            tried.append(Tried(candidate=candidate, fit=reference))
            bars.done(name, f"done {clock(reference['report']['seconds'])}")
    return tried


def _judge_all(
    runner: TaskRunner[Any],
    tried: Sequence[Tried],
    court: dict[str, str],
    parts: Parts,
    *,
    root: RunFolder,
    places: Sequence[Path],
    names: Sequence[str],
    seed: int,
    threads: int,
    bars: Bars,
) -> list[Tried]:
    split, canaries, policy, targets = parts.split, parts.canaries, parts.policy, parts.targets
    keys, found, futures = [], [], []
    for one, place, name in zip(tried, places, names, strict=True):
        key, before, future = "", None, None
        if one.sample is not None:
            key = kept.judgement_key(one.sample, split, canaries, policy=policy, seed=seed, targets=targets)
            before = kept.found_judgement(
                one.sample, split, canaries, policy=policy, folder=place, root=root, key=key, targets=targets
            )
            given = {"sampled": one.sample, "parts": court, "seed": seed, "folder": place}
            if before is None:
                future = runner.submit(judge_there, {**given, "name": name, "threads": threads})
        keys.append(key)
        found.append(before)
        futures.append(future)
    judged = []
    for position, (one, judgement, future) in enumerate(zip(tried, found, futures, strict=True)):
        if future is not None:
            assert one.sample is not None
            report = Report.loads(future.result())
            judgement = stages.judgement_of(report, one.sample, split, canaries, targets=targets)  # noqa: PLW2901
            kept.note_judgement(places[position], keys[position], root)
        if judgement is not None:
            bars.done(names[position], tally(judgement.report))
        judged.append(one if judgement is None else replace(one, judgement=judgement))
    return judged


@contextmanager
def _at_work(threads: int) -> Iterator[None]:
    """Compute with so many threads, as every process of this run does; what libraries warn of may quote cells."""
    quiet_peers()
    with computing_with(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
