"""A worker in this process, with a trainer that does as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

from hpo import events
from hpo.data.benchmarks import BenchmarkErrors
from hpo.errors import DatabaseAway, DatabaseError, DataError
from hpo.service import batch, deletion, executor, heart, life, results, studies, trials
from hpo.service.answers import answer_of
from hpo.service.batch import MOST_CRASHES, MOST_EXPIRIES
from hpo.service.claims import Claim, release
from hpo.service.database import Database
from hpo.service.executor import InProcess
from hpo.service.final_race import FinalRace
from hpo.service.joining import join
from hpo.service.patience import Patience
from hpo.service.registry import workers_of
from hpo.service.rivals import Rivals
from hpo.service.status import progress, status
from hpo.service.work import TRIALS_GONE, Withdrawn, Worker
from hpo.training.trainer import Diverged, OutOfMemory, Shape
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
from tests.unit.search.fake_trainer import FakeTrainer, tiny_prepared, tiny_study
from tests.waiting import eventually


def test_a_worker_does_the_whole_study_and_leaves(database_url: str) -> None:
    trainer = FakeTrainer()
    with opened(database_url) as database:
        submit(database)
        worker(database, trainer).run()
        found, now = answer_of(database, "tiny"), progress(database, "tiny")
        assert workers_of(database, "tiny") == []
    assert (found.state, found.layers, found.engine) == ("done", 1, "fake")
    assert (now.state, now.trials.ended, now.running, now.waiting) == ("done", 6, 0, 0)
    assert now.networks == len(trainer.trained)
    assert look(database_url, "SELECT DISTINCT state FROM hpo_slot") == [("ended",)]


def test_the_networks_of_a_complete_trial_are_read_once_as_a_rival(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    networks_of = results.networks_of

    def count(database: Database, study: str, asked: list[int]) -> Any:
        read.extend(asked)
        return networks_of(database, study, asked)

    with opened(sqlite_url) as database:
        submit(database)
        joined = join(database, "tiny", InProcess(threads=1))
        rivals = Rivals(database, joined.prepared)
        assert rivals.best([]) is None
        worker(database).run()
        history = trials.all_trials(database, joined.study.optuna_id)
        monkeypatch.setattr(results, "networks_of", count)
        early, rival = rivals.best(history[:3]), rivals.best(history)
        monkeypatch.undo()
        stored = studies.find(database, "tiny")
        race = FinalRace(database, stored, joined.prepared, lambda _jobs: {})
    entrants = race.entrants(joined.prepared.limit)
    assert sorted(read) == [entrant.trial for entrant in entrants]
    best = min(entrants, key=lambda entrant: float(entrant.losses_SO.mean()))
    assert early is not None
    assert rival is not None
    np.testing.assert_array_equal(rival.losses_SO, best.losses_SO)


def test_a_benchmark_that_is_no_number_is_left_out_of_the_answer(sqlite_url: str) -> None:
    report = BenchmarkErrors(
        losses={
            "naive": (np.array([1.0, 3.0]), np.array([5.0])),
            "ridge": (np.array([np.inf]),) * 2,
        },
        test_forecasts={"naive": np.array([[2.0, 3.0]]), "ridge": np.array([[np.nan, np.inf]])},
        warnings=(),
    )
    with opened(sqlite_url) as database:
        submit(database)
        claim = claim_of(database)
        results.record_benchmarks(database, claim, report)
        found = answer_of(database, "tiny")
        kept = results.benchmark_forecasts_of(database, "tiny")
    assert list(found.benchmarks) == ["naive"]
    for name, forecasts_OH in report.test_forecasts.items():
        np.testing.assert_array_equal(kept[name], forecasts_OH)
    assert found.state == "running"


def test_two_workers_share_a_study_and_train_no_network_twice(database_url: str) -> None:
    trainers = [FakeTrainer(), FakeTrainer()]
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 12}))
        workers = [worker(database, trainer) for trainer in trainers]
        threads = [threading.Thread(target=one.run) for one in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert progress(database, "tiny").trials.ended == 12
        assert results.count_networks(database, "tiny") == sum(len(t.trained) for t in trainers)
        assert len(trials.all_trials(database, studies.find(database, "tiny").optuna_id)) == 12


def test_a_failed_study_is_finished_after_it_is_submitted_again(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        life.fail(database, "tiny", "no luck")
        worker(database).run()
        assert studies.state(database, "tiny") == "failed"
        submit(database)
        worker(database).run()
        assert studies.state(database, "tiny") == "done"


@pytest.mark.parametrize("error", [Diverged("at step 3"), OutOfMemory("no room")])
def test_networks_that_cannot_be_trained_are_infeasible_and_the_study_goes_on(
    sqlite_url: str, error: Exception
) -> None:
    def refuse(shape: Shape) -> None:
        if shape.cells == (3,):
            raise error

    with opened(sqlite_url) as database:
        submit(database)
        worker(database, FakeTrainer(before=refuse)).run()
        assert progress(database, "tiny").state == "done"
    [(outcome, reason)] = look(sqlite_url, "SELECT outcome, reason FROM hpo_slot WHERE number = 2")
    assert (outcome, reason) == ("infeasible", str(error))


def test_a_study_of_networks_none_of_which_trains_fails_with_the_reason(sqlite_url: str) -> None:
    def refuse(_: Shape) -> None:
        raise Diverged("always")

    with opened(sqlite_url) as database:
        submit(database)
        worker(database, FakeTrainer(before=refuse)).run()
        found = status(database, "tiny")
    assert (found["state"], found["trials"]["infeasible"]) == ("failed", 6)
    assert "6 infeasible" in found["error"]


def test_a_finalist_that_diverges_with_fresh_seeds_falls_out_with_a_warning(
    sqlite_url: str,
) -> None:
    judging = threading.Event()
    refused: list[tuple[int, ...]] = []

    def refuse_the_first(shape: Shape) -> None:
        if judging.is_set() and (not refused or refused[0] == shape.cells):
            refused.append(shape.cells)
            raise Diverged("at step 3")

    with opened(sqlite_url) as database:
        submit(database)
        one = worker(database, FakeTrainer(before=refuse_the_first))
        while (claim := claim_of(database)).kind != "verdict":
            one._work_on([claim])
        judging.set()
        one._work_on([claim])
        answer = answer_of(database, "tiny")
    assert answer.state == "done"
    assert any("fell out: at step 3" in warning for warning in answer.warnings)
    assert answer.cells != refused[0]


def test_asked_to_stop_in_mid_trial_a_worker_gives_the_slot_back_and_keeps_its_networks(
    database_url: str,
) -> None:
    stop, begun = threading.Event(), []

    def stop_in_the_fourth(shape: Shape) -> None:
        begun.append(shape)
        if len(begun) == 4:
            stop.set()

    trainer = FakeTrainer(before=stop_in_the_fourth)
    with opened(database_url) as database:
        submit(database)
        worker(database, trainer, stop).run()
        given_back = "SELECT number, state, expiries, crashes FROM hpo_slot WHERE trial = 1"
        assert look(database_url, given_back) == [(2, "open", 0, 0)]
        assert results.count_networks(database, "tiny") == 3
        assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]
        again = FakeTrainer()
        worker(database, again).run()
        now = progress(database, "tiny")
        assert (now.state, now.trials.ended) == ("done", 6)
        assert now.networks == len(trainer.trained) + len(again.trained)


def test_a_worker_that_lost_its_lease_drops_the_trial_within_a_beat(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.05)
    with opened(database_url) as database:
        submit(database)

        def lose(_: Shape) -> None:
            take_over = "UPDATE hpo_slot SET token = token + 1, worker = 'bob' WHERE number = 1"
            change(database_url, take_over)  # at once: a beat in between would save the lease
            wait_for_a_beat(database_url)
            wait_for_a_beat(database_url)  # the first may have been under way

        trainer = FakeTrainer(before=lose)
        one = worker(database, trainer)
        work_on(one, [first_trial(database, one.id)])
        assert trainer.trained == []
        assert results.count_networks(database, "tiny") == 0
        assert studies.state(database, "tiny") == "running"
    assert look(database_url, "SELECT state, worker FROM hpo_slot WHERE number = 1") == [
        ("taken", "bob")
    ]
    assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(0,)]


def wait_for_a_beat(url: str) -> None:
    beat = "SELECT last_beat FROM hpo_worker"
    last = look(url, beat)
    eventually(lambda: look(url, beat) != last, within_s=10)


@pytest.mark.parametrize(
    ("column", "most", "said"),
    [
        ("expiries", MOST_EXPIRIES, f"{MOST_EXPIRIES} workers fell silent while they had it"),
        ("crashes", MOST_CRASHES, "its training process died 3 times"),
    ],
)
def test_a_trial_that_kills_is_given_up_without_training(
    database_url: str, column: str, most: int, said: str
) -> None:
    trainer = FakeTrainer()
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 2}))
        end(database, claim_of(database))
        end(database, claim_of(database), "infeasible")
        change(database_url, f"UPDATE hpo_slot SET {column} = {most} WHERE number = 2")  # noqa: S608
        worker(database, trainer).run()
        assert trainer.trained == []
        ended = "SELECT state, outcome, reason FROM hpo_slot WHERE number = 2"
        assert look(database_url, ended) == [("ended", "infeasible", said)]
        assert status(database, "tiny")["trials"]["infeasible"] == 2


@pytest.mark.parametrize(
    ("column", "most"), [("expiries", MOST_EXPIRIES), ("crashes", MOST_CRASHES)]
)
def test_a_trial_that_killed_less_often_is_trained(sqlite_url: str, column: str, most: int) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        change(sqlite_url, f"UPDATE hpo_slot SET {column} = {most - 1} WHERE number = 1")  # noqa: S608
        one = worker(database)
        one._work_on([first_trial(database, one.id)])
    assert look(sqlite_url, "SELECT outcome FROM hpo_slot WHERE number = 1") == [("complete",)]


def test_a_slot_counts_leases_that_ran_out_and_crashes_but_nothing_that_was_given_back(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        claim = first_trial(database)
        for _ in range(3):
            release(database, [claim])
            claim = claim_of(database)
        assert (claim.expiries, claim.crashes) == (0, 0)
        for expiries in (1, 2):
            let_leases_expire(database_url)
            claim = claim_of(database)
            assert (claim.expiries, claim.crashes) == (expiries, 0)
        release(database, [claim], crashed=True)
        claim = claim_of(database)
        assert (claim.expiries, claim.crashes) == (2, 1)


def test_work_on_a_deleted_study_is_dropped(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.05)
    trainer = FakeTrainer(before=lambda _: deletion.delete(database, "tiny"))
    with opened(sqlite_url) as database:
        submit(database)
        worker(database, trainer).run()
        assert studies.names(database) == []
    assert look(sqlite_url, "SELECT count(*) FROM hpo_network") == [(0,)]


def test_a_study_of_which_somebody_deletes_optunas_half_fails_and_its_worker_lives_on(
    database_url: str,
) -> None:
    def delete_half(_: Shape) -> None:
        with suppress(KeyError):  # it is gone already
            optuna.delete_study(study_name="tiny", storage=database.storage)

    with opened(database_url) as database:
        submit(database)
        worker(database, FakeTrainer(before=delete_half)).run()
        found = studies.find(database, "tiny")
        assert (found.state, found.error) == ("failed", TRIALS_GONE)
    told = look(database_url, "SELECT outcome, reason FROM hpo_slot WHERE number = 1")
    assert told == [("infeasible", "the trial was ended from outside")]


def test_a_late_worker_adds_no_trial_to_a_study_that_is_done(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        one = worker(database)
        one._work_on([claim_of(database, one.id)])  # the benchmarks
        late = claim_of(database, one.id)
        let_leases_expire(database_url)
        worker(database).run()
        assert studies.state(database, "tiny") == "done"
        work_on(one, [late])
        made = trials.all_trials(database, studies.find(database, "tiny").optuna_id)
    assert [trial.state.name for trial in made] == ["COMPLETE"]
    assert look(database_url, "SELECT DISTINCT state FROM trials WHERE state = 'RUNNING'") == []


def test_a_worker_whose_patience_ended_does_not_wait_once_more_to_release(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[DatabaseError] = []
    patience = Patience(longest_s=0.5, on_away=waits.append)

    def be_away(*_: Any, **__: Any) -> None:
        raise DatabaseAway("the server cannot be reached")

    with opened(sqlite_url) as known:
        submit(known)
        one = worker(replace(known, patience=patience))
        claim = first_trial(known, one.id)
        monkeypatch.setattr(Database, "transaction", be_away)
        with pytest.raises(DatabaseAway):
            one._work_on([claim])
    assert len(waits) == 1


def submit_again_with_bob(database: Database) -> Claim:
    """Delete the study and submit it anew; bob has made the benchmarks and begun a trial."""
    deletion.delete(database, "tiny")
    submit(database)
    worker(database, identity="bob")._work_on([claim_of(database, "bob")])
    claim = claim_of(database, "bob")
    optuna_id = studies.find(database, "tiny").optuna_id
    trials.batch_of(database, optuna_id, [claim], tiny_prepared())
    return claim


def bobs_trial(url: str) -> list[tuple[Any, ...]]:
    """All that is known of the first trial: its slot's part, and Optuna's."""
    slot = "SELECT state, worker, token, trial, outcome FROM hpo_slot WHERE number = 1"
    return [*look(url, slot), *look(url, "SELECT state FROM trials WHERE number = 0")]


UNTOUCHED = [("taken", "bob", 1, 0, None), ("RUNNING",)]


def test_a_study_submitted_again_while_a_worker_is_at_the_old_one_is_ended_by_it_exactly(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 60.0)  # no beat tells it before it records
    lost: list[list[tuple[Any, ...]]] = []
    claims: list[Claim] = []

    def submit_again_once(_: Shape) -> None:
        if not claims:
            claims.append(submit_again_with_bob(other))

    def let_bob_leave(event: events.Event) -> None:
        if isinstance(event, events.LeaseLost):
            lost.append(bobs_trial(database_url))
            release(other, claims)

    trainer = FakeTrainer(before=submit_again_once)
    with opened(database_url) as database, opened(database_url) as other:
        submit(database)
        worker(database, trainer, hear=let_bob_leave).run()
        now = progress(other, "tiny")
        stored = trials.all_trials(other, studies.find(other, "tiny").optuna_id)
    assert lost == [UNTOUCHED]
    assert (now.state, now.trials.ended, now.running, now.waiting) == ("done", 6, 0, 0)
    assert now.networks == len(trainer.trained) - 2, "the two of the old study's trial"
    assert sorted(trial.user_attrs["facts"]["slot"] for trial in stored) == list(range(1, 7))


def test_a_trial_that_is_ended_late_does_not_end_one_of_the_study_submitted_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    end_trials = batch.end_trials

    def end_late(training: batch.Training, *words: Any) -> None:
        training.record()  # nothing is left to be refused with the record
        submit_again_with_bob(other)
        end_trials(training, *words)

    with opened(database_url) as database, opened(database_url) as other:
        submit(database)
        one = worker(database)
        claim = first_trial(database, one.id)
        monkeypatch.setattr(batch, "end_trials", end_late)
        one._work_on([claim])
    assert bobs_trial(database_url) == UNTOUCHED


@contextmanager
def running(one: Worker) -> Iterator[None]:
    """A worker that runs in a thread, and is told to end at the end."""
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield
    finally:
        one.stop.set()
        thread.join()


def test_a_worker_whose_row_was_removed_is_known_again_with_its_study_and_device(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.02)
    known = "SELECT id, study, device, state FROM hpo_worker WHERE study IS NOT NULL"
    is_training, may_end = threading.Event(), threading.Event()

    def hold(_: Shape) -> None:
        is_training.set()
        may_end.wait(60)

    with opened(database_url) as database:
        submit(database)
        one = worker(database, FakeTrainer(before=hold))
        with running(one):
            try:
                assert is_training.wait(60)
                change(database_url, "DELETE FROM hpo_worker")
                at_work = [(one.id, "tiny", "cpu", "working")]
                eventually(lambda: look(database_url, known) == at_work, within_s=10)
            finally:
                may_end.set()
        assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_a_worker_whose_heart_stops_withdraws_and_keeps_no_claim(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.02)

    def break_down(*_: object) -> None:
        raise KeyError("pulse")

    def stop_the_heart(_: Shape) -> None:
        monkeypatch.setattr(heart, "beat", break_down)
        eventually(lambda: one.heart.error, within_s=10)

    trainer = FakeTrainer(before=stop_the_heart)
    with opened(database_url) as database:
        submit(database)
        one = worker(database, trainer)
        with pytest.raises(Withdrawn, match=r"its heart stopped: KeyError\('pulse'\)"):
            one.run()
        assert studies.state(database, "tiny") == "running"
        assert results.count_networks(database, "tiny") == 0
    assert trainer.trained == []
    of_trials = "SELECT DISTINCT state, worker FROM hpo_slot WHERE kind = 'trial'"
    assert look(database_url, of_trials) == [("open", None)]
    assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_a_mishap_of_the_database_ends_the_worker_and_not_the_study(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_connection(*_: object, **__: object) -> None:
        raise DatabaseError("the connection is lost")

    with opened(sqlite_url) as database:
        submit(database)
        with monkeypatch.context() as patch:
            patch.setattr(results, "record_networks", lose_connection)
            with pytest.raises(DatabaseError, match="connection is lost"):
                worker(database).run()
        assert studies.state(database, "tiny") == "running"
        assert look(sqlite_url, "SELECT state FROM hpo_slot WHERE number = 1") == [("open",)]
        worker(database).run()
        assert studies.state(database, "tiny") == "done"


def test_a_mistake_in_the_data_fails_the_study_at_once(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise DataError("column 'y' is empty")

    monkeypatch.setattr(executor, "forecast_benchmarks", refuse)
    with opened(sqlite_url) as database:
        submit(database)
        worker(database).run()
        assert status(database, "tiny")["error"] == "column 'y' is empty"


def test_a_worker_with_nothing_to_do_is_still_seen_to_live(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.02)
    beat = "SELECT last_beat FROM hpo_worker"
    with opened(database_url) as database:
        submit(database)
        claim_of(database, "bob")
        with running(worker(database)):
            first = eventually(lambda: look(database_url, beat), within_s=10)
            eventually(lambda: look(database_url, beat) > first, within_s=10)
            assert look(database_url, "SELECT state FROM hpo_worker") == [("idle",)]


def test_a_worker_with_nothing_to_do_for_so_long_ends(database_url: str) -> None:
    with opened(database_url) as database:
        one = worker(database, only="")
        one.idle_exit_s = 0.3
        one.run()
        assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_a_worker_of_all_studies_serves_the_oldest_first(database_url: str) -> None:
    heard: list[events.Event] = []
    with opened(database_url) as database:
        for name in ("zoe", "adam"):
            submit(database, tiny_study(name, budget={"trials": 2}))
        one = worker(database, only="", hear=heard.append)
        one.idle_exit_s = 0.01
        one.run()
        assert [studies.state(database, name) for name in ("zoe", "adam")] == ["done", "done"]
    assert [e.study for e in heard if isinstance(e, events.StudyTaken)] == ["zoe", "adam"]
    assert [e.study for e in heard if isinstance(e, events.StudyEnded)] == ["zoe", "adam"]


def test_a_worker_tells_what_it_takes_over(sqlite_url: str) -> None:
    heard: list[events.Event] = []
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        first_trial(database)
        let_leases_expire(sqlite_url)
        one = worker(database, hear=heard.append)
        one.run()
    assert [e for e in heard if isinstance(e, events.TrialTakenOver)] == [
        events.TrialTakenOver("tiny", 1, one.id, None, 1, 0)
    ]
