"""Opening a database: created once, refused with a reason."""

import socket
import sqlite3
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from optuna.study import StudyDirection
from psycopg import sql

from hpo.errors import DatabaseAway, DatabaseError
from hpo.service import database as module
from hpo.service import sqlite, studies
from hpo.service.database import Database, open_database, without_password
from tests.integration.service.databases import change, in_threads, look, opened, plain_engine
from tests.integration.service.stage import end, first_trial, submit
from tests.integration.service.together import in_processes, open_each


def test_sixteen_processes_that_open_an_empty_database_at_once_make_its_tables_once(
    empty_urls: Callable[[int], list[str]],
) -> None:
    urls = empty_urls(20)  # a race shows now and then
    assert in_processes(16, open_each, urls) == [0] * 16
    for url in urls:
        assert look(url, "SELECT count(*) FROM hpo_version") == [(1,)]
        assert look(url, "SELECT count(*) FROM alembic_version") == [(1,)]
        assert look(url, "SELECT count(*) FROM version_info") == [(1,)]


def test_a_sqlite_library_that_is_too_old_is_refused(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")
    with pytest.raises(DatabaseError, match=r"SQLite 3\.34\.1 is too old") as refused:
        open_database(sqlite_url)
    assert "3.35" in str(refused.value.remedy)


def test_the_databases_clock_counts_seconds_since_1970(database_url: str) -> None:
    with opened(database_url) as database, database.transaction() as connection:
        assert connection.execute(sa.select(module.now())).scalar_one() == pytest.approx(
            time.time(), abs=5
        )


def test_what_was_opened_once_is_opened_again(database_url: str) -> None:
    open_database(database_url).close()
    with opened(database_url, create=False) as database:
        assert database.url == database_url


def told(error: BaseException) -> str:
    """All that a traceback would print of it, chained errors included."""
    return "".join(traceback.format_exception(error))


@pytest.fixture
def guarded_url(postgres_server: str) -> Iterator[str]:
    """A server's URL whose user must give a password, and gives a wrong one."""
    user = f"ann_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'right'").format(sql.Identifier(user))
        )
        row = connection.execute("SHOW hba_file").fetchone()
        assert row is not None
        rules = Path(row[0])
        before = rules.read_text()
        rules.write_text(f"local all {user} scram-sha-256\n{before}")
        connection.execute("SELECT pg_reload_conf()")
        parsed = sa.make_url(postgres_server).set(username=user, password="wr0ng-secret")
        yield parsed.render_as_string(hide_password=False)
        rules.write_text(before)
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


def test_a_wrong_password_is_refused_without_being_printed(guarded_url: str) -> None:
    with pytest.raises(DatabaseError, match="password authentication failed") as caught:
        open_database(guarded_url)
    assert type(caught.value) is DatabaseError
    assert "wr0ng-secret" not in told(caught.value)
    assert "***" in caught.value.where


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:wr0ng-secret@127.0.0.1:1/hpo",
        "postgresql://127.0.0.1:1/hpo?user=ann&password=wr0ng-secret",
        "postgresql://ann:wr0ng-secret@no-such-host.invalid/hpo",
    ],
)
def test_a_server_that_is_not_there_may_come_and_no_password_is_told(url: str) -> None:
    with pytest.raises(DatabaseAway, match="cannot be reached") as caught:
        open_database(url)
    assert "wr0ng-secret" not in told(caught.value)
    assert caught.value.exit_code == 4


def test_an_option_that_does_not_exist_is_told_without_the_password() -> None:
    url = "postgresql://127.0.0.1:1/hpo?usr=ann&password=wr0ng-secret"
    with pytest.raises(DatabaseError, match="usr") as caught:
        open_database(url)
    assert "wr0ng-secret" not in told(caught.value)


def test_a_host_that_never_answers_is_given_up_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(DatabaseAway, match="timeout"):
            open_database(f"postgresql://ann:secret@127.0.0.1:{port}/hpo")
    assert 1 < time.monotonic() - started < 10


def test_the_url_may_say_how_long_to_wait_for_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(DatabaseAway, match="timeout"):
            open_database(f"postgresql://ann@127.0.0.1:{port}/hpo?connect_timeout=2")
    assert time.monotonic() - started < 8


def test_a_database_that_the_server_does_not_have_is_told(postgres_server: str) -> None:
    with pytest.raises(DatabaseError, match="no such database") as caught:
        open_database(postgres_server.replace("/postgres?", "/nowhere?"))
    assert type(caught.value) is DatabaseError


def test_a_server_with_too_many_clients_may_have_room_later(
    postgres_server: str, postgres_url: str
) -> None:
    user = f"ann_{uuid.uuid4().hex}"
    parsed = sa.make_url(postgres_url).set(username=user)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        name = sql.Identifier(user)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN CONNECTION LIMIT 0").format(name))
        with pytest.raises(DatabaseAway, match="too many connections"):
            open_database(parsed.render_as_string(hide_password=False))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def test_a_user_without_rights_is_told_so(postgres_server: str, postgres_url: str) -> None:
    user = f"ann_{uuid.uuid4().hex}"
    parsed = sa.make_url(postgres_url).set(username=user)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        name = sql.Identifier(user)
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        with pytest.raises(DatabaseError, match="may not do that") as caught:
            open_database(parsed.render_as_string(hide_password=False))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))
    assert type(caught.value) is DatabaseError


def test_a_missing_driver_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://ann:wr0ng-secret@127.0.0.1:1/hpo"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        DatabaseError, match=r"driver cannot be loaded.*psycopg\[binary\]"
    ) as caught:
        open_database(url)
    assert "wr0ng-secret" not in told(caught.value)


@pytest.fixture
def read_only_url(database_url: str) -> str:
    """A database with its tables, in which nothing may be written."""
    open_database(database_url).close()
    if database_url.startswith("sqlite"):
        return database_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    [(name,)] = look(database_url, "SELECT current_database()")
    change(database_url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    return database_url


def test_a_database_that_may_only_be_read_is_told(read_only_url: str) -> None:
    with pytest.raises(DatabaseError, match="cannot be written") as caught:
        begin_study(read_only_url)
    assert type(caught.value) is DatabaseError


def begin_study(url: str) -> None:
    """Open the database and let Optuna write into it."""
    with opened(url) as database, database.translated():
        database.storage.create_new_study([StudyDirection.MINIMIZE])


def test_a_full_disk_is_told(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        with pytest.raises(DatabaseError, match="the disk is full") as caught:
            run(database, "PRAGMA max_page_count = 1", "CREATE TABLE x AS SELECT randomblob(99999)")
        assert type(caught.value) is DatabaseError
        assert "make room" in caught.value.remedy


def run(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""
    with database.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_file_that_others_keep_locked_may_be_free_later(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database(sqlite_url).close()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with plain_engine(sqlite_url).connect() as other, opened(sqlite_url) as database:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseAway, match="held by others"):
            run(database, "SELECT 1")
        other.rollback()
        run(database, "SELECT 1")


def test_a_file_is_opened_and_read_while_others_write_to_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_database(sqlite_url).close()
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with plain_engine(sqlite_url).connect() as other:
        other.exec_driver_sql("BEGIN IMMEDIATE")
        with opened(sqlite_url) as database:
            assert studies.names(database) == []


def test_a_connection_that_was_cut_off_is_replaced(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        with (
            pytest.raises(DatabaseAway, match="cannot be reached"),
            before("begin", database.engine, lambda: cut_off(postgres_url)),
        ):
            run(database, "SELECT 1")
        run(database, "SELECT 1")


def test_a_process_that_falls_silent_in_a_transaction_is_cut_off_with_its_locks(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slot = sa.text("SELECT state, outcome FROM hpo_slot WHERE number = 1 FOR UPDATE")
    impatient = f"{postgres_url}&options=-c%20lock_timeout%3D20s"

    def fall_silent() -> None:
        with halted.transaction() as connection:
            connection.execute(slot)
            end(other, claim)  # waits for the lock
            connection.execute(slot)

    with opened(impatient) as other, opened(postgres_url) as halted:
        submit(other)
        claim = first_trial(other)
        monkeypatch.setattr(module, "MOST_IDLE_MS", 500)  # of connections from now on
        with pytest.raises(DatabaseAway, match="cannot be reached"):
            fall_silent()
        with halted.transaction() as connection:
            assert connection.execute(slot).all() == [("ended", "complete")]


def test_optunas_calls_get_a_new_connection_too(postgres_url: str) -> None:
    with opened(postgres_url) as database:
        study = database.storage.create_new_study([StudyDirection.MINIMIZE], "tiny")
        cut_off(postgres_url)
        database.storage.create_new_trial(study)
        for moment in ("begin", "commit"):
            with (
                pytest.raises(DatabaseAway, match="cannot be reached"),
                database.translated(),
                before(moment, database.engine, lambda: cut_off(postgres_url)),
            ):
                database.storage.create_new_trial(study)
            database.storage.create_new_trial(study)
        assert len(database.storage.get_all_trials(study)) == 3


def cut_off(url: str) -> None:
    """End all other connections to this database."""
    look(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()",
    )


@contextmanager
def before(moment: str, engine: sa.Engine, what: Callable[[], None]) -> Iterator[None]:
    """Let something happen before each "begin" or "commit"."""

    def happen(_: sa.Connection) -> None:
        what()

    sa.event.listen(engine, moment, happen)
    try:
        yield
    finally:
        sa.event.remove(engine, moment, happen)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", DatabaseAway),  # connection lost
        ("40001", DatabaseAway),  # not serialisable
        ("40P01", DatabaseAway),  # deadlock
        ("53100", DatabaseAway),  # disk full
        ("53300", DatabaseAway),  # too many connections
        ("57P01", DatabaseAway),  # shut down by the administrator
        ("57P02", DatabaseAway),  # shut down by a crash
        ("57P03", DatabaseAway),  # starting
        ("57P04", DatabaseError),  # database dropped
        ("28P01", DatabaseError),  # wrong password
        ("3D000", DatabaseError),  # no such database
        ("25006", DatabaseError),  # read-only
        ("42501", DatabaseError),  # no right
        ("42P01", DatabaseError),  # no such table: our own mistake
    ],
)
def test_an_error_of_postgresql_is_one_that_may_pass_or_one_that_will_not(
    postgres_url: str, state: str, kind: type[DatabaseError]
) -> None:
    fail = f"DO $$ BEGIN RAISE 'it was said' USING ERRCODE = '{state}'; END $$"
    with (
        opened(postgres_url) as database,
        pytest.raises(DatabaseError, match="it was said") as caught,
    ):
        run(database, fail)
    assert type(caught.value) is kind
    assert caught.value.remedy


@pytest.mark.parametrize("parent", ["a-file", "missing"])
def test_a_file_that_cannot_be_made_is_an_error(tmp_path: Path, parent: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(DatabaseError, match="unable to open") as caught:
        open_database(f"sqlite:///{tmp_path / parent / 'hpo.db'}")
    assert str(tmp_path) in caught.value.where


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no database, but unique and locked already exists\n" * 50)
    before = file.read_bytes()
    started = time.monotonic()
    with pytest.raises(DatabaseError, match="not a database"):
        open_database(f"sqlite:///{file}")
    assert file.read_bytes() == before
    assert time.monotonic() - started < 2


def test_a_database_without_tables_stays_so_when_there_must_be_one(postgres_url: str) -> None:
    with pytest.raises(DatabaseError, match="no database here"):
        open_database(postgres_url, create=False)
    assert not sa.inspect(plain_engine(postgres_url)).get_table_names()


def test_a_process_has_two_connections_at_most(postgres_url: str) -> None:
    pids = sa.text("SELECT pg_backend_pid()")

    def work(_place: int) -> int:
        with database.transaction() as connection:
            return int(connection.execute(pids).scalar_one())

    with opened(postgres_url) as database:
        assert len(set(in_threads(8, work))) <= 2


def test_a_missing_file_is_not_made_when_there_must_be_one(sqlite_url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="no database here"):
        open_database(sqlite_url, create=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("no url", "'no url' is not a database URL"),
        ("postgresql://ann:secret@h:abc/db", "not a database URL.* %40"),
        ("postgresql://ann:secret", "not a database URL"),
        ("postgresql://ann:p@secret:word@h/db", "not a database URL.* %40"),
        ("postgresql://ann:p@secret@h/db", "not a database URL.* %40"),
        ("postgresql://a/nn:secret@h/db", "not a database URL.* %40"),
        ("ann:secret@h/db", "not a database URL"),
        ("host=h password=secret", "not a database URL"),
        ("mysql://ann:secret@db/hpo", "not supported"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
    ],
)
def test_other_databases_are_refused_with_a_way_out(url: str, said: str) -> None:
    with pytest.raises(DatabaseError, match=said) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "secret" not in without_password(url)
    assert caught.value.remedy
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_an_sqlite_file_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ann@home.db'}"
    open_database(url).close()
    assert without_password(url).endswith("ann%40home.db")
    assert (tmp_path / "ann@home.db").exists()
