"""What goes on in the whole database: one row a study, one a worker, cheap enough for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hpo.service.claims import SILENCE_S
from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.tables import slots, studies, workers
from hpo.spec.answer import Answer


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """A study in a list: `ended` of `trials` are over, skipped ones included.

    `age_s`: seconds since it was submitted. `answer`: of a study that is done.
    """

    name: str
    optuna_id: int
    state: str
    age_s: float
    trials: int
    ended: int
    running: int
    best_score: float | None
    workers: int
    answer: Answer | None


@dataclass(frozen=True, kw_only=True)
class WorkerRow:
    """A worker that was heard of lately: `silent_s` seconds ago by the database's clock.

    `at_work_on`: the numbers of its trials, "benchmarks", "verdict", or "choosing" its next trials.
    """

    id: str
    study: str
    host: str
    pid: int
    device: str
    state: str
    silent_s: float
    at_work_on: tuple[str, ...]


@patient
def all_studies(database: Database, *, most: int, skip: int = 0) -> list[StudyRow]:
    """The studies, the newest first, `most` of them after the first `skip`."""
    columns = (studies.c.name, studies.c.optuna_id, studies.c.state, studies.c.answer)
    query = (
        sa.select(*columns, (now() - studies.c.created_at).label("age_s"))
        .order_by(studies.c.created_at.desc())
        .limit(most)
        .offset(skip)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
        names = [row.name for row in rows]
        counts = {row.study: row for row in connection.execute(_counts(names))}
        at_work = {row.study: row.n for row in connection.execute(_workers_by_study(names))}
    return [
        StudyRow(
            name=row.name,
            optuna_id=row.optuna_id,
            state=row.state,
            age_s=row.age_s,
            trials=counts[row.name].trials if row.name in counts else 0,
            ended=counts[row.name].ended if row.name in counts else 0,
            running=counts[row.name].running if row.name in counts else 0,
            best_score=counts[row.name].best if row.name in counts else None,
            workers=at_work.get(row.name, 0),
            answer=Answer.model_validate_json(row.answer) if row.answer else None,
        )
        for row in rows
    ]


def _counts(names: Sequence[str]) -> sa.Select[Any]:
    def count(*which: sa.ColumnElement[bool]) -> sa.Function[int]:
        return sa.func.sum(sa.case((sa.and_(*which), 1), else_=0))

    held = (slots.c.state == "taken", slots.c.expires_at > now())
    complete = sa.case((slots.c.outcome == "complete", slots.c.score))
    return (
        sa.select(
            slots.c.study,
            sa.func.count().label("trials"),
            count(slots.c.state == "ended").label("ended"),
            count(*held).label("running"),
            sa.func.min(complete).label("best"),
        )
        .where(slots.c.study.in_(names), slots.c.kind == "trial")
        .group_by(slots.c.study)
    )


def _workers_by_study(names: Sequence[str]) -> sa.Select[Any]:
    return (
        sa.select(workers.c.study, sa.func.count().label("n"))
        .where(workers.c.study.in_(names), workers.c.last_beat > now() - SILENCE_S)
        .group_by(workers.c.study)
    )


@patient
def all_workers(database: Database, study: str = "") -> list[WorkerRow]:
    """The workers that were heard of lately, by id; of one `study`, or of all and of none."""
    is_shown = [workers.c.last_beat > now() - SILENCE_S]
    if study:
        is_shown.append(workers.c.study == study)
    query = sa.select(workers, (now() - workers.c.last_beat).label("silent_s")).where(*is_shown)
    held = (
        sa.select(slots.c.worker, slots.c.kind, slots.c.trial)
        .where(slots.c.state == "taken", slots.c.expires_at > now())
        .order_by(slots.c.number)
    )
    with database.reading() as connection:
        rows = connection.execute(query.order_by(workers.c.id)).all()
        taken = connection.execute(held.where(slots.c.study == study) if study else held).all()
    work: dict[str, list[str]] = {}
    for worker, kind, trial in taken:
        named = {"benchmark": "benchmarks", "verdict": "verdict"}.get(kind, str(trial))
        named = "choosing" if kind == "trial" and trial is None else named
        if named not in work.setdefault(worker, []):
            work[worker].append(named)
    return [
        WorkerRow(
            id=row.id,
            study=row.study or "",
            host=row.host,
            pid=row.pid,
            device=row.device,
            state=row.state,
            silent_s=max(row.silent_s, 0.0),
            at_work_on=tuple(work.get(row.id, ())),
        )
        for row in rows
    ]


@patient
def counts_by_state(database: Database) -> tuple[dict[str, int], dict[str, int], int]:
    """How many studies are in each state, how many trials ended in each way, and the workers."""
    outcome = sa.func.coalesce(slots.c.outcome, slots.c.state)
    of_studies = sa.select(studies.c.state, sa.func.count()).group_by(studies.c.state)
    of_trials = sa.select(outcome, sa.func.count()).where(slots.c.kind == "trial").group_by(outcome)
    lives = sa.select(sa.func.count()).where(workers.c.last_beat > now() - SILENCE_S)
    with database.reading() as connection:
        return (
            {str(state): int(count) for state, count in connection.execute(of_studies)},
            {str(state): int(count) for state, count in connection.execute(of_trials)},
            int(connection.execute(lives).scalar_one()),
        )


@patient
def look_at_one(database: Database) -> None:
    """Read one study at most, to see that it can be done. Raises DatabaseError."""
    with database.reading() as connection:
        connection.execute(sa.select(studies.c.name).limit(1)).all()


@patient
def identities(database: Database) -> frozenset[tuple[int, float]]:
    """Optuna's id of every study and when it was submitted: SQLite gives ids of deleted ones again.

    One that is missing in a later look was deleted.
    """
    query = sa.select(studies.c.optuna_id, studies.c.created_at)
    with database.reading() as connection:
        return frozenset((row.optuna_id, row.created_at) for row in connection.execute(query))


@patient
def done_studies(database: Database) -> list[tuple[str, float]]:
    """Name and time of submission of the studies that have their answer."""
    query = sa.select(studies.c.name, studies.c.created_at).where(studies.c.state == "done")
    with database.reading() as connection:
        return [(row.name, row.created_at) for row in connection.execute(query)]
