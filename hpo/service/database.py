"""One SQL database: opened, its tables made once or upgraded, errors told without passwords."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.sqlite import Insert as SQLiteInsert
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from hpo.errors import DatabaseError
from hpo.service import schema, sqlite
from hpo.service.mishaps import database_error, has_statement
from hpo.service.patience import Patience

CONNECT_TIMEOUT_S = 9  # for each address of the host
SEPARATORS = set(":@/=")  # a text without them is no URL with a password
MOST_IDLE_MS = 8_000  # in a transaction: less than a lease
CONNECTIONS = 2  # a worker works and beats, no more
_TO_POSTGRESQL = {
    "prepare_threshold": None,  # a prepared statement would outlive a pooler's transaction
    "keepalives_idle": 5,  # a server that vanished is noticed within about 10 s
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
INSERTS: dict[str, Callable[[sa.Table], SQLiteInsert | postgresql.Insert]] = {
    "sqlite": SQLiteInsert,
    "postgresql": postgresql.Insert,
}  # those that know what to do where a row of these keys is there already

sqlite.register()


@dataclass(frozen=True)
class Database:
    """An open database: Optuna's storage and the engine that our own tables share with it."""

    url: str = field(repr=False)
    storage: _CachedStorage
    engine: Engine
    patience: Patience = field(default_factory=Patience)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One short transaction. Raises DatabaseError, DatabaseAway for what may pass."""
        with self.translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Statements that read, each for itself, without a transaction. Raises as `transaction`."""
        with self.translated(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Mishaps of the database, met by us or by Optuna, become DatabaseError."""
        with _translated(self.url):
            yield

    def forget(self, optuna_id: int) -> None:
        """Forget this study's trials: SQLite gives the id of a deleted study again.

        Of no other study, whose trials another thread may be reading now.
        """
        kept = self.storage
        with kept._lock:
            kept._studies.pop(optuna_id, None)
            for key in [
                key for key in kept._study_id_and_number_to_trial_id if key[0] == optuna_id
            ]:
                trial_id = kept._study_id_and_number_to_trial_id.pop(key)
                kept._trial_id_to_study_id_and_number.pop(trial_id, None)

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


def open_database(url: str, *, create: bool = True, connections: int = CONNECTIONS) -> Database:
    """Open the database at a SQLAlchemy URL and create what is missing in it.

    As many threads as there are `connections` use it side by side; more of them wait.
    `create=False` refuses a database that has no tables yet instead of making them.
    Raises DatabaseError, without the password: within about 10 s where a server does not answer,
    after a minute where tables are to be made in a SQLite file that another process holds, and with
    a way out for tables of another version.
    """
    parsed = _parse(url)
    if not create:
        _refuse_missing_file(parsed)
    with _translated(url):
        _prepare_tables(parsed, without_password(url), create=create)
        with sqlite.only_looking():
            storage = RDBStorage(
                parsed.render_as_string(hide_password=False),
                engine_kwargs={"pool_size": connections, "max_overflow": 0} | _options(parsed),
                skip_table_creation=True,
                skip_compatibility_check=True,
            )
        storage.engine.dispose()  # Optuna has looked at its tables: by a connection without limit
        sa.event.listen(storage.engine, "connect", _limit_idleness)
    return Database(url=url, storage=_CachedStorage(storage), engine=storage.engine)


def _limit_idleness(driver: Any, _: Any) -> None:
    """Let PostgreSQL end a transaction whose worker has fallen silent in it, with its locks."""
    if hasattr(driver, "autocommit"):
        was, driver.autocommit = driver.autocommit, True
        driver.execute(f"SET idle_in_transaction_session_timeout = {MOST_IDLE_MS}")
        driver.autocommit = was


def upgrade(url: str) -> tuple[str, str]:
    """Bring the tables of an earlier version to this code's: the versions before and after.

    Those who call it at the same moment wait for the first, and find nothing to do. There is no
    way back but a backup. Raises DatabaseError, for tables of a later version too, and where
    another process holds a SQLite file for longer than a minute.
    """
    parsed = _parse(url)
    _refuse_missing_file(parsed)
    with _translated(url), _one_connection(parsed) as connection:
        sqlite.suspend_foreign_keys(connection)  # a table is altered by copying and dropping it
        with connection.begin():
            schema.lock(connection)
            return schema.upgrade(connection, without_password(url))


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
        case "postgresql":
            return _with_driver(parsed, shown=without_password(url))
        case "sqlite" if parsed.database not in (None, "", ":memory:"):
            sqlite.refuse_old_library()
            return parsed.set(drivername=sqlite.DRIVER)
        case "sqlite":
            raise DatabaseError(
                "an SQLite database must be a file", remedy="write sqlite:///FILE.db"
            )
        case other:
            raise DatabaseError(
                f"databases of kind {other!r} are not supported", remedy="use SQLite or PostgreSQL"
            )


def _with_driver(url: URL, *, shown: str) -> URL:
    found = url.set(drivername="postgresql+psycopg")
    try:
        found.get_dialect().import_dbapi()
    except ImportError as error:
        raise DatabaseError(
            f"PostgreSQL's driver cannot be loaded: {error}",
            where=shown,
            remedy='pip install "psycopg[binary]"',
        ) from None
    return found


def _refuse_missing_file(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise _no_database(str(url.database))


def _no_database(where: str) -> DatabaseError:
    return DatabaseError("there is no database here", where=where, remedy="start with hpo run")


def _prepare_tables(url: URL, shown: str, *, create: bool) -> None:
    """See that all tables are there; they are made by one process while others wait."""
    with _one_connection(url) as connection:
        with sqlite.only_looking(), connection.begin():
            if schema.is_whole(connection, shown):
                return
        if not create:
            raise _no_database(shown)
        with connection.begin():
            schema.lock(connection)
            schema.make(connection)


@contextmanager
def _one_connection(url: URL) -> Iterator[Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool, **_options(url))
    with engine.connect() as connection:
        yield connection


def _options(url: URL) -> dict[str, Any]:
    """What SQLAlchemy is told about connections."""
    if url.get_backend_name() == "sqlite":
        return {}
    ours = _TO_POSTGRESQL | {"connect_timeout": CONNECT_TIMEOUT_S}
    unsaid = {key: value for key, value in ours.items() if key not in url.query}
    return {"connect_args": unsaid, "pool_pre_ping": True}  # a restart is survived unnoticed


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        told = database_error(error, make_url(url), without_password(url))
        raise told from error if has_statement(error) else None
