"""What a worker does: takes slots of open studies, has them worked on, settles them."""

import json
import os
import secrets
import socket
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter

from hpo import events
from hpo.errors import DatabaseAway, DatabaseError, HpoError, StudyFailed, UnknownStudy
from hpo.search.suggestion import SearchEnded
from hpo.service import life, results, studies, trials
from hpo.service.batch import (
    MOST_CRASHES,
    Training,
    end_infeasible,
    run_batch,
    trials_at_once,
    wanted_at_once,
)
from hpo.service.claims import Claim, LeaseLost, Settlement, release, settle
from hpo.service.conclusion import conclude
from hpo.service.database import Database
from hpo.service.executor import Broken, Executor, ExecutorDied, is_local
from hpo.service.failures import record_failure
from hpo.service.heart import OVER, Heart, Hold
from hpo.service.joining import Joined, join
from hpo.service.patience import Patience
from hpo.service.registry import enroll, leave, refuse
from hpo.service.registry import join as register
from hpo.service.taking import take
from hpo.training.trainer import Stopped

SHORTEST_IDLE_S, LONGEST_IDLE_S = 0.05, 1.0
MOST_FAILURES = 5  # in a row
REFUSES_FOR_S = 60.0
FIRST_PAUSE_S = 0.5  # after a failure; twice as long after each that follows
TRIALS_GONE = (
    "its trials were deleted with another tool than hpo: remove the rest of it with hpo delete"
)


class Withdrawn(Exception):
    """This worker only fails: it takes no more work."""


class Refused(Exception):
    """The only study of this worker is not for it; the cause says why."""

    def __init__(self, error: HpoError) -> None:
        super().__init__(str(error))
        self.error = error


def new_identity() -> str:
    """A name for a worker: where it is, and what tells it from any other."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


class Worker:
    """One process' work on the study `only`, or on all that are open if it is empty.

    It is ended by `stop`, by the death of the process `parent`, by the end of the study `only`, or
    by `idle_exit_s` seconds (0: never) with nothing to do.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        *,
        identity: str,
        stop: threading.Event,
        parent: int,
        only: str = "",
        idle_exit_s: float = 0.0,
        hear: events.Hear = events.ignore,
        on_beat: Callable[[], None] = lambda: None,
    ) -> None:
        self.database, self.executor, self.stop = database, executor, stop
        self.only, self.idle_exit_s, self.hear = only, idle_exit_s, hear
        self.id = identity
        self.heart = Heart(database, self.id, stop, parent, on_beat, self._enroll)
        self._joined: Joined | None = None
        self._refused: dict[str, float] = {}
        self._failures = 0

    def run(self) -> None:
        """Work until there is an end. Raises DatabaseError, Withdrawn, Refused."""
        self._enroll()
        try:
            with self.heart:
                self._work()
            if self.heart.error is not None:
                raise Withdrawn(f"its heart stopped: {self.heart.error!r}")
        finally:
            leave(self.database, self.id)

    def _enroll(self) -> None:
        """Be known to the database, again where it has taken this worker for dead."""
        enroll(self.database, self.id)
        if (joined := self._joined) is not None:
            register(self.database, self.id, joined.study.name, joined.device)

    def _work(self) -> None:
        idle_since, pause_s = perf_counter(), SHORTEST_IDLE_S
        while not self.stop.is_set():
            if claims := self._take():
                if self._work_on(claims):
                    idle_since, pause_s = perf_counter(), SHORTEST_IDLE_S
            elif self._is_over(perf_counter() - idle_since):
                return
            else:
                self.stop.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_IDLE_S)

    def _is_over(self, idle_s: float) -> bool:
        if self.only:
            return studies.state(self.database, self.only) in (None, *studies.ENDED)
        return 0 < self.idle_exit_s <= idle_s

    def _take(self) -> list[Claim]:
        """Slots of the study at hand, or, when it has none, of the oldest that has some."""
        at_hand = self._joined
        if at_hand and (claims := self._take_of(at_hand.study.name, wanted_at_once(at_hand))):
            return claims
        for name, engine in studies.at_work(self.database, self.only):
            is_refused = perf_counter() < self._refused.get(name, 0.0)
            if not is_refused and (claims := self._take_of(name, trials_at_once(engine))):
                return claims
        return []

    def _take_of(self, name: str, most: int) -> list[Claim]:
        began = perf_counter()
        claims = take(self.database, name, self.id, most=most)
        if claims:
            slots, took_s = tuple(claim.number for claim in claims), perf_counter() - began
            self.hear(events.TrialsTaken(name, self.id, slots, took_s))
        for claim in claims:
            if claim.expiries or claim.crashes:
                self.hear(
                    events.TrialTakenOver(
                        name, claim.number, self.id, claim.trial, claim.expiries, claim.crashes
                    )
                )
        return claims

    def _work_on(self, claims: Sequence[Claim]) -> bool:
        """Carry the claims to their end, or give them back; whatever happens, they are not kept.

        False when this worker refuses their study.
        """
        hold = Hold(claims, self.stop)
        try:
            with self.heart.holding(hold):
                return self._try(claims, hold)
        except Stopped:
            release(self.database, claims)
        except LeaseLost:  # taken over, or the study is over or deleted
            self._let_go(hold)
        except UnknownStudy:
            are_gone = trials.are_gone(self.database, claims[0].study)
            if not (are_gone and self._fail(claims, TRIALS_GONE)):
                self._let_go(hold)
        except DatabaseError as error:  # a mishap of this worker's: others may go on
            self._try_to_release(claims)
            if isinstance(error, DatabaseAway) or not self._is_unwanted(claims[0]):
                raise
            self._tell_loss(hold)
        return True

    def _let_go(self, hold: Hold) -> None:
        release(self.database, hold.claims)
        self._tell_loss(hold)

    def _try_to_release(self, claims: Sequence[Claim]) -> None:
        """Give the claims back, unless that fails, too: patience has come to its end."""
        with suppress(DatabaseError):
            release(replace(self.database, patience=Patience()), claims)

    def _is_unwanted(self, claim: Claim) -> bool:
        """Whether the claim's study is over or deleted: its rows may vanish while they are read."""
        return studies.state(self.database, claim.study) in (None, "cancelled")

    def _tell_loss(self, hold: Hold) -> None:
        study = hold.claims[0].study
        state = hold.over or studies.state(self.database, study) or studies.DELETED
        if state in OVER:
            self.hear(events.StudyLeft(study, self.id, state))
        else:
            self.hear(events.LeaseLost(study, self.id, tuple(c.number for c in hold.claims)))

    def _try(self, claims: Sequence[Claim], hold: Hold) -> bool:
        """Work on the claims; False when this worker refuses their study."""
        training = Training(self.database, self.executor, hold, self.hear)
        try:
            if (joined := self._join(claims, hold)) is None:
                return False
            self._end(joined, training)
            self._failures = 0
        except (LeaseLost, Stopped, DatabaseError, UnknownStudy, Refused):
            raise
        except SearchEnded:
            life.end_search(self.database, claims)
        except ExecutorDied as death:
            self._bury(training, death)
        except HpoError as error:  # the study cannot be answered
            self._fail(claims, str(error))
        except Exception as error:  # noqa: BLE001  whatever a trial does, its slot is given back
            self._count_failure(claims, error)
        return True

    def _join(self, claims: Sequence[Claim], hold: Hold) -> Joined | None:
        """The study of the claims; None, and they are given back, where this worker refuses it."""
        first, known = claims[0], self._joined
        if known is not None and _is_of(known, first):
            return known
        self._joined = None
        try:
            joined = join(self.database, first.study, self.executor, hold.go_on)
        except (DatabaseError, UnknownStudy):
            raise
        except HpoError as error:
            self._refuse(claims, error)
            return None
        register(self.database, self.id, first.study, joined.device)
        self.hear(events.StudyTaken(first.study, self.id, joined.device))
        self._joined = joined
        return joined

    def _refuse(self, claims: Sequence[Claim], error: HpoError) -> None:
        """Leave the study to others for a while. Raises the error where it is the only one."""
        study = claims[0].study
        self._refused[study] = perf_counter() + REFUSES_FOR_S
        release(self.database, claims)
        refuse(self.database, self.id, study, str(error))
        self.hear(events.StudyRefused(study, self.id, str(error)))
        if self.only:
            raise Refused(error)

    def _end(self, joined: Joined, training: Training) -> None:
        claim = training.claims[0]
        if claim.kind == "trial":
            run_batch(joined, training)
            return
        if claim.crashes >= MOST_CRASHES:
            raise StudyFailed(
                f"the training process died {claim.crashes} times in the {claim.kind}"
            )
        if claim.kind == "benchmark":
            self._forecast_benchmarks(claim, training.hold)
        else:
            self._conclude(joined, claim, training)

    def _forecast_benchmarks(self, claim: Claim, hold: Hold) -> None:
        report = self.executor.forecast(hold.go_on)
        results.record_benchmarks(self.database, claim, report)
        done = Settlement(claim=claim, outcome="complete")
        settle(self.database, [done], benchmark_warnings=json.dumps(list(report.warnings)))

    def _conclude(self, joined: Joined, claim: Claim, training: Training) -> None:
        study = joined.study
        answer = conclude(self.database, study.name, joined.prepared, training.at_once)
        training.hold.refuse_if_lost()
        trials.end_study(self.database, claim, answer.model_dump_json())
        self.hear(events.StudyEnded(study.name, "done", ""))

    def _bury(self, training: Training, death: ExecutorDied) -> None:
        """The training process is gone: its trials are tried again, each alone."""
        self.hear(events.ChildDied(self.id, str(death)))
        claims, joined = training.claims, self._joined
        is_guilty = death.is_over_limit and len(claims) == 1 and claims[0].kind == "trial"
        if is_guilty and joined is not None:
            end_infeasible(joined, training, str(death))
            return
        release(self.database, claims, crashed=not death.is_local)
        self._joined = None
        self._withdraw_if_hopeless(str(death))

    def _count_failure(self, claims: Sequence[Claim], error: Exception) -> None:
        """The machine's errors are this worker's; others are the study's, and end it in time."""
        first = claims[0]
        trace = error.trace if isinstance(error, Broken) else traceback.format_exc()
        self.hear(events.UnexpectedError(first.study, self.id, first.number, trace))
        if error.is_local if isinstance(error, Broken) else is_local(error):
            release(self.database, claims)
        elif record_failure(self.database, claims, trace):
            self.hear(events.StudyEnded(first.study, "failed", _last_line(trace)))
        self._withdraw_if_hopeless(_last_line(trace))

    def _fail(self, claims: Sequence[Claim], reason: str) -> bool:
        study = claims[0].study
        if has_failed := life.fail(self.database, study, reason, claims=claims):
            self.hear(events.StudyEnded(study, "failed", reason))
        return has_failed

    def _withdraw_if_hopeless(self, reason: str) -> None:
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            raise Withdrawn(f"{self._failures} failures in a row, the last: {reason}")
        self.stop.wait(FIRST_PAUSE_S * 2 ** (self._failures - 1))


def _is_of(joined: Joined, claim: Claim) -> bool:
    return (joined.study.name, joined.study.created_at) == (claim.study, claim.created_at)


def _last_line(trace: str) -> str:
    return trace.strip().splitlines()[-1]
