"""Claims: slots that were taken are held by a lease, and settled or released.

Leases end by the database's clock. Whoever lost the lease finds that its token is not the latest
and records nothing. Trials may be taken several at once: such a batch is extended together and lost
together. What may be taken, and by whom, is told in `taking`.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.tables import checkpoints, slots, studies, workers

LEASE_S = 10.0
SILENCE_S = 3 * LEASE_S  # a worker that was silent for longer is taken for dead
Kind = Literal["benchmark", "trial", "verdict"]
_EACH_SLOT = slots.update().where(  # of a list of rows that name them
    slots.c.study == sa.bindparam("of_study"), slots.c.number == sa.bindparam("slot")
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to a slot.

    `trial` is Optuna's number once the slot has one; `expiries` counts the leases of this slot
    that ran out, `crashes` the training processes that died of it. `created_at` tells the study
    from an earlier one of its name.
    """

    study: str
    created_at: float
    number: int
    kind: Kind
    token: int
    worker: str
    trial: int | None
    expiries: int
    crashes: int


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """How a slot ends."""

    claim: Claim
    outcome: str
    score: float | None = None
    reason: str = ""


class Beat(NamedTuple):
    """What a beat heard: the state of the claims' study (None: deleted, or no claims at all).

    And whether all claims are still held, and the worker is known to the database.
    """

    state: str | None
    are_held: bool
    is_known: bool


class Slot(NamedTuple):
    """What a worker finds of a slot that it has claimed: its trial's number, how it ended."""

    trial: int | None
    outcome: str | None
    score: float | None
    reason: str | None


class LeaseLost(Exception):
    """Another worker has taken a slot over; nothing of this work may be recorded."""


def bind(connection: Connection, trials: Sequence[tuple[Claim, int]]) -> None:
    """Give slots that are held the numbers of their trials, as a part of a transaction."""
    connection.execute(
        _EACH_SLOT.values(trial=sa.bindparam("made")),
        [{"of_study": c.study, "slot": c.number, "made": trial} for c, trial in trials],
    )


@patient
def settle(database: Database, settlements: Sequence[Settlement], **study_values: Any) -> None:
    """End slots, and set values of the study's row in the same transaction. Raises LeaseLost.

    To settle once more what was settled under the same claims does nothing: a connection may have
    been lost after the commit.
    """
    with database.transaction() as connection:
        if not settled(connection, [settlement.claim for settlement in settlements]):
            settle_within(connection, settlements, **study_values)


def settle_within(
    connection: Connection,
    settlements: Sequence[Settlement],
    *,
    forget: Sequence[int] = (),
    **study_values: Any,
) -> None:
    """`settle` as a part of a transaction that has locked the slots.

    `forget`: the trials whose halted trainings are not needed any more (all with the verdict).
    """
    study, is_verdict = settlements[0].claim.study, settlements[0].claim.kind == "verdict"
    connection.execute(
        _EACH_SLOT.values(
            state="ended",
            expires_at=None,
            outcome=sa.bindparam("ending"),
            score=sa.bindparam("scored"),
            reason=sa.bindparam("because"),
        ),
        [_ending(settlement) for settlement in settlements],
    )
    if forget or is_verdict:
        _forget(connection, study, None if is_verdict else forget)
    if study_values:
        _set(connection, study, study_values)


def _set(connection: Connection, study: str, values: dict[str, Any]) -> None:
    """Set values of a study that has not ended. Raises LeaseLost if it was, in the meantime."""
    has_not = (studies.c.name == study, studies.c.ended_at.is_(None))
    if not connection.execute(studies.update().where(*has_not).values(**values)).rowcount:
        raise LeaseLost(f"{study} has ended")


def _forget(connection: Connection, study: str, trials: Sequence[int] | None) -> None:
    of_trials = sa.true() if trials is None else checkpoints.c.trial.in_(trials)
    connection.execute(checkpoints.delete().where(checkpoints.c.study == study, of_trials))


def _ending(settlement: Settlement) -> dict[str, object]:
    return {
        "of_study": settlement.claim.study,
        "slot": settlement.claim.number,
        "ending": settlement.outcome,
        "scored": settlement.score,
        "because": settlement.reason,
    }


def settled(connection: Connection, claims: Sequence[Claim]) -> list[Settlement]:
    """How these claims ended their slots; nothing where they hold them: then they are locked.

    Raises LeaseLost.
    """
    found = _lock(connection, claims, ("taken", "ended"))
    _refuse_missing(claims, found)
    both = [(claim, found[claim.number]) for claim in claims]
    return [
        Settlement(claim=claim, outcome=slot.outcome, score=slot.score, reason=slot.reason or "")
        for claim, slot in both
        if slot.outcome is not None
    ]


@patient
def release(database: Database, claims: Sequence[Claim], *, crashed: bool = False) -> bool:
    """Give slots back for other workers; False, and nothing happens, if all were taken over.

    With `crashed` it is remembered that a training process died while it worked on them.
    """
    with database.transaction() as connection:
        return give_back(connection, claims, crashed=crashed)


def give_back(connection: Connection, claims: Sequence[Claim], *, crashed: bool = False) -> bool:
    """`release` as a part of a transaction."""
    still = _lock(connection, claims)
    if still:
        connection.execute(
            slots.update()
            .where(slots.c.study == claims[0].study, slots.c.number.in_(sorted(still)))
            .values(
                state="open",
                worker=None,
                expires_at=None,
                crashes=slots.c.crashes + (1 if crashed else 0),
            )
        )
    return bool(still)


def beat(database: Database, worker: str, state: str, claims: Sequence[Claim] = ()) -> Beat:
    """Say that the worker lives, in this `state`, and extend its leases, if all are held."""
    with database.transaction() as connection:
        still = _lock(connection, claims)
        if still and len(still) == len(claims):
            connection.execute(
                slots.update()
                .where(slots.c.study == claims[0].study, slots.c.number.in_(sorted(still)))
                .values(expires_at=now() + LEASE_S)
            )
        listed = connection.execute(
            workers.update().where(workers.c.id == worker).values(last_beat=now(), state=state)
        )
        found = None
        if claims:
            query = sa.select(studies.c.state).where(studies.c.name == claims[0].study)
            found = connection.execute(query).scalar_one_or_none()
    return Beat(state=found, are_held=len(still) == len(claims), is_known=listed.rowcount > 0)


def held(connection: Connection, claims: Sequence[Claim]) -> dict[int, int]:
    """Lock the claims' slots for the rest of this transaction; the trials of those that have one.

    Raises LeaseLost if one is lost.
    """
    found = _lock(connection, claims)
    _refuse_missing(claims, found)
    return {number: slot.trial for number, slot in found.items() if slot.trial is not None}


def _refuse_missing(claims: Sequence[Claim], found: Container[int]) -> None:
    for claim in claims:
        if claim.number not in found:
            raise LeaseLost(f"slot {claim.number} of {claim.study}")


def _lock(
    connection: Connection, claims: Sequence[Claim], states: Sequence[str] = ("taken",)
) -> dict[int, Slot]:
    """Lock the slots of those claims that still stand, in order; what is found of them."""
    if not claims:
        return {}
    tokens = [(claim.number, claim.token) for claim in claims]
    mine = (
        sa.select(slots.c.number, *(slots.c[name] for name in Slot._fields))
        .where(
            slots.c.study == claims[0].study,
            slots.c.state.in_(states),
            sa.exists().where(  # not of a later study of this name, whose tokens begin again
                studies.c.name == slots.c.study, studies.c.created_at == claims[0].created_at
            ),
            sa.or_(*(sa.and_(slots.c.number == n, slots.c.token == t) for n, t in tokens)),
        )
        .order_by(slots.c.number)  # two that lock the same batch in another order wait for ever
        .with_for_update()
    )
    return {number: Slot(*of_slot) for number, *of_slot in connection.execute(mine)}
