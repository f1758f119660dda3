"""Which workers are there: each has a row while it lives, and beats; and what they refused."""

import os
import socket
from contextlib import suppress

import sqlalchemy as sa

from hpo.errors import DatabaseAway
from hpo.service.claims import LEASE_S, SILENCE_S
from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.tables import refusals, studies, workers


@patient
def enroll(database: Database, worker: str) -> None:
    """Write the worker's row; rows of workers long silent are removed."""
    silent = (
        sa.select(workers.c.id)
        .where(sa.or_(workers.c.id == worker, workers.c.last_beat < now() - 6 * LEASE_S))
        .with_for_update(skip_locked=True)  # another that enrolls removes them at the same time
    )
    with database.transaction() as connection:
        connection.execute(workers.delete().where(workers.c.id.in_(silent)))
        connection.execute(
            workers.insert().values(
                id=worker,
                study=None,
                host=socket.gethostname(),
                pid=os.getpid(),
                device="",
                state="idle",
                last_beat=now(),
            )
        )


@patient
def join(database: Database, worker: str, study: str, device: str) -> None:
    """Say that the worker works on this study from now on, on this device."""
    with database.transaction() as connection:
        connection.execute(
            workers.update().where(workers.c.id == worker).values(study=study, device=device)
        )
        connection.execute(_refusal(worker, study))


@patient
def refuse(database: Database, worker: str, study: str, reason: str) -> None:
    """Write down that the worker cannot work on this study, and why."""
    of_study = sa.select(studies.c.name).where(studies.c.name == study)
    with database.transaction() as connection:
        # The study first, as who deletes it does: the other way round is a deadlock.
        connection.execute(of_study.with_for_update(read=True, key_share=True))
        connection.execute(_refusal(worker, study))
        there = sa.select(studies.c.name, sa.literal(worker), sa.literal(reason), now()).where(
            studies.c.name == study  # not deleted
        )
        connection.execute(
            refusals.insert().from_select(["study", "worker", "reason", "at"], there)
        )


def _refusal(worker: str, study: str) -> sa.Delete:
    return refusals.delete().where(refusals.c.study == study, refusals.c.worker == worker)


def last_refusal(database: Database, study: str) -> str:
    """Who refused the study last, and why; empty if no one did."""
    query = (
        sa.select(refusals.c.worker, refusals.c.reason)
        .where(refusals.c.study == study)
        .order_by(refusals.c.at.desc())
        .limit(1)
    )
    with database.reading() as connection:
        row = connection.execute(query).first()
    return f"worker {row.worker} cannot work on it: {row.reason}" if row else ""


def leave(database: Database, worker: str) -> None:
    """Remove the worker's row; where the database is away, others will, as of one long silent."""
    with suppress(DatabaseAway), database.transaction() as connection:
        connection.execute(workers.delete().where(workers.c.id == worker))


def workers_of(database: Database, study: str) -> list[dict[str, object]]:
    """The study's workers that were heard of lately.

    Of each its id, host, pid, device, state and last_beat (seconds since 1970).
    """
    shown = (c for c in workers.c if c.name != "study")
    lives = workers.c.last_beat > now() - SILENCE_S
    query = sa.select(*shown).where(workers.c.study == study, lives).order_by(workers.c.id)
    with database.reading() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
