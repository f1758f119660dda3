"""Opening a database: created once, refused with a reason."""

import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from hpo.errors import DatabaseError
from hpo.service import database as module
from hpo.service.database import open_database, without_password
from hpo.service.tables import SCHEMA_VERSION, metadata
from tests.integration.service.stage import change, look, opened
from tests.integration.service.together import in_processes, open_once


@pytest.mark.parametrize("attempt", range(3))
def test_ten_processes_that_open_an_empty_database_at_once_make_its_tables_once(
    database_url: str,
    attempt: int,  # noqa: ARG001  a race shows now and then
) -> None:
    assert in_processes(10, open_once, database_url) == [0] * 10
    assert look(database_url, "SELECT version FROM hpo_schema") == [(SCHEMA_VERSION,)]
    assert look(database_url, "SELECT count(*) FROM alembic_version") == [(1,)]


def test_our_tables_are_those_of_the_schema(database_url: str) -> None:
    with opened(database_url) as database:
        there = {n for n in sa.inspect(database.engine).get_table_names() if n.startswith("hpo_")}
    assert there == set(metadata.tables)


def test_the_databases_clock_counts_seconds_since_1970(database_url: str) -> None:
    with opened(database_url) as database, database.transaction() as connection:
        assert connection.execute(sa.select(module.now())).scalar_one() == pytest.approx(
            time.time(), abs=5
        )


def test_what_was_opened_once_is_opened_again(database_url: str) -> None:
    open_database(database_url).close()
    with opened(database_url, create=False) as database:
        assert database.url == database_url


def test_tables_of_a_later_version_are_refused(database_url: str) -> None:
    open_database(database_url).close()
    change(database_url, "UPDATE hpo_schema SET version = 99")
    with pytest.raises(DatabaseError, match="version 99") as caught:
        open_database(database_url)
    assert caught.value.exit_code == 4


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
    assert "wr0ng-secret" not in str(caught.value)
    assert "***" in caught.value.where


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:wr0ng-secret@127.0.0.1:1/hpo",
        "postgresql://127.0.0.1:1/hpo?user=ann&password=wr0ng-secret",
    ],
)
def test_a_port_with_no_server_is_an_error_without_the_password(url: str) -> None:
    with pytest.raises(DatabaseError, match="refused") as caught:
        open_database(url)
    assert "wr0ng-secret" not in str(caught.value)
    assert caught.value.remedy


def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.CONNECT_TIMEOUT_S <= 10
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(DatabaseError, match="timeout"):
            open_database(f"postgresql://ann:secret@127.0.0.1:{port}/hpo")
    assert time.monotonic() - started < 8


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
