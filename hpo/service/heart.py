"""Beats while claims are worked on: extends their leases and hears what has changed."""

import os
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from hpo.errors import DatabaseError
from hpo.service.claims import LEASE_S, Claim, LeaseLost, beat
from hpo.service.database import Database

BEAT_S = 1.0


class Heart:
    """Beats for the claims of one batch; `stop` is set when the process `parent` is gone."""

    def __init__(
        self, database: Database, claims: Sequence[Claim], stop: threading.Event, parent: int
    ) -> None:
        self.database, self.claims, self.stop, self.parent = database, claims, stop, parent
        self.lost = threading.Event()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._beat, name="heart", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.ended.set()
        self.thread.join()

    def go_on(self) -> bool:
        """False when the training must stop. Raises LeaseLost when its result is not wanted."""
        self.refuse_if_lost()
        return not self.stop.is_set()

    def refuse_if_lost(self) -> None:
        """Raise LeaseLost when another worker has taken a slot, or the study is gone."""
        if self.lost.is_set():
            slots = ", ".join(str(claim.number) for claim in self.claims)
            raise LeaseLost(f"slots {slots} of {self.claims[0].study}")

    def _beat(self) -> None:
        try:
            self._beat_on()
        finally:  # a heart that stands still, for whatever reason, holds no lease
            if not self.ended.is_set():
                self.lost.set()

    def _beat_on(self) -> None:
        last, first = time.monotonic(), self.claims[0]
        while not self.ended.wait(BEAT_S):
            if os.getppid() != self.parent:
                self.stop.set()
            try:
                state, held = beat(self.database, first.worker, first.study, self.claims)
            except DatabaseError:
                if time.monotonic() - last > LEASE_S:
                    self.lost.set()
                continue
            last = time.monotonic()
            if not held or state in (None, "cancelled", "failed"):
                self.lost.set()
