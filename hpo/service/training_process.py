"""The process that trains, seen from its worker: started, told what to do, watched, ended."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import TypeVar

import psutil

from hpo.data.benchmarks import BenchmarkErrors
from hpo.fitting.pool import Job, OnSaved
from hpo.service.executor import Asked, Begun, Broken, ExecutorDied, GoOn, OnMade, always
from hpo.service.messages import (
    Begin,
    Broke,
    Finished,
    Forecast,
    Forecasted,
    Half,
    Halt,
    Halted,
    Order,
    Pulse,
    Ready,
    Refused,
    Reply,
    Results,
    Train,
)
from hpo.training.trainer import Stopped

CHILD = "hpo.service.child"
TICK_S = 0.1
MOST_SILENT_TICKS = 600  # of a process that lives one hears every second
MOST_BEGIN_TICKS = 6_000  # to read and prepare the data
HALT_S = 7.0  # as long may a training take to halt and to tell its state
DROP_S = 0.5  # the same where no one wants it
WEIGHED_EVERY = 5  # ticks
OVERDUE_S = 30.0  # the process itself ends a training that takes too long, but for a hung one

Ended = TypeVar("Ended", bound=Reply)


class TrainingProcess:
    """An Executor in a process of its own, which may take `memory_bytes` and dies with this one."""

    def __init__(self, *, threads: int, memory_bytes: float = math.inf) -> None:
        self._threads, self._memory_bytes = threads, memory_bytes
        self._asked: Asked | None = None
        self._orders_given = 0
        self._start()

    def _start(self) -> None:
        orders, self_orders = os.pipe()
        self_replies, replies = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-m", CHILD, str(self._threads), str(orders), str(replies)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(orders, replies),
        )
        os.close(orders)
        os.close(replies)
        self._replies = Connection(self_replies, writable=False)
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._speech = Thread(target=_speak, args=(self_orders, self._orders), daemon=True)
        self._speech.start()
        self._weight = psutil.Process(self._process.pid)
        self._ticks = self._silent_ticks = 0

    @property
    def pid(self) -> int:
        """Of the process as it is now."""
        return self._process.pid

    def begin(self, asked: Asked, go_on: GoOn = always) -> Begun:
        """See `Executor.begin`. Raises Broken."""
        self._asked = asked
        if self._process.poll() is not None:
            self._renew()
        last_tick = self._ticks + MOST_BEGIN_TICKS

        def may_go_on() -> bool:
            if self._ticks > last_tick:
                self._kill()
                raise ExecutorDied("the data were not read within ten minutes")
            return go_on()

        try:
            return self._ask(Begin(asked), Ready, go_on=may_go_on).begun
        except ExecutorDied as death:
            raise ExecutorDied(str(death), is_local=True) from death

    def forecast(self, go_on: GoOn) -> BenchmarkErrors:
        """See `Executor.forecast`. Raises Broken."""
        self._revive(go_on)
        return self._ask(Forecast(), Forecasted, go_on=go_on).errors

    def train(
        self, jobs: Sequence[Job], *, go_on: GoOn, on_made: OnMade, on_saved: OnSaved
    ) -> None:
        """See `Executor.train`. Raises Broken."""

        def hear(reply: Reply) -> None:
            match reply:
                case Results(made):
                    on_made({jobs[place]: result for place, result in made.items()})
                case Half(place, saved):
                    on_saved(jobs[place], saved)
                case Pulse(order, running_s) if order == number:
                    self._refuse_overdue({jobs[place]: s for place, s in running_s.items()})

        self._revive(go_on)
        self._orders_given = number = self._orders_given + 1
        self._ask(Train(number, jobs), Finished, go_on=go_on, hear=hear)

    def close(self) -> None:
        """End the process."""
        self._kill()  # first: who speaks to a process that does not listen waits till it is gone
        self._orders.put(None)
        self._speech.join()
        self._replies.close()

    def _revive(self, go_on: GoOn) -> None:
        """Start the process again if it is gone, and let it take up the same study."""
        if self._process.poll() is not None:
            assert self._asked is not None, "begin comes first"
            self.begin(self._asked, go_on)

    def _renew(self) -> None:
        self.close()
        self._start()

    def _ask(
        self,
        order: Order,
        wanted: type[Ended],
        *,
        go_on: GoOn = always,
        hear: Callable[[Reply], None] = lambda _: None,
    ) -> Ended:
        """The wanted reply to an order; `hear` is told what comes before it.

        When `go_on` says no, the process is halted and Stopped raised; when anything is raised on
        the way, it is halted first.
        """
        refusal: Exception
        try:
            self._orders.put(order)
            while go_on():
                match self._next():
                    case Refused() | Broke() as reply:
                        refusal = self._refusal(reply)
                        break
                    case reply if isinstance(reply, wanted):
                        return reply
                    case reply if reply is not None:
                        hear(reply)
            else:
                refusal = Stopped(None)
                self._halt(hear, HALT_S)
        except ExecutorDied:
            raise
        except BaseException:
            self._halt(lambda _: None, DROP_S)
            raise
        raise refusal

    def _refusal(self, reply: Refused | Broke) -> Exception:
        match reply:
            case Refused(error):
                return error
            case Broke(trace, is_local):
                if is_local:  # what is broken in this process may be well in a new one
                    self._kill()
                return Broken(trace, is_local=is_local)

    def _halt(self, hear: Callable[[Reply], None], within_s: float) -> None:
        """Let the process end what it does, hearing what it has to say; else end the process."""
        until = monotonic() + within_s
        with suppress(ExecutorDied):
            self._orders.put(Halt())
            while monotonic() < until:
                match self._next():
                    case Halted() | Finished() | Forecasted() | Ready() | Broke() | Refused():
                        return
                    case Results() | Half() as reply:
                        hear(reply)
            self._kill()

    def _next(self) -> Reply | None:
        """The next reply, None when there is none within a tick. Raises ExecutorDied."""
        self._ticks += 1
        if self._ticks % WEIGHED_EVERY == 0:
            self._refuse_overweight()
        try:
            if self._replies.poll(TICK_S):
                reply: Reply = self._replies.recv()
                self._silent_ticks = 0
                return reply
        except (EOFError, OSError):
            raise self._death() from None
        self._silent_ticks += 1
        if self._silent_ticks > MOST_SILENT_TICKS:
            self._kill()
            raise ExecutorDied("the training process did not answer any more")
        return None

    def _death(self) -> ExecutorDied:
        code = self._process.wait()
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return ExecutorDied(f"the training process was ended {how}")

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _refuse_overweight(self) -> None:
        try:
            used_bytes = self._weight.memory_info().rss
        except psutil.Error:  # it is gone: the pipe tells
            return
        if used_bytes > self._memory_bytes:
            self._kill()
            raise ExecutorDied(
                f"the training took {used_bytes / 2**30:.3g} GiB of memory, more than the"
                f" {self._memory_bytes / 2**30:.3g} GiB that it may",
                is_over_limit=True,
            )

    def _refuse_overdue(self, running_s: dict[Job, float]) -> None:
        for job, seconds in running_s.items():
            if seconds > job.limit_s + OVERDUE_S:
                self._kill()
                raise ExecutorDied(
                    f"a training did not end within budget.trial_timeout_s = {job.limit_s:g}",
                    is_over_limit=True,
                )


def _speak(end: int, orders: SimpleQueue[Order | None]) -> None:
    """Write the orders to a pipe until there are none; that it is broken, its reader is told."""
    with closing(Connection(end, readable=False)) as pipe, suppress(OSError):
        while (order := orders.get()) is not None:
            pipe.send(order)
