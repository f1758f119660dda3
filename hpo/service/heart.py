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
from hpo.service.studies import DELETED

BEAT_S = 1.0
OVER = (DELETED, "cancelled", "failed")  # what became of a study whose results no one wants


class Hold:
    """The claims that are worked on: whether to go on with them."""

    def __init__(self, claims: Sequence[Claim], stop: threading.Event) -> None:
        self.claims, self.stop = claims, stop
        self.lost = threading.Event()
        self.over = ""  # what became of the study, where no one wants its results any more

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
    the database's word alone. `on_beat` hears of every beat that was heard, `on_missing` that the
    worker is not known to the database any more. What ends the heart is kept as its `error`.
    """

    def __init__(
        self,
        database: Database,
        worker: str,
        stop: threading.Event,
        parent: int,
        on_beat: Callable[[], None] = lambda: None,
        on_missing: Callable[[], None] = lambda: None,
    ) -> None:
        self.database, self.worker, self.stop, self.parent = database, worker, stop, parent
        self._on_beat, self._on_missing = on_beat, on_missing
        self.error: BaseException | None = None
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
    def holding(self, hold: Hold) -> Iterator[None]:
        """Extend the leases of these claims for the length of a `with`."""
        self._hold = hold
        try:
            yield
        finally:
            self._hold = None

    def _beat_on(self) -> None:
        try:
            while not self._ended.wait(BEAT_S):
                if os.getppid() != self.parent:
                    self.stop.set()
                self._beat(self._hold)
        except BaseException as error:  # noqa: BLE001  a heart that stands still holds no lease
            self.error = error
            self.stop.set()
            if (hold := self._hold) is not None:
                hold.lost.set()

    def _beat(self, hold: Hold | None) -> None:
        try:
            found = beat(self.database, self.worker, self._state(hold), hold.claims if hold else ())
            if not found.is_known:
                self._on_missing()
        except DatabaseError:  # what is worked on goes on; the results wait, too
            return
        self._on_beat()
        state = found.state or DELETED
        if hold is not None and (not found.are_held or state in OVER):
            hold.over = state if state in OVER else ""
            hold.lost.set()

    def _state(self, hold: Hold | None) -> str:
        if self.stop.is_set():
            return "draining"
        return "idle" if hold is None else "working"
