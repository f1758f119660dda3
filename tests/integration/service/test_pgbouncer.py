"""Behind pgbouncer's transaction pooling each transaction may run on another connection."""

import sqlalchemy as sa
from optuna.trial import TrialState, create_trial

from hpo.search.outcome import Completed
from hpo.service import studies, trials
from hpo.service.database import open_database, upgrade
from tests.integration.service.conftest import Bouncer
from tests.integration.service.databases import in_threads, look, opened
from tests.integration.service.stage import claim_of, end, submit
from tests.integration.service.together import in_processes, open_once
from tests.unit.search.fake_trainer import tiny_study

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
        submit(database, tiny_study(budget={"trials": 8 * MANY}))
        end(database, claim_of(database))

    def work(place: int) -> None:
        with opened(bouncer.url) as mine:
            optuna_id = studies.outline(mine, "tiny").optuna_id
            for _ in range(MANY):
                claim = claim_of(mine, f"worker-{place}")
                trial = create_trial(state=TrialState.RUNNING)
                trials.make(mine, [claim], {claim.number: trial})
                trials.end(mine, [(claim, trial, Completed(1.0))])
                assert trial.number in {made.number for made in trials.all_trials(mine, optuna_id)}

    assert in_threads(8, work) == [None] * 8
    told = "SELECT count(DISTINCT number) FROM trials WHERE state = 'COMPLETE'"
    assert look(bouncer.server.url, told) == [(8 * MANY,)]
    settled = "SELECT count(DISTINCT trial) FROM hpo_slot WHERE outcome = 'complete'"
    assert look(bouncer.server.url, settled) == [(8 * MANY,)]


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
