"""What a driver's error means: whether it may pass by itself, and what would be right."""

import re
import sqlite3
from dataclasses import dataclass
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus

from optuna.exceptions import StorageInternalError
from sqlalchemy import exc
from sqlalchemy.engine import URL

from hpo.errors import DatabaseAway, DatabaseError


@dataclass(frozen=True)
class Mishap:
    """A kind of error: of the class that says whether it may pass, with its words."""

    kind: type[DatabaseError]
    problem: str
    remedy: str


UNREACHABLE = Mishap(
    DatabaseAway, "the server cannot be reached", "check that it runs, its host and its port"
)
OVERLOADED = Mishap(
    DatabaseAway,
    "the server has no room",
    "give it more connections, memory or disk, or start fewer workers",
)
CONTENDED = Mishap(
    DatabaseAway, "the database is held by others", "try again, or start fewer workers"
)
LOGIN = Mishap(
    DatabaseError, "the server refuses this login", "check user and password, and its pg_hba.conf"
)
NO_DATABASE = Mishap(
    DatabaseError,
    "the server has no such database",
    "create it, or check the end of the URL",
)
NO_RIGHT = Mishap(
    DatabaseError,
    "this user may not do that",
    "make the user the owner of the database, or grant it CREATE on the schema",
)
INSECURE = Mishap(
    DatabaseError,
    "no secure connection can be made",
    "check sslmode and the certificates in the URL",
)
READ_ONLY = Mishap(
    DatabaseError, "the database cannot be written", "give this user the right to write"
)
FULL = Mishap(DatabaseError, "the disk is full", "make room on it, then start again")
NO_FILE = Mishap(
    DatabaseError,
    "the file cannot be opened or made",
    "check the path, that its folder exists and that this user may write there",
)
NOT_SQLITE = Mishap(
    DatabaseError, "the file is not a sound SQLite database", "name another file, or restore it"
)
UNREADABLE = Mishap(
    DatabaseError, "the file cannot be read or written", "check its disk, then start again"
)
UNEXPECTED = Mishap(
    DatabaseError, "the database cannot be used", "check the URL and what the database says"
)

_BY_SQLSTATE = {  # the longest beginning that fits
    "08": UNREACHABLE,
    "25006": READ_ONLY,
    "28": LOGIN,
    "25P03": UNREACHABLE,  # it was silent in a transaction for too long
    "3D": NO_DATABASE,
    "40001": CONTENDED,
    "40P01": CONTENDED,
    "42501": NO_RIGHT,
    "53": OVERLOADED,
    "55P03": CONTENDED,
    "57P01": UNREACHABLE,
    "57P02": UNREACHABLE,
    "57P03": UNREACHABLE,
    "57P04": NO_DATABASE,
    "57P05": UNREACHABLE,
}
_BY_SQLITE_CODE = {
    sqlite3.SQLITE_BUSY: CONTENDED,
    sqlite3.SQLITE_LOCKED: CONTENDED,
    sqlite3.SQLITE_PROTOCOL: CONTENDED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_CANTOPEN: NO_FILE,
    sqlite3.SQLITE_NOTADB: NOT_SQLITE,
    sqlite3.SQLITE_CORRUPT: NOT_SQLITE,
    sqlite3.SQLITE_IOERR: UNREADABLE,
}
# A refused connection has no SQLSTATE, only the server's words.
_BY_WORDS = {
    r"too many (clients|connections)|connection slots|no more connections": OVERLOADED,
    r"authentication failed|pg_hba\.conf|role .* does not exist|no password supplied"
    r"|no such user|permission denied": LOGIN,
    r"database .* does not exist|no such database": NO_DATABASE,
    r"does not support ssl|certificate|ssl error": INSECURE,
}


def mishap_of(error: exc.SQLAlchemyError) -> Mishap:
    """The kind of an error; what nobody foresaw does not pass by itself."""
    said: Any = getattr(error, "orig", None)
    if state := getattr(said, "sqlstate", None):
        fitting = [beginning for beginning in _BY_SQLSTATE if state.startswith(beginning)]
        return _BY_SQLSTATE[max(fitting, key=len)] if fitting else UNEXPECTED
    if code := getattr(said, "sqlite_errorcode", None):
        return _BY_SQLITE_CODE.get(code & 0xFF, UNEXPECTED)  # the rest of the code is detail
    match error:
        case exc.TimeoutError():
            return CONTENDED  # by this process' own threads
        case exc.OperationalError() | exc.InterfaceError():
            return _of_connection(str(said).lower())
        case exc.DBAPIError(connection_invalidated=True) | exc.PendingRollbackError():
            return UNREACHABLE  # Optuna asks again on a connection that it has lost
        case _:
            return UNEXPECTED


def _of_connection(words: str) -> Mishap:
    fitting = (mishap for pattern, mishap in _BY_WORDS.items() if re.search(pattern, words))
    return next(fitting, UNREACHABLE)


def database_error(
    error: exc.SQLAlchemyError | StorageInternalError, url: URL, shown_url: str
) -> DatabaseError:
    """The error as it is raised: what, where, what would be right, and no password."""
    met = error.__cause__ if isinstance(error, StorageInternalError) else error
    if not isinstance(met, exc.SQLAlchemyError):
        met = exc.SQLAlchemyError(str(met or error))
    mishap = mishap_of(met)
    said = " ".join(str(getattr(met, "orig", None) or met).split())
    return mishap.kind(
        f"{mishap.problem}: {_without_secrets(said, url)}", where=shown_url, remedy=mishap.remedy
    )


def has_statement(error: exc.SQLAlchemyError | StorageInternalError) -> bool:
    """Whether a statement failed. If not, it was a connection, whose errors may tell passwords."""
    met = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(met, exc.StatementError) and met.statement is not None


def _without_secrets(text: str, url: URL) -> str:
    by_query = [values for key, values in url.normalized_query.items() if "password" in key]
    for secret in filter(None, map(str, chain([url.password or ""], *by_query))):
        for written in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(written, "***")
    return text
