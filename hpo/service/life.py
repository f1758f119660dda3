"""The life of a study: queued, running, paused, stopping, and then done, cancelled or failed.

What changes the state is one transaction each; workers read it with every claim and every beat.
"""

from collections.abc import Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hpo.errors import UnknownStudy, UsageError
from hpo.service.claims import Claim, give_back
from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.studies import ENDED, outline
from hpo.service.tables import checkpoints, slots, studies
from hpo.service.trial_rows import fail_running
from hpo.spec.answer import State

FROM: dict[State, tuple[State, ...]] = {  # the states that each may follow
    "paused": ("queued", "running"),
    "stopping": ("queued", "running", "paused"),
    "cancelled": ("queued", "running", "paused", "stopping"),
    "failed": ("queued", "running", "paused", "stopping"),
}
BY_HAND, BY_TIME = "stop", "time limit"


def pause(database: Database, name: str) -> None:
    """Begin nothing new; what runs goes on. Raises UnknownStudy, UsageError."""
    outline(database, name)
    with database.transaction() as connection:
        _move(connection, name, "paused")


def resume(database: Database, name: str) -> None:
    """Let a paused study go on. Raises UnknownStudy, UsageError."""
    stored = outline(database, name)
    has_begun = studies.c.started_at.is_not(None)
    with database.transaction() as connection:
        resumed = connection.execute(
            studies.update()
            .where(studies.c.name == name, studies.c.state == "paused")
            .values(state=sa.case((has_begun, "running"), else_="queued"))
        )
    if not resumed.rowcount and stored.state not in ("queued", "running"):
        raise UsageError(f"{name} is {stored.state}", remedy="only a paused study can be resumed")


def stop(database: Database, name: str, *, by: str = BY_HAND) -> int:
    """Let nothing new begin: slots of trials that no one works on end as skipped; returns how many.

    What runs is finished, then the verdict is made on what there is: where no trial is complete
    or runs, the first one is left open. Raises UnknownStudy, UsageError.
    """
    outline(database, name)
    of_trials = (slots.c.study == name, slots.c.kind == "trial")
    some = sa.select(slots.c.number).where(
        *of_trials, sa.or_(slots.c.state == "taken", slots.c.outcome == "complete")
    )
    waiting = sa.select(slots.c.number).where(*of_trials, slots.c.state == "open")
    with database.transaction() as connection:
        first = connection.execute(waiting.order_by(slots.c.number).with_for_update()).scalar()
        kept = None if connection.execute(some.limit(1)).first() else first
        closed = connection.execute(
            slots.update()
            .where(*of_trials, slots.c.state == "open", slots.c.number != (kept or -1))
            .values(state="ended", outcome="skipped")
        )
        _move(connection, name, "stopping", closed_by=by)
    return closed.rowcount


@patient
def end_search(database: Database, claims: Sequence[Claim]) -> int:
    """Nothing is left to be tried: these slots, and the open ones, end as skipped; how many.

    Trials that run are finished, then the verdict is made. Raises nothing for claims that are lost.
    """
    of_trials = (slots.c.study == claims[0].study, slots.c.kind == "trial", slots.c.state == "open")
    with database.transaction() as connection:
        give_back(connection, claims)
        connection.execute(
            sa.select(slots.c.number).where(*of_trials).order_by(slots.c.number).with_for_update()
        ).all()
        closed = connection.execute(
            slots.update().where(*of_trials).values(state="ended", outcome="skipped")
        )
    return closed.rowcount


def cancel(database: Database, name: str) -> None:
    """End the study now, without a verdict; what was recorded is kept.

    Raises UnknownStudy, UsageError.
    """
    outline(database, name)
    with database.transaction() as connection:
        _move(connection, name, "cancelled", ended_at=now())
        with suppress(UnknownStudy):  # somebody has deleted Optuna's half
            fail_running(connection, name)
    with database.transaction() as connection:  # a verdict locks these before the study's row
        connection.execute(checkpoints.delete().where(checkpoints.c.study == name))


@patient
def fail(database: Database, name: str, error: str, *, claims: Sequence[Claim] = ()) -> bool:
    """The study ends without an answer; one that has ended stays as it is: then False.

    `claims` are given back; if all were taken over, nothing happens: False.
    """
    with database.transaction() as connection:
        if claims and not give_back(connection, claims):
            return False
        return fail_within(connection, name, error)


def fail_within(connection: Connection, name: str, error: str) -> bool:
    """`fail` as a part of a transaction."""
    return _try(connection, name, "failed", error=error, ended_at=now())


def _move(connection: Connection, name: str, state: State, **values: object) -> None:
    """Change the state, or raise UsageError; a study that is in that state already stays so."""
    if _try(connection, name, state, **values):
        return
    query = sa.select(studies.c.state).where(studies.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    if found != state:
        listed = ", ".join(FROM[state])
        raise UsageError(
            f"{name} is {found} and cannot become {state}",
            remedy="it has ended" if found in ENDED else f"only from {listed}",
        )


def _try(connection: Connection, name: str, state: State, **values: object) -> bool:
    changed = connection.execute(
        studies.update()
        .where(studies.c.name == name, studies.c.state.in_(FROM[state]))
        .values(state=state, **values)
    )
    return bool(changed.rowcount)
