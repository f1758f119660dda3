"""Errors that nobody foresaw: equal ones end the study, the machine's end the worker."""

import pytest

from hpo import events
from hpo.service import failures, life, studies
from hpo.service.claims import release
from hpo.service.executor import Broken, InProcess
from hpo.service.failures import MOST_EQUAL, last_trace, record_failure, signature
from hpo.service.status import progress, status
from hpo.service.work import MOST_FAILURES, Withdrawn
from hpo.training.trainer import Shape
from tests.integration.service.stage import (
    claim_of,
    first_trial,
    let_leases_expire,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study


def test_three_equal_errors_fail_the_study_with_their_traceback(database_url: str) -> None:
    def break_(shape: Shape) -> None:
        raise ZeroDivisionError(f"a mistake of ours with {shape.cells[0]} cells")

    heard: list[events.Event] = []
    with opened(database_url) as database:
        submit(database)
        worker(database, FakeTrainer(before=break_), hear=heard.append).run()
        found = status(database, "tiny")
    assert found["state"] == "failed"
    assert found["error"].startswith("Traceback")
    assert "in break_" in found["error"]
    assert "ZeroDivisionError: a mistake of ours" in found["error"]
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(3,)]
    assert look(database_url, "SELECT count(*) FROM hpo_slot WHERE state = 'taken'") == [(0,)]
    assert look(database_url, "SELECT DISTINCT crashes, expiries FROM hpo_slot") == [(0, 0)]
    [ended] = [event for event in heard if isinstance(event, events.StudyEnded)]
    assert (ended.state, ended.reason[:17]) == ("failed", "ZeroDivisionError")
    assert len([event for event in heard if isinstance(event, events.UnexpectedError)]) == 3


def test_errors_that_differ_do_not_fail_the_study(database_url: str) -> None:
    kinds = iter([ZeroDivisionError, KeyError, ZeroDivisionError, IndexError])

    def break_differently(_: Shape) -> None:
        if (kind := next(kinds, None)) is not None:
            raise kind

    with opened(database_url) as database:
        submit(database)
        worker(database, FakeTrainer(before=break_differently)).run()
        assert progress(database, "tiny").state == "done"
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(4,)]


def test_the_last_error_of_an_open_study_is_shown_and_none_of_an_answered_one(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        assert status(database, "tiny")["error"] is None
        record_failure(database, [claim_of(database)], "Traceback\nFirst: 1")
        record_failure(database, [claim_of(database)], "Traceback\nSecond: 2")
        assert status(database, "tiny")["error"] == "Traceback\nSecond: 2"
        worker(database).run()
        found = status(database, "tiny")
        assert (found["state"], found["error"]) == ("done", None)


def test_an_error_recorded_again_changes_nothing(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = claim_of(database)
        for _ in range(MOST_EQUAL):
            assert not record_failure(database, [claim], "Traceback")
        assert claim_of(database).number == claim.number
        assert studies.state(database, "tiny") == "running"
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(1,)]


def test_an_error_of_work_that_was_taken_over_is_not_the_studys(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        lost = first_trial(database)
        let_leases_expire(database_url)
        claim_of(database, "bob")
        assert not record_failure(database, [lost], "Traceback")
        assert last_trace(database, "tiny") == ""
    assert look(database_url, "SELECT worker FROM hpo_slot WHERE number = 1") == [("bob",)]


def test_a_study_that_has_ended_does_not_fail_any_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MOST_EQUAL", 1)
    with opened(database_url) as database:
        submit(database)
        claim = claim_of(database)
        life.cancel(database, "tiny")
        assert not record_failure(database, [claim], "Traceback")
        assert studies.state(database, "tiny") == "cancelled"


def test_equal_errors_are_of_one_kind_from_one_place_whatever_they_say() -> None:
    one = '  File "a.py", line 3, in f\nKeyError: <object at 0x7f3a> of trial 12'
    assert signature(one) == signature(one.replace("12", "7").replace("7f3a", "99"))
    assert signature(one) == signature(one.replace("object", "shape (2, 2)"))
    assert signature(one) != signature(one.replace("KeyError", "IndexError"))
    assert signature(one) != signature(one.replace("a.py", "b.py"))
    assert signature(one) != signature(one.replace("line 3", "line 4"))


@pytest.mark.parametrize("kind", [OSError, ImportError, MemoryError])
def test_the_machines_errors_end_the_worker_and_cost_the_study_nothing(
    database_url: str, kind: type[Exception]
) -> None:
    def fail(_: Shape) -> None:
        raise kind("no space left")

    with opened(database_url) as database:
        submit(database)
        with pytest.raises(Withdrawn, match=r"5 failures in a row.*no space left"):
            worker(database, FakeTrainer(before=fail)).run()
        now = progress(database, "tiny")
        assert (now.state, now.running, now.waiting) == ("running", 0, 6)
        assert status(database, "tiny")["error"] is None
        worker(database).run()
        assert studies.state(database, "tiny") == "done"
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(0,)]
    assert look(database_url, "SELECT DISTINCT crashes, expiries FROM hpo_slot") == [(0, 0)]


def test_a_worker_that_succeeds_now_and_then_does_not_withdraw(sqlite_url: str) -> None:
    networks_of_a_trial = 2
    fails = iter(([True] * (MOST_FAILURES - 1) + [False] * networks_of_a_trial) * 3)

    def fail(_: Shape) -> None:
        if next(fails, False):
            raise OSError("now and then")

    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 3}))
        worker(database, FakeTrainer(before=fail)).run()
        assert studies.state(database, "tiny") == "done"
    assert not next(fails, False)


def test_a_childs_error_is_the_studys_with_the_childs_traceback(sqlite_url: str) -> None:
    class BrokenExecutor(InProcess):
        def train(self, *_: object, **__: object) -> None:
            raise Broken("Traceback in the child\nKeyError: 'y'", is_local=False)

    with opened(sqlite_url) as database:
        submit(database)
        worker(database, executor=BrokenExecutor(threads=1)).run()
        found = status(database, "tiny")
    assert (found["state"], found["error"]) == ("failed", "Traceback in the child\nKeyError: 'y'")


def test_a_childs_local_error_is_not_the_studys(sqlite_url: str) -> None:
    class FullDisk(InProcess):
        def train(self, *_: object, **__: object) -> None:
            raise Broken("Traceback in the child\nOSError: disk full", is_local=True)

    with opened(sqlite_url) as database:
        submit(database)
        with pytest.raises(Withdrawn, match="disk full"):
            worker(database, executor=FullDisk(threads=1)).run()
        assert last_trace(database, "tiny") == ""
        assert studies.state(database, "tiny") == "running"


def test_a_crash_is_counted_and_a_release_is_not(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        release(database, [claim], crashed=True)
        assert not release(database, [claim], crashed=True), "again, after a lost connection"
    assert look(database_url, "SELECT crashes FROM hpo_slot WHERE number = 1") == [(1,)]
