"""Unexpected errors of a study: kept with their tracebacks; the study fails after three equal."""

import hashlib
import re
from collections.abc import Sequence

import sqlalchemy as sa

from hpo.service.claims import Claim, give_back
from hpo.service.database import Database, now
from hpo.service.life import fail_within
from hpo.service.patience import patient
from hpo.service.tables import failures

MOST_EQUAL = 3
CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+")  # addresses, numbers of trials


def signature(trace: str) -> str:
    """What equal errors have in common: the traceback without its numbers and addresses.

    >>> signature("KeyError: 3 at 0x7f00") == signature("KeyError: 14 at 0x8a11")
    True
    """
    return hashlib.sha256(CHANGING.sub("0", trace).encode()).hexdigest()


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
    with database.transaction() as connection:
        return connection.execute(query).scalar_one_or_none() or ""
