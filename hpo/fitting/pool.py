"""A pool of threads that trains many networks at once: jobs in, results out as they complete.

The native engine lets the other threads run while it trains. What comes of a job depends on the job
alone, never on the number of threads or on which network is done first.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from time import perf_counter

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.fitting.fit import Fitted, fit_network, shape_of
from hpo.fitting.material import Material
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Diverged, OutOfMemory, Shape, Stopped, Trainer

HAND_OVER_S = 1.0

Clock = Callable[[], float]


class TimeLimit(Exception):
    """The networks of a trial train longer than the study allows."""


Failure = Diverged | OutOfMemory | TimeLimit
Result = Fitted | Failure
FAILURES = (Diverged, OutOfMemory, TimeLimit)


class TrainingTime:
    """The seconds that a trial's networks have trained, all together, and how many they may."""

    def __init__(self, limit_s: float = math.inf, spent_s: float = 0.0) -> None:
        self.limit_s, self._spent_s = limit_s, spent_s
        self._lock = threading.Lock()

    def spend(self, seconds: float) -> None:
        """Count the seconds of a network that has ended."""
        with self._lock:
            self._spent_s += seconds

    def refuse_over(self, running_s: float = 0.0) -> None:
        """Raise TimeLimit if these and a network that runs for `running_s` are over the limit."""
        if self._spent_s + running_s > self.limit_s:
            raise TimeLimit(
                f"the trial takes longer than budget.trial_timeout_s = {self.limit_s:g}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One network to be trained: of a trial, on a fold, with a seed (`steps`: see fit_network)."""

    trial: int
    fold: Fold
    candidate: Candidate
    seed: int
    time: TrainingTime
    steps: int = 0


class Pool:
    """`threads` threads that train networks of one study."""

    def __init__(
        self,
        prepared: Prepared,
        trainer_for: Callable[[Shape], Trainer],
        *,
        threads: int,
        clock: Clock = perf_counter,
    ) -> None:
        self._material, self._trainer_for, self._clock = Material(prepared), trainer_for, clock
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="training")

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown()

    def run(
        self,
        jobs: Sequence[Job],
        *,
        go_on: Callable[[], bool],
        on_results: Callable[[Mapping[Job, Result]], None],
    ) -> dict[Job, Result]:
        """Train all jobs; what comes of each, in the jobs' order.

        `on_results` hears what is new in this thread, about once a second and at the end. `go_on`
        is asked while networks train. When it says False Stopped is raised; what it raises, or a
        job or `on_results` unexpectedly, comes through. In each case what was trained before is
        handed over, the networks in training are dropped and the rest is not begun.
        """
        halt = threading.Event()
        futures = {self._executor.submit(self._attempt, job, halt, go_on): job for job in jobs}
        found: dict[Job, Result] = {}
        pending = set(futures)
        try:
            while pending:
                done, pending = wait(pending, HAND_OVER_S, FIRST_EXCEPTION)
                _hand_over(futures, done, found, on_results)
                _raise_any(done)
        finally:
            halt.set()
            for future in pending:
                future.cancel()
            wait(pending)
        return {job: found[job] for job in jobs}

    def _attempt(self, job: Job, halt: threading.Event, go_on: Callable[[], bool]) -> Result:
        """Train, and halt all others at once where it raises."""
        try:
            return self._train(job, lambda: not halt.is_set() and go_on())
        except BaseException:
            halt.set()
            raise

    def _train(self, job: Job, go_on: Callable[[], bool]) -> Result:
        if not go_on():
            raise Stopped
        started = self._clock()

        def on_check(_step: int, _loss: float) -> bool:
            job.time.refuse_over(self._clock() - started)
            return go_on()

        try:
            job.time.refuse_over()
            return fit_network(
                self._material,
                job.fold,
                job.candidate,
                seed=job.seed,
                trainer=self._trainer_for(shape_of(self._material.prepared, job.candidate)),
                on_check=on_check,
                steps=job.steps,
            )
        except FAILURES as failure:
            return failure
        finally:
            job.time.spend(self._clock() - started)


def _hand_over(
    futures: Mapping[Future[Result], Job],
    done: set[Future[Result]],
    found: dict[Job, Result],
    on_results: Callable[[Mapping[Job, Result]], None],
) -> None:
    new = {
        job: future.result()
        for future, job in futures.items()
        if future in done and future.exception() is None
    }
    if new:
        found.update(new)
        on_results(new)


def _raise_any(done: set[Future[Result]]) -> None:
    """Raise what a job raised; that one was stopped says less than any other error."""
    errors = [error for future in done if (error := future.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
