"""Many calls at a time: each is made once, a failure ends them, and none goes on afterwards."""

import threading
import time

import pytest

from releases.abreast import for_each


def test_every_item_is_handled_once_and_several_at_a_time() -> None:
    met = threading.Barrier(4, timeout=20)
    seen: list[int] = []

    def meet(item: int) -> None:
        met.wait()  # passes when four are here together
        seen.append(item)

    for_each(meet, range(8), threads=4)
    assert sorted(seen) == list(range(8))


def test_after_a_failure_no_call_begins_and_none_is_left_at_work() -> None:
    begun, ended = [], []

    def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        time.sleep(0.02)
        ended.append(item)

    with pytest.raises(ValueError, match="three"):
        for_each(work, range(500), threads=4)
    left = len(ended)
    assert set(begun) - set(ended) == {3}
    assert len(begun) < 500
    time.sleep(0.1)
    assert len(ended) == left
