"""A worker process: takes slots of one study, works on them, settles them, until the study ends."""

import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hpo.data.benchmarks import forecast_benchmarks
from hpo.data.load import from_parquet
from hpo.data.panel import check
from hpo.data.prepare import Prepared, prepare
from hpo.errors import DatabaseError, HpoError
from hpo.search.objective import Surroundings, TrainingStopped, run_trial
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Outcome, Pruned, Rival
from hpo.search.pruning import seed_spread
from hpo.search.space import to_candidate
from hpo.service import results, studies, trials
from hpo.service.claims import LEASE_S, Claim, LeaseLost, beat, release, settle, take
from hpo.service.conclusion import conclude
from hpo.service.database import Database, now, open_database
from hpo.service.registry import enroll, leave
from hpo.training.device import describe_device, resolve_device, use_threads
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Trainer

BEAT_S = 1.0
IDLE_S = 0.1
MOST_FAILURES = 3
MOST_DEATHS = 3


class Worker:
    """One process' work on one study: ended by `stop`, or by the death of the process `parent`."""

    def __init__(
        self,
        database: Database,
        name: str,
        trainer: Trainer,
        device: str,
        stop: threading.Event,
        parent: int,
    ) -> None:
        self.database, self.trainer, self.stop, self.parent = database, trainer, stop, parent
        self.id = f"{socket.gethostname()}-{os.getpid()}"
        self.study = studies.find(database, name)
        panel = check(from_parquet(studies.data_of(database, name)), self.study.spec.data)
        self.prepared: Prepared = prepare(self.study.spec, panel)
        self.rivals: dict[int, NDArray[np.float64]] = {}
        self.made_by = results.Origin(engine=trainer.name, device=device)
        enroll(database, self.id, name, device)

    def run(self) -> None:
        """Work until the study has ended or `stop` is set. Raises DatabaseError."""
        studies.start(self.database, self.study.name)
        try:
            while not self.stop.is_set() and os.getppid() == self.parent and self._is_open():
                claim = take(self.database, self.study.name, self.id)
                if claim is None:
                    self.stop.wait(IDLE_S)
                else:
                    self._work_on(claim)
        finally:
            leave(self.database, self.id)

    def _is_open(self) -> bool:
        state, _ = beat(self.database, self.id, self.study.name)
        return state not in (None, *studies.ENDED)

    def _work_on(self, claim: Claim) -> None:
        try:
            with Heart(self.database, claim, self.stop, self.parent) as heart:
                match claim.kind:
                    case "benchmark":
                        self._forecast_benchmarks(claim)
                    case "trial":
                        self._run_trial(claim, heart)
                    case "verdict":
                        self._conclude(claim, heart)
        except (LeaseLost, TrainingStopped):
            release(self.database, claim)
        except DatabaseError:  # a mishap of this worker's, not of the study: others may go on
            with suppress(DatabaseError):
                release(self.database, claim)
            raise
        except HpoError as error:
            self._give_up(claim, str(error))
        except Exception:  # noqa: BLE001  whatever a trial does, its slot is given back
            self._count_failure(claim, traceback.format_exc())

    def _forecast_benchmarks(self, claim: Claim) -> None:
        report = forecast_benchmarks(self.prepared)
        results.record_benchmarks(self.database, claim, report.losses)
        settle(
            self.database, claim, "complete", benchmark_warnings=json.dumps(list(report.warnings))
        )

    def _run_trial(self, claim: Claim, heart: "Heart") -> None:
        trial = trials.trial_of(self.database, self.study.optuna_id, claim, self.prepared)
        outcome = trials.told(trial) or _deadly(claim)
        outcome = outcome or self._train(claim, trial.number, trial.params, heart)
        match trials.tell(self.database, trial, outcome):
            case Completed(score):
                settle(self.database, claim, "complete", score=score)
            case Pruned(score, reason):
                settle(self.database, claim, "pruned", score=score, reason=reason)
            case Infeasible(reason):
                settle(self.database, claim, "infeasible", reason=reason)

    def _train(
        self, claim: Claim, trial: int, params: dict[str, object], heart: "Heart"
    ) -> Outcome:
        recorded = results.networks_of(self.database, self.study.name, trial).get(trial, {})
        candidate = to_candidate(params, self.study.spec, self.prepared.lookbacks)
        around = self._surroundings(claim, trial, heart)
        outcome = run_trial(self.prepared, candidate, recorded, around)
        heart.refuse_if_lost()
        return outcome

    def _surroundings(self, claim: Claim, trial: int, heart: "Heart") -> Surroundings:
        def keep(network: NetworkRecord) -> None:
            results.record_network(self.database, claim, trial, network, self.made_by)

        return Surroundings(
            trainer=self.trainer,
            on_network=keep,
            go_on=heart.go_on,
            rival=self._rival,
            clock=time.monotonic,
        )

    def _rival(self) -> Rival | None:
        """The best of the complete trials, whose errors stay as they are: each is read once."""
        folds = [fold.number for fold in self.prepared.folds]
        seeds = range(self.study.spec.validation.seeds)
        for trial in trials.all_trials(self.database, self.study.optuna_id):
            if trial.number not in self.rivals and isinstance(trials.told(trial), Completed):
                found_SO = results.losses_of(
                    self.database, self.study.name, trial.number, folds, seeds
                )
                if found_SO is not None:
                    self.rivals[trial.number] = found_SO
        if not self.rivals:
            return None
        best = min(sorted(self.rivals), key=lambda number: float(self.rivals[number].mean()))
        known = [self.rivals[number] for number in sorted(self.rivals)]
        spread = seed_spread(known, self.study.spec.task.metric)
        return Rival(losses_SO=self.rivals[best], seed_sd=spread)

    def _conclude(self, claim: Claim, heart: "Heart") -> None:
        trials.close_orphans(self.database, self.study.optuna_id)
        answer = conclude(
            self.database,
            self.study,
            self.prepared,
            lambda trial: self._surroundings(claim, trial, heart),
        )
        heart.refuse_if_lost()
        settle(
            self.database,
            claim,
            "complete",
            answer=answer.model_dump_json(),
            state="done",
            ended_at=now(),
        )

    def _give_up(self, claim: Claim, reason: str) -> None:
        if release(self.database, claim):
            studies.fail(self.database, self.study.name, reason)

    def _count_failure(self, claim: Claim, trace: str) -> None:
        if not release(self.database, claim):
            return
        if studies.count_failure(self.database, self.study.name) >= MOST_FAILURES:
            studies.fail(self.database, self.study.name, trace)


def _deadly(claim: Claim) -> Infeasible | None:
    """A trial whose workers die, of memory for instance, is not tried for ever."""
    if claim.deaths < MOST_DEATHS:
        return None
    return Infeasible(f"its worker died {claim.deaths} times while training it")


class Heart:
    """Beats while a claim is worked on: extends the lease and hears what has changed."""

    def __init__(
        self, database: Database, claim: Claim, stop: threading.Event, parent: int
    ) -> None:
        self.database, self.claim, self.stop, self.parent = database, claim, stop, parent
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
        """Raise LeaseLost when another worker has taken the slot, or the study is gone."""
        if self.lost.is_set():
            raise LeaseLost(f"slot {self.claim.number} of {self.claim.study}")

    def _beat(self) -> None:
        try:
            self._beat_on()
        finally:  # a heart that stands still, for whatever reason, holds no lease
            if not self.ended.is_set():
                self.lost.set()

    def _beat_on(self) -> None:
        last = time.monotonic()
        while not self.ended.wait(BEAT_S):
            if os.getppid() != self.parent:
                self.stop.set()
            try:
                state, held = beat(self.database, self.claim.worker, self.claim.study, self.claim)
            except DatabaseError:
                if time.monotonic() - last > LEASE_S:
                    self.lost.set()
                continue
            last = time.monotonic()
            if not held or state in (None, "cancelled", "failed"):
                self.lost.set()


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
    use_threads(threads)
    database = open_database(url, create=False)
    try:
        device = resolve_device(studies.find(database, name).spec.training.device)
        Worker(database, name, TorchTrainer(device), describe_device(device), stop, parent).run()
    except DatabaseError:
        raise
    except HpoError as error:
        studies.fail(database, name, str(error))
        raise
    finally:
        database.close()


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
