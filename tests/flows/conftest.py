"""A small table with structure, and one Prefect for the whole session: in memory, with a home of its own, silent."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.settings import prepare_prefect, prepare_threads
from flows.temporary_server import temporary_server

prepare_threads()
prepare_prefect(Path(tempfile.gettempdir()) / f"understudy-prefect-{os.getpid()}")  # before anything imports Prefect


LONGEST = "test_kills.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest file: begun last, it keeps one worker busy while the others have nothing left."""
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Start Prefect's temporary server once; every flow of the session, also in a child process, is told of it."""
    from prefect.settings import PREFECT_API_URL, temporary_settings  # noqa: PLC0415 - after its settings

    with temporary_server(lasting=True) as url, temporary_settings({PREFECT_API_URL: url}):
        os.environ["PREFECT_API_URL"] = url
        yield
        del os.environ["PREFECT_API_URL"]


@pytest.fixture
def survey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with people.csv the working directory: 1,500 rows of a known law."""
    rng = np.random.default_rng(11)
    rows = 1_500
    group = rng.choice(["north", "south"], rows, p=[0.6, 0.4])
    age = rng.integers(18, 80, rows)
    wage = np.round(rng.lognormal(7 + 0.01 * age, 0.4, rows), 2)
    paid = np.where(rng.random(rows) < 1 / (1 + np.exp(-(wage - 1800) / 600)), "yes", "no")
    pd.DataFrame({"age": age, "group": group, "wage": wage, "paid": paid}).to_csv(tmp_path / "people.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
