"""A pool of threads that trains many networks at once: jobs in, results out as they complete.

The native engine lets the other threads run while it trains. What comes of a job depends on the job
alone, never on the number of threads or on which network is done first.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Self

from hpo.data.prepare import Prepared
from hpo.fitting.fit import Fitted, fit_network, shape_of
from hpo.fitting.material import Material
from hpo.spec.candidate import Candidate
from hpo.training.state import TrainingState
from hpo.training.trainer import Diverged, OutOfMemory, Shape, Stopped, Trainer

HAND_OVER_S = 1.0
SAVE_EVERY_S = 60.0  # of a training: a longer one can be carried on from there
MOST_STATE_BYTES = 2**28

Clock = Callable[[], float]


class TimeLimit(Exception):
    """The networks of a trial train longer than the study allows."""

    @classmethod
    def of(cls, limit_s: float) -> Self:
        """With the limit that is in force."""
        return cls(f"the trial takes longer than budget.trial_timeout_s = {limit_s:g}")


Failure = Diverged | OutOfMemory | TimeLimit
Result = Fitted | Failure
FAILURES = (Diverged, OutOfMemory, TimeLimit)


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A training that was halted after `wall_s` seconds: its state, as TrainingState's bytes."""

    state: bytes
    wall_s: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """One network to be trained: of a trial, on a fold, with a seed (`steps`: see fit_network).

    `keep_forecast`: whether its forecasts are kept beside their errors.

    The trial's networks may train `limit_s` seconds together and have trained `spent_s` before.
    With `saved` the training goes on from there.
    """

    trial: int
    fold: int
    candidate: Candidate
    seed: int
    steps: int = 0
    keep_forecast: bool = False
    limit_s: float = math.inf
    spent_s: float = 0.0
    saved: Saved | None = field(default=None, compare=False, repr=False)


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
            raise TimeLimit.of(self.limit_s)


OnResults = Callable[[Mapping[Job, Result]], None]
OnSaved = Callable[[Job, Saved], None]


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
        self._folds = {fold.number: fold for fold in (*prepared.folds, prepared.test)}
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="training")
        self._running: dict[Job, float] = {}

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown()

    def running_s(self) -> dict[Job, float]:
        """The jobs in training, each with the seconds since it began or was last saved."""
        now = self._clock()
        return {job: now - began for job, began in self._running.copy().items()}

    def run(
        self,
        jobs: Sequence[Job],
        *,
        go_on: Callable[[], bool],
        on_results: OnResults,
        on_saved: OnSaved = lambda *_: None,
    ) -> dict[Job, Result]:
        """Train all jobs; what comes of each, in the jobs' order.

        `on_results` hears what is new in this thread, about once a second and at the end. `go_on`
        is asked while networks train. When it says False Stopped is raised; what it raises, or a
        job or `on_results` unexpectedly, comes through. In each case what was trained before is
        handed over, the rest is not begun, and `on_saved` hears, in their threads, the states of
        the networks in training; of long trainings it hears one every minute.
        """
        halt = threading.Event()
        times = {job.trial: TrainingTime(job.limit_s, job.spent_s) for job in jobs}
        futures = {
            self._executor.submit(self._attempt, job, times[job.trial], halt, go_on, on_saved): job
            for job in jobs
        }
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

    def _attempt(
        self,
        job: Job,
        time: TrainingTime,
        halt: threading.Event,
        go_on: Callable[[], bool],
        on_saved: OnSaved,
    ) -> Result:
        """Train, and halt all others at once where it raises."""
        try:
            return self._train(job, time, lambda: not halt.is_set() and go_on(), on_saved)
        except BaseException:
            halt.set()
            raise

    def _train(
        self, job: Job, time: TrainingTime, go_on: Callable[[], bool], on_saved: OnSaved
    ) -> Result:
        """Train to the end; a long training is halted now and then to be saved, and goes on."""
        before_s = job.saved.wall_s if job.saved else 0.0
        state = _state(job.saved) if job.saved else None
        while True:
            if not go_on():
                raise Stopped(state)
            began = self._running[job] = self._clock()
            try:
                fitted = self._fit(job, state, time, go_on)
                return replace(fitted, wall_s=before_s + self._clock() - began)
            except FAILURES as failure:
                return failure
            except Stopped as stopped:
                state = stopped.state or state
                before_s += self._clock() - began
            finally:
                time.spend(self._clock() - began)
                del self._running[job]
            _save(job, state, before_s, on_saved)  # which may take its time

    def _fit(
        self, job: Job, state: TrainingState | None, time: TrainingTime, go_on: Callable[[], bool]
    ) -> Fitted:
        """Train on from `state` to the end. Raises Stopped when it is time to save."""
        began = self._clock()

        def on_check(_step: int, _loss: float) -> bool:
            running_s = self._clock() - began
            time.refuse_over(running_s)
            return go_on() and running_s < SAVE_EVERY_S

        def fit(from_state: TrainingState | None) -> Fitted:
            return fit_network(
                self._material,
                self._folds[job.fold],
                job.candidate,
                seed=job.seed,
                trainer=self._trainer_for(shape_of(self._material.prepared, job.candidate)),
                on_check=on_check,
                steps=job.steps,
                state=from_state,
            )

        time.refuse_over()
        if state is None:
            return fit(None)
        try:
            return fit(state)
        except ValueError:  # it is of another engine than this machine has: begin anew
            return fit(None)


def _state(saved: Saved) -> TrainingState | None:
    """The kept state; None where it cannot be read: the training begins anew."""
    try:
        return TrainingState.from_bytes(saved.state)
    except ValueError:
        return None


def _save(job: Job, state: TrainingState | None, wall_s: float, on_saved: OnSaved) -> None:
    """Hand the state over to be kept, unless there is none or it is too large."""
    content = state.to_bytes() if state is not None else b""
    if 0 < len(content) <= MOST_STATE_BYTES:
        on_saved(job, Saved(state=content, wall_s=wall_s))


def _hand_over(
    futures: Mapping[Future[Result], Job],
    done: set[Future[Result]],
    found: dict[Job, Result],
    on_results: OnResults,
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
