"""The process that trains for a worker: it hears orders over a pipe and ends with its worker."""

import ctypes
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from hpo.errors import HpoError
from hpo.fitting.pool import Job, Saved
from hpo.service.executor import InProcess, Made, is_local
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

PULSE_S = 1.0
PR_SET_PDEATHSIG = 1
OOM_SCORE = "500"  # when memory is short the system ends this process, not the worker


class Child:
    """Carries out orders, one at a time; hears Halt, and that its worker is gone, meanwhile."""

    def __init__(self, orders: Connection, replies: Connection, executor: InProcess) -> None:
        self._orders, self._replies, self._executor = orders, replies, executor
        self._waiting: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._speech = threading.Lock()
        self._halt = threading.Event()
        self._current: tuple[int, dict[Job, int]] = (0, {})

    def serve(self) -> None:
        """Carry out orders for ever."""
        for work in (self._hear, self._beat):
            threading.Thread(target=work, daemon=True).start()
        while True:
            self._tell(self._carry_out(self._waiting.get()))

    def _hear(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                order: Order = self._orders.recv()
                if isinstance(order, Halt):
                    self._halt.set()
                else:
                    self._halt.clear()
                    self._waiting.put(order)
        os._exit(0)  # the worker is gone

    def _beat(self) -> None:
        while not threading.Event().wait(PULSE_S):
            (number, places), running = self._current, self._executor.running_s()
            self._tell(Pulse(number, {places[j]: s for j, s in running.items() if j in places}))

    def _tell(self, reply: Reply) -> None:
        try:
            with self._speech:
                self._replies.send(reply)
        except OSError:
            os._exit(0)  # the worker is gone

    def _carry_out(self, order: Order) -> Reply:
        try:
            match order:
                case Begin(asked):
                    return Ready(self._executor.begin(asked, self._goes_on))
                case Forecast():
                    return Forecasted(self._executor.forecast(self._goes_on))
                case Train():
                    return self._train(order)
                case Halt():
                    return Halted()
        except HpoError as error:
            return Refused(error)
        except Exception as error:  # noqa: BLE001  the worker decides what comes of it
            return Broke(traceback.format_exc(), is_local(error))

    def _train(self, order: Train) -> Reply:
        places = {job: place for place, job in enumerate(order.jobs)}
        self._current = (order.number, places)

        def on_made(new: Mapping[Job, Made]) -> None:
            self._tell(Results({places[job]: made for job, made in new.items()}))

        def on_saved(job: Job, saved: Saved) -> None:
            self._tell(Half(places[job], saved))

        try:
            self._executor.train(
                order.jobs, go_on=self._goes_on, on_made=on_made, on_saved=on_saved
            )
        except Stopped:
            return Halted()
        return Finished()

    def _goes_on(self) -> bool:
        return not self._halt.is_set()


def main() -> None:
    """`python -m hpo.service.child THREADS ORDERS REPLIES`: the numbers of two open pipe ends."""
    threads, orders, replies = map(int, sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):  # the worker hears them, and tells us
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # also when it is halted
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, encoding="ascii")
    Child(
        Connection(orders, writable=False),
        Connection(replies, readable=False),
        InProcess(threads=threads),
    ).serve()


if __name__ == "__main__":
    main()
