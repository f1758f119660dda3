"""What service tests stand on: a submitted study, workers in this process, a look from outside."""

import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hpo import events
from hpo.data.checking import check
from hpo.service import claims, submission, trials
from hpo.service.claims import Claim, Settlement, settle
from hpo.service.database import Database
from hpo.service.executor import Asked, Executor, InProcess
from hpo.service.heart import Heart
from hpo.service.registry import enroll
from hpo.service.study_data import to_be_stored
from hpo.service.taking import take
from hpo.service.work import Worker
from hpo.spec.study import Study
from hpo.training.trainer import Trainer
from tests.integration.service import databases
from tests.integration.service.databases import change, in_threads, look
from tests.unit.search.fake_trainer import FakeTrainer, tiny_frame, tiny_study

__all__ = ["change", "in_threads", "look"]


@contextmanager
def opened(url: str, *, create: bool = True) -> Iterator[Database]:
    """A database, open for the length of a `with`."""
    trials.quiet()
    with databases.opened(url, create=create) as database:
        yield database


def submit(
    database: Database, study: Study | None = None, *, seed: int = 0, engine: str = "torch"
) -> bool:
    """Submit a tiny study (or this one) with its data; True when it is new."""
    asked, frame = study or tiny_study(), tiny_frame(seed=seed)
    return submission.submit(
        database,
        asked,
        data=to_be_stored(frame, asked.data),
        data_fingerprint=check(frame, asked.data).fingerprint,
        engine=engine,
    )


def asked_of(study: Study, *, engine: str = "torch") -> Asked:
    """What an executor is asked of this study with a tiny frame."""
    frame = tiny_frame()
    fingerprint = check(frame, study.data).fingerprint
    return Asked(study, engine, to_be_stored(frame, study.data), fingerprint)


def claim_of(database: Database, worker: str = "ann", name: str = "tiny") -> Claim:
    """The next slot, which must be there."""
    [claim] = take(database, name, worker)
    return claim


def first_trial(database: Database, worker: str = "ann", name: str = "tiny") -> Claim:
    """The first trial's slot, the benchmarks being ended."""
    end(database, claim_of(database, "benchmarker", name))
    return claim_of(database, worker, name)


def bind(database: Database, trials: Sequence[tuple[Claim, int]]) -> None:
    """Give slots the numbers of their trials, as making them does."""
    with database.transaction() as connection:
        claims.held(connection, [claim for claim, _ in trials])
        claims.bind(connection, trials)


def end(
    database: Database, claim: Claim, outcome: str = "complete", score: float | None = None
) -> None:
    """Settle one slot."""
    settle(database, [Settlement(claim=claim, outcome=outcome, score=score)])


def worker(
    database: Database,
    trainer: Trainer | None = None,
    stop: threading.Event | None = None,
    *,
    threads: int = 1,
    only: str = "tiny",
    identity: str = "",
    executor: Executor | None = None,
    hear: events.Hear = events.ignore,
) -> Worker:
    """A worker in this process, on the study `only` or, if it is empty, on all."""
    made = trainer or FakeTrainer()
    return Worker(
        database,
        executor or InProcess(threads=threads, trainer_for=lambda _shape: made),
        identity=identity or f"here-{secrets.token_hex(4)}",
        stop=stop or threading.Event(),
        parent=os.getppid(),
        only=only,
        hear=hear,
    )


def work_on(one: Worker, claims: Sequence[Claim]) -> None:
    """Let a worker that is enrolled and beats work on these claims."""
    enroll(one.database, one.id)
    with Heart(one.database, one.id, one.stop, os.getppid()) as one.heart:
        one._work_on(claims)


def let_leases_expire(url: str) -> None:
    """As if the lease time had passed since the last beat."""
    change(url, "UPDATE hpo_slot SET expires_at = 1 WHERE state = 'taken'")
