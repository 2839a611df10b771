"""`understudy releases …`: the arguments of the catalogue's commands; light, as `flows.cli` is."""

from pathlib import Path
from typing import Annotated

import typer

releases_app = typer.Typer(
    help="List, show, compare, fetch and withdraw releases in a folder or on a store.",
    add_completion=False,
    rich_markup_mode=None,
)
At = Annotated[
    str | None, typer.Option("--at", metavar="FOLDER_OR_URL", help="Where the releases lie; else releases/.")
]
FromSpec = Annotated[
    str | None, typer.Option("--spec", metavar="SPEC", help="Take place and options of the store from a spec.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="For the store: endpoint_url=…, key=$STORE_KEY. May be repeated."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Release = Annotated[str, typer.Argument(metavar="NAME[/VERSION]", help="A release; without a version the latest.")]


@releases_app.command("list")
def list_(
    *,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One release alone.")] = None,
    at: At = None,
    spec: FromSpec = None,
    options: Options = None,
    as_json: Json = False,
) -> None:
    """List all complete versions, also those that were withdrawn."""
    from flows.cataloguing import list_command, place_of  # noqa: PLC0415 - each command imports what it needs

    raise typer.Exit(int(list_command(place_of(at, spec, options or []), name, as_json=as_json)))


@releases_app.command()
def show(
    *, release: Release, at: At = None, spec: FromSpec = None, options: Options = None, as_json: Json = False
) -> None:
    """Show one version: what it is, how it was made, whether it was withdrawn."""
    from flows.cataloguing import place_of, show_command  # noqa: PLC0415

    raise typer.Exit(int(show_command(place_of(at, spec, options or []), release, as_json=as_json)))


@releases_app.command()
def diff(
    *,
    first: Release,
    second: Release,
    at: At = None,
    spec: FromSpec = None,
    options: Options = None,
    as_json: Json = False,
) -> None:
    """Compare two versions: columns, rows, limits, measurements, generator, seeds, code, data."""
    from flows.cataloguing import diff_command, place_of  # noqa: PLC0415

    raise typer.Exit(int(diff_command(place_of(at, spec, options or []), first, second, as_json=as_json)))


@releases_app.command()
def fetch(
    *,
    release: Release,
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder that is not there yet.", show_default=False)],
    at: At = None,
    spec: FromSpec = None,
    options: Options = None,
    as_json: Json = False,
) -> None:
    """Copy one version into a local folder, where `understudy verify` can look at it."""
    from flows.cataloguing import fetch_command, place_of  # noqa: PLC0415

    raise typer.Exit(int(fetch_command(place_of(at, spec, options or []), release, output, as_json=as_json)))


@releases_app.command()
def withdraw(
    *,
    release: Annotated[str, typer.Argument(metavar="NAME/VERSION", help="The version.", show_default=False)],
    reason: Annotated[
        str, typer.Option("--reason", help="Why, in a sentence; everybody reads it.", show_default=False)
    ],
    at: At = None,
    spec: FromSpec = None,
    options: Options = None,
    as_json: Json = False,
) -> None:
    """Mark a version as not to be used any more. It stays listed, and its files stay as they are."""
    from flows.cataloguing import place_of, withdraw_command  # noqa: PLC0415

    raise typer.Exit(int(withdraw_command(place_of(at, spec, options or []), release, reason, as_json=as_json)))
