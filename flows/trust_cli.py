"""The part of the command line on who stands for a release: keys, sign, approve, reject."""

from pathlib import Path
from typing import Annotated

import typer

from flows.errors import Exit

KEY_HELP = "A private key: a file, env:NAME, or block:NAME (a Secret block of Prefect)."
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="The run folder, as the run named it.", show_default=False)
]
Who = Annotated[str, typer.Option("--as", metavar="NAME", help="Who decides; it becomes public.", show_default=False)]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; it becomes public with an approval.", show_default=False)
]

keys = typer.Typer(help="Keys that sign releases.", no_args_is_help=True, rich_markup_mode=None)


@keys.command("new")
def keys_new(
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR/NAME", help="Where: NAME.pem and NAME.pub."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a pair of Ed25519 keys; nothing is ever overwritten."""
    from flows.key_commands import DEFAULT_BASE, new_command  # noqa: PLC0415

    _leave(new_command(output or DEFAULT_BASE, as_json=as_json))


@keys.command("show")
def keys_show(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A private or a public key.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Print the id and the public half of a key."""
    from flows.key_commands import show_command  # noqa: PLC0415

    _leave(show_command(file, as_json=as_json))


def sign(
    *,
    release: Annotated[Path, typer.Argument(metavar="RELEASE_DIR", help="The folder of one version.")],
    key: Annotated[str, typer.Option("--key", metavar="KEY", help=KEY_HELP, show_default=False)],
    as_json: Json = False,
) -> None:
    """Check a release and add your signature to it."""
    from flows.key_commands import sign_command  # noqa: PLC0415

    _leave(sign_command(release, place=key, as_json=as_json))


def approve(
    *,
    run: RunFolder,
    who: Who,
    reason: Reason,
    key: Annotated[str | None, typer.Option("--key", metavar="KEY", help=KEY_HELP)] = None,
    as_json: Json = False,
) -> None:
    """Publish the judged rows that wait in a run folder."""
    from flows.approving import approve_command  # noqa: PLC0415

    _leave(approve_command(run, who=who, reason=reason, key=key, as_json=as_json))


def reject(*, run: RunFolder, who: Who, reason: Reason, as_json: Json = False) -> None:
    """End what waits in a run folder for good; nothing is published."""
    from flows.approving import reject_command  # noqa: PLC0415

    _leave(reject_command(run, who=who, reason=reason, as_json=as_json))


def add_to(app: typer.Typer) -> None:
    """Add these commands to the program."""
    app.add_typer(keys, name="keys")
    for command in (sign, approve, reject):
        app.command()(command)


def _leave(code: Exit) -> None:
    raise typer.Exit(int(code))
