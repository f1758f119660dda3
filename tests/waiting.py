"""The only way a test waits: for a fact, until a deadline at which it fails."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")
PAUSE_S = 0.02


def eventually(fact: Callable[[], Found], *, within_s: float) -> Found:
    """The first truthy value of `fact()`; an AssertionError if there is none within the time."""
    deadline_s = time.monotonic() + within_s
    while not (found := fact()):
        if time.monotonic() > deadline_s:
            name = getattr(fact, "__qualname__", repr(fact))
            raise AssertionError(f"{name} was still {found!r} after {within_s} s")
        time.sleep(PAUSE_S)
    return found
