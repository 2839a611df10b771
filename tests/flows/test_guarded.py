"""An exception of a library loses its message before a server sees it, and keeps its place for the log file."""

import errno
from pathlib import Path

import pytest

from flows.defects import write_log
from flows.errors import Defect, FlowInputError
from flows.guarded import guarded
from generators.base import Diverged


def quoting(error: Exception) -> None:
    """Fail as a library does that quotes a cell."""
    raise error


@pytest.mark.parametrize("error", [ValueError("Zanzibar-7731"), KeyError("Zanzibar-7731"), OSError("Zanzibar-7731")])
def test_the_message_of_a_library_is_replaced_by_the_name_of_its_class(error: Exception) -> None:
    with pytest.raises(Defect) as raised:
        guarded(quoting)(error)
    assert str(raised.value) == type(error).__name__
    log = write_log(raised.value)
    text = log.read_text()
    log.unlink()
    assert "in quoting" in text
    assert "Zanzibar" not in text


@pytest.mark.parametrize(
    "error",
    [
        FlowInputError("a", remedy="b"),
        Diverged("step 3"),
        MemoryError(),
        OSError(errno.ENOSPC, "No space left", "data"),
    ],
)
def test_errors_of_our_own_and_of_the_machine_go_through(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        guarded(quoting)(error)
    assert raised.value is error


def test_a_guarded_function_is_called_as_before() -> None:
    assert guarded(Path.joinpath)(Path("a"), "b") == Path("a/b")
    assert guarded(quoting).__name__ == "quoting"
