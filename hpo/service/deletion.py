"""A study is removed, with all that was Optuna's and ours of it."""

from contextlib import suppress

import optuna
import sqlalchemy as sa

from hpo.errors import UnknownStudy
from hpo.service.database import Database, now
from hpo.service.studies import outline
from hpo.service.tables import slots, studies
from hpo.service.trial_rows import fail_running


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is cancelled. The study's own row goes last: what was interrupted can
    be asked for again.
    """
    of = outline(database, name)
    with database.transaction() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.name == name)
            .values(state="cancelled", ended_at=sa.func.coalesce(studies.c.ended_at, now()))
        )
        with suppress(UnknownStudy):  # Optuna's half is gone
            fail_running(connection, of.optuna_id)
    # From here on no worker adds to the trials.
    with database.translated(), suppress(KeyError):
        optuna.delete_study(study_name=name, storage=database.storage)
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        of_study = sa.select(slots.c.number).where(slots.c.study == name)
        connection.execute(of_study.order_by(slots.c.number).with_for_update())
        connection.execute(studies.delete().where(studies.c.name == name))
