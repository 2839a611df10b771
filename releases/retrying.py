"""Which errors of a store pass by themselves, and how they are waited out.

Transient: a connection that fails, breaks or times out; HTTP 408, 409, 425, 429, 500, 502, 503, 504; the codes that
libraries translate these to (EBUSY, ECONNRESET, …). Everything else is final at once, above all missing rights,
missing buckets and missing credentials. Waiting doubles from one attempt to the next and is shortened by chance, so
that writers that failed together do not come back together (exponential back-off with jitter, Brooker 2015).
"""

import errno
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")
TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CODES = (
    "EAGAIN", "EBUSY", "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN",
    "ENETRESET", "ENETUNREACH", "EPIPE", "EREMOTEIO", "ETIMEDOUT",
)  # fmt: skip
TRANSIENT_ERRNO = frozenset(getattr(errno, code) for code in _CODES if hasattr(errno, code))
TRANSIENT_NAMES = frozenset(
    {
        "ConnectionError",  # botocore: connections that cannot be made
        "HTTPClientError",  # botocore: connections that are closed, or time out while being read
        "ClientConnectionError",  # aiohttp
        "ClientPayloadError",
        "ServiceRequestError",  # azure-core
        "ServiceResponseError",
        "IncompleteRead",
    }
)
FINAL = (PermissionError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_CHANCE = random.SystemRandom()  # waiting is no draw of a run, and two processes must not wait alike


class ChangedOnTheWay(Exception):
    """What the store gave back was not what it had been given; it is sent again."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a call is made, and how long is waited in between.

    Args:
        attempts: calls in all.
        first_s: the longest wait after the first; each next one is twice as long.
        longest_s: the longest wait.
        sleep: waits.

    """

    attempts: int = 6
    first_s: float = 0.5
    longest_s: float = 8.0
    sleep: Callable[[float], None] = time.sleep

    def waits_s(self) -> Iterator[float]:
        """Yield the waits between the attempts: half of it for certain, half by chance."""
        for attempt in range(self.attempts - 1):
            longest_s = min(self.first_s * 2**attempt, self.longest_s)
            yield longest_s * (0.5 + 0.5 * _CHANCE.random())

    def call(self, function: Callable[[], Result]) -> Result:
        """Return what `function` returns, called again after a transient error as often as allowed.

        Raises:
            Exception: the last error, or the first that is not transient.

        """
        waits_s = self.waits_s()
        while True:
            try:
                return function()
            except Exception as error:
                wait_s = next(waits_s, None) if is_transient(error) else None
                if wait_s is None:
                    raise
                self.sleep(wait_s)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed a little later."""
    if isinstance(error, FINAL):
        return False
    if isinstance(error, ChangedOnTheWay | ConnectionError | TimeoutError):
        return True
    status = http_status(error)
    if status is not None:
        return status in TRANSIENT_STATUS
    if isinstance(error, OSError) and error.errno in TRANSIENT_ERRNO:
        return True
    return any(kind.__name__ in TRANSIENT_NAMES for kind in type(error).__mro__)


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status that lies behind an error of a store's library, or None."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = next((getattr(one, name, None) for name in ("status", "status_code", "code")), None)
        if isinstance(status, int) and 100 <= status < 600:  # noqa: PLR2004 - what HTTP knows
            return status
    return None


def reason_of(error: BaseException) -> str:
    """Return the store's word for an error (`AccessDenied`), or the error's type; never its message."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            if re.fullmatch(r"[A-Za-z0-9.]{1,60}", code):
                return code
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, type(error).__name__)
    return type(error).__name__
