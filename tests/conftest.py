"""A real S3 server on the loopback address, for every room whose tests need one."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Serve S3 on a free port and yield its endpoint; the credentials are in the environment while it runs."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - only where an S3 server is needed

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORE_KEY", "AKIAPLANTEDKEYID")
        patch.setenv("STORE_SECRET", "planted-secret-9d1f")
        yield f"http://{host}:{port}"
    server.stop()
