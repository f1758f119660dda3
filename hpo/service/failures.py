"""Unexpected errors of a study: kept with their tracebacks; the study fails after three equal."""

import hashlib
from collections.abc import Sequence

import sqlalchemy as sa

from hpo.service.claims import Claim, give_back
from hpo.service.database import Database, now
from hpo.service.life import fail_within
from hpo.service.patience import patient
from hpo.service.tables import failures

MOST_EQUAL = 3


def signature(trace: str) -> str:
    """What equal errors have in common: the frames of the traceback and the kind of the error.

    >>> here = '  File "a.py", line 3, in f\\n'
    >>> signature(here + "KeyError: 3") == signature(here + "KeyError: 14")
    True
    >>> signature(here + "KeyError: 3") == signature(here + "ValueError: 3")
    False
    """
    lines = trace.strip().splitlines()
    frames = [line for line in lines if line.lstrip().startswith('File "')]
    kind = lines[-1].partition(":")[0]
    return hashlib.sha256("\n".join([*frames, kind]).encode()).hexdigest()


@patient
def record_failure(database: Database, claims: Sequence[Claim], trace: str) -> bool:
    """Give the slots back and keep the error, in one transaction; True when it ends the study.

    Nothing happens when all slots were taken over.
    """
    study, mark = claims[0].study, signature(trace)
    equal = sa.select(sa.func.count()).where(
        failures.c.study == study, failures.c.signature == mark
    )
    with database.transaction() as connection:
        if not give_back(connection, claims):
            return False
        connection.execute(
            failures.insert().values(
                study=study,
                slot=claims[0].number,
                worker=claims[0].worker,
                signature=mark,
                trace=trace,
                at=now(),
            )
        )
        if connection.execute(equal).scalar_one() < MOST_EQUAL:
            return False
        return fail_within(connection, study, trace)


def last_trace(database: Database, study: str) -> str:
    """The latest unexpected error of the study, empty if there was none."""
    query = (
        sa.select(failures.c.trace)
        .where(failures.c.study == study)
        .order_by(failures.c.id.desc())
        .limit(1)
    )
    with database.reading() as connection:
        return connection.execute(query).scalar_one_or_none() or ""
