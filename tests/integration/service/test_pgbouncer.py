"""Behind pgbouncer's transaction pooling each transaction may run on another connection."""

import sqlalchemy as sa
from optuna.study import StudyDirection
from optuna.trial import TrialState

from hpo.service.database import open_database, upgrade
from tests.integration.service.conftest import Bouncer
from tests.integration.service.databases import in_threads, look, opened
from tests.integration.service.together import in_processes, open_once

MANY = 30  # often enough that psycopg would prepare the statements and meet others' names


def test_an_empty_database_is_opened_by_sixteen_processes_at_once(bouncer: Bouncer) -> None:
    assert in_processes(16, open_once, bouncer.url) == [0] * 16
    assert look(bouncer.server.url, "SELECT count(*) FROM hpo_version") == [(1,)]


def test_its_tables_are_upgraded_by_eight_at_once(bouncer: Bouncer) -> None:
    before = "none (Optuna none)"
    found = in_threads(8, lambda _: upgrade(bouncer.url))
    assert [version for version, _ in found].count(before) == 1
    assert {version for _, version in found} == {upgrade(bouncer.url)[0]}


def test_many_clients_on_two_connections_lose_nothing(bouncer: Bouncer) -> None:
    with opened(bouncer.url) as database:
        study = database.storage.create_new_study([StudyDirection.MINIMIZE], "shared")

    def work(_place: int) -> None:
        with opened(bouncer.url) as mine:
            for _ in range(MANY):
                trial = mine.storage.create_new_trial(study)
                mine.storage.set_trial_state_values(trial, TrialState.COMPLETE, [1.0])
                with mine.transaction() as connection:
                    connection.execute(sa.text("SELECT :n + 1"), {"n": trial}).scalar_one()

    assert in_threads(8, work) == [None] * 8
    told = look(bouncer.server.url, "SELECT count(*) FROM trials WHERE state = 'COMPLETE'")
    assert told == [(8 * MANY,)]


def test_the_pooler_really_gives_a_client_other_connections(bouncer: Bouncer) -> None:
    """Else nothing here would show anything."""
    first, second = open_database(bouncer.url), open_database(bouncer.url)
    pid = sa.text("SELECT pg_backend_pid()")
    with first.transaction() as connection:
        one = connection.execute(pid).scalar_one()
        with second.transaction() as other:
            two = other.execute(pid).scalar_one()
    with second.transaction() as connection, first.transaction() as other:
        seen = (connection.execute(pid).scalar_one(), other.execute(pid).scalar_one())
    first.close()
    second.close()
    assert one != two
    assert set(seen) == {one, two}
