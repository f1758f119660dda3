"""A study's row: submitted, found, followed, closed and deleted."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import optuna
import sqlalchemy as sa

from hpo.errors import DatabaseError, StudyConflict, StudyFailed, UnknownStudy
from hpo.service.database import Database, now, without_password
from hpo.service.tables import slots, studies
from hpo.spec.answer import Answer, State
from hpo.spec.study import Study

ENDED = ("done", "cancelled", "failed")
DELETED = "deleted"  # what progress calls the state of a study that is not there any more
MOST_DELETIONS = 10
VERSIONED = ("hpo", "optuna", "torch", "statsforecast", "numpy")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A study as the database has it; `engine` is the policy of `training.engine`."""

    name: str
    optuna_id: int
    state: State
    spec: Study
    fingerprint: str
    data_fingerprint: str
    versions: dict[str, str]
    engine: str
    error: str
    timed_out: bool
    benchmark_warnings: tuple[str, ...]
    answer: Answer | None


def submit(
    database: Database, study: Study, *, data_parquet: bytes, data_fingerprint: str, engine: str
) -> bool:
    """Write the study with its slots, or find it written: True when it is new.

    A study that failed is opened again. Raises StudyConflict when the name is taken by a study of
    other values or data, naming the differences, and StudyFailed when nothing of a failed study is
    left to be done.
    """
    known = _find(database, study.name)
    if known is not None:
        _refuse_difference(known, study, data_fingerprint)
        _reopen(database, known)
        return False
    optuna_id, is_foreign = _optuna_study(database, study.name)
    if is_foreign and _find(database, study.name) is None:
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
        "data_parquet": data_parquet,
        "versions": json.dumps({name: version(name) for name in VERSIONED}),
        "engine": engine,
        "created_at": now(),
    }
    try:
        with database.transaction() as connection:
            connection.execute(studies.insert().values(row))
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
    """Let a failed study go on: what a time limit skipped is open again, and so is the verdict."""
    if known.state != "failed":
        return
    of_study = slots.c.study == known.name
    skipped = sa.and_(slots.c.kind == "trial", slots.c.outcome == "skipped")
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        rows = connection.execute(sa.select(slots).where(of_study).with_for_update()).all()
        _refuse_spent(known, [row.outcome for row in rows if row.kind == "trial"])
        reopened = connection.execute(
            studies.update()
            .where(studies.c.name == known.name, studies.c.state == "failed")
            .values(state="queued", error=None, failures=0, ended_at=None, timed_out=0)
        )
        if reopened.rowcount:  # else another submit was faster
            connection.execute(
                slots.update()
                .where(of_study, sa.or_(skipped, slots.c.kind == "verdict"))
                .values(state="open", outcome=None, worker=None, expires_at=None)
            )


def _refuse_spent(known: Stored, outcomes: list[str | None]) -> None:
    """Raise StudyFailed when every trial was tried and none is complete: it would fail again."""
    if not set(outcomes) <= {"pruned", "infeasible"}:
        return
    raise StudyFailed(
        f"the study {known.name!r} failed with all of its {len(outcomes)} trials tried:"
        f" {known.error}",
        remedy=f"remove it with: hpo delete {known.name}, or choose another --name with more"
        " --trials or lower learning rates",
    )


def find(database: Database, name: str) -> Stored:
    """The study of this name. Raises UnknownStudy, naming those that are there."""
    found = _find(database, name)
    if found is None:
        raise _unknown(database, name)
    return found


def _unknown(database: Database, name: str) -> UnknownStudy:
    there = names(database)
    listed = f"there are: {', '.join(there[:10])}" if there else "there are none yet"
    return UnknownStudy(f"no study {name!r}", where=without_password(database.url), remedy=listed)


def state(database: Database, name: str) -> str | None:
    """The study's state; None when there is no such study."""
    with database.transaction() as connection:
        query = sa.select(studies.c.state).where(studies.c.name == name)
        return connection.execute(query).scalar_one_or_none()


def names(database: Database) -> list[str]:
    """The names of all studies, the newest first."""
    with database.transaction() as connection:
        query = sa.select(studies.c.name).order_by(studies.c.created_at.desc())
        return list(connection.execute(query).scalars())


def data_of(database: Database, name: str) -> bytes:
    """The study's data as Parquet. Raises UnknownStudy."""
    with database.transaction() as connection:
        query = sa.select(studies.c.data_parquet).where(studies.c.name == name)
        data = connection.execute(query).scalar_one_or_none()
    if data is None:
        raise _unknown(database, name)
    return bytes(data)


def _find(database: Database, name: str) -> Stored | None:
    light = (column for column in studies.c if column.name != "data_parquet")
    with database.transaction() as connection:
        query = sa.select(*light).where(studies.c.name == name)
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Stored(
        name=row["name"],
        optuna_id=row["optuna_id"],
        state=row["state"],
        spec=Study.model_validate_json(row["spec"]),
        fingerprint=row["fingerprint"],
        data_fingerprint=row["data_fingerprint"],
        versions=json.loads(row["versions"]),
        engine=row["engine"],
        error=row["error"] or "",
        timed_out=bool(row["timed_out"]),
        benchmark_warnings=tuple(json.loads(row["benchmark_warnings"] or "[]")),
        answer=Answer.model_validate_json(row["answer"]) if row["answer"] else None,
    )


def start(database: Database, name: str) -> None:
    """A worker begins: a queued study is running from now on."""
    with database.transaction() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.name == name, studies.c.state == "queued")
            .values(state="running", started_at=sa.func.coalesce(studies.c.started_at, now()))
        )


def close_budget(database: Database, name: str) -> int:
    """Let nothing new begin: slots of trials that no one works on end as skipped; returns how many.

    What runs is finished, then the verdict is made on what there is: where no trial is complete
    or runs, the first one is left open.
    """
    of_trials = (slots.c.study == name, slots.c.kind == "trial")
    some = sa.select(slots.c.number).where(
        *of_trials, sa.or_(slots.c.state == "taken", slots.c.outcome == "complete")
    )
    first = sa.select(sa.func.min(slots.c.number)).where(*of_trials, slots.c.state == "open")
    with database.transaction() as connection:
        has_some = connection.execute(some.limit(1)).first() is not None
        kept = -1 if has_some else connection.execute(first).scalar_one_or_none()
        closed = connection.execute(
            slots.update()
            .where(*of_trials, slots.c.state == "open", slots.c.number != kept)
            .values(state="ended", outcome="skipped")
        )
        connection.execute(
            studies.update()
            .where(studies.c.name == name, studies.c.state.in_(("queued", "running")))
            .values(state="stopping", timed_out=1)
        )
    return closed.rowcount


def fail(database: Database, name: str, error: str) -> None:
    """The study ends without an answer; one that has ended stays as it is."""
    with database.transaction() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.name == name, studies.c.state.not_in(ENDED))
            .values(state="failed", error=error, ended_at=now())
        )


def count_failure(database: Database, name: str) -> int:
    """One more unexpected failure in this study; returns how many there were."""
    with database.transaction() as connection:
        connection.execute(
            studies.update().where(studies.c.name == name).values(failures=studies.c.failures + 1)
        )
        query = sa.select(studies.c.failures).where(studies.c.name == name)
        return int(connection.execute(query).scalar_one_or_none() or 0)


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is cancelled. The study's own row goes last: what was interrupted can
    be asked for again.
    """
    find(database, name)
    with database.transaction() as connection:
        connection.execute(studies.update().where(studies.c.name == name).values(state="cancelled"))
    _delete_trials(database, name)
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        connection.execute(sa.select(slots.c.number).where(slots.c.study == name).with_for_update())
        connection.execute(studies.delete().where(studies.c.name == name))


def _delete_trials(database: Database, name: str) -> None:
    """Remove Optuna's study, again if a worker that had not heard yet added a trial meanwhile."""
    with database.translated():
        for _ in range(MOST_DELETIONS):
            try:
                optuna.delete_study(study_name=name, storage=database.storage)
            except KeyError:  # it is gone
                return
    raise DatabaseError(
        f"the trials of {name!r} cannot be removed while workers add to them",
        where=without_password(database.url),
        remedy="stop the workers, then delete again",
    )


def seconds_since_start(database: Database, name: str) -> float:
    """Seconds since a worker first took the study up, by the database's clock."""
    with database.transaction() as connection:
        query = sa.select(now() - studies.c.started_at).where(studies.c.name == name)
        return float(connection.execute(query).scalar_one() or 0.0)
