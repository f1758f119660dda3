"""What does a worker's heavy work: benchmarks and trainings of one study, in this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo.data.benchmarks import BenchmarkErrors, forecast_benchmarks
from hpo.data.prepare import Prepared
from hpo.fitting.fit import Fitted
from hpo.fitting.pool import Failure, Job, OnSaved, Pool, Result
from hpo.search.objective import record_of
from hpo.search.outcome import NetworkRecord
from hpo.service.preparing import prepare_stored
from hpo.service.study_data import StudyData
from hpo.sizing.bound import largest_equal_cells
from hpo.spec.study import Study
from hpo.training.engine import Engines
from hpo.training.trainer import Shape, Trainer

GoOn = Callable[[], bool]
Made = NetworkRecord | Failure
LOCAL_ERRORS = (OSError, ImportError, MemoryError)  # the machine is to blame, not the study
LOST_DEVICE = "AcceleratorError"  # torch's word for it
OnMade = Callable[[Mapping[Job, Made]], None]


@dataclass(frozen=True)
class Asked:
    """A study as it is stored: its values, its engine policy, its data and their fingerprint."""

    spec: Study
    engine: str
    data: StudyData
    data_fingerprint: str


@dataclass(frozen=True)
class Begun:
    """A study that is taken up; `device` trains its widest networks."""

    prepared: Prepared
    device: str


def always() -> bool:
    """Go on, whatever happens."""
    return True


class ExecutorDied(Exception):
    """The process that trained is gone; with `is_over_limit` because it took more than it may.

    With `is_local` it had not begun: no trial is to blame.
    """

    def __init__(self, reason: str, *, is_over_limit: bool = False, is_local: bool = False) -> None:
        super().__init__(reason)
        self.is_over_limit, self.is_local = is_over_limit, is_local


def is_local(error: BaseException) -> bool:
    """Whether the machine is to blame for an unexpected error, and another may do better."""
    return isinstance(error, LOCAL_ERRORS) or type(error).__name__ == LOST_DEVICE


class Broken(Exception):
    """An unexpected error in the process that trains, with its traceback.

    `is_local` where the machine is to blame, and another may do better.
    """

    def __init__(self, trace: str, *, is_local: bool) -> None:
        super().__init__(trace.strip().splitlines()[-1])
        self.trace, self.is_local = trace, is_local


class Executor(Protocol):
    """Does the work of one study at a time, until `go_on` says no or raises."""

    def begin(self, asked: Asked, go_on: GoOn = always) -> Begun:
        """Take this study up: read and prepare its data, make its engines ready.

        Raises Stopped, DataError for data that are not those submitted, UsageError when the device
        that the study wants is not there.
        """
        ...

    def forecast(self, go_on: GoOn) -> BenchmarkErrors:
        """The benchmarks of the study. Raises Stopped."""
        ...

    def train(
        self, jobs: Sequence[Job], *, go_on: GoOn, on_made: OnMade, on_saved: OnSaved
    ) -> None:
        """Train all jobs; `on_made` and `on_saved` hear of each as Pool.run says. Raises Stopped.

        All of them may raise ExecutorDied.
        """
        ...

    def close(self) -> None:
        """End what does the work."""
        ...


class InProcess:
    """An Executor of `threads` threads; `trainer_for` stands in for the engines of this machine."""

    def __init__(
        self, *, threads: int, trainer_for: Callable[[Shape], Trainer] | None = None
    ) -> None:
        self._threads, self._trainer_for = threads, trainer_for
        self._prepared: Prepared | None = None
        self._pool: Pool | None = None

    def begin(self, asked: Asked, go_on: GoOn = always) -> Begun:  # noqa: ARG002  not interrupted
        """See `Executor.begin`."""
        self.close()
        prepared = prepare_stored(asked.spec, asked.data, asked.data_fingerprint)
        engines = Engines(asked.engine, asked.spec.training.device)
        device = engines.device(_widest(prepared))
        threads = engines.threads(self._threads)
        self._prepared = prepared
        self._pool = Pool(prepared, self._trainer_for or engines.trainer_for, threads=threads)
        return Begun(prepared, device)

    def forecast(self, go_on: GoOn) -> BenchmarkErrors:  # noqa: ARG002  it cannot be interrupted
        """See `Executor.forecast`."""
        assert self._prepared is not None, "begin comes first"
        return forecast_benchmarks(self._prepared)

    def train(
        self, jobs: Sequence[Job], *, go_on: GoOn, on_made: OnMade, on_saved: OnSaved
    ) -> None:
        """See `Executor.train`."""
        assert self._pool is not None, "begin comes first"

        def on_results(new: Mapping[Job, Result]) -> None:
            on_made({j: record_of(j, r) if isinstance(r, Fitted) else r for j, r in new.items()})

        self._pool.run(jobs, go_on=go_on, on_results=on_results, on_saved=on_saved)

    def running_s(self) -> dict[Job, float]:
        """The jobs in training, each with its seconds so far."""
        return self._pool.running_s() if self._pool is not None else {}

    def close(self) -> None:
        """See `Executor.close`."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _widest(prepared: Prepared) -> int:
    """The most cells that a layer of the study's networks can have."""
    low, high = prepared.study.space.cells
    allowed = largest_equal_cells(1, prepared.limit)
    return max(low, min(high, allowed if allowed is not None else low))
