"""Waiting for a condition with a deadline: the only way in which tests let time pass."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")


def wait_for(what: str, condition: Callable[[], Value], seconds: float = 30, interval: float = 0.1) -> Value:
    """Asks `condition` until it gives something true, and returns that.

    Fails with `what` and the last value given when `seconds` have passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s (last seen: {value!r})")
        time.sleep(interval)
