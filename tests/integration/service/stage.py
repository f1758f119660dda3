"""What service tests stand on: a submitted study, workers in this process, a look from outside."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from hpo.data.load import to_parquet
from hpo.data.panel import check
from hpo.service import studies, trials
from hpo.service.claims import Claim, Settlement, settle, take
from hpo.service.database import Database, open_database
from hpo.service.registry import enroll
from hpo.service.worker import Worker, prepared_study
from hpo.spec.study import Study
from hpo.training.trainer import Trainer
from tests.unit.search.fake_trainer import FakeTrainer, tiny_frame, tiny_study


@contextmanager
def opened(url: str, *, create: bool = True) -> Iterator[Database]:
    """A database, open for the length of a `with`."""
    trials.quiet()
    database = open_database(url, create=create)
    try:
        yield database
    finally:
        database.close()


def submit(
    database: Database, study: Study | None = None, *, seed: int = 0, engine: str = "torch"
) -> bool:
    """Submit a tiny study (or this one) with its data; True when it is new."""
    asked, frame = study or tiny_study(), tiny_frame(seed=seed)
    return studies.submit(
        database,
        asked,
        data_parquet=to_parquet(frame),
        data_fingerprint=check(frame, asked.data).fingerprint,
        engine=engine,
    )


def claim_of(database: Database, worker: str = "ann", name: str = "tiny") -> Claim:
    """The next slot, which must be there."""
    [claim] = take(database, name, worker)
    return claim


def first_trial(database: Database, worker: str = "ann", name: str = "tiny") -> Claim:
    """The first trial's slot, the benchmarks being ended."""
    end(database, claim_of(database, "benchmarker", name))
    return claim_of(database, worker, name)


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
) -> Worker:
    """A worker in this process, enrolled."""
    made, study = trainer or FakeTrainer(), studies.find(database, "tiny")
    one = Worker(
        database,
        study,
        prepared_study(database, study),
        lambda _shape: made,
        threads=threads,
        stop=stop or threading.Event(),
        parent=os.getppid(),
    )
    enroll(database, one.id, "tiny", "cpu")
    return one


def let_leases_expire(url: str) -> None:
    """As if the lease time had passed since the last beat."""
    change(url, "UPDATE hpo_slot SET expires_at = 1 WHERE state = 'taken'")


def change(url: str, statement: str, **values: Any) -> None:
    """Run a statement past hpo."""
    with _plain(url).begin() as connection:
        connection.execute(sa.text(statement), values)


def look(url: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Rows as they are now, seen by a reader that waits for no lock."""
    with _plain(url).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def _plain(url: str) -> sa.Engine:
    psycopg = url.replace("postgresql://", "postgresql+psycopg://")
    return sa.create_engine(psycopg, poolclass=sa.NullPool)


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0) ... work(count - 1)` return, or raise, when they begin at one moment."""
    found: list[Any] = [None] * count
    together = threading.Barrier(count)

    def run(place: int) -> None:
        together.wait()
        try:
            found[place] = work(place)
        except Exception as error:  # noqa: BLE001  looked at by the test
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
