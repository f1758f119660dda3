"""A study is removed, with all that was Optuna's and ours of it."""

import optuna
import sqlalchemy as sa

from hpo.errors import DatabaseError
from hpo.service.database import Database, now, without_password
from hpo.service.studies import outline
from hpo.service.tables import slots, studies

MOST_DELETIONS = 10


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is cancelled. The study's own row goes last: what was interrupted can
    be asked for again.
    """
    outline(database, name)
    with database.transaction() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.name == name)
            .values(state="cancelled", ended_at=sa.func.coalesce(studies.c.ended_at, now()))
        )
    _delete_trials(database, name)
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        of_study = sa.select(slots.c.number).where(slots.c.study == name)
        connection.execute(of_study.order_by(slots.c.number).with_for_update())
        connection.execute(studies.delete().where(studies.c.name == name))


def _delete_trials(database: Database, name: str) -> None:
    """Remove Optuna's study, again if a worker that had not heard yet added a trial meanwhile."""
    with database.translated():
        for _ in range(MOST_DELETIONS):
            try:
                optuna.delete_study(study_name=name, storage=database.storage)
            except KeyError:  # it is gone
                return
    raise DatabaseError(
        f"the trials of {name!r} cannot be removed while workers add to them",
        where=without_password(database.url),
        remedy="stop the workers, then delete again",
    )
