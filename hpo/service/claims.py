"""Who works on what: slots are taken, held by a lease, and settled or released.

A claim is one short transaction: a slot, a lease and a fencing token. Leases end by the database's
clock. Whoever lost the lease finds that its token is not the latest and records nothing.
Trials may be taken several at once: such a batch is extended together and lost together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from hpo.service.database import Database, now
from hpo.service.tables import slots, studies, workers

LEASE_S = 10.0
SILENCE_S = 3 * LEASE_S  # a worker that was silent for longer is taken for dead
Kind = Literal["benchmark", "trial", "verdict"]
_EACH_SLOT = slots.update().where(  # of a list of rows that name them
    slots.c.study == sa.bindparam("of_study"), slots.c.number == sa.bindparam("slot")
)


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


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """How a slot ends."""

    claim: Claim
    outcome: str
    score: float | None = None
    reason: str = ""


class LeaseLost(Exception):
    """Another worker has taken a slot over; nothing of this work may be recorded."""


def take(database: Database, study: str, worker: str, *, most: int = 1) -> list[Claim]:
    """The first slots that may be worked on now, at most so many, in one transaction.

    The benchmarks come before the trials, the verdict after all of them: each is taken alone. So
    is a slot whose worker died: a trial that kills its worker cannot condemn its neighbours. Once
    the study has met an unexpected error, slots that were taken before come alone too, and last.
    The workers that live share the open trials: none takes so many that another has to idle.
    """
    with database.transaction() as connection:
        rows = _together(connection.execute(_next_slots(study, worker, most)).mappings().all())
        if not rows or (rows[0]["kind"] == "verdict" and _is_unfinished(connection, rows[0])):
            return []
        was_taken = sa.case((slots.c.state == "taken", 1), else_=0)
        connection.execute(
            slots.update()
            .where(slots.c.study == study, slots.c.number.in_([row["number"] for row in rows]))
            .values(
                state="taken",
                worker=worker,
                token=slots.c.token + 1,
                deaths=slots.c.deaths + was_taken,
                expires_at=now() + LEASE_S,
            )
        )
    return [
        Claim(
            study=study,
            number=row["number"],
            kind=row["kind"],
            token=row["token"] + 1,
            worker=worker,
            trial=row["trial"],
            deaths=_deaths(row),
        )
        for row in rows
    ]


def _deaths(row: RowMapping) -> int:
    return int(row["deaths"]) + int(row["state"] == "taken")


def _together(rows: Sequence[RowMapping]) -> list[RowMapping]:
    """The first row, with those after it, up to a fair share, if all may be worked on together."""

    def is_sound(row: RowMapping) -> bool:
        is_suspect = row["failures"] and row["token"]
        return row["kind"] == "trial" and not _deaths(row) and not is_suspect

    sound = list(takewhile(is_sound, rows))
    return sound[: max(1, rows[0]["share"])] if sound else list(rows[:1])


def _next_slots(study: str, worker: str, most: int) -> sa.Select[Any]:
    benchmark_runs = (
        sa.select(sa.literal(1))
        .where(slots.c.study == study, slots.c.kind == "benchmark", slots.c.state != "ended")
        .correlate(None)
        .exists()
    )
    failures = sa.select(studies.c.failures).where(studies.c.name == study).scalar_subquery()
    return (
        sa.select(slots, failures.label("failures"), _share(study, worker).label("share"))
        .where(
            slots.c.study == study,
            sa.or_(
                slots.c.state == "open",
                sa.and_(slots.c.state == "taken", slots.c.expires_at < now()),
            ),
            sa.or_(slots.c.kind == "benchmark", sa.not_(benchmark_runs)),
        )
        .order_by(
            slots.c.kind,  # benchmark, trial, verdict: as the alphabet has it
            sa.case((failures > 0, slots.c.token), else_=0),
            slots.c.number,
        )
        .limit(most)
        .with_for_update(skip_locked=True)
    )


def _share(study: str, worker: str) -> sa.ColumnElement[int]:
    """The study's open trials / its workers that live, this one among them, rounded up."""
    open_trials = (
        sa.select(sa.func.count())
        .select_from(slots)
        .where(slots.c.study == study, slots.c.kind == "trial", slots.c.state == "open")
        .correlate(None)
        .scalar_subquery()
    )
    others = (
        sa.select(sa.func.count())
        .select_from(workers)
        .where(
            workers.c.study == study,
            workers.c.id != worker,
            workers.c.last_beat > now() - SILENCE_S,
        )
        .scalar_subquery()
    )
    return (open_trials + others) // (others + 1)


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


def bind(database: Database, trials: Sequence[tuple[Claim, int]]) -> None:
    """Give slots their trials' numbers. Raises LeaseLost."""
    with database.transaction() as connection:
        held(connection, [claim for claim, _ in trials])
        connection.execute(
            _EACH_SLOT.values(trial=sa.bindparam("made")),
            [{"of_study": c.study, "slot": c.number, "made": trial} for c, trial in trials],
        )


def settle(database: Database, settlements: Sequence[Settlement], **study_values: Any) -> None:
    """End slots, and set values of the study's row in the same transaction. Raises LeaseLost."""
    claims = [settlement.claim for settlement in settlements]
    with database.transaction() as connection:
        held(connection, claims)
        connection.execute(
            _EACH_SLOT.values(
                state="ended",
                expires_at=None,
                outcome=sa.bindparam("ending"),
                score=sa.bindparam("scored"),
                reason=sa.bindparam("because"),
            ),
            [
                {
                    "of_study": s.claim.study,
                    "slot": s.claim.number,
                    "ending": s.outcome,
                    "scored": s.score,
                    "because": s.reason,
                }
                for s in settlements
            ],
        )
        if study_values:
            connection.execute(
                studies.update().where(studies.c.name == claims[0].study).values(**study_values)
            )


def release(database: Database, claims: Sequence[Claim]) -> bool:
    """Give slots back for other workers; False, and nothing happens, if all were taken over."""
    with database.transaction() as connection:
        still = _lock(connection, claims)
        if still:
            connection.execute(
                slots.update()
                .where(slots.c.study == claims[0].study, slots.c.number.in_(sorted(still)))
                .values(state="open", worker=None, expires_at=None)
            )
    return bool(still)


def beat(
    database: Database, worker: str, study: str, claims: Sequence[Claim] = ()
) -> tuple[str | None, bool]:
    """Say that the worker lives and extend its leases, if it has any and all are held.

    Returns the study's state (None: deleted) and whether all claims are still held.
    """
    with database.transaction() as connection:
        still = _lock(connection, claims)
        if still and len(still) == len(claims):
            connection.execute(
                slots.update()
                .where(slots.c.study == study, slots.c.number.in_(sorted(still)))
                .values(expires_at=now() + LEASE_S)
            )
        connection.execute(workers.update().where(workers.c.id == worker).values(last_beat=now()))
        state = connection.execute(
            sa.select(studies.c.state).where(studies.c.name == study)
        ).scalar_one_or_none()
    return state, len(still) == len(claims)


def held(connection: Connection, claims: Sequence[Claim]) -> None:
    """Lock the claims' slots for the rest of this transaction. Raises LeaseLost if one is lost."""
    still = _lock(connection, claims)
    for claim in claims:
        if claim.number not in still:
            raise LeaseLost(f"slot {claim.number} of {claim.study}")


def _lock(connection: Connection, claims: Sequence[Claim]) -> set[int]:
    """Lock the slots of those claims that still stand, in order; their numbers."""
    if not claims:
        return set()
    tokens = [(claim.number, claim.token) for claim in claims]
    mine = (
        sa.select(slots.c.number)
        .where(
            slots.c.study == claims[0].study,
            slots.c.state == "taken",
            sa.or_(*(sa.and_(slots.c.number == n, slots.c.token == t) for n, t in tokens)),
        )
        .order_by(slots.c.number)  # two that lock the same batch in another order wait for ever
        .with_for_update()
    )
    return set(connection.execute(mine).scalars())
