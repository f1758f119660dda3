"""A study is removed, with all that was Optuna's and ours of it, in one transaction."""

from contextlib import suppress

import sqlalchemy as sa

from hpo.errors import UnknownStudy
from hpo.service import trial_rows
from hpo.service.database import Database
from hpo.service.studies import outline
from hpo.service.tables import slots, studies


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is deleted. One that somebody else deletes at the same moment is gone
    when this returns; a new one of its name is left alone.
    """
    found = outline(database, name)
    this = (studies.c.name == name, studies.c.created_at == found.created_at)
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        of_study = sa.select(slots.c.number).where(slots.c.study == name)
        connection.execute(of_study.order_by(slots.c.number).with_for_update())
        if connection.execute(studies.delete().where(*this)).rowcount:
            with suppress(UnknownStudy):  # somebody has deleted Optuna's half
                trial_rows.delete(connection, name)
    database.forget(found.optuna_id)
