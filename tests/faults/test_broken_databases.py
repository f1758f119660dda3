"""A database that cannot be used is told at the command line: once, clearly, with exit code 4."""

import errno
import os
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import optuna
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from hpo.service.database import open_database
from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY, write_sales
from tests.integration.service.databases import change, look
from tests.integration.service.released_tables import make_released_tables
from tests.waiting import eventually

SECRET = "wr0ng-secret"
SOURCE = ("sales.csv", *ASKED, *TINY[2:], "--quiet", "--name")
READING: Mapping[str, tuple[str, ...]] = {
    "status": ("status",),
    "answer": ("answer", "told"),
}
WRITING: Mapping[str, tuple[str, ...]] = {
    "run": ("run", *SOURCE, "told", "--trials", "3"),
    "submit": ("submit", *SOURCE, "another"),
    "work": ("work", "--idle-exit", "1"),
    "work, log as json": ("work", "--idle-exit", "1"),
    "pause": ("pause", "told"),
}
KEEPING: Mapping[str, tuple[str, ...]] = {
    "upgrade": ("db", "upgrade"),
    "prune": ("db", "prune", "--older", "0d"),
}
COMMANDS = {**READING, **WRITING, **KEEPING}
ENDS_WITHIN_S = 60.0  # a server that does not answer has 10 s; the rest is for slow machines


@dataclass(frozen=True, kw_only=True)
class Unprivileged(Cli):
    """`hpo` for which a file's mode counts, also where root runs it."""

    def argv(self, *words: str | Path) -> list[str]:
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
        return [*drop, *super().argv(*words)]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def all_at_once(cli: Cli, commands: Mapping[str, tuple[str, ...]]) -> dict[str, Ended]:
    """How each of these commands ends; they run side by side."""
    running = {
        name: cli.start(*words, env={"HPO_LOG": "json" if "json" in name else "text"})
        for name, words in commands.items()
    }
    return {name: end_of(one) for name, one in running.items()}


def end_of(command: subprocess.Popen[str]) -> Ended:
    """How it ends by itself."""
    with command:
        try:
            out, err = command.communicate(timeout=ENDS_WITHIN_S)
        finally:
            command.kill()
    return Ended(command.returncode, out, err)


def refuse_unclear(ended: Mapping[str, Ended], *, says: str) -> None:
    """Each ended with 4 and a message, told once by each process, no traceback and no password."""
    for name, one in ended.items():
        told = re.findall("^hpo: |takes no more work", one.err, re.MULTILINE)
        assert (name, one.code, len(told) - len(set(told))) == (name, 4, 0), one
        assert told, one
        assert re.search(says, one.err), one
        assert "Traceback" not in one.err + one.out
        assert SECRET not in one.err + one.out


@pytest.fixture
def guarded(postgres_server: str) -> Iterator[str]:
    """A server whose user must give a password, and gives a wrong one."""
    user = f"ann_{uuid.uuid4().hex}"
    name = sql.Identifier(user)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'right'").format(name))
        [(rules,)] = connection.execute("SHOW hba_file").fetchall()
        before = Path(rules).read_text()
        Path(rules).write_text(f"local all {user} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        parsed = sa.make_url(postgres_server).set(username=user, password=SECRET)
        yield parsed.render_as_string(hide_password=False)
        Path(rules).write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


@pytest.fixture
def unknown_host() -> str:
    return f"postgresql://ann:{SECRET}@no-such-host.invalid/hpo"


@pytest.fixture
def closed_port() -> str:
    return f"postgresql://ann:{SECRET}@127.0.0.1:1/hpo"


@pytest.fixture
def silent_host() -> Iterator[str]:
    """A host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"postgresql://ann:{SECRET}@127.0.0.1:{server.getsockname()[1]}/hpo"


@pytest.fixture
def no_database(tmp_path: Path) -> str:
    (tmp_path / "notes.txt").write_text("no database, but a text\n" * 100)
    return f"sqlite:///{tmp_path / 'notes.txt'}"


@pytest.fixture
def cut_short(sqlite_url: str, tmp_path: Path) -> str:
    """A database of which a copy was interrupted."""
    open_database(sqlite_url).close()
    file = tmp_path / "hpo.db"
    file.write_bytes(file.read_bytes()[:6_000])
    return sqlite_url


@pytest.fixture
def from_the_future(database_url: str) -> str:
    """Tables that a later hpo has made."""
    open_database(database_url).close()
    change(database_url, "UPDATE hpo_version SET version_num = '9999'")
    return database_url


@pytest.fixture
def from_the_past(database_url: str) -> str:
    """Tables that hpo 0.1.0 has made."""
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": sa.NullPool}).remove_session()
    make_released_tables(database_url)
    return database_url


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("guarded", r"refuses this login: .*password authentication failed.*; check user"),
        ("unknown_host", r"cannot be reached: .*no-such-host.*; check that it runs"),
        ("closed_port", r"cannot be reached: .*refused.*; check that it runs"),
        ("silent_host", r"cannot be reached: .*timeout.*; check that it runs"),
        ("no_database", r"not a sound SQLite database: .*notes\.txt.*; name another file"),
        ("cut_short", r"not a sound SQLite database: .*malformed.*; name another file"),
    ],
)
def test_every_command_says_once_what_is_wrong_and_ends_with_four(
    request: pytest.FixtureRequest, tmp_path: Path, broken: str, says: str
) -> None:
    cli = Cli(folder=tmp_path, storage=request.getfixturevalue(broken))
    write_sales(tmp_path)
    refuse_unclear(all_at_once(cli, COMMANDS), says=says)


def test_tables_of_the_future_are_refused_with_the_advice_to_use_a_newer_hpo(
    from_the_future: str, tmp_path: Path
) -> None:
    cli = Cli(folder=tmp_path, storage=from_the_future)
    write_sales(tmp_path)
    says = "hpo's tables are of version 9999, .*; use a newer hpo"
    refuse_unclear(all_at_once(cli, COMMANDS), says=says)


def test_tables_of_the_past_are_refused_with_the_command_that_upgrades_them(
    from_the_past: str, tmp_path: Path
) -> None:
    cli = Cli(folder=tmp_path, storage=from_the_past)
    write_sales(tmp_path)
    refused = {name: words for name, words in COMMANDS.items() if name != "upgrade"}
    refuse_unclear(all_at_once(cli, refused), says=r"hpo's tables .*; run hpo db upgrade --storage")
    assert cli("db", "upgrade").returncode == 0
    assert cli("submit", *SOURCE, "another").returncode == 0


@pytest.fixture
def submitted(tmp_path: Path) -> Cli:
    """The study `told`, waiting in a SQLite file, and an `hpo` without a superuser's rights."""
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        refuse_to_skip("setpriv (of util-linux) is not installed")
    folder = tmp_path / "kept"
    folder.mkdir()
    write_sales(tmp_path)
    cli = Unprivileged(folder=tmp_path, storage=f"sqlite:///{folder / 'hpo.db'}")
    assert cli("submit", *SOURCE, "told", "--trials", "3").returncode == 0
    assert [path.name for path in folder.iterdir()] == ["hpo.db"]
    return cli


def refuse_to_skip(reason: str) -> None:
    """Skip, to be seen; in continuous integration everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def test_a_file_that_may_only_be_read_is_told_by_what_writes_and_read_by_what_reads(
    submitted: Cli, tmp_path: Path
) -> None:
    (tmp_path / "kept" / "hpo.db").chmod(0o444)
    refuse_unclear(all_at_once(submitted, WRITING), says="cannot be written: .*; give this user")
    for name, one in all_at_once(submitted, READING).items():
        assert (name, one.code, one.err) == (name, 0, "")


def test_a_folder_that_may_only_be_read_is_told(submitted: Cli, tmp_path: Path) -> None:
    (tmp_path / "kept").chmod(0o555)
    says = "cannot be (opened or made|written): .*; (check the path|give this user)"
    refuse_unclear(all_at_once(submitted, COMMANDS), says=says)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        refuse_to_skip(f"a small disk cannot be mounted: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on the disk; the file that takes it."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file, pytest.raises(OSError, match="space") as full:
        fill_up(file)
    assert full.value.errno == errno.ENOSPC
    return ballast


def fill_up(file: BinaryIO) -> None:
    """Write until there is no room."""
    while True:
        file.write(bytes(4_096))


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_study_that_a_full_disk_ended_goes_on_when_there_is_room(
    disk: Path, tmp_path: Path, form: str
) -> None:
    cli = Cli(folder=tmp_path, storage=f"sqlite:///{disk / 'hpo.db'}")
    write_sales(tmp_path)
    words = ("run", *SOURCE, "told", "--trials", "40", "--sampler", "tpe")
    running = cli.start(*words, env={"HPO_LOG": form})
    try:
        eventually(lambda: networks(disk) > 2, within_s=60)
        ballast = fill(disk)
    except BaseException:
        running.kill()
        raise
    ended = end_of(running)
    refuse_unclear({"run": ended}, says="takes no more work: the disk is full: .*; make room on it")
    ballast.unlink()
    again = cli(*words)
    assert again.returncode == 0, again.stderr
    of_trials = "FROM hpo_slot WHERE kind = 'trial' AND state = 'ended'"
    assert look(cli.storage, f"SELECT count(*) {of_trials}") == [(40,)]
    assert look(cli.storage, f"SELECT count(DISTINCT trial) {of_trials}") == [(40,)]


def networks(disk: Path) -> int:
    """How many networks are recorded."""
    url = f"sqlite:///{disk / 'hpo.db'}"
    try:
        return int(look(url, "SELECT count(*) FROM hpo_network")[0][0])
    except sa.exc.OperationalError:  # no table yet
        return 0
