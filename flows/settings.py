"""The environment of a run: threads before torch is imported, Prefect's settings before Prefect is imported.

Every value here is set with `setdefault`: whoever exports the variable decides. Nothing is read from the network and
nothing is sent anywhere; with `PREFECT_API_URL` set, Prefect reports to that server instead of a temporary one.
"""

import logging
import os
import sys
from pathlib import Path

THREADS = {
    # Threads that wait at a barrier sleep instead of spinning: on two shared cores a fit takes a quarter of the time.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}
QUIET_PEERS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",  # the only switch its server obeys
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "PREFECT_CLI_PROMPT": "false",
}
TEMPORARY_SERVER = {
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    # A database file stalls under its own lock for up to a minute; a run that ends with its server needs none.
    "PREFECT_SERVER_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///:memory:",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # otherwise hundreds of lines of traceback at exit
    "PREFECT_LOGGING_ROOT_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
}
UNMIGRATED = {
    "PREFECT_SERVER_DATABASE_MIGRATE_ON_START": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
}
"""Of a server whose tables are made as they are now, for one run; see `flows.temporary_server`."""
LOOPBACK = "127.0.0.1"


def prepare_threads() -> None:
    """Set how OpenMP waits; call it before anything imports torch or scikit-learn."""
    for name, value in THREADS.items():
        os.environ.setdefault(name, value)


def uses_temporary_server() -> bool:
    """Return whether this run brings its own server up, because `PREFECT_API_URL` names none."""
    return not os.environ.get("PREFECT_API_URL")


def server_environment() -> dict[str, str]:
    """Return the environment of a server of this run: what the user exports, and the settings above beneath it."""
    return {**QUIET_PEERS, **TEMPORARY_SERVER, **os.environ}


def quiet_peers() -> None:
    """Keep libraries from sending anything anywhere, and Great Expectations from telling what it reads."""
    for name, value in QUIET_PEERS.items():
        os.environ.setdefault(name, value)
    great_expectations = logging.getLogger("great_expectations")
    great_expectations.addHandler(logging.NullHandler())
    great_expectations.propagate = False  # Prefect would print what it tells


def prepare_prefect(home: Path) -> None:
    """Set Prefect's environment; call it before anything imports Prefect.

    Args:
        home: the folder for Prefect's own files where the user has not set `PREFECT_HOME`.

    """
    quiet_peers()
    assert "prefect" not in sys.modules or os.environ.get("PREFECT_HOME"), "Prefect was imported before its settings"
    if uses_temporary_server():
        for name, value in TEMPORARY_SERVER.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("PREFECT_HOME", str(home.resolve()))
        for name in ("NO_PROXY", "no_proxy"):  # a proxy for the outside must not see calls to the loopback address
            listed = [part for part in os.environ.get(name, "").split(",") if part]
            if LOOPBACK not in listed:
                os.environ[name] = ",".join([*listed, LOOPBACK])
