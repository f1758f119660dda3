"""A worker process: takes slots of one study, works on them, settles them, until the study ends."""

import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from hpo.data.benchmarks import forecast_benchmarks
from hpo.data.load import from_parquet
from hpo.data.panel import check
from hpo.data.prepare import Prepared, prepare
from hpo.errors import DatabaseError, HpoError
from hpo.fitting.pool import Pool
from hpo.service import results, studies, trials
from hpo.service.batch import Training, run_batch, trials_at_once
from hpo.service.claims import Claim, LeaseLost, Settlement, beat, release, settle, take
from hpo.service.conclusion import conclude
from hpo.service.database import Database, now, open_database
from hpo.service.heart import Heart
from hpo.service.registry import enroll, leave
from hpo.service.rivals import Rivals
from hpo.sizing.bound import largest_equal_cells
from hpo.training.engine import Engines
from hpo.training.trainer import Shape, Stopped, Trainer

IDLE_S = 0.1
MOST_FAILURES = 3


class Worker:
    """One process' work on one study: ended by `stop`, or by the death of the process `parent`.

    `trainer_for` gives what trains networks of a shape, `threads` of them at once.
    """

    def __init__(
        self,
        database: Database,
        study: studies.Stored,
        prepared: Prepared,
        trainer_for: Callable[[Shape], Trainer],
        *,
        threads: int,
        stop: threading.Event,
        parent: int,
    ) -> None:
        self.database, self.study, self.prepared = database, study, prepared
        self.stop, self.parent = stop, parent
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self.rivals = Rivals(database, prepared)
        self.pool = Pool(prepared, trainer_for, threads=threads)

    def run(self) -> None:
        """Work until the study has ended or `stop` is set. Raises DatabaseError."""
        name, most = self.study.name, trials_at_once(self.study.engine)
        studies.start(self.database, name)
        try:
            while not self.stop.is_set() and os.getppid() == self.parent and self._is_open():
                if claims := take(self.database, name, self.id, most=most):
                    self._work_on(claims)
                else:
                    self.stop.wait(IDLE_S)
        finally:
            self.pool.close()
            leave(self.database, self.id)

    def _is_open(self) -> bool:
        state, _ = beat(self.database, self.id, self.study.name)
        return state not in (None, *studies.ENDED)

    def _work_on(self, claims: Sequence[Claim]) -> None:
        try:
            with Heart(self.database, claims, self.stop, self.parent) as heart:
                self._end(claims, heart)
        except (LeaseLost, Stopped):
            release(self.database, claims)
        except DatabaseError:  # a mishap of this worker's, not of the study: others may go on
            with suppress(DatabaseError):
                release(self.database, claims)
            raise
        except HpoError as error:
            self._give_up(claims, str(error))
        except Exception:  # noqa: BLE001  whatever a trial does, its slot is given back
            self._count_failure(claims, traceback.format_exc())

    def _end(self, claims: Sequence[Claim], heart: Heart) -> None:
        training = Training(database=self.database, pool=self.pool, claims=claims, heart=heart)
        match claims[0].kind:
            case "benchmark":
                self._forecast_benchmarks(claims[0])
            case "trial":
                run_batch(self.study, self.prepared, self.rivals, training)
            case "verdict":
                self._conclude(claims[0], training)

    def _forecast_benchmarks(self, claim: Claim) -> None:
        report = forecast_benchmarks(self.prepared)
        results.record_benchmarks(self.database, claim, report.losses)
        done = Settlement(claim=claim, outcome="complete")
        settle(self.database, [done], benchmark_warnings=json.dumps(list(report.warnings)))

    def _conclude(self, claim: Claim, training: Training) -> None:
        trials.close_orphans(self.database, self.study.optuna_id)
        answer = conclude(self.database, self.study, self.prepared, training)
        training.heart.refuse_if_lost()
        settle(
            self.database,
            [Settlement(claim=claim, outcome="complete")],
            answer=answer.model_dump_json(),
            state="done",
            ended_at=now(),
        )

    def _give_up(self, claims: Sequence[Claim], reason: str) -> None:
        if release(self.database, claims):
            studies.fail(self.database, self.study.name, reason)

    def _count_failure(self, claims: Sequence[Claim], trace: str) -> None:
        if not release(self.database, claims):
            return
        if studies.count_failure(self.database, self.study.name) >= MOST_FAILURES:
            studies.fail(self.database, self.study.name, trace)


def prepared_study(database: Database, study: studies.Stored) -> Prepared:
    """The stored study met with its stored data. Raises HpoError."""
    panel = check(from_parquet(studies.data_of(database, study.name)), study.spec.data)
    return prepare(study.spec, panel)


def work(url: str, name: str, *, threads: int, parent: int) -> None:
    """Serve one study until it ends; SIGINT and SIGTERM end the work early, nothing is lost.

    It also ends with the process `parent`. Raises HpoError.
    """
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    trials.quiet()
    database = open_database(url, create=False)
    try:
        _enrolled(database, studies.find(database, name), threads, stop, parent).run()
    except DatabaseError:
        raise
    except HpoError as error:
        studies.fail(database, name, str(error))
        raise
    finally:
        database.close()


def _enrolled(
    database: Database, study: studies.Stored, threads: int, stop: threading.Event, parent: int
) -> Worker:
    """A worker with the engines of this machine, known to the others."""
    engines = Engines(study.engine, study.spec.training.device)
    prepared = prepared_study(database, study)
    worker = Worker(
        database,
        study,
        prepared,
        engines.trainer_for,
        threads=engines.threads(threads),
        stop=stop,
        parent=parent,
    )
    enroll(database, worker.id, study.name, engines.device(_widest(prepared)))
    return worker


def _widest(prepared: Prepared) -> int:
    """The most cells that a layer of the study's networks can have."""
    low, high = prepared.study.space.cells
    allowed = largest_equal_cells(1, prepared.limit)
    return max(low, min(high, allowed if allowed is not None else low))


def main() -> int:
    """`python -m hpo.service.worker NAME THREADS [PARENT]`, with the database in HPO_STORAGE.

    PARENT is the process with which the worker ends; without it, the one that started it.
    """
    name, threads, *given = sys.argv[1:]
    parent = int(given[0]) if given else os.getppid()
    try:
        work(os.environ["HPO_STORAGE"], name, threads=int(threads), parent=parent)
    except HpoError as error:
        sys.stderr.write(f"worker: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
