"""Prefect's server for one run: a child on the loopback address that ends with its parent, however that ends.

Prefect can bring such a server up by itself, but that one outlives a run that is killed. Here the child reads its
standard input, a pipe whose other end the parent holds: when the parent is gone the kernel closes it, and the child
ends. The parent binds the port and hands the socket over, so no other program can take it in between.

A server in memory has no older version to be migrated from: its tables are made as Prefect's models state them, which
takes a tenth of a second where the migrations of all earlier versions take four. What no run asks it for, its
catalogue of block types, is left out.
"""

import asyncio
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flows.errors import ServerFailed
from flows.settings import LOOPBACK, UNMIGRATED, server_environment, uses_temporary_server

if TYPE_CHECKING:
    from sqlalchemy import Connection

START_S = 120.0
"""Longest wait for the first answer; a fresh home on a busy machine has been seen to take 12 s."""

BACKLOG = 128


@contextmanager
def temporary_server(*, lasting: bool = False) -> Iterator[str]:
    """Yield the URL of the API of a server that answers; it has ended when the block ends.

    Args:
        lasting: with all that a server does which outlives a run: schedules, events, late runs.

    Raises:
        ServerFailed: it ended before it answered, or gave no answer in `START_S` seconds.

    """
    with starting_server(lasting=lasting) as answering:
        yield answering()


@contextmanager
def server_for_one_run() -> Iterator[Callable[[], str] | None]:
    """Start the server of a run, or yield None where `PREFECT_API_URL` names one; see `starting_server`."""
    if not uses_temporary_server():
        yield None
        return
    with starting_server() as answering:
        yield answering


@contextmanager
def starting_server(*, lasting: bool = False) -> Iterator[Callable[[], str]]:
    """Start a server and yield what waits until it answers and returns the URL of its API; it ends with the block.

    What the caller does before it waits, such as reading the source, costs no time of its own. Prefect's own files are
    in a folder of the child's, which is gone when it ends. The returned function raises `ServerFailed` as
    `temporary_server` does.
    """
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(BACKLOG)
        port = listener.getsockname()[1]
        child = subprocess.Popen(
            [sys.executable, "-m", "flows.temporary_server", str(listener.fileno()), *(["lasting"] if lasting else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env={**server_environment(), **({} if lasting else UNMIGRATED)},
            start_new_session=True,  # Ctrl-C is for the run, which ends the server after its last report
        )

    def answering() -> str:
        _wait_for_answer(port)
        return f"http://{LOOPBACK}:{port}/api"

    try:
        yield answering
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait()


def _wait_for_answer(port: int) -> None:
    """Ask once: the question waits in the listener's queue until the server takes it."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=START_S)
    try:
        connection.request("GET", "/api/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise ServerFailed(f"Prefect's temporary server did not come up: {type(error).__name__}") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise ServerFailed(f"Prefect's temporary server answered {status}")


def _end_with_parent(home: str) -> None:
    sys.stdin.buffer.read()
    shutil.rmtree(home, ignore_errors=True)
    os._exit(0)


def serve(descriptor: int, *, lasting: bool) -> None:
    """Be the child: serve on the listening socket `descriptor` until the parent is gone."""
    home = tempfile.mkdtemp(prefix="understudy-prefect-")
    os.environ["PREFECT_HOME"] = home
    threading.Thread(target=_end_with_parent, args=(home,), daemon=True).start()
    import uvicorn  # noqa: PLC0415 - the watch stands before anything slow is imported
    from prefect.server.api.server import create_app  # noqa: PLC0415

    app = create_app(ephemeral=not lasting)  # no user interface, none of the services that watch schedules and workers
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))

    async def work() -> None:
        if not lasting:
            await _make_tables()
        await server.serve(sockets=[socket.socket(fileno=descriptor)])

    asyncio.run(work())


async def _make_tables() -> None:
    """Make the tables and indexes of Prefect's models in the database of this process."""
    from prefect.server.database import provide_database_interface  # noqa: PLC0415

    database = provide_database_interface()
    engine = await database.engine()

    def make(connection: "Connection") -> None:
        from sqlalchemy.schema import CreateIndex, CreateTable  # noqa: PLC0415

        for table in database.Base.metadata.sorted_tables:
            connection.execute(CreateTable(table))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))  # the models name some of them twice

    async with engine.begin() as connection:
        await connection.run_sync(make)


if __name__ == "__main__":
    serve(int(sys.argv[1]), lasting=sys.argv[2:] == ["lasting"])
