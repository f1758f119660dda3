"""SQLite, opened so that many processes can write to it: each transaction locks before it reads,
but for those that only look.

With the driver's own deferred transactions two processes that read and then write deadlock, and
`SELECT ... FOR UPDATE` does nothing. As a SQLAlchemy dialect the rule holds for every engine on
such a URL, Optuna's too.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import stamina
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import Connection

from hpo.errors import DatabaseError

BUSY_TIMEOUT_S = 60.0
OLDEST = (3, 35)  # that tells the ids of rows which it inserts
DRIVER = "sqlite+immediate"
_only_looks = ContextVar("only_looks", default=False)


class ImmediateSQLite(SQLiteDialect_pysqlite):
    """pysqlite with BEGIN IMMEDIATE (see `only_looking`), write-ahead logging, a busy timeout."""

    supports_statement_cache = True
    driver = "immediate"

    def on_connect(self) -> Callable[[Any], None]:
        inherited = super().on_connect()

        def prepare(connection: Any) -> None:
            if inherited is not None:
                inherited(connection)
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1_000:.0f}")
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")

        return prepare

    def do_begin(self, dbapi_connection: Any) -> None:
        if dbapi_connection.isolation_level is None:
            dbapi_connection.execute("BEGIN" if _only_looks.get() else "BEGIN IMMEDIATE")

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """AUTOCOMMIT: reads that lock nothing; the driver would itself begin before a write."""
        dbapi_connection.isolation_level = "DEFERRED" if level == "AUTOCOMMIT" else None

    def reset_isolation_level(self, dbapi_conn: Any) -> None:
        dbapi_conn.isolation_level = None


@contextmanager
def only_looking() -> Iterator[None]:
    """Transactions that do not write, and so wait for no one that does."""
    before = _only_looks.set(True)
    try:
        yield
    finally:
        _only_looks.reset(before)


def refuse_old_library() -> None:
    """Raise DatabaseError if Python's SQLite cannot do what is asked of it."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise DatabaseError(
            f"SQLite {sqlite3.sqlite_version} is too old",
            remedy=f"use a Python with SQLite {'.'.join(map(str, OLDEST))} or later, or PostgreSQL",
        )


def suspend_foreign_keys(connection: Connection) -> None:
    """Let a table be dropped and made anew without its dependants; before a transaction only."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys = OFF")


@stamina.retry(
    on=lambda error: getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY,
    attempts=None,
    timeout=BUSY_TIMEOUT_S,
    wait_initial=0.01,
    wait_jitter=0.05,
    wait_max=0.1,
)
def _write_ahead(connection: Any) -> None:
    """Keep a write-ahead log; the busy timeout leaves out this switch, which a new file sees."""
    connection.execute("PRAGMA journal_mode = WAL")


def register() -> None:
    """Make `sqlite+immediate://` URLs known to SQLAlchemy."""
    registry.register("sqlite.immediate", __name__, "ImmediateSQLite")
