"""`understudy deploy` and `understudy serve`: a spec registered at a Prefect server, run by workers or by this process.

The server gets to know the path of the spec, the folder of runs and the schedule. The spec stays where it is, and so
does everything in it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.errors import Exit, FlowInputError
from flows.judging import say_json
from flows.progress import narrator
from flows.run_folder import folder_of
from flows.runners import check_runner
from flows.schedule import ScheduleSpec, checked_cron, checked_timezone
from flows.settings import prepare_threads, quiet_peers, uses_temporary_server
from flows.spec import Spec
from flows.spec_file import load_spec
from sources.errors import did_you_mean

MOST_POOLS = 12
LOCAL_POOLS = ("process",)
"""Pools whose workers run a flow on their own machine, so that paths can be given from where the command is run."""


def deploy_command(
    spec_file: str, *, pool: str, cron: str | None, timezone: str | None, out: Path, as_json: bool
) -> Exit:
    """Register the release of a spec file at the server; see `understudy deploy --help`.

    Raises:
        UserError: the spec, the schedule, the server or the pool must be changed; nothing is registered.

    """
    spec, schedule = _read(spec_file, cron, timezone, out)
    with _server() as client:
        kind = _kind_of_pool(client, pool)
        from prefect.types.entrypoint import EntrypointType  # noqa: PLC0415 - imports Prefect

        from flows.deployed import scheduled_release  # noqa: PLC0415 - likewise

        local = kind in LOCAL_POOLS
        deployment: Any = scheduled_release.to_deployment(
            name=spec.name,
            parameters=_parameters(spec_file, out, absolute=local),
            schedule=_prefect_schedule(schedule),
            tags=["understudy"],
            description=spec.title or None,
            work_pool_name=pool,
            concurrency_limit=1,
            job_variables={"working_dir": str(Path.cwd())} if local else {},
            entrypoint_type=EntrypointType.MODULE_PATH,  # the project is installed where workers run
        )
        identity = deployment.apply(version_info=_version())
    full = f"{scheduled_release.name}/{spec.name}"
    if as_json:
        plain = None if schedule is None else {"cron": schedule.cron, "timezone": schedule.timezone}
        say_json(
            {"outcome": "DEPLOYED", "exit": 0, "deployment": full, "id": str(identity), "pool": pool, "schedule": plain}
        )
        return Exit.OK
    voice = narrator(quiet=False)
    voice.line("deployed", f"{full}   pool {pool} ({kind})")
    voice.line("schedule", _words(schedule))
    voice.line("worker", f"prefect worker start --pool {pool}")
    voice.line("run now", f"prefect deployment run {full}")
    return Exit.OK


def serve_command(spec_file: str, *, cron: str | None, timezone: str | None, out: Path) -> Exit:
    """Run the release of a spec file whenever it is due, in children of this process, until it is stopped.

    The schedule is paused when this process ends, because nobody would run what falls due.

    Raises:
        UserError: the spec, the schedule or the server must be changed.

    """
    spec, schedule = _read(spec_file, cron, timezone, out)
    with _server():
        pass
    from flows.deployed import scheduled_release  # noqa: PLC0415 - imports Prefect

    voice = narrator(quiet=False)
    voice.line("serving", f"{scheduled_release.name}/{spec.name}   until Ctrl-C, which pauses the schedule")
    voice.line("schedule", _words(schedule))
    scheduled_release.serve(
        name=spec.name,
        parameters=_parameters(spec_file, out, absolute=True),
        schedule=_prefect_schedule(schedule),
        tags=["understudy"],
        limit=1,
        print_starting_message=False,
    )
    return Exit.OK


def _read(spec_file: str, cron: str | None, timezone: str | None, out: Path) -> tuple[Spec, ScheduleSpec | None]:
    """Return the spec and when it is due: the options' word, else the spec's."""
    spec = load_spec(spec_file)
    check_runner(spec.runner, place=spec_file)
    folder_of(spec, out)
    if timezone is not None and cron is None:
        raise FlowInputError(
            "--timezone: only with --cron", seen=timezone, remedy="write both, or schedule: in the spec"
        )
    if cron is None:
        return spec, spec.schedule
    checked = []
    for option, value, check in (("--cron", cron, checked_cron), ("--timezone", timezone or "UTC", checked_timezone)):
        try:
            checked.append(check(value))
        except ValueError as error:
            raise FlowInputError(f"{option}: not allowed", seen=value, remedy=str(error)) from None
    return spec, ScheduleSpec(cron=checked[0], timezone=checked[1])


def _parameters(spec_file: str, out: Path, *, absolute: bool) -> dict[str, Any]:
    """Return the flow's parameters: paths, as the worker sees them, and nothing of what the files hold."""
    spec, folder = Path(spec_file), out
    if absolute:
        spec, folder = spec.absolute(), out.absolute()
    return {"spec": str(spec), "out": str(folder)}


@contextmanager
def _server() -> Iterator[Any]:
    """Yield a client of the server in PREFECT_API_URL.

    Raises:
        FlowInputError: no server is named, or it does not answer.

    """
    if uses_temporary_server():
        raise FlowInputError(
            "PREFECT_API_URL: no Prefect server is named, and a schedule needs one that stays",
            remedy="prefect server start; export PREFECT_API_URL=http://127.0.0.1:4200/api   or let cron run "
            "`understudy run`: docs/operations.md",
        )
    url = os.environ["PREFECT_API_URL"]
    prepare_threads()
    quiet_peers()
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        usable, shown = False, "(not shown)"
    if not usable:
        raise FlowInputError(
            "PREFECT_API_URL: not the address of a Prefect server",
            seen=None if "@" in url else url[:80],
            remedy="it looks like http://127.0.0.1:4200/api",
        )
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - imports Prefect

    with get_client(sync_client=True) as client:
        problem = client.api_healthcheck()
        if problem is not None:
            status = getattr(getattr(problem, "response", None), "status_code", None)
            raise FlowInputError(
                f"PREFECT_API_URL: {shown}: "
                + ("no server answers" if status is None else f"the server answers {status}"),
                seen=type(problem).__name__,
                remedy="start it (prefect server start), or correct the address; a server with a password wants "
                "PREFECT_API_AUTH_STRING, Prefect Cloud PREFECT_API_KEY",
            )
        yield client


def _kind_of_pool(client: Any, pool: str) -> str:
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415 - imports Prefect

    try:
        return str(client.read_work_pool(pool).type)
    except ObjectNotFound:
        known = sorted(one.name for one in client.read_work_pools())
        listed = "pools: " + ", ".join(known[:MOST_POOLS]) if known else "there is none yet"
        raise FlowInputError(
            f"--pool: no such work pool{did_you_mean(pool, known)}",
            seen=pool,
            remedy=f"prefect work-pool create {pool} --type process   ({listed})",
        ) from None


def _prefect_schedule(schedule: ScheduleSpec | None) -> Any:
    if schedule is None:
        return None
    from prefect.schedules import Cron  # noqa: PLC0415 - imports Prefect

    return Cron(schedule.cron, timezone=schedule.timezone)


def _version() -> Any:
    """Return our own version, so that Prefect asks no git: remotes and commit messages stay here."""
    from importlib.metadata import version  # noqa: PLC0415 - one use

    from prefect.client.schemas.objects import VersionInfo  # noqa: PLC0415 - imports Prefect

    return VersionInfo(type="prefect:simple", version=version("understudy"))


def _words(schedule: ScheduleSpec | None) -> str:
    return "none: it runs when asked" if schedule is None else f"{schedule.cron}   {schedule.timezone}"
