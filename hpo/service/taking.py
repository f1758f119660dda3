"""What is worked on next: a worker takes slots of a study, one or some trials at once.

That is one short transaction: slots, a lease and a fencing token each.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from hpo.service.claims import LEASE_S, SILENCE_S, Claim
from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.tables import failures, slots, studies, workers

AT_WORK = ("queued", "running", "stopping")  # states of a study whose slots may be taken


@patient
def take(database: Database, study: str, worker: str, *, most: int = 1) -> list[Claim]:
    """The first slots that may be worked on now, at most so many, in one transaction.

    The benchmarks come before the trials, the verdict after all of them: each is taken alone. So
    is a slot whose worker or training process died, from the second death on last: a trial that
    kills cannot condemn its neighbours. Once the study has met an unexpected error, slots that were
    taken before come alone and last too. The workers that live share the open trials: none takes so
    many that another has to idle. A queued study is running from its first claim on.
    """
    with database.transaction() as connection:
        rows = _together(connection.execute(_next_slots(study, worker, most)).mappings().all())
        if not rows or (rows[0]["kind"] == "verdict" and _is_unfinished(connection, rows[0])):
            return []
        was_taken = sa.case((slots.c.state == "taken", 1), else_=0)
        connection.execute(
            slots.update()
            .where(slots.c.study == study, slots.c.number.in_([row["number"] for row in rows]))
            .values(
                state="taken",
                worker=worker,
                token=slots.c.token + 1,
                expiries=slots.c.expiries + was_taken,
                expires_at=now() + LEASE_S,
            )
        )
        if rows[0]["study_state"] == "queued" or rows[0]["started_at"] is None:
            _start(connection, study)
    return [
        Claim(
            study=study,
            created_at=row["created_at"],
            number=row["number"],
            kind=row["kind"],
            token=row["token"] + 1,
            worker=worker,
            trial=row["trial"],
            expiries=row["expiries"] + (row["state"] == "taken"),
            crashes=row["crashes"],
        )
        for row in rows
    ]


def _start(connection: Connection, study: str) -> None:
    state = sa.case((studies.c.state == "queued", "running"), else_=studies.c.state)
    connection.execute(
        studies.update()
        .where(studies.c.name == study)
        .values(state=state, started_at=sa.func.coalesce(studies.c.started_at, now()))
    )


def _together(rows: Sequence[RowMapping]) -> list[RowMapping]:
    """The first row, with those after it, up to a fair share, if all may be worked on together."""

    def is_sound(row: RowMapping) -> bool:
        is_suspect = row["failures"] and row["token"]
        has_died = row["crashes"] or row["expiries"] or row["state"] == "taken"
        return row["kind"] == "trial" and not has_died and not is_suspect

    sound = list(takewhile(is_sound, rows))
    return sound[: max(1, rows[0]["share"])] if sound else list(rows[:1])


def _next_slots(study: str, worker: str, most: int) -> sa.Select[Any]:
    benchmark_runs = (
        sa.select(sa.literal(1))
        .where(slots.c.study == study, slots.c.kind == "benchmark", slots.c.state != "ended")
        .correlate(None)
        .exists()
    )
    failed = (
        sa.select(sa.func.count())
        .select_from(failures)
        .where(failures.c.study == study)
        .scalar_subquery()
    )
    share = _share(study, worker).label("share")
    of_study = (
        studies.c.state.label("study_state"),
        studies.c.created_at,
        studies.c.started_at,
    )
    return (
        sa.select(slots, *of_study, failed.label("failures"), share)
        .join(studies, studies.c.name == slots.c.study)
        .where(
            slots.c.study == study,
            studies.c.state.in_(AT_WORK),
            sa.or_(
                slots.c.state == "open",
                sa.and_(slots.c.state == "taken", slots.c.expires_at < now()),
            ),
            sa.or_(slots.c.kind == "benchmark", sa.not_(benchmark_runs)),
        )
        .order_by(
            slots.c.kind,  # benchmark, trial, verdict: as the alphabet has it
            sa.case((failed > 0, slots.c.token), else_=0),
            slots.c.expiries + slots.c.crashes,
            slots.c.number,
        )
        .limit(most)
        .with_for_update(of=slots, skip_locked=True)
    )


def _share(study: str, worker: str) -> sa.ColumnElement[int]:
    """The study's open trials / its workers that live, this one among them, rounded up."""
    open_trials = (
        sa.select(sa.func.count())
        .select_from(slots)
        .where(slots.c.study == study, slots.c.kind == "trial", slots.c.state == "open")
        .correlate(None)
        .scalar_subquery()
    )
    others = (
        sa.select(sa.func.count())
        .select_from(workers)
        .where(
            workers.c.study == study,
            workers.c.id != worker,
            workers.c.last_beat > now() - SILENCE_S,
        )
        .scalar_subquery()
    )
    return (open_trials + others) // (others + 1)


def _is_unfinished(connection: Connection, verdict: Any) -> bool:
    left = (
        sa.select(sa.func.count())
        .select_from(slots)
        .where(
            slots.c.study == verdict["study"],
            slots.c.number < verdict["number"],
            slots.c.state != "ended",
        )
    )
    return bool(connection.execute(left).scalar_one())
