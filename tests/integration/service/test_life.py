"""The life of a study: what may follow what, and what its workers make of it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo.errors import UnknownStudy, UsageError
from hpo.service import conclusion, heart, life, results, studies, trials, work
from hpo.service.answers import answer_of
from hpo.service.claims import beat, release
from hpo.service.database import Database
from hpo.service.status import progress, status
from hpo.service.taking import take
from hpo.spec.answer import Answer
from hpo.training.trainer import Diverged, Shape
from tests.integration.service.stage import (
    change,
    claim_of,
    end,
    first_trial,
    let_leases_expire,
    look,
    opened,
    submit,
    work_on,
    worker,
)
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study
from tests.waiting import eventually

STATES = ("queued", "running", "paused", "stopping", "done", "cancelled", "failed")
VERBS: dict[str, Callable[[Database, str], object]] = {
    "pause": life.pause,
    "resume": life.resume,
    "stop": life.stop,
    "cancel": life.cancel,
}
BECOMES = {  # what is not here is refused
    "pause": {"queued": "paused", "running": "paused", "paused": "paused"},
    "resume": {"queued": "queued", "running": "running", "paused": "queued"},
    "stop": {
        "queued": "stopping",
        "running": "stopping",
        "paused": "stopping",
        "stopping": "stopping",
    },
    "cancel": {
        "queued": "cancelled",
        "running": "cancelled",
        "paused": "cancelled",
        "stopping": "cancelled",
        "cancelled": "cancelled",
    },
}
REFUSED = {
    "pause": ("cannot become paused", "only from queued, running"),
    "resume": ("tiny is {}", "only a paused study can be resumed"),
    "stop": ("cannot become stopping", "only from queued, running, paused"),
    "cancel": ("cannot become cancelled", "only from queued, running, paused, stopping"),
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", VERBS)
def test_every_change_is_made_or_refused_with_a_reason(
    sqlite_url: str, verb: str, state: str
) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        change(sqlite_url, "UPDATE hpo_study SET state = :s", s=state)
        if state in BECOMES[verb]:
            VERBS[verb](database, "tiny")
            assert studies.state(database, "tiny") == BECOMES[verb][state]
            return
        with pytest.raises(UsageError) as refused:
            VERBS[verb](database, "tiny")
        assert studies.state(database, "tiny") == state
    problem, remedy = REFUSED[verb]
    assert problem.format(state) in refused.value.problem
    assert f"tiny is {state}" in refused.value.problem
    has_ended = state in studies.ENDED and verb != "resume"
    assert refused.value.remedy == ("it has ended" if has_ended else remedy)


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_study_changes_nothing(database_url: str, verb: str) -> None:
    with opened(database_url) as database:
        submit(database)
        with pytest.raises(UnknownStudy, match="tiny"):
            VERBS[verb](database, "big")
        assert studies.state(database, "tiny") == "queued"


def test_a_paused_study_begins_nothing_new_and_what_runs_is_settled(database_url: str) -> None:
    def pause(_: Shape) -> None:
        life.pause(database, "tiny")

    with opened(database_url) as database:
        submit(database)
        one = worker(database, FakeTrainer(before=pause))
        for _ in range(2):
            one._work_on([claim_of(database, one.id)])
        now = progress(database, "tiny")
        assert (now.state, now.trials.complete, now.waiting) == ("paused", 1, 5)
        assert take(database, "tiny", "ann") == []
        life.resume(database, "tiny")
        worker(database).run()
        assert progress(database, "tiny").trials.ended == 6
        assert studies.state(database, "tiny") == "done"


def test_a_worker_waits_while_its_study_is_paused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "LONGEST_IDLE_S", 0.05)
    idle = "SELECT state FROM hpo_worker"
    with opened(database_url) as database:
        submit(database)
        life.pause(database, "tiny")
        thread = threading.Thread(target=worker(database).run)
        thread.start()
        try:
            eventually(lambda: look(database_url, idle) == [("idle",)], within_s=10)
            assert progress(database, "tiny").waiting == 6
        finally:
            life.resume(database, "tiny")
            thread.join()
        assert studies.state(database, "tiny") == "done"


def test_a_study_resumed_before_its_first_claim_is_queued(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        life.pause(database, "tiny")
        life.resume(database, "tiny")
        assert studies.state(database, "tiny") == "queued"
        claim_of(database)
        life.pause(database, "tiny")
        life.resume(database, "tiny")
        assert studies.state(database, "tiny") == "running"


def test_a_stopped_study_has_its_verdict_on_what_there_is(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        one = worker(database)
        for _ in range(3):
            one._work_on([claim_of(database, one.id)])
        running = claim_of(database)
        assert life.stop(database, "tiny") == 3
        assert life.stop(database, "tiny") == 0, "to ask again changes nothing"
        assert take(database, "tiny", "bob") == [], "the verdict waits for what runs"
        assert progress(database, "tiny").skipped == 3
        one._work_on([running])
        one.run()
        answer = answer_of(database, "tiny")
    assert (answer.state, answer.trials.ended) == ("done", 3)
    [told] = [warning for warning in answer.warnings if "ended the search" in warning]
    assert told.startswith("the stop ended the search after 3 of 6 trials")


def test_a_stopped_study_of_which_nothing_ran_makes_one_trial_and_its_verdict(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        assert life.stop(database, "tiny", by=life.BY_TIME) == 5
        worker(database).run()
        answer = answer_of(database, "tiny")
    assert (answer.state, answer.trials.complete) == ("done", 1)
    assert any("the time limit ended the search after 1 of 6" in w for w in answer.warnings)


def test_a_stopped_study_with_a_complete_trial_begins_no_other(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        end(database, first_trial(database), score=1.0)
        assert life.stop(database, "tiny") == 5
        assert claim_of(database).kind == "verdict"


def test_a_stopped_study_whose_only_running_trial_is_given_back_still_has_its_verdict(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        life.stop(database, "tiny")
        release(database, [claim])
        worker(database).run()
        assert answer_of(database, "tiny").trials.complete == 1


def test_a_stopped_study_without_any_complete_trial_fails_with_the_reason(
    sqlite_url: str,
) -> None:
    def refuse(_: Shape) -> None:
        raise Diverged("always")

    with opened(sqlite_url) as database:
        submit(database)
        one = worker(database, FakeTrainer(before=refuse))
        for _ in range(2):
            one._work_on([claim_of(database, one.id)])
        assert life.stop(database, "tiny") == 4, "the next one is left to be tried"
        one.run()
        found = status(database, "tiny")
    assert found["state"] == "failed"
    assert "before the stop (0 pruned, 2 infeasible)" in found["error"]


def test_workers_of_a_cancelled_study_drop_their_trials_within_a_beat(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.05)

    def cancel(_: Shape) -> None:
        life.cancel(database, "tiny")
        hold = one.heart._hold
        assert hold is not None
        lost.append(eventually(hold.lost.is_set, within_s=10))

    lost: list[bool] = []
    trainer = FakeTrainer(before=cancel)
    with opened(database_url) as database:
        submit(database)
        one = worker(database, trainer)
        work_on(one, [first_trial(database, one.id)])
        assert lost == [True]
        assert trainer.trained == []
        assert states_of_trials(database) == [TrialState.FAIL]
        assert take(database, "tiny", "bob") == []
        assert progress(database, "tiny").running == 0
        worker(database).run()
        assert studies.state(database, "tiny") == "cancelled"


def states_of_trials(database: Database) -> list[TrialState]:
    found = trials.all_trials(database, studies.find(database, "tiny").optuna_id)
    return [trial.state for trial in found]


def test_what_a_cancelled_study_has_recorded_is_kept(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        one = worker(database)
        for _ in range(2):
            one._work_on([claim_of(database, one.id)])
        life.cancel(database, "tiny")
        answer = answer_of(database, "tiny")
        assert (answer.state, answer.trials.complete) == ("cancelled", 1)
        assert results.count_networks(database, "tiny") == 2
        assert status(database, "tiny")["error"] is None
    assert look(database_url, "SELECT ended_at IS NULL FROM hpo_study") == [(False,)]


def test_no_trial_runs_on_that_is_made_after_its_study_was_cancelled(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.02)

    def wait_until_lost(_: Shape) -> None:
        hold = one.heart._hold
        assert hold is not None
        eventually(hold.lost.is_set, within_s=10)

    with opened(sqlite_url) as database:
        submit(database)
        one = worker(database, FakeTrainer(before=wait_until_lost))
        claim = first_trial(database, one.id)
        life.cancel(database, "tiny")
        work_on(one, [claim])
        assert TrialState.RUNNING not in states_of_trials(database)


def test_a_study_cancelled_while_its_verdict_is_made_stays_cancelled(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude = conclusion.conclude

    def cancel_before_the_end(*arguments: Any) -> Answer:
        answer = conclude(*arguments)
        life.cancel(database, "tiny")  # and no beat before it is settled
        return answer

    monkeypatch.setattr(work, "conclude", cancel_before_the_end)
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        worker(database).run()
        assert studies.state(database, "tiny") == "cancelled"


@pytest.mark.parametrize("asked", ["pause", "stop"])
def test_a_verdict_that_is_being_made_is_made_once_whatever_is_asked(
    database_url: str, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    conclude = conclusion.conclude
    made: list[Answer] = []

    def ask_before_the_end(*arguments: Any) -> Answer:
        made.append(conclude(*arguments))
        VERBS[asked](database, "tiny")
        assert take(database, "tiny", "bob") == []
        return made[-1]

    monkeypatch.setattr(work, "conclude", ask_before_the_end)
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        worker(database).run()
        assert studies.state(database, "tiny") == "done"
    assert len(made) == 1


def test_a_failed_study_ends_its_workers_trials_within_a_beat(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        life.fail(database, "tiny", "no luck")
        assert beat(database, "ann", "working", [claim])[:2] == ("failed", True)
        assert beat(database, "ann", "working", [claim])[0] in heart.OVER
        let_leases_expire(database_url)
        assert take(database, "tiny", "bob") == []
        end(database, claim, score=1.0)
        assert not life.fail(database, "tiny", "later")


def test_a_study_does_not_fail_by_a_claim_that_was_taken_over(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        lost = claim_of(database)
        let_leases_expire(database_url)
        claim_of(database, "bob")
        assert not life.fail(database, "tiny", "no luck", claims=[lost])
        assert studies.state(database, "tiny") == "running"


def test_a_study_that_is_stopped_before_it_began_begins_with_its_first_claim(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        life.stop(database, "tiny")
        assert look(database_url, "SELECT started_at FROM hpo_study") == [(None,)]
        claim_of(database)
        assert studies.state(database, "tiny") == "stopping"
    [(began_at,)] = look(database_url, "SELECT started_at FROM hpo_study")
    assert began_at > 0
