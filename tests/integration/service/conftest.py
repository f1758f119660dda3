"""Servers that a test may stop, break and start again."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.waiting import eventually

SERVERS_USER = "postgres"  # root may not run a server


def run(command: Sequence[str | Path]) -> None:
    """Run a server's command, as the user that may."""
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", SERVERS_USER, "--", *words]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=60, cwd="/")


def missing(what: str) -> None:
    """Skip, to be seen; in continuous integration everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is not installed")
    pytest.skip(f"{what} is not installed")


def free_port() -> int:
    """A port of this machine that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _servers_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"hpo-{name}-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam(SERVERS_USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    return folder


def _programs() -> Path | None:
    """The folder of the system's newest PostgreSQL, Debian's or any other's."""
    debians = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda p: int(p.parts[4])
    )
    found = str(debians[-1]) if debians else shutil.which("pg_ctl")
    return Path(found).resolve().parent if found else None


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL on a port of its own."""

    programs: Path
    data: Path
    port: int

    @property
    def url(self) -> str:
        """Its administrator's database."""
        return f"postgresql://{SERVERS_USER}@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        """Make its folder, for a port of this machine and without waits for the disk."""
        user = ["-U", SERVERS_USER, "-A", "trust"]
        run([self.programs / "initdb", "-D", self.data, "--no-locale", "-E", "UTF8", *user])
        settings = (
            f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
            f"unix_socket_directories = '{self.data}'\nfsync = off\n"
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(settings)

    def start(self) -> None:
        """Start it and return when it answers."""
        run([self.programs / "pg_ctl", "start", "-w", "-D", self.data, "-l", self.data / "log"])

    def stop(self, mode: str = "fast") -> None:
        """Stop it: smart (waits for clients), fast (cuts them off) or immediate (a crash)."""
        run([self.programs / "pg_ctl", "stop", "-w", "-D", self.data, "-m", mode])

    def is_running(self) -> bool:
        """Whether there is a server process."""
        return (self.data / "postmaster.pid").exists()


@pytest.fixture
def empty_urls(
    request: pytest.FixtureRequest, database_url: str
) -> Iterator[Callable[[int], list[str]]]:
    """So many more empty databases of the same kind."""
    if database_url.startswith("sqlite"):
        yield lambda count: [database_url.replace("hpo.db", f"{n}.db") for n in range(count)]
        return
    server: str = request.getfixturevalue("postgres_server")
    names: list[str] = []

    with psycopg.connect(server, autocommit=True) as connection:

        def make(count: int) -> list[str]:
            names.extend(f"empty_{uuid.uuid4().hex}" for _ in range(count))
            for name in names:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return [server.replace("/postgres?", f"/{name}?") for name in names]

        yield make
        for name in names:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture
def postgres15() -> Iterator[Postgres]:
    """A running PostgreSQL of the system, for this test alone."""
    programs = _programs()
    if programs is None:
        missing("a PostgreSQL server (Debian: postgresql)")
        raise AssertionError
    server = Postgres(programs, _servers_folder("postgres") / "data", free_port())
    try:
        server.make()
        server.start()
        yield server
    finally:
        if server.is_running():
            server.stop("immediate")
        shutil.rmtree(server.data.parent)


@dataclass(frozen=True)
class Bouncer:
    """A pgbouncer before a PostgreSQL: each transaction may meet another connection."""

    url: str
    server: Postgres


@pytest.fixture
def bouncer(postgres15: Postgres) -> Iterator[Bouncer]:
    """A pgbouncer in transaction mode with two connections to its server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing("pgbouncer")
        raise AssertionError
    folder, port = _servers_folder("pgbouncer"), free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n"
        f"postgres = host=127.0.0.1 port={postgres15.port} user={SERVERS_USER}\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
        f"query_wait_timeout = 20\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
    )
    url = f"postgresql://{SERVERS_USER}@127.0.0.1:{port}/postgres"
    try:
        run([program, "-q", "-d", settings])
        eventually(lambda: _answers(url), within_s=10)
        yield Bouncer(url, postgres15)
    finally:
        if (folder / "pid").exists():
            run(["kill", "-INT", (folder / "pid").read_text().strip()])
            eventually(lambda: not (folder / "pid").exists(), within_s=10)
        shutil.rmtree(folder)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
