"""What this room raises, for the user to act on or as a defect, and the exit codes of the command line."""

from enum import IntEnum

from sources.errors import UserError


class Exit(IntEnum):
    """The exit codes, as `docs/architecture.md` and `understudy --help` state them."""

    OK = 0
    DEFECT = 1
    BAD_INPUT = 2
    REFUSED = 3
    INCONCLUSIVE = 4
    WAITING = 5
    INTERRUPTED = 130
    TERMINATED = 143


class FlowError(Exception):
    """Base of what this room raises."""


class FlowInputError(FlowError, UserError):
    """A command line, an output folder or a state of the disk that the user must change."""


class SpecError(FlowError, UserError):
    """A spec file that the user must change; names the file, the key and the nearest known one."""


class NothingFitted(FlowError):
    """Every candidate failed, at least one by diverging: there is nothing to judge."""


class ServerFailed(FlowError):
    """Prefect's temporary server did not come up."""


class Defect(FlowError):
    """An exception of a library inside a task: the name of its class, because its message may quote cells."""
