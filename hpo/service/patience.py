"""Patience with a database that is away: what failed for that reason is tried again for a while."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import ParamSpec, Protocol, TypeVar, cast

import stamina

from hpo.errors import DatabaseAway

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0  # any time between these, so that workers spread out

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
PATIENCE_S = 600.0  # of workers, and of one who waits for an answer

logging.getLogger("stamina").addHandler(logging.NullHandler())  # on_away says it, and once


def _never() -> bool:
    return False


def _unheard(_: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long one waits for a database that is away; not at all, unless told otherwise.

    `is_over` is asked before each new attempt. `on_away` hears the first failure of a wait,
    `on_back` after how many seconds the call succeeded. Each thread waits for itself, and both are
    called in it.
    """

    longest_s: float = 0.0
    is_over: Callable[[], bool] = _never
    on_away: Callable[[DatabaseAway], None] = _unheard
    on_back: Callable[[float], None] = _unheard
    _thread: threading.local = field(
        default_factory=threading.local, init=False, repr=False, compare=False
    )

    def call(self, attempt: Callable[[], Result]) -> Result:
        """What the first attempt that does not meet DatabaseAway returns or raises.

        Raises the last DatabaseAway when patience ends. A call within another one of this thread
        is attempted once: only the outermost repeats.
        """
        if not self.longest_s or getattr(self._thread, "is_inside", False):
            return attempt()
        self._thread.is_inside = True
        try:
            return self._repeat(attempt)
        finally:
            self._thread.is_inside = False

    def _repeat(self, attempt: Callable[[], Result]) -> Result:
        wait = _Wait(self)
        repetitions = stamina.retry_context(
            on=wait.goes_on_after,
            attempts=None,
            timeout=self.longest_s,
            wait_initial=SHORTEST_PAUSE_S,
            wait_jitter=LONGEST_PAUSE_S - SHORTEST_PAUSE_S,
            wait_max=LONGEST_PAUSE_S,
            wait_exp_base=1.0,
        )
        for repetition in repetitions:
            wait.end_if_over()
            with repetition:
                result = attempt()
        wait.report_end()
        return result


class _Wait:
    """One wait, from the first failure on."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._began_s = 0.0
        self._last: DatabaseAway | None = None

    def goes_on_after(self, error: Exception) -> bool:
        """Whether this failure is waited out."""
        if not isinstance(error, DatabaseAway) or self._patience.is_over():
            return False
        if self._last is None:
            self._began_s = time.monotonic()
            self._patience.on_away(error)
        self._last = error
        return True

    def end_if_over(self) -> None:
        """Raises the last failure when nobody wants a new attempt any more."""
        if self._last is not None and self._patience.is_over():
            raise self._last

    def report_end(self) -> None:
        """The database is back, if it was away."""
        if self._last is not None:
            self._patience.on_back(time.monotonic() - self._began_s)


class _HasPatience(Protocol):
    @property
    def patience(self) -> Patience: ...


def patient(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function whose first argument is a Database, repeated with its patience while it is away.

    It must bear being repeated after a failure at any place, its last commit included.
    """

    @wraps(function)
    def repeated(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        database = cast(_HasPatience, arguments[0])
        return database.patience.call(lambda: function(*arguments, **named))

    return repeated
