"""One SQL database: opened, its tables created once, errors told without passwords."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hpo.errors import DatabaseError
from hpo.service import sqlite
from hpo.service.tables import SCHEMA_VERSION, metadata, schema

CONNECT_TIMEOUT_S = 10
SEPARATORS = set(":@/=")  # a text without them is no URL with a password
MOST_ATTEMPTS = 50
SCHEMA_LOCK = 0x68706F  # "hpo": the key of PostgreSQL's advisory lock around table creation

sqlite.register()


@dataclass(frozen=True)
class Database:
    """An open database: Optuna's storage and the engine that our own tables share with it."""

    url: str
    storage: BaseStorage
    engine: Engine

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One short transaction. Raises DatabaseError."""
        with self.translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Mishaps of the database, met by us or by Optuna, become DatabaseError."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            raise _database_error(error, self.url) from error

    def close(self) -> None:
        """Give all connections back."""
        self.storage.remove_session()
        self.engine.dispose()


class now(FunctionElement[float]):  # noqa: N801  a SQL function
    """The database's clock: seconds since 1970, the only clock that leases go by."""

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


def open_database(url: str, *, create: bool = True) -> Database:
    """Open the database at a SQLAlchemy URL and create what is missing in it.

    `create=False` refuses an SQLite file that is not there instead of making one.
    Raises DatabaseError, without the password, within about 10 s.
    """
    parsed = _parse(url)
    if not create:
        _refuse_missing_file(parsed)
    try:
        storage = _open_storage(parsed)
    except (SQLAlchemyError, StorageInternalError) as error:
        raise _database_error(error, url) from error
    database = Database(url=url, storage=_CachedStorage(storage), engine=storage.engine)
    try:
        _check_version(database)
    except BaseException:
        database.close()
        raise
    return database


def without_password(url: str) -> str:
    """The URL as it may be shown.

    >>> without_password("postgresql://ann:secret@db/hpo")
    'postgresql://ann:***@db/hpo'
    >>> without_password("postgresql://db/hpo?password=secret")
    'postgresql://db/hpo?password=%2A%2A%2A'
    >>> without_password("postgresql://ann:se@cret:word@db/hpo")  # what is its password?
    '***'
    """
    parsed = _split(url)
    if parsed is None:
        return "***" if set(url) & SEPARATORS else url
    secret = {key: "***" for key in parsed.query if "password" in key}
    return parsed.update_query_dict(secret).render_as_string(hide_password=True)


def _split(url: str) -> URL | None:
    """The parts of a URL; None when it has no such parts, or a password may be in the wrong one."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        return None
    is_file = parsed.get_backend_name() == "sqlite"
    is_misread = "@" in f"{parsed.host or ''}{parsed.database or ''}"
    return None if is_misread and not is_file else parsed


def _parse(url: str) -> URL:
    parsed = _split(url)
    if parsed is None:
        raise DatabaseError(
            f"{without_password(url)!r} is not a database URL",
            remedy="write sqlite:///FILE.db or postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with"
            " a number as PORT and special characters of the password escaped (@ as %40, / as %2F)",
        )
    match parsed.get_backend_name():
        case "sqlite" if parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername=sqlite.DRIVER)
        case "postgresql":
            return parsed.set(drivername="postgresql+psycopg")
        case "sqlite":
            raise DatabaseError(
                "an SQLite database must be a file", remedy="write sqlite:///FILE.db"
            )
        case other:
            raise DatabaseError(
                f"databases of kind {other!r} are not supported", remedy="use SQLite or PostgreSQL"
            )


def _refuse_missing_file(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise DatabaseError(
            "there is no database here", where=str(url.database), remedy="start with hpo run"
        )


def _open_storage(url: URL) -> RDBStorage:
    """Optuna's storage on tables that are all there; its engine is shared with our own tables."""
    if url.get_backend_name() == "sqlite":
        # Optuna's own checks open two connections at once, which BEGIN IMMEDIATE would block.
        _create_tables(url, url.set(drivername="sqlite"), {})
        return _storage(url, skip_compatibility_check=True)
    options = {"connect_args": {"connect_timeout": CONNECT_TIMEOUT_S}}
    with _schema_lock(url, options):
        _create_tables(url, url, options)
    return _storage(url, engine_kwargs=options | {"pool_pre_ping": True, "pool_size": 2})


def _storage(url: URL, **options: Any) -> RDBStorage:
    text = url.render_as_string(hide_password=False)
    return RDBStorage(text, skip_table_creation=True, **options)


def _create_tables(url: URL, optunas_url: URL, options: dict[str, Any]) -> None:
    """Optuna's tables (checked when they are there), then ours with the row that says so.

    Processes that start together on SQLite may lose a race for a table: they look again.
    """
    for attempt in range(MOST_ATTEMPTS):
        try:
            text = optunas_url.render_as_string(hide_password=False)
            RDBStorage(text, engine_kwargs={"poolclass": sa.NullPool, **options}).remove_session()
            with sa.create_engine(url, poolclass=sa.NullPool, **options).begin() as connection:
                if not sa.inspect(connection).has_table(schema.name):
                    metadata.create_all(connection)
                    connection.execute(schema.insert().values(version=SCHEMA_VERSION))
            return
        except (SQLAlchemyError, StorageInternalError) as error:
            if attempt == MOST_ATTEMPTS - 1 or not _is_lost_race(error):
                raise
            time.sleep(random.uniform(0.05, 0.2))


def _is_lost_race(error: BaseException) -> bool:
    said = str(_cause(error)).lower()
    return any(w in said for w in ("already exists", "unique", "locked", "schema has changed"))


def _cause(error: BaseException) -> BaseException:
    """What the driver said, without the statement that SQLAlchemy adds."""
    source = error.__cause__ if isinstance(error, StorageInternalError) else error
    return getattr(source, "orig", None) or source or error


@contextmanager
def _schema_lock(url: URL, options: dict[str, Any]) -> Iterator[None]:
    with sa.create_engine(url, poolclass=sa.NullPool, **options).begin() as connection:
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})
        yield


def _check_version(database: Database) -> None:
    with database.transaction() as connection:
        version = connection.execute(sa.select(schema.c.version)).scalar_one()
    if version != SCHEMA_VERSION:
        raise DatabaseError(
            f"its tables are of version {version}, this hpo knows version {SCHEMA_VERSION}",
            where=without_password(database.url),
            remedy="use the hpo that made it, or another database",
        )


def _database_error(error: Exception, url: str) -> DatabaseError:
    parsed = make_url(url)
    said = " ".join(str(_cause(error)).split())
    secret = [v for key, v in parsed.normalized_query.items() if "password" in key]
    for password in (parsed.password, *chain.from_iterable(secret)):
        if password:
            said = said.replace(str(password), "***")
    return DatabaseError(
        f"the database cannot be used: {said}",
        where=without_password(url),
        remedy="check the URL and that the server runs or the file can be written",
    )
