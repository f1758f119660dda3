"""Databases as tests see them: opened, looked at and changed past hpo, used by many at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from hpo.service.database import Database, open_database


@contextmanager
def opened(url: str, *, create: bool = True) -> Iterator[Database]:
    """A database, open for the length of a `with`."""
    database = open_database(url, create=create)
    try:
        yield database
    finally:
        database.close()


def change(url: str, statement: str, **values: Any) -> None:
    """Run a statement past hpo."""
    with plain_engine(url).begin() as connection:
        connection.execute(sa.text(statement), values)


def look(url: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Rows as they are now, seen by a reader that waits for no lock."""
    with plain_engine(url).connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query), values)]


def values(url: str, table: str, column: str) -> list[Any]:
    """A column as it is now."""
    query: sa.Select[Any] = sa.select(sa.column(column)).select_from(sa.table(table))
    with plain_engine(url).connect() as connection:
        return list(connection.execute(query).scalars())


def plain_engine(url: str) -> sa.Engine:
    """The database without what hpo says about connections to it."""
    psycopg = url.replace("postgresql://", "postgresql+psycopg://")
    return sa.create_engine(psycopg, poolclass=sa.NullPool)


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0) ... work(count - 1)` return, or raise, when they begin at one moment."""
    found: list[Any] = [None] * count
    together = threading.Barrier(count)

    def run(place: int) -> None:
        together.wait()
        try:
            found[place] = work(place)
        except Exception as error:  # noqa: BLE001  looked at by the test
            found[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
