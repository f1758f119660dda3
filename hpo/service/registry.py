"""Which workers are there: each has a row while it lives, and beats."""

import os
import socket

import sqlalchemy as sa

from hpo.service.claims import LEASE_S, SILENCE_S
from hpo.service.database import Database, now
from hpo.service.tables import workers


def enroll(database: Database, worker: str, study: str, device: str) -> None:
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
                study=study,
                host=socket.gethostname(),
                pid=os.getpid(),
                device=device,
                state="working",
                last_beat=now(),
            )
        )


def leave(database: Database, worker: str) -> None:
    """Remove the worker's row."""
    with database.transaction() as connection:
        connection.execute(workers.delete().where(workers.c.id == worker))


def workers_of(database: Database, study: str) -> list[dict[str, object]]:
    """The study's workers that were heard of lately.

    Of each its id, host, pid, device, state and last_beat (seconds since 1970).
    """
    shown = (c for c in workers.c if c.name != "study")
    lives = workers.c.last_beat > now() - SILENCE_S
    query = sa.select(*shown).where(workers.c.study == study, lives).order_by(workers.c.id)
    with database.transaction() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
