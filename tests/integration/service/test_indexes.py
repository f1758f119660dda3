"""What runs for each trial or at each beat finds its rows by an index, however many there are."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from optuna.trial import TrialState, create_trial

from hpo.fitting.pool import Job, Saved
from hpo.search.outcome import Completed, NetworkRecord
from hpo.service import (
    checkpoints,
    claims,
    failures,
    life,
    registry,
    results,
    status,
    studies,
    taking,
    trial_rows,
    trials,
)
from hpo.service.claims import Settlement
from hpo.service.database import Database
from hpo.service.tables import checkpoints as kept
from hpo.service.tables import failures as failed
from hpo.service.tables import networks, slots, workers
from hpo.service.tables import studies as studies_table
from hpo.spec.candidate import Candidate
from tests.integration.service.databases import opened

STUDIES, TRIALS, WORKERS = 20, 200, 2_000
INDEXED = ("hpo_slot", "hpo_network", "hpo_checkpoint", "hpo_failure", "trials")
CANDIDATE = Candidate(cells=(3,), learning_rate=0.03, lookback=12)
RECORD = NetworkRecord(
    fold=0,
    seed=0,
    losses_O=np.zeros(3),
    steps=1,
    train_loss=0.5,
    watch_loss=0.5,
    wall_s=1.0,
    engine="torch",
    device="cpu",
)
Statement = tuple[str, Any]


@pytest.fixture
def crowded(database_url: str) -> Iterator[Database]:
    """Enough studies, slots, networks and workers that a full scan would cost something."""
    names = [f"study-{n}" for n in range(STUDIES)]
    numbers = range(TRIALS + 2)
    kinds = ["benchmark", *["trial"] * TRIALS, "verdict"]
    with opened(database_url) as database:
        with database.transaction() as connection:
            for table, rows in {
                trial_rows.STUDIES: [{"study_name": name} for name in names],
                trial_rows.TRIALS: [optunas_row(n, s) for s in range(STUDIES) for n in numbers],
                studies_table: [study_row(name) for name in names],
                slots: [
                    {"study": s, "number": n, "kind": kinds[n], "state": "open", "token": 0}
                    for s in names
                    for n in numbers
                ],
                networks: [network_row(s, n) for s in names for n in numbers],
                failed: [failure_row(names[n % 7], n) for n in range(TRIALS * 7)],
                kept: [checkpoint_row(s, n) for s in names for n in numbers],
                workers: [worker_row(f"worker-{n}", names[n % STUDIES]) for n in range(WORKERS)],
            }.items():
                connection.execute(table.insert(), rows)
        with database.transaction() as connection:
            connection.exec_driver_sql("ANALYZE")
        yield database


def optunas_row(number: int, study: int) -> dict[str, Any]:
    """One of Optuna's trials of the study in this place."""
    return {"number": number, "study_id": study + 1, "state": TrialState.COMPLETE}


def study_row(name: str) -> dict[str, Any]:
    """A queued study."""
    texts = dict.fromkeys(("spec", "fingerprint", "data_fingerprint", "versions", "engine"), "")
    return {"name": name, "optuna_id": 1, "state": "queued", "created_at": 1.0, **texts}


def network_row(study: str, trial: int) -> dict[str, Any]:
    """One network of a trial of another time."""
    key = {"study": study, "trial": trial + 1_000, "fold": 0, "seed": 0}
    return {**key, "losses": b"", "steps": 1, "wall_s": 1.0, "engine": "torch", "device": "cpu"}


def failure_row(study: str, number: int) -> dict[str, Any]:
    """An error of one of its trials."""
    text = {"worker": "w", "signature": str(number), "trace": "Traceback"}
    return {"study": study, "slot": number, "at": 1.0, **text}


def checkpoint_row(study: str, trial: int) -> dict[str, Any]:
    """A halted training of a trial of another time."""
    key = {"study": study, "trial": trial + 1_000, "fold": 0, "seed": 0}
    return {**key, "wall_s": 1.0, "state": b"state"}


def worker_row(name: str, study: str) -> dict[str, Any]:
    """A worker of which nothing was heard for long."""
    place = {"host": "h", "pid": 1, "device": "cpu", "state": "idle", "last_beat": 1.0}
    return {"id": name, "study": study, **place}


@contextmanager
def recorded(engine: sa.Engine) -> Iterator[list[Statement]]:
    """The statements that are sent from here on, each with its (first) parameters."""
    sent: list[Statement] = []

    def record(_c: Any, _u: Any, text: str, values: Any, *_: Any) -> None:
        sent.append((text, values[0] if isinstance(values, list) else values))

    sa.event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", record)


def scanned(database: Database, statement: Statement) -> set[str]:
    """The tables that the database reads from end to end for a statement, by its own plan."""
    text, values = statement
    with database.transaction() as connection:
        if connection.dialect.name == "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
            steps = [str(row[3]).split() for row in rows]
            return {words[1] for words in steps if words[0] == "SCAN"}
        [(plan,)] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {text}", values)
        found = plan if isinstance(plan, list) else json.loads(plan)
        return set(_scans(found[0]["Plan"]))


def _scans(node: dict[str, Any]) -> Iterator[str]:
    if node["Node Type"] == "Seq Scan" or (
        "Index" in node["Node Type"] and "Index Cond" not in node and "Relation Name" in node
    ):
        yield node["Relation Name"]
    for inner in node.get("Plans", []):
        yield from _scans(inner)


def work_on(database: Database, study: str, worker: str) -> None:
    """All that a worker asks of the database for its trials."""
    [benchmark] = taking.take(database, study, worker)
    claims.settle(database, [Settlement(claim=benchmark, outcome="complete")])
    taken = taking.take(database, study, worker, most=3)
    assert len(taken) > 1
    first, second, *others = taken
    made = {claim.number: create_trial(state=TrialState.RUNNING) for claim in taken}
    trials.make(database, taken, made)
    claims.beat(database, worker, "training", taken)
    results.networks_of(database, study, [first.number, second.number])
    checkpoints.saved_of(database, study, [first.number, second.number])
    results.record_networks(database, taken, [(first.number, RECORD)])
    job = Job(trial=first.number, fold=0, candidate=CANDIDATE, seed=0)
    checkpoints.keep(database, taken, job, Saved(state=b"state", wall_s=1.0))
    trials.end(database, [(first, made[first.number], Completed(0.5))], forget=[first.number])
    failures.record_failure(database, [second], "Traceback")
    claims.release(database, others)
    studies.state(database, study)
    life.cancel(database, study)
    registry.leave(database, worker)


def ask_for_status(database: Database, study: str, _worker: str) -> None:
    """What `hpo status` asks of the database for a study."""
    status.progress(database, study)
    results.count_networks(database, study)


@pytest.mark.parametrize("scenario", [work_on, ask_for_status])
def test_what_is_asked_of_one_study_never_reads_all(
    crowded: Database, scenario: Callable[[Database, str, str], None]
) -> None:
    with recorded(crowded.engine) as sent:
        scenario(crowded, "study-7", "worker-7")
    assert sent
    for statement in sent:
        assert not scanned(crowded, statement) & set(INDEXED), statement[0]


def test_a_worker_finds_its_own_row_by_its_name(crowded: Database) -> None:
    with recorded(crowded.engine) as sent:
        claims.beat(crowded, "worker-7", "idle")
        registry.leave(crowded, "worker-7")
    assert len(sent) == 2
    for statement in sent:
        assert scanned(crowded, statement) == set(), statement[0]


def test_a_search_without_an_index_would_be_seen(crowded: Database) -> None:
    for table, column in {"hpo_slot": "reason", "hpo_network": "device"}.items():
        query: sa.Select[Any] = sa.select(sa.column(column)).select_from(sa.table(table))
        with recorded(crowded.engine) as sent, crowded.transaction() as connection:
            connection.execute(query.where(sa.column(column) == "?"))
        assert scanned(crowded, sent[0]) == {table}
