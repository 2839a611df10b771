"""Where the tasks of a run are at work: `runner:` of a spec, and Prefect's own task runner for it.

`threads`, the usual one, makes one candidate after the other in the process of the run: torch's initialisation and
SDV's networks set the random state of their process for a moment, so two fits in one process would disturb each
other. `processes`, `dask` and `ray` make candidates beside each other, each in a process of its own. Whatever the
runner, a model's bytes depend on the number of CPU threads that it computes with, so each process computes with the
same number.
"""

import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from flows.errors import FlowInputError
from flows.settings import LOOPBACK

Kind = Literal["threads", "processes", "dask", "ray"]
EXTRAS = {"dask": "prefect_dask", "ray": "prefect_ray"}
"""The extra of this project that brings a runner, and the module that it must bring."""


class RunnerSpec(BaseModel):
    """Which of Prefect's task runners makes the candidates."""

    model_config = ConfigDict(extra="forbid", revalidate_instances="always", frozen=True, strict=True)
    kind: Kind = Field(default="threads", description="threads (one after the other), processes, dask or ray")
    workers: int | None = Field(default=None, ge=1, le=1024, description="candidates at work at the same time")
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of each; another number ends with other bytes"
    )
    address: str | None = Field(
        default=None, min_length=1, description="scheduler of a running cluster; $NAME takes it from the environment"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "RunnerSpec":
        if self.kind == "threads" and (self.workers or 1) > 1:
            raise ValueError("threads make one candidate after the other; choose kind: processes, or leave workers out")
        if self.address is not None and self.kind not in EXTRAS:
            raise ValueError("an address is for kind: dask or ray")
        if self.address is not None and self.workers is not None:
            raise ValueError("a running cluster has its own workers; give address or workers, not both")
        return self


def _with_kind(raw: Any) -> Any:
    """Turn the short form, the kind alone, into the fields of a RunnerSpec."""
    return {"kind": raw} if isinstance(raw, str) else raw


Runner = Annotated[RunnerSpec, BeforeValidator(_with_kind)]
assert set(EXTRAS) < set(get_args(Kind))


def elsewhere(runner: RunnerSpec | None) -> bool:
    """Return whether candidates are made in processes other than the run's own."""
    return runner is not None and runner.kind != "threads"


def check_runner(runner: RunnerSpec | None, *, place: str) -> None:
    """Refuse a runner that is not installed, or whose address is nowhere, before anything is read or written.

    Raises:
        FlowInputError: it names the extra, or the variable of the environment.

    """
    if runner is None:
        return
    module = EXTRAS.get(runner.kind)
    if module is not None and importlib.util.find_spec(module) is None:
        raise FlowInputError(
            f"{place}: runner.kind: {runner.kind} is not installed here",
            seen=f"no module {module}",
            remedy=f"pip install 'understudy[{runner.kind}]', or choose threads or processes",
        )
    _address_of(runner, place=place)


def task_runner_of(runner: RunnerSpec | None, *, place: str = "runner") -> Any:
    """Return Prefect's task runner; imports Prefect."""
    kind = "threads" if runner is None else runner.kind
    workers = None if runner is None else runner.workers
    if kind == "threads":
        from prefect.task_runners import ThreadPoolTaskRunner  # noqa: PLC0415 - only in a run

        return ThreadPoolTaskRunner(max_workers=1)
    if kind == "processes":
        from prefect.task_runners import ProcessPoolTaskRunner  # noqa: PLC0415

        return ProcessPoolTaskRunner(max_workers=workers or os.cpu_count() or 1)
    assert runner is not None
    address = _address_of(runner, place=place)
    if kind == "dask":
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415 - an extra

        logging.getLogger("distributed").setLevel(logging.ERROR)  # it tells of every connection
        if address is not None:
            return DaskTaskRunner(address=address)
        cluster: dict[str, Any] = {
            "n_workers": workers or os.cpu_count(),
            "threads_per_worker": 1,  # a fit changes its process's random state for a moment
            "processes": True,
            "dashboard_address": f"{LOOPBACK}:0",
            "silence_logs": logging.ERROR,
        }
        return DaskTaskRunner(cluster_kwargs=cluster)
    from prefect_ray import RayTaskRunner  # type: ignore[import-not-found]  # noqa: PLC0415 - an extra

    own = {"include_dashboard": False, **({"num_cpus": workers} if workers else {})}
    return RayTaskRunner(address=address) if address is not None else RayTaskRunner(init_kwargs=own)


@contextmanager
def computing_with(threads: RunnerSpec | int | None) -> Iterator[None]:
    """Let torch compute with so many threads of the CPU, or those that the runner states, inside the block."""
    threads = threads.threads if isinstance(threads, RunnerSpec) else threads
    if threads is None:
        yield
        return
    import torch  # noqa: PLC0415 - only where something is computed

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _address_of(runner: RunnerSpec, *, place: str) -> str | None:
    if runner.address is None or not runner.address.startswith("$"):
        return runner.address
    name = runner.address[1:].strip("{}")
    if not os.environ.get(name):
        raise FlowInputError(
            f"{place}: runner.address: the environment has no {name}", remedy=f"export {name}=tcp://scheduler:8786"
        )
    return os.environ[name]
