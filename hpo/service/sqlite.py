"""SQLite, opened so that many processes can write to it: each transaction locks before it reads.

With the driver's own deferred transactions two processes that read and then write deadlock, and
`SELECT ... FOR UPDATE` does nothing. As a SQLAlchemy dialect the rule holds for every engine on
such a URL, Optuna's too.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

BUSY_TIMEOUT_MS = 60_000
DRIVER = "sqlite+immediate"


class ImmediateSQLite(SQLiteDialect_pysqlite):
    """pysqlite with BEGIN IMMEDIATE, write-ahead logging and a busy timeout."""

    supports_statement_cache = True
    driver = "immediate"

    def on_connect(self) -> Callable[[Any], None]:
        inherited = super().on_connect()

        def prepare(connection: Any) -> None:
            if inherited is not None:
                inherited(connection)
            connection.isolation_level = None  # we say BEGIN ourselves
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA foreign_keys = ON")

        return prepare

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.execute("BEGIN IMMEDIATE")


def register() -> None:
    """Make `sqlite+immediate://` URLs known to SQLAlchemy."""
    registry.register("sqlite.immediate", __name__, "ImmediateSQLite")
