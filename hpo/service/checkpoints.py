"""Trainings that were halted in the middle, kept until their network is recorded or not wanted."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from hpo.fitting.pool import Job, Saved
from hpo.service.claims import Claim, held
from hpo.service.database import Database
from hpo.service.patience import patient
from hpo.service.tables import checkpoints

Key = tuple[int, int]


@patient
def keep(database: Database, claims: Sequence[Claim], job: Job, saved: Saved) -> None:
    """Keep the state of a job's training in place of an earlier one. Raises LeaseLost."""
    key = {"study": claims[0].study, "trial": job.trial, "fold": job.fold, "seed": job.seed}
    same = [checkpoints.c[column] == value for column, value in key.items()]
    with database.transaction() as connection:
        held(connection, claims)
        connection.execute(checkpoints.delete().where(*same))
        connection.execute(
            checkpoints.insert().values(**key, wall_s=saved.wall_s, state=saved.state)
        )


@patient
def saved_of(
    database: Database, study: str, trials: Sequence[int] | None = None
) -> Mapping[int, Mapping[Key, Saved]]:
    """The kept trainings, by trial and then by (fold, seed); of some trials or of all."""
    query = sa.select(checkpoints).where(checkpoints.c.study == study)
    if trials is not None:
        query = query.where(checkpoints.c.trial.in_(trials))
    found: dict[int, dict[Key, Saved]] = {}
    with database.reading() as connection:
        for row in connection.execute(query).mappings():
            saved = Saved(state=bytes(row["state"]), wall_s=row["wall_s"])
            found.setdefault(row["trial"], {})[row["fold"], row["seed"]] = saved
    return found
