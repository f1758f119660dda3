"""Tables of other versions: upgraded with all their rows, or refused with a way out."""

import os
from collections.abc import Callable
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hpo.errors import DatabaseError
from hpo.service.database import open_database, upgrade, without_password
from hpo.service.schema import OPTUNAS, OURS
from hpo.service.tables import metadata
from tests.integration.service.databases import change, look, opened, plain_engine, values
from tests.integration.service.released_tables import make_released_tables
from tests.integration.service.together import in_processes, upgrade_once

NEWEST = f"{OURS.head} (Optuna {OPTUNAS.head})"
RELEASED = f"0001 (Optuna {OPTUNAS.head})"


@pytest.fixture
def released_url(database_url: str) -> str:
    """A database as hpo 0.1.0 left it."""
    psycopg = database_url.replace("postgresql://", "postgresql+psycopg://")
    optuna.storages.RDBStorage(psycopg, engine_kwargs={"poolclass": sa.NullPool}).remove_session()
    make_released_tables(database_url)
    return database_url


def tables_in(url: str) -> dict[str, Any]:
    """What the database itself knows of our tables: columns, keys and indexes."""
    seen = sa.inspect(plain_engine(url))
    return {
        name: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"], column["default"])
                for column in seen.get_columns(name)
            },
            "key": seen.get_pk_constraint(name)["constrained_columns"],
            "foreign": [
                (k["constrained_columns"], k["referred_table"], k["referred_columns"], k["options"])
                for k in seen.get_foreign_keys(name)
            ],
            "indexes": {
                index["name"]: (index["column_names"], index["unique"])
                for index in seen.get_indexes(name)
            },
        }
        for name in seen.get_table_names()
        if name.startswith("hpo_")
    }


def is_ours(_item: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Whether alembic compares it: not Optuna's tables, nor the one of versions."""
    return kind != "table" or name in metadata.tables


def differences(url: str) -> list[Any]:
    """What alembic would still have to change."""
    opts = {"include_object": is_ours, "compare_type": True, "compare_server_default": True}
    with plain_engine(url).connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=opts), metadata))


def test_a_new_database_has_the_tables_of_this_code(database_url: str) -> None:
    open_database(database_url).close()
    assert set(tables_in(database_url)) == {*metadata.tables, OURS.version_table}
    assert differences(database_url) == []
    assert look(database_url, "SELECT version_num FROM hpo_version") == [(OURS.head,)]
    assert look(database_url, "SELECT version_num FROM alembic_version") == [(OPTUNAS.head,)]


def test_the_released_tables_and_all_migrations_make_the_tables_of_this_code(
    released_url: str, empty_urls: Callable[[int], list[str]]
) -> None:
    assert upgrade(released_url) == (RELEASED, NEWEST)
    assert differences(released_url) == []
    [fresh] = empty_urls(1)
    open_database(fresh).close()
    assert tables_in(released_url) == tables_in(fresh)


def test_the_first_migration_makes_the_released_tables(released_url: str) -> None:
    released = tables_in(released_url)
    for name in sorted(released, key=lambda n: n == "hpo_study"):  # which the others refer to
        change(released_url, f"DROP TABLE {name}")
    with plain_engine(released_url).begin() as connection:
        OURS.migrate(connection, to="0001")
    made = tables_in(released_url)
    del made[OURS.version_table]
    assert made == released


def test_an_upgrade_keeps_what_was_found(released_url: str) -> None:
    upgrade(released_url)
    assert look(released_url, "SELECT name, closed_by, answer FROM hpo_study ORDER BY name") == [
        ("gdp", None, "{}"),
        ("oil", "time limit", "{}"),
    ]
    assert look(released_url, "SELECT expiries, crashes, token, score FROM hpo_slot") == [
        (2, 0, 3, 0.25)
    ]
    for table in ("hpo_network", "hpo_benchmark"):
        assert [bytes(losses) for losses in values(released_url, table, "losses")] == [b"01234567"]


def test_after_an_upgrade_results_still_go_with_their_study(released_url: str) -> None:
    upgrade(released_url)
    with opened(released_url) as database, database.transaction() as connection:
        connection.execute(sa.text("DELETE FROM hpo_study WHERE name = 'oil'"))
    for table in ("hpo_slot", "hpo_network", "hpo_benchmark"):
        assert values(released_url, table, "study") == []


def test_old_tables_are_refused_with_the_command_that_upgrades_them(released_url: str) -> None:
    with pytest.raises(DatabaseError, match="version 0001") as caught:
        open_database(released_url)
    assert caught.value.remedy == f"run hpo db upgrade --storage {without_password(released_url)}"
    upgrade(released_url)
    with opened(released_url, create=False):
        pass


def test_eight_upgrades_at_once_are_one(released_url: str) -> None:
    assert in_processes(8, upgrade_once, released_url) == [0] * 8
    assert upgrade(released_url) == (NEWEST, NEWEST)
    assert differences(released_url) == []


def test_an_upgrade_that_fails_changes_nothing(released_url: str) -> None:
    change(released_url, "CREATE TABLE hpo_refusal (reason TEXT)")  # in the way of a later step
    before = tables_in(released_url)
    with pytest.raises(DatabaseError, match="already exists"):
        upgrade(released_url)
    assert tables_in(released_url) == before
    assert look(released_url, "SELECT count(*) FROM hpo_network") == [(1,)]
    change(released_url, "DROP TABLE hpo_refusal")
    assert upgrade(released_url) == (RELEASED, NEWEST)


@pytest.mark.parametrize(
    ("statement", "way_out"),
    [
        ("UPDATE hpo_version SET version_num = '9999'", "newer hpo"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer Optuna"),
    ],
)
def test_tables_of_a_later_version_are_refused(
    database_url: str, statement: str, way_out: str
) -> None:
    open_database(database_url).close()
    change(database_url, statement)
    for use in (open_database, upgrade):
        with pytest.raises(DatabaseError, match="version 9999") as caught:
            use(database_url)
        assert way_out in caught.value.remedy
        assert caught.value.exit_code == 4


def test_optunas_tables_are_upgraded_too(database_url: str) -> None:
    open_database(database_url).close()
    change(database_url, "DROP INDEX ix_trials_study_id")  # as v3.0.0.d had them
    change(database_url, "UPDATE alembic_version SET version_num = 'v3.0.0.d'")
    change(database_url, "UPDATE version_info SET library_version = '3.1.0'")
    with pytest.raises(DatabaseError, match=r"Optuna's tables are of version v3\.0") as caught:
        open_database(database_url)
    assert "hpo db upgrade" in caught.value.remedy
    assert upgrade(database_url) == (f"{OURS.head} (Optuna v3.0.0.d)", NEWEST)
    names = {i["name"] for i in sa.inspect(plain_engine(database_url)).get_indexes("trials")}
    assert "trials_study_id_key" in names
    assert look(database_url, "SELECT library_version FROM version_info") == [(optuna.__version__,)]
    open_database(database_url).close()


def test_a_study_of_optunas_own_gets_our_tables_beside_it(released_url: str) -> None:
    for table in ("hpo_worker", "hpo_network", "hpo_benchmark", "hpo_slot", "hpo_study"):
        change(released_url, f"DROP TABLE {table}")
    change(released_url, "DROP TABLE hpo_schema")
    change(released_url, "INSERT INTO studies (study_name) VALUES ('theirs')")
    open_database(released_url).close()
    assert differences(released_url) == []
    assert look(released_url, "SELECT study_name FROM studies") == [("theirs",)]


def test_there_must_be_a_file_to_be_upgraded(sqlite_url: str) -> None:
    with pytest.raises(DatabaseError, match="no database here"):
        upgrade(sqlite_url)
    assert not os.path.exists(sqlite_url.removeprefix("sqlite:///"))


def test_the_way_out_shows_no_password(postgres_url: str) -> None:
    make_released_tables(postgres_url)
    url = postgres_url.replace("postgres:@", "postgres:s3cret@")
    with pytest.raises(DatabaseError, match="hpo db upgrade") as caught:
        open_database(url)
    assert "s3cret" not in str(caught.value)
