"""The command line: arguments in, one command of this room called, an exit code out.

Light on purpose: `understudy --help` imports neither pandas nor torch nor Prefect. Everything that fails for a reason
the user can change is one message (`error: …`) and exit code 2; a defect of ours is exit code 1 with a log file.
"""

import json
import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer
from typer.exceptions import TyperException

from flows.cli_releases import releases_app
from flows.ending import end_for_sure, heed_ctrl_c
from flows.errors import Exit, FlowInputError
from flows.settings import prepare_threads
from flows.temporary_server import server_for_one_run
from flows.trust_cli import add_to
from sources.errors import UserError

HELP = """Synthetic stand-ins for real datasets, judged before they are released.

Exit codes: 0 published, passed or verified · 2 bad input or usage · 3 refused by the gate · 4 inconclusive or invalid
· 5 waiting for approval · 1 a defect of ours."""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

app.add_typer(releases_app, name="releases")

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the spec: --set budget.minutes=1. May be repeated."),
]
SpecFile = Annotated[str, typer.Argument(metavar="SPEC", help="The spec, a YAML file.", show_default=False)]


@app.command()
def init(
    *,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A CSV or Parquet file or URL, a folder of pictures, or sklearn:NAME."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The spec to write; else it is printed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the spec.")] = False,
) -> None:
    """Look at a table or at pictures and write a commented spec to edit."""
    from flows.starting import init_command  # noqa: PLC0415 - each command imports what it needs, no other

    leave(init_command(source, output, force=force))


@app.command()
def run(
    *,
    spec: SpecFile,
    sets: Sets = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that takes runs/ and releases/.")] = Path(),
    requested_by: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Who asks, where an approval is due; else user@host.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Make a release although nothing has changed.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run the whole flow: read, check, split, fit, sample, judge, gate, publish."""
    from flows.spec_file import load_spec  # noqa: PLC0415

    load_spec(spec, sets or [])  # a mistake in it shows at once, before anything heavy is imported
    with server_for_one_run() as answering:
        from flows.run import run_command  # noqa: PLC0415 - and all that a run needs, while the server starts

        code = run_command(
            spec,
            sets or [],
            out,
            quiet=quiet,
            as_json=as_json,
            force=force,
            requested_by=requested_by,
            answering=answering,
        )
    leave(code)


@app.command()
def deploy(
    *,
    spec: SpecFile,
    pool: Annotated[str, typer.Option("--pool", help="The work pool whose workers run it.", show_default=False)],
    cron: Annotated[str | None, typer.Option(help="When it starts; else the spec's schedule.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The zone of --cron; UTC unless given.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that takes runs/ and releases/.")] = Path(),
    as_json: Json = False,
) -> None:
    """Register a spec at the Prefect server in PREFECT_API_URL, to be run by the workers of a pool."""
    from flows.deploying import deploy_command  # noqa: PLC0415

    leave(deploy_command(spec, pool=pool, cron=cron, timezone=timezone, out=out, as_json=as_json))


@app.command()
def serve(
    *,
    spec: SpecFile,
    cron: Annotated[str | None, typer.Option(help="When it starts; else the spec's schedule.")] = None,
    timezone: Annotated[str | None, typer.Option(help="The zone of --cron; UTC unless given.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder that takes runs/ and releases/.")] = Path(),
) -> None:
    """Wait here for the schedule and run the spec, without a worker; needs the server in PREFECT_API_URL."""
    from flows.deploying import serve_command  # noqa: PLC0415

    leave(serve_command(spec, cron=cron, timezone=timezone, out=out))


@app.command()
def judge(
    *,
    train: Annotated[str, typer.Option(help="The real rows that the synthesizer saw.", show_default=False)],
    synthetic: Annotated[str, typer.Option(help="The synthetic rows.", show_default=False)],
    holdout: Annotated[
        str | None, typer.Option(help="Real rows that it never saw; without them much is inconclusive.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="The column that a recipient will predict.")] = None,
    protected: Annotated[
        list[str] | None, typer.Option(help="Columns that name groups: A,B, or repeated for names with commas.")
    ] = None,
    spec: Annotated[str | None, typer.Option(help="A spec with roles, kinds, rules and policy.")] = None,
    policy: Annotated[str | None, typer.Option(help="standard, strict or research.")] = None,
    extractor: Annotated[
        str | None, typer.Option(help="A further network to judge pictures by: {kind: ..., path: ..., sha256: ...}.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for the private evidence: evidence.html, report.json.")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="The folder whose runs/ counts judgements, as for `run`.")
    ] = Path(),
    seed: Annotated[int, typer.Option(help="Same seed, same report.")] = 7,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Judge synthetic data made elsewhere against real data."""
    from flows.judging import judge_command  # noqa: PLC0415

    code = judge_command(
        train=train,
        holdout=holdout,
        synthetic=synthetic,
        target=target,
        protected=protected or [],
        spec=spec,
        policy=policy,
        extractor=extractor,
        report=report,
        out=out,
        seed=seed,
        quiet=quiet,
        as_json=as_json,
    )
    leave(code)


@app.command()
def sample(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a model, as a run prints it.")],
    rows: Annotated[int, typer.Option("-n", "--rows", min=0, help="Rows to draw.", show_default=False)],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A .parquet or .csv file; of pictures a .zip or a new folder.")
    ],
    given: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=VALUE", help="Hold a column at a value. May be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same rows.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Draw rows from a fitted model. They are private until they have been judged."""
    from flows.sampling import sample_command  # noqa: PLC0415

    leave(sample_command(model, rows, output, given=given or [], seed=seed, force=force))


@app.command()
def impute(
    *,
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The folder of a model of tabular.autoregressive.")],
    table: Annotated[str, typer.Argument(metavar="FILE", help="A real table with the columns that it learnt.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .parquet or .csv file.", show_default=False)],
    columns: Annotated[
        list[str] | None, typer.Option(help="Columns to fill: A,B, or repeated for names with commas; else all.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same cells.")] = 7,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Fill the missing cells of a real table. The rows stay real: never a release."""
    from flows.imputing import impute_command  # noqa: PLC0415

    leave(impute_command(model, table, output, columns=columns or [], seed=seed, force=force))


@app.command()
def verify(
    *,
    release: Annotated[str, typer.Argument(metavar="RELEASE_DIR", help="The folder of one version.")],
    key: Annotated[
        list[str] | None, typer.Option("--key", metavar="PUB", help="A signer's public key. May be repeated.")
    ] = None,
    threshold: Annotated[
        int | None, typer.Option(help="How many of the keys must have signed.", show_default="all")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The release that it should be a version of.")] = None,
    as_json: Json = False,
) -> None:
    """Check a release offline: files, hashes, signatures, name, policy, verdict, rows."""
    from flows.verifying import verify_command  # noqa: PLC0415

    leave(verify_command(release, as_json=as_json, keys=key or [], threshold=threshold, name=name))


@app.command()
def schema(
    of: Annotated[Literal["spec", "report"], typer.Argument(help="What is described: spec or report.")] = "spec",
) -> None:
    """Print the JSON Schema of a spec, for editors, or of report.json, for programs."""
    from flows.starting import schema_command  # noqa: PLC0415

    leave(schema_command(of))


add_to(app)


@app.callback(invoke_without_command=True)
def about(*, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Answer --version."""
    if version:
        from importlib.metadata import version as version_of  # noqa: PLC0415

        typer.echo(f"understudy {version_of('understudy')}")
        raise typer.Exit


def leave(code: Exit) -> None:
    """End the command with `code`."""
    raise typer.Exit(int(code))


def main() -> None:
    """Be the program `understudy`."""
    signal.signal(signal.SIGTERM, _terminated)  # otherwise Prefect's temporary server outlives us
    heed_ctrl_c()
    end_for_sure()
    logging.getLogger().addHandler(logging.NullHandler())  # libraries' warnings are no part of what we say,
    warnings.simplefilter("ignore")  # and may quote cells of the source
    sys.exit(command_line(sys.argv[1:]))


def command_line(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing but a signal's `SystemExit` is raised."""
    prepare_threads()
    as_json = "--json" in arguments
    try:
        result = app(args=list(arguments), prog_name="understudy", standalone_mode=False)
    except typer.Exit as leaving:
        return leaving.exit_code
    except UserError as error:
        return _complain(error, as_json=as_json)
    except TyperException as error:
        return _complain(_usage(error), as_json=as_json) if error.exit_code == Exit.BAD_INPUT else error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except MemoryError:
        return _complain(FlowInputError("the data does not fit into memory", remedy="give fewer rows"), as_json=as_json)
    except OSError as error:
        from flows.disk import refused_by_disk  # noqa: PLC0415 - only when it is needed

        refusal = refused_by_disk(error)
        return _defect(error) if refusal is None else _complain(refusal, as_json=as_json)
    except Exception as defect:  # noqa: BLE001 - the last line of defence: a defect is a short message and a log file
        ended = _ended_by_signal(defect)
        if ended is not None:
            return int(ended) if ended is Exit.TERMINATED else _interrupted()
        return _defect(defect)
    return int(result or 0)


def _ended_by_signal(defect: BaseException) -> Exit | None:
    """Return the exit code of a signal that struck inside a library, which then failed while it was cleaning up."""
    cause: BaseException | None = defect
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return Exit.INTERRUPTED
        if type(cause).__name__ == "TerminationSignal":  # Prefect's own, for SIGTERM inside one of its flows
            return Exit.TERMINATED
        cause = cause.__cause__ or cause.__context__
    return None


def _usage(error: TyperException) -> FlowInputError:
    context: Any = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "understudy"
    return FlowInputError(error.format_message(), remedy=f"`{command} --help` lists what it takes")


def _complain(error: UserError, *, as_json: bool) -> int:
    """Show what, seen and remedy, and return 2."""
    if as_json:
        seen = None if error.seen is None else str(error.seen)
        plain = {
            "outcome": "ERROR",
            "exit": int(Exit.BAD_INPUT),
            "what": error.what,
            "seen": seen,
            "remedy": error.remedy,
        }
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write("error: " + "\n       ".join(str(error).splitlines()) + "\n")
    return int(Exit.BAD_INPUT)


def _interrupted() -> int:
    sys.stderr.write("stopped by Ctrl-C; nothing was published\n")
    return int(Exit.INTERRUPTED)


def _defect(defect: Exception) -> int:
    """Write the traceback, without a message and without locals, to a log file; return 1."""
    from flows.defects import write_log  # noqa: PLC0415 - only when it is needed

    try:
        path: Path | str = write_log(defect)
    except OSError as error:
        path = f"none, the temporary folder refused ({error.strerror})"
    sys.stderr.write(
        f"error: a defect of understudy ({type(defect).__name__}); nothing was published\n"
        f"       log: {path}   it holds no value of your data: please send it with a bug report\n"
    )
    return int(Exit.DEFECT)


def _terminated(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(int(Exit.TERMINATED))


if __name__ == "__main__":
    main()
