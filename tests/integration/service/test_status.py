"""What `hpo status` tells of a study: where it is, who works on it, what went wrong."""

import pytest

from hpo import api
from hpo.service import life
from hpo.service.claims import beat
from hpo.service.database import Database
from hpo.service.failures import record_failure
from hpo.service.registry import enroll, join, leave, refuse
from hpo.service.status import progress, status
from tests.integration.service.stage import (
    change,
    claim_of,
    end,
    first_trial,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import tiny_study

TRACE = "Traceback (most recent call last)\nKeyError: 'y'"


def error_of(database: Database) -> object:
    return status(database, "tiny")["error"]


def test_the_trouble_of_a_study_is_its_end_else_its_last_error_else_why_no_one_works_on_it(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        assert error_of(database) is None
        refuse(database, "ann", "tiny", "other data")
        assert error_of(database) == "worker ann cannot work on it: other data"
        record_failure(database, [claim_of(database)], TRACE)
        assert error_of(database) == TRACE
        life.fail(database, "tiny", "no luck")
        assert error_of(database) == "no luck"


def test_the_last_refusal_is_told_and_one_of_each_worker_is_kept(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        for name, reason in (("ann", "no device"), ("bob", "other data"), ("ann", "no file")):
            refuse(database, name, "tiny", reason)
        change(database_url, "UPDATE hpo_refusal SET at = at + 60 WHERE worker = 'ann'")
        assert error_of(database) == "worker ann cannot work on it: no file"
    assert look(database_url, "SELECT count(*) FROM hpo_refusal") == [(2,)]


def test_a_refusal_is_not_told_of_a_study_that_has_ended(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        refuse(database, "ann", "tiny", "other data")
        worker(database).run()
        assert error_of(database) is None


def test_a_worker_is_shown_from_its_joining_to_its_leaving_with_what_it_does(
    database_url: str,
) -> None:
    def shown() -> list[tuple[object, ...]]:
        keys = ("id", "device", "state")
        return [tuple(w[key] for key in keys) for w in status(database, "tiny")["workers"]]

    with opened(database_url) as database:
        submit(database)
        enroll(database, "ann")
        assert shown() == []
        join(database, "ann", "tiny", "cpu")
        beat(database, "ann", "working")
        assert shown() == [("ann", "cpu", "working")]
        leave(database, "ann")
        assert shown() == []


def test_enrolling_removes_rows_of_workers_long_silent_and_no_others(database_url: str) -> None:
    with opened(database_url) as database:
        for name, silent_s in (("dead", 61), ("slow", 40)):
            enroll(database, name)
            change(
                database_url,
                "UPDATE hpo_worker SET last_beat = last_beat - :s WHERE id = :id",
                s=silent_s,
                id=name,
            )
        enroll(database, "ann")
        enroll(database, "ann")
    assert look(database_url, "SELECT id FROM hpo_worker ORDER BY id") == [("ann",), ("slow",)]


@pytest.mark.parametrize("verb", ["pause", "stop", "cancel"])
def test_the_state_of_every_stage_is_told(database_url: str, verb: str) -> None:
    states = {"pause": "paused", "stop": "stopping", "cancel": "cancelled"}
    with opened(database_url) as database:
        submit(database)
        assert status(database, "tiny")["state"] == "queued"
        end(database, first_trial(database), "infeasible")
        assert status(database, "tiny")["state"] == "running"
        getattr(life, verb)(database, "tiny")
        assert status(database, "tiny")["state"] == progress(database, "tiny").state
        assert status(database, "tiny")["state"] == states[verb]


def test_a_study_that_this_version_cannot_read_does_not_hide_the_others(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        for name in ("tiny", "other"):
            submit(database, tiny_study(name))
        change(sqlite_url, "UPDATE hpo_study SET spec = '{}' WHERE name = 'other'")
    assert {found["study"] for found in api.statuses(storage=sqlite_url)} == {"tiny", "other"}
