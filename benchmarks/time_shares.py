"""A clock for what a program spends its time on, thread by thread: the innermost activity counts.

Functions are wrapped from outside, so that the program knows nothing of it.
"""

import functools
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

MAIN = "main"
P = ParamSpec("P")
R = TypeVar("R")


class Totals:
    """Seconds by (kind of thread, activity), calls by activity."""

    def __init__(self) -> None:
        self.seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.calls: Counter[str] = Counter()


class TimeShares:
    """What was counted from `start` to the last `mark`.

    The kind of a thread is its name up to the first underscore, `main` for the main thread.
    """

    def __init__(self) -> None:
        self.counted = Totals()
        self.window_s = 0.0
        self._running = Totals()
        self._started_at = 0.0
        self._lock = threading.Lock()
        self._local = threading.local()

    def start(self) -> None:
        """Begin to count, if that has not been done."""
        with self._lock:
            if not self._started_at:
                self._started_at, self._running = perf_counter(), Totals()

    def mark(self) -> None:
        """Keep what has been counted so far; what comes after the last mark is left out."""
        with self._lock:
            self.counted = deepcopy(self._running)
            self.window_s = perf_counter() - self._started_at

    @contextmanager
    def spent_on(self, activity: str) -> Iterator[None]:
        """Count the time in the `with` as spent on `activity`, but for what is counted within."""
        outer_s, self._local.inner_s = getattr(self._local, "inner_s", 0.0), 0.0
        began = perf_counter()
        try:
            yield
        finally:
            spent_s = perf_counter() - began
            with self._lock:
                own_s = spent_s - self._local.inner_s
                self._running.seconds[_kind_of_thread(), activity] += own_s
                self._running.calls[activity] += 1
            self._local.inner_s = outer_s + spent_s

    def wrap(self, function: Callable[P, R], activity: str) -> Callable[P, R]:
        """The function, its time counted as spent on `activity`."""

        @functools.wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.spent_on(activity):
                return function(*args, **kwargs)

        return timed

    def wrap_everywhere(self, function: Callable[..., Any], activity: str) -> None:
        """Wrap a function wherever a module of its package has it under its name."""
        replace_everywhere(function, self.wrap(function, activity))

    def wrap_method(self, owner: type, name: str, activity: str) -> None:
        """Wrap a method of a class."""
        setattr(owner, name, self.wrap(getattr(owner, name), activity))


def replace_everywhere(function: Callable[..., Any], by: Callable[..., Any]) -> None:
    """Put `by` in the place of a function in every imported module of its package."""
    package, _, _ = function.__module__.partition(".")
    for module in [
        m for n, m in sys.modules.items() if n == package or n.startswith(package + ".")
    ]:
        for name, value in list(vars(module).items()):
            if value is function:
                setattr(module, name, by)


def _kind_of_thread() -> str:
    thread = threading.current_thread()
    return MAIN if thread is threading.main_thread() else thread.name.partition("_")[0]
