"""Many small files handled abreast: a disk or a store does many in the time of one."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
THREADS = 32


def for_each(function: Callable[[Item], object], items: Iterable[Item], *, threads: int = THREADS) -> None:
    """Call `function` for every item, up to `threads` at the same time.

    When a call fails, or an interrupt comes, no further one begins; those at work are waited for, then the error of
    the first item that failed is raised. So nothing goes on behind the caller's back.
    """
    with ThreadPoolExecutor(threads) as pool:
        calls = [pool.submit(function, item) for item in items]
        try:
            for call in calls:
                call.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
