"""Light processes that do one thing at one moment; forked from a server that imported once."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import Any

from hpo.service.database import open_database, upgrade
from hpo.service.taking import take

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [__name__, "alembic.command", "alembic.migration", "sqlalchemy.dialects.postgresql.psycopg"]
)


def in_processes(count: int, work: Callable[..., None], *arguments: Any) -> list[int | None]:
    """The exit codes of processes that call `work(place, barrier, *arguments)`."""
    together = FORKS.Barrier(count)
    processes = [
        FORKS.Process(target=work, args=(place, together, *arguments)) for place in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def open_each(_place: int, together: Any, urls: Sequence[str]) -> None:
    """Open one database after the other, each with all others at one moment."""
    for url in urls:
        together.wait(60)
        open_database(url).close()


def upgrade_once(_place: int, together: Any, url: str) -> None:
    """Upgrade the database, all at one moment."""
    together.wait(60)
    upgrade(url)


def open_once(_place: int, together: Any, url: str) -> None:
    """Open the database, all at one moment."""
    together.wait(60)
    open_database(url).close()


def take_all(place: int, together: Any, url: str, name: str, taken: Any) -> None:
    """Take slots until none is left and put their numbers on the queue."""
    database = open_database(url)
    together.wait(60)
    found = []
    while claims := take(database, name, f"worker-{place}", most=1 + place):
        found += [claim.number for claim in claims]
    taken.put(found)
    database.close()
