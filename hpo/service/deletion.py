"""A study is removed, with all that was Optuna's and ours of it."""

from contextlib import suppress

import optuna
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpo.errors import UnknownStudy
from hpo.service.database import Database, now
from hpo.service.studies import outline
from hpo.service.tables import slots, studies
from hpo.service.trial_rows import fail_running


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is cancelled, and hold no slot any more. The study's own row goes last:
    what was interrupted can be asked for again.
    """
    outline(database, name)
    with database.transaction() as connection:
        _lock_slots(connection, name)
        of_study = slots.c.study == name
        connection.execute(slots.update().where(of_study).values(token=slots.c.token + 1))
        connection.execute(
            studies.update()
            .where(studies.c.name == name)
            .values(state="cancelled", ended_at=sa.func.coalesce(studies.c.ended_at, now()))
        )
        with suppress(UnknownStudy):  # Optuna's half is gone
            fail_running(connection, name)
    # From here on no worker adds to the trials, or ends any: their ids may soon be others'.
    with database.translated(), suppress(KeyError):
        optuna.delete_study(study_name=name, storage=database.storage)
    with database.transaction() as connection:
        _lock_slots(connection, name)
        connection.execute(studies.delete().where(studies.c.name == name))


def _lock_slots(connection: Connection, name: str) -> None:
    """Before the study's row, as workers do: the other way round is a deadlock."""
    of_study = sa.select(slots.c.number).where(slots.c.study == name)
    connection.execute(of_study.order_by(slots.c.number).with_for_update())
