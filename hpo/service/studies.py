"""A study's row: submitted, found, opened again and deleted."""

import json
from dataclasses import dataclass
from importlib.metadata import version

import sqlalchemy as sa
from pydantic import ValidationError

from hpo.errors import UnknownStudy, UsageError
from hpo.service.database import Database, now, without_password
from hpo.service.patience import patient
from hpo.service.study_data import StudyData
from hpo.service.tables import data as kept_data
from hpo.service.tables import studies
from hpo.service.taking import AT_WORK
from hpo.spec.answer import Answer, State
from hpo.spec.study import Study

NO_TRIAL = "no trial was completed"  # so begins why such a study failed
ENDED = ("done", "cancelled", "failed")
DELETED = "deleted"  # the state of a study that is not there any more


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


@patient
def find(database: Database, name: str) -> Stored:
    """The study of this name. Raises UnknownStudy, naming those that are there."""
    found = find_or_none(database, name)
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


def find_or_none(database: Database, name: str) -> Stored | None:
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
