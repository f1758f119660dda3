"""Beats for as long as a worker lives: extends the leases it holds and hears what has changed."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from hpo.errors import DatabaseError
from hpo.service.claims import Claim, LeaseLost, beat
from hpo.service.database import Database

BEAT_S = 1.0
OVER = (None, "cancelled", "failed")  # states of a study whose results no one wants


class Hold:
    """The claims that are worked on: whether to go on with them."""

    def __init__(self, claims: Sequence[Claim], stop: threading.Event) -> None:
        self.claims, self.stop = claims, stop
        self.lost = threading.Event()

    def go_on(self) -> bool:
        """False when the worker is to end. Raises LeaseLost when the result is not wanted."""
        self.refuse_if_lost()
        return not self.stop.is_set()

    def refuse_if_lost(self) -> None:
        """Raise LeaseLost when another worker has taken a slot, or the study is over."""
        if self.lost.is_set():
            slots = ", ".join(str(claim.number) for claim in self.claims)
            raise LeaseLost(f"slots {slots} of {self.claims[0].study}")


class Heart:
    """Beats for `worker` in a thread; `stop` is set when the process `parent` is gone.

    A database that does not answer is asked again with the next beat: whether a lease is lost is
    the database's word alone. `on_beat` hears of every beat that was heard.
    """

    def __init__(
        self,
        database: Database,
        worker: str,
        stop: threading.Event,
        parent: int,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.database, self.worker, self.stop, self.parent = database, worker, stop, parent
        self._on_beat = on_beat
        self._hold: Hold | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="heart", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    @contextmanager
    def holding(self, claims: Sequence[Claim]) -> Iterator[Hold]:
        """Extend the leases of these claims for the length of a `with`."""
        self._hold = hold = Hold(claims, self.stop)
        try:
            yield hold
        finally:
            self._hold = None

    def _beat_on(self) -> None:
        try:
            while not self._ended.wait(BEAT_S):
                if os.getppid() != self.parent:
                    self.stop.set()
                self._beat(self._hold)
        finally:  # a heart that stands still, for whatever reason, holds no lease
            if (hold := self._hold) is not None and not self._ended.is_set():
                hold.lost.set()
                self.stop.set()

    def _beat(self, hold: Hold | None) -> None:
        try:
            state, is_held = beat(
                self.database, self.worker, self._state(hold), hold.claims if hold else ()
            )
        except DatabaseError:  # what is worked on goes on; the results wait, too
            return
        self._on_beat()
        if hold is not None and (not is_held or state in OVER):
            hold.lost.set()

    def _state(self, hold: Hold | None) -> str:
        if self.stop.is_set():
            return "draining"
        return "idle" if hold is None else "working"
