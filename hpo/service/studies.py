"""A study's row: submitted, found, opened again and deleted."""

import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import optuna
import sqlalchemy as sa
from pydantic import ValidationError

from hpo.errors import DatabaseError, StudyConflict, StudyFailed, UnknownStudy, UsageError
from hpo.service.claims import AT_WORK
from hpo.service.database import Database, now, without_password
from hpo.service.patience import patient
from hpo.service.study_data import StudyData
from hpo.service.tables import data as kept_data
from hpo.service.tables import failures, slots, studies
from hpo.spec.answer import Answer, State
from hpo.spec.study import Study

ENDED = ("done", "cancelled", "failed")
DELETED = "deleted"  # the state of a study that is not there any more
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
    created_at: float
    closed_by: str
    benchmark_warnings: tuple[str, ...]
    answer: Answer | None


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What can be told of a study without understanding its values, of whatever version it is."""

    name: str
    optuna_id: int
    state: State
    error: str
    created_at: float


def submit(
    database: Database, study: Study, *, data: StudyData, data_fingerprint: str, engine: str
) -> bool:
    """Write the study with its slots, or find it written: True when it is new.

    A study that failed is opened again. Raises StudyConflict when the name is taken by a study of
    other values or data, naming the differences, and StudyFailed when nothing of a failed study is
    left to be done, or it was cancelled.
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
        _refuse_spent(known, [row.outcome for row in rows if row.kind == "trial"])
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
                .values(state="open", outcome=None, worker=None, expires_at=None, trial=None)
            )
            connection.execute(
                slots.update()
                .where(of_study, slots.c.state != "ended")
                .values(crashes=0, expiries=0)
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


@patient
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


def outline(database: Database, name: str) -> Outline:
    """The outline of a study. Raises UnknownStudy."""
    query = sa.select(
        studies.c.name,
        studies.c.optuna_id,
        studies.c.state,
        sa.func.coalesce(studies.c.error, "").label("error"),
        studies.c.created_at,
    )
    with database.reading() as connection:
        row = connection.execute(query.where(studies.c.name == name)).mappings().first()
    if row is None:
        raise _unknown(database, name)
    return Outline(**row)


@patient
def data_of(database: Database, name: str) -> StudyData:
    """What the database keeps of the study's data. Raises UnknownStudy."""
    with database.reading() as connection:
        query = sa.select(kept_data).where(kept_data.c.study == name)
        row = connection.execute(query).first()
    if row is None:
        raise _unknown(database, name)
    parquet = None if row.parquet is None else bytes(row.parquet)
    return StudyData(parquet=parquet, uri=row.uri, sha256=row.sha256)


@patient
def state(database: Database, name: str) -> str | None:
    """The study's state; None when there is no such study."""
    with database.reading() as connection:
        query = sa.select(studies.c.state).where(studies.c.name == name)
        return connection.execute(query).scalar_one_or_none()


def names(database: Database) -> list[str]:
    """The names of all studies, the newest first."""
    with database.reading() as connection:
        query = sa.select(studies.c.name).order_by(studies.c.created_at.desc())
        return list(connection.execute(query).scalars())


def _find(database: Database, name: str) -> Stored | None:
    with database.reading() as connection:
        query = sa.select(studies).where(studies.c.name == name)
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    versions = json.loads(row["versions"])
    return Stored(
        name=row["name"],
        optuna_id=row["optuna_id"],
        state=row["state"],
        spec=_spec(row["name"], row["spec"], versions),
        fingerprint=row["fingerprint"],
        data_fingerprint=row["data_fingerprint"],
        versions=versions,
        engine=row["engine"],
        error=row["error"] or "",
        created_at=row["created_at"],
        closed_by=row["closed_by"] or "",
        benchmark_warnings=tuple(json.loads(row["benchmark_warnings"] or "[]")),
        answer=Answer.model_validate_json(row["answer"]) if row["answer"] else None,
    )


def _spec(name: str, text: str, versions: dict[str, str]) -> Study:
    try:
        return Study.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(
            f"this hpo {version('hpo')} does not understand the study {name!r}, which hpo"
            f" {versions['hpo']} wrote",
            remedy="use that version",
        ) from error


@patient
def at_work(database: Database, only: str = "") -> list[tuple[str, str]]:
    """Name and engine of the studies that may be worked on, or of `only` this; the oldest first."""
    query = sa.select(studies.c.name, studies.c.engine).where(studies.c.state.in_(AT_WORK))
    if only:
        query = query.where(studies.c.name == only)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(studies.c.created_at)).all()
    return [(row.name, row.engine) for row in rows]


def delete(database: Database, name: str) -> None:
    """Remove the study with all its trials and networks. Raises UnknownStudy.

    Its workers hear that it is cancelled. The study's own row goes last: what was interrupted can
    be asked for again.
    """
    outline(database, name)
    with database.transaction() as connection:
        connection.execute(
            studies.update()
            .where(studies.c.name == name)
            .values(state="cancelled", ended_at=sa.func.coalesce(studies.c.ended_at, now()))
        )
    _delete_trials(database, name)
    with database.transaction() as connection:
        # Slots are locked before the study, as workers do: the other way round is a deadlock.
        of_study = sa.select(slots.c.number).where(slots.c.study == name)
        connection.execute(of_study.order_by(slots.c.number).with_for_update())
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


def ended_before(database: Database, age_s: float) -> list[str]:
    """The names of the studies that ended more than so many seconds ago, the oldest first."""
    query = sa.select(studies.c.name).where(
        studies.c.state.in_(ENDED), studies.c.ended_at < now() - age_s
    )
    with database.reading() as connection:
        return list(connection.execute(query.order_by(studies.c.ended_at)).scalars())


@patient
def seconds_since_start(database: Database, name: str) -> float:
    """Seconds since a worker first took the study up, by the database's clock; 0 if none did."""
    with database.reading() as connection:
        query = sa.select(now() - studies.c.started_at).where(studies.c.name == name)
        return float(connection.execute(query).scalar_one_or_none() or 0.0)
