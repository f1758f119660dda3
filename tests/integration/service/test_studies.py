"""Studies: submitted, resumed, refused, counted, deleted."""

from collections.abc import Callable
from typing import Any

import optuna
import pytest
import sqlalchemy as sa

from hpo.errors import StudyConflict, StudyFailed, UnknownStudy
from hpo.search.outcome import Completed
from hpo.service import deletion, life, studies, trial_rows, trials
from hpo.service.claims import release
from hpo.service.database import Database
from hpo.service.failures import last_trace, record_failure
from hpo.service.registry import enroll, join
from hpo.service.status import progress, status
from hpo.service.taking import take
from tests.integration.service.stage import (
    change,
    claim_of,
    end,
    first_trial,
    in_threads,
    let_leases_expire,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import tiny_prepared, tiny_study


def enroll_on(database: Database, name: str, study: str = "tiny") -> None:
    """A worker that works on the study."""
    enroll(database, name)
    join(database, name, study, "cpu")


def test_the_same_study_again_goes_on(database_url: str) -> None:
    with opened(database_url) as database:
        assert submit(database) is True
        claim = first_trial(database)
        assert submit(database) is False
        assert studies.names(database) == ["tiny"]
        assert claim_of(database, "bob").number == claim.number + 1
    assert look(database_url, "SELECT count(*) FROM hpo_slot") == [(8,)]


def test_a_changed_study_under_the_same_name_is_refused_with_the_differences(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        changed = tiny_study(budget={"trials": 7}, bound={"alpha": 3.0})
        with pytest.raises(StudyConflict) as caught:
            submit(database, changed)
        assert "budget.trials: 7 here, 6 there" in caught.value.problem
        assert "bound.alpha: 3.0 here, 2.0 there" in caught.value.problem
        with pytest.raises(StudyConflict, match="data themselves have changed"):
            submit(database, seed=1)
    assert look(database_url, "SELECT count(*) FROM hpo_slot") == [(8,)]


def test_of_many_submits_of_one_name_one_is_new_and_the_others_see_it(database_url: str) -> None:
    with opened(database_url) as database:
        found = in_threads(6, lambda _: submit(database))
    assert sorted(found) == [False] * 5 + [True]
    assert look(database_url, "SELECT count(*) FROM hpo_slot") == [(8,)]
    assert look(database_url, "SELECT count(*) FROM studies") == [(1,)]


def test_of_two_different_submits_of_one_name_one_is_refused(database_url: str) -> None:
    with opened(database_url) as database:
        found = in_threads(4, lambda place: submit(database, tiny_study(search={"seed": place})))
    assert found.count(True) == 1
    refused = [error for error in found if isinstance(error, StudyConflict)]
    assert len(refused) == 3
    assert all("search.seed" in error.problem for error in refused)


def test_a_name_taken_by_a_study_of_optunas_is_refused(database_url: str) -> None:
    with opened(database_url) as database:
        foreign = optuna.create_study(storage=database.storage, study_name="tiny")
        foreign.tell(foreign.ask(), 1.0)
        with pytest.raises(StudyConflict, match="hpo did not make"):
            submit(database)


def test_a_submit_that_died_half_way_is_done_again(database_url: str) -> None:
    with opened(database_url) as database:
        optuna.create_study(storage=database.storage, study_name="tiny")
        assert submit(database) is True


def test_an_unknown_study_is_an_error_that_names_those_there_are(database_url: str) -> None:
    with opened(database_url) as database:
        with pytest.raises(UnknownStudy, match="none yet"):
            studies.find(database, "big")
        submit(database)
        with pytest.raises(UnknownStudy, match="tiny"):
            deletion.delete(database, "big")


def test_a_failed_study_is_opened_again_and_an_ended_one_does_not_fail(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        assert life.fail(database, "tiny", "no luck")
        assert not life.fail(database, "tiny", "later")
        assert studies.find(database, "tiny").error == "no luck"
        submit(database)
        found = studies.find(database, "tiny")
        assert (found.state, found.error) == ("queued", "")
        claim_of(database)
        submit(database)
        assert studies.state(database, "tiny") == "running"


def test_a_study_opened_again_forgets_its_failures_and_crashes(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        benchmark = claim_of(database)
        record_failure(database, [benchmark], "Traceback: once")
        release(database, [claim_of(database)], crashed=True)
        life.fail(database, "tiny", "no luck")
        submit(database)
        assert last_trace(database, "tiny") == ""
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(0,)]
    assert look(database_url, "SELECT DISTINCT crashes FROM hpo_slot") == [(0,)]


def test_a_cancelled_study_is_not_opened_again(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        life.cancel(database, "tiny")
        with pytest.raises(StudyFailed, match="was cancelled") as caught:
            submit(database)
        assert "hpo delete tiny" in caught.value.remedy
        assert studies.state(database, "tiny") == "cancelled"


def test_a_study_that_failed_when_it_was_stopped_is_opened_again_with_what_was_skipped(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        one = worker(database)
        one._work_on([claim_of(database, one.id)])
        end(database, claim_of(database), "pruned", score=1.0)
        running = claim_of(database)
        assert life.stop(database, "tiny", by=life.BY_TIME) == 4
        end(database, running, "infeasible")
        worker(database).run()
        found = studies.find(database, "tiny")
        assert (found.state, found.closed_by) == ("failed", "time limit")
        assert "before the time limit (1 pruned, 1 infeasible)" in found.error
        submit(database)
        assert progress(database, "tiny").waiting == 4
        assert studies.find(database, "tiny").closed_by == ""
        worker(database).run()
        now = progress(database, "tiny")
    assert (now.state, now.trials.ended, now.skipped) == ("done", 6, 0)


def test_a_study_all_of_whose_trials_failed_is_refused_with_a_way_out(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        end(database, first_trial(database), "pruned", score=1.0)
        for _ in range(5):
            end(database, claim_of(database), "infeasible")
        worker(database).run()
        before = look(database_url, "SELECT state, error FROM hpo_study")
        with pytest.raises(StudyFailed, match="failed with all that it would try") as caught:
            submit(database)
    assert "5 infeasible" in caught.value.problem
    assert "hpo delete tiny" in caught.value.remedy
    assert look(database_url, "SELECT state, error FROM hpo_study") == before


def test_a_study_whose_verdict_failed_is_judged_again(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        end(database, first_trial(database), score=1.0)
        given_up = claim_of(database)
        life.fail(database, "tiny", "no luck")
        submit(database, tiny_study(budget={"trials": 1}))
        again = claim_of(database, "bob")
        assert (again.kind, again.token) == ("verdict", given_up.token + 1)


def test_progress_counts_every_trial_once_at_each_stage(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)

        def counted() -> tuple[int, ...]:
            now = progress(database, "tiny")
            t = now.trials
            assert t.ended + now.running + now.waiting + now.skipped == 6
            return (t.complete, t.pruned, t.infeasible, now.running, now.waiting, now.skipped)

        assert counted() == (0, 0, 0, 0, 6, 0)
        assert not progress(database, "tiny").benchmarked
        claims = [first_trial(database), *(claim_of(database) for _ in range(3))]
        assert progress(database, "tiny").benchmarked
        assert counted() == (0, 0, 0, 4, 2, 0)
        for claim, outcome in zip(claims, ["complete", "pruned", "infeasible"], strict=False):
            end(database, claim, outcome, score=0.5)
        assert counted() == (1, 1, 1, 1, 2, 0)
        let_leases_expire(database_url)
        assert counted() == (1, 1, 1, 0, 3, 0)
        assert life.stop(database, "tiny") == 2
        assert counted() == (1, 1, 1, 0, 1, 2)
        assert progress(database, "tiny").state == "stopping"
        end(database, claim_of(database), score=0.25)
        claim_of(database)
        now = progress(database, "tiny")
        assert (counted(), now.judging, now.best_score) == ((2, 1, 1, 0, 0, 2), True, 0.25)


def test_status_names_the_best_network_and_the_workers(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        assert status(database, "tiny")["best"] is None
        claim = first_trial(database)
        study = studies.find(database, "tiny").optuna_id
        [trial] = trials.batch_of(database, study, [claim], tiny_prepared()).trials
        trials.end(database, [(claim, trial, Completed(0.5))])
        enroll_on(database, "ann")
        found = status(database, "tiny")
    assert found["best"] == {"layers": 1, "cells": [2], "score": 0.5}
    [at_work] = found["workers"]
    assert set(at_work) == {"id", "host", "pid", "device", "state", "last_beat"}
    assert (at_work["id"], at_work["device"], at_work["state"]) == ("ann", "cpu", "idle")
    assert (found["state"], found["budget"], found["error"]) == ("running", 6, None)
    assert found["trials"] == {
        "complete": 1,
        "pruned": 0,
        "infeasible": 0,
        "failed": 0,
        "running": 0,
        "waiting": 5,
    }


def test_workers_are_shown_while_they_were_heard_of_within_three_leases(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        for silent_s in (0, 20, 40):
            enroll_on(database, f"silent-{silent_s}")
            silence = "UPDATE hpo_worker SET last_beat = last_beat - :s WHERE id = :id"
            change(database_url, silence, s=silent_s, id=f"silent-{silent_s}")
        shown = [w["id"] for w in status(database, "tiny")["workers"]]
    assert shown == ["silent-0", "silent-20"]


def test_delete_leaves_no_row_and_frees_the_name(database_url: str) -> None:
    kept = {"hpo_version", "alembic_version", "version_info", "hpo_worker"}
    with opened(database_url) as database:
        submit(database)
        worker(database).run()
        assert studies.state(database, "tiny") == "done"
        enroll_on(database, "ann")
        deletion.delete(database, "tiny")
        assert progress(database, "tiny").state == studies.DELETED
        tables = set(sa.inspect(database.engine).get_table_names()) - kept
        rows = {t: look(database_url, f"SELECT count(*) FROM {t}")[0][0] for t in tables}  # noqa: S608
        assert rows == dict.fromkeys(tables, 0)
        assert len(tables) > 8
        assert submit(database) is True
        assert take(database, "tiny", "ann")


def test_a_study_of_which_somebody_has_deleted_optunas_half_can_be_deleted(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        optuna.delete_study(study_name="tiny", storage=database.storage)
        deletion.delete(database, "tiny")
        assert studies.names(database) == []


@pytest.mark.parametrize("end_it", [deletion.delete, life.cancel])
def test_a_study_without_optunas_half_touches_no_study_that_came_later(
    database_url: str, end_it: Callable[[Database, str], None]
) -> None:
    """SQLite gives the ids of Optuna's deleted study and of its trials again."""
    with opened(database_url) as database:
        submit(database)
        late = first_trial(database)
        [of_late] = trials.batch_of(
            database, studies.find(database, "tiny").optuna_id, [late], tiny_prepared()
        ).trials
        optuna.delete_study(study_name="tiny", storage=database.storage)
        submit(database, tiny_study(name="later"))
        claim, later = first_trial(database, "bob", "later"), studies.find(database, "later")
        trials.batch_of(database, later.optuna_id, [claim], tiny_prepared())
        if database.engine.dialect.name == "sqlite":
            ids = look(database_url, "SELECT study_id, trial_id FROM trials")
            assert ids == [(later.optuna_id, of_late._trial_id)]
        trials.end(database, [(late, of_late, Completed(0.5))])
        end_it(database, "tiny")
    assert look(database_url, "SELECT state FROM trials") == [("RUNNING",)]


def test_a_deletion_leaves_a_new_study_of_the_name_alone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else deletes the study at the same moment, and it is submitted anew."""
    outline = studies.outline

    def outline_in_time(database: Database, name: str) -> studies.Outline:
        of = outline(database, name)
        monkeypatch.undo()
        deletion.delete(database, name)
        submit(database)
        return of

    with opened(database_url) as database:
        submit(database)
        monkeypatch.setattr(deletion, "outline", outline_in_time)
        deletion.delete(database, "tiny")
        assert claim_of(database).kind == "benchmark"
        assert trials.all_trials(database, studies.find(database, "tiny").optuna_id) == []


def test_a_study_deleted_while_workers_write_is_gone(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 200}))
        end(database, claim_of(database))
        ones = [worker(database, identity=f"worker-{place}") for place in range(2)]

        def act(place: int) -> None:
            if place < len(ones):
                ones[place].run()
            else:
                deletion.delete(database, "tiny")

        assert in_threads(3, act) == [None] * 3
    assert look(database_url, "SELECT count(*) FROM trials") == [(0,)]
    assert look(database_url, "SELECT count(*) FROM hpo_slot") == [(0,)]


def test_a_deletion_that_is_interrupted_changes_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with opened(database_url) as database:
        submit(database)
        monkeypatch.setattr(trial_rows, "delete", interrupt)
        with pytest.raises(KeyboardInterrupt):
            deletion.delete(database, "tiny")
        monkeypatch.undo()
        assert claim_of(database).kind == "benchmark"
        deletion.delete(database, "tiny")
        assert studies.names(database) == []
