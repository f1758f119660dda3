"""Who works on what: slots are taken, held by a lease, and settled or released.

A claim is one short transaction: a slot, a lease and a fencing token. Leases end by the database's
clock. Whoever lost the lease finds that its token is not the latest and records nothing.
"""

from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpo.service.database import Database, now
from hpo.service.tables import slots, studies, workers

LEASE_S = 10.0
Kind = Literal["benchmark", "trial", "verdict"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to a slot.

    `trial` is Optuna's number once the slot has one; `deaths` counts the workers that let the
    slot's lease run out before.
    """

    study: str
    number: int
    kind: Kind
    token: int
    worker: str
    trial: int | None
    deaths: int


class LeaseLost(Exception):
    """Another worker has taken the slot over; nothing of this work may be recorded."""


def take(database: Database, study: str, worker: str) -> Claim | None:
    """The first slot that may be worked on now, or None.

    The benchmarks come before the trials, the verdict after all of them.
    """
    with database.transaction() as connection:
        row = connection.execute(_next_slot(study)).mappings().first()
        if row is None or (row["kind"] == "verdict" and _is_unfinished(connection, row)):
            return None
        token = row["token"] + 1
        deaths = row["deaths"] + (row["state"] == "taken")
        connection.execute(
            slots.update()
            .where(slots.c.study == study, slots.c.number == row["number"])
            .values(
                state="taken",
                worker=worker,
                token=token,
                deaths=deaths,
                expires_at=now() + LEASE_S,
            )
        )
    return Claim(
        study=study,
        number=row["number"],
        kind=row["kind"],
        token=token,
        worker=worker,
        trial=row["trial"],
        deaths=deaths,
    )


def _next_slot(study: str) -> sa.Select[Any]:
    benchmark_runs = (
        sa.select(sa.literal(1))
        .where(slots.c.study == study, slots.c.kind == "benchmark", slots.c.state != "ended")
        .correlate(None)
        .exists()
    )
    return (
        sa.select(slots)
        .where(
            slots.c.study == study,
            sa.or_(
                slots.c.state == "open",
                sa.and_(slots.c.state == "taken", slots.c.expires_at < now()),
            ),
            sa.or_(slots.c.kind == "benchmark", sa.not_(benchmark_runs)),
        )
        .order_by(slots.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


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


def bind(database: Database, claim: Claim, trial: int) -> None:
    """Give the slot its trial's number. Raises LeaseLost."""
    _update_held(database, claim, trial=trial)


def settle(
    database: Database,
    claim: Claim,
    outcome: str,
    *,
    score: float | None = None,
    reason: str = "",
    **study_values: Any,
) -> None:
    """End the slot, and set values of the study's row in the same transaction. Raises LeaseLost."""
    with database.transaction() as connection:
        held(connection, claim)
        connection.execute(
            slots.update()
            .where(slots.c.study == claim.study, slots.c.number == claim.number)
            .values(state="ended", outcome=outcome, score=score, reason=reason, expires_at=None)
        )
        if study_values:
            connection.execute(
                studies.update().where(studies.c.name == claim.study).values(**study_values)
            )


def release(database: Database, claim: Claim) -> bool:
    """Give the slot back for another worker; False, and nothing happens, if it was taken over."""
    with database.transaction() as connection:
        released = connection.execute(
            slots.update()
            .where(*_is_held(claim))
            .values(state="open", worker=None, expires_at=None)
        )
    return released.rowcount == 1


def beat(
    database: Database, worker: str, study: str, claim: Claim | None = None
) -> tuple[str | None, bool]:
    """Say that the worker lives and extend its lease, if it has one.

    Returns the study's state (None: deleted) and whether the claim is still held.
    """
    held_still = True
    with database.transaction() as connection:
        if claim is not None:
            extended = connection.execute(
                slots.update().where(*_is_held(claim)).values(expires_at=now() + LEASE_S)
            )
            held_still = extended.rowcount == 1
        connection.execute(workers.update().where(workers.c.id == worker).values(last_beat=now()))
        state = connection.execute(
            sa.select(studies.c.state).where(studies.c.name == study)
        ).scalar_one_or_none()
    return state, held_still


def held(connection: Connection, claim: Claim) -> None:
    """Lock the claim's slot for the rest of this transaction. Raises LeaseLost."""
    mine = sa.select(slots.c.number).where(*_is_held(claim)).with_for_update()
    if connection.execute(mine).first() is None:
        raise LeaseLost(f"slot {claim.number} of {claim.study}")


def _is_held(claim: Claim) -> tuple[Any, ...]:
    return (
        slots.c.study == claim.study,
        slots.c.number == claim.number,
        slots.c.token == claim.token,
        slots.c.state == "taken",
    )


def _update_held(database: Database, claim: Claim, **values: Any) -> None:
    with database.transaction() as connection:
        held(connection, claim)
        connection.execute(
            slots.update()
            .where(slots.c.study == claim.study, slots.c.number == claim.number)
            .values(**values)
        )
