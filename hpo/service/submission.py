"""A study is written to the database, found written, or opened again."""

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import optuna
import sqlalchemy as sa

from hpo.errors import DatabaseError, StudyConflict, StudyFailed
from hpo.service.database import Database, now, without_password
from hpo.service.studies import NO_TRIAL, Stored, find, find_or_none
from hpo.service.study_data import StudyData
from hpo.service.tables import data as kept_data
from hpo.service.tables import failures, slots, studies
from hpo.spec.study import Study

VERSIONED = ("hpo", "optuna", "torch", "statsforecast", "numpy")


def submit(
    database: Database, study: Study, *, data: StudyData, data_fingerprint: str, engine: str
) -> bool:
    """Write the study with its slots, or find it written: True when it is new.

    A study that failed is opened again. Raises StudyConflict when the name is taken by a study of
    other values or data, naming the differences, and StudyFailed when nothing of a failed study is
    left to be done, or it was cancelled.
    """
    known = find_or_none(database, study.name)
    if known is not None:
        _refuse_difference(known, study, data_fingerprint)
        _reopen(database, known)
        return False
    optuna_id, is_foreign = _optuna_study(database, study.name)
    if is_foreign and find_or_none(database, study.name) is None:
        raise StudyConflict(
            f"the name {study.name!r} is taken by a study of Optuna's that hpo did not make",
            where=without_password(database.url),
            remedy="choose another --name",
        )
    row = {
        "name": study.name,
        "optuna_id": optuna_id,
        "state": "queued",
        "spec": study.model_dump_json(),
        "fingerprint": study.fingerprint(),
        "data_fingerprint": data_fingerprint,
        "versions": json.dumps({name: version(name) for name in VERSIONED}),
        "engine": engine,
        "created_at": now(),
    }
    try:
        with database.transaction() as connection:
            connection.execute(studies.insert().values(row))
            connection.execute(kept_data.insert().values(study=study.name, **asdict(data)))
            connection.execute(slots.insert(), _slots(study))
    except DatabaseError as error:
        if isinstance(error.__cause__, sa.exc.IntegrityError):  # another submit was faster
            _refuse_difference(find(database, study.name), study, data_fingerprint)
            return False
        raise
    return True


def _slots(study: Study) -> list[dict[str, Any]]:
    trials = study.budget.trials
    kinds = ["benchmark"] + ["trial"] * trials + ["verdict"]
    return [
        {"study": study.name, "number": number, "kind": kind} for number, kind in enumerate(kinds)
    ]


def _optuna_study(database: Database, name: str) -> tuple[int, bool]:
    """The id of Optuna's study of this name, made if need be, and whether it has trials."""
    with database.translated():
        made = optuna.create_study(
            storage=database.storage, study_name=name, direction="minimize", load_if_exists=True
        )
        return made._study_id, bool(made.trials)


def _refuse_difference(known: Stored, study: Study, data_fingerprint: str) -> None:
    differences = study.differences(known.spec)
    if known.data_fingerprint != data_fingerprint:
        differences.append("the data themselves have changed")
    if differences:
        raise StudyConflict(
            f"the study {study.name!r} exists with other values: " + "; ".join(differences),
            remedy=f"choose another --name, or remove it with: hpo delete {study.name}",
        )


def _reopen(database: Database, known: Stored) -> None:
    """Let a failed study go on: what was skipped is open again, and so is the verdict."""
    if known.state == "cancelled":
        raise StudyFailed(
            f"the study {known.name!r} was cancelled",
            remedy=f"remove it with: hpo delete {known.name}, or choose another --name",
        )
    if known.state != "failed":
        return
    of_study = slots.c.study == known.name
    skipped = sa.and_(slots.c.kind == "trial", slots.c.outcome == "skipped")
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        locked = sa.select(slots).where(of_study).order_by(slots.c.number).with_for_update()
        rows = connection.execute(locked).all()
        _refuse_spent(known, {row.outcome for row in rows if row.kind == "trial"})
        reopened = connection.execute(
            studies.update()
            .where(studies.c.name == known.name, studies.c.state == "failed")
            .values(state="queued", error=None, ended_at=None, closed_by=None)
        )
        if reopened.rowcount:  # else another submit was faster
            connection.execute(failures.delete().where(failures.c.study == known.name))
            connection.execute(
                slots.update()
                .where(of_study, sa.or_(skipped, slots.c.kind == "verdict"))
                .values(state="open", outcome=None, worker=None, expires_at=None)
            )
            connection.execute(
                slots.update()
                .where(of_study, slots.c.state != "ended")
                .values(crashes=0, expiries=0)
            )


def _refuse_spent(known: Stored, outcomes: set[str | None]) -> None:
    """Raise StudyFailed when all was tried and no trial is complete: it would fail again.

    A ladder that ended by itself has tried all that it would; what it left was skipped.
    """
    ladder_ended = known.spec.search.sampler == "ladder" and not known.closed_by
    tried = {"pruned", "infeasible"}
    if ladder_ended and known.error.startswith(NO_TRIAL):
        tried.add("skipped")
    if not outcomes <= tried:
        return
    raise StudyFailed(
        f"the study {known.name!r} failed with all that it would try: {known.error}",
        remedy=f"remove it with: hpo delete {known.name}, or choose another --name with more"
        " --trials or lower learning rates",
    )
