"""A batch of trials: taken, trained in step, settled and lost together."""

import os
import signal
from collections import Counter
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from hpo.search.outcome import stack_losses
from hpo.service import heart, results, studies, trials
from hpo.service.advice import engines_that_differ
from hpo.service.answers import answer_of
from hpo.service.batch import NATIVE_TRIALS_AT_ONCE, trials_at_once
from hpo.service.claims import LeaseLost, beat, release
from hpo.service.database import Database
from hpo.service.executor import InProcess
from hpo.service.failures import record_failure
from hpo.service.registry import enroll, join
from hpo.service.results import Origin
from hpo.service.status import progress
from hpo.service.taking import take
from hpo.training.device import use_threads
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Diverged, Shape
from tests.integration.service.stage import (
    change,
    claim_of,
    end,
    let_leases_expire,
    look,
    opened,
    submit,
    work_on,
    worker,
)
from tests.integration.service.test_processes import IN_MID_TRIAL, START_S, worker_process
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study
from tests.waiting import eventually

NATIVE = "native-to-96"
MOST_STATEMENTS, MOST_COMMITS = 45, 6  # of a trial, 24 statements being Optuna's own


def open_trials(database: Database, **sections: Any) -> None:
    """A study under the native policy whose benchmarks are ended."""
    submit(database, tiny_study(**sections), engine=NATIVE)
    end(database, claim_of(database, "benchmarker"))


def enroll_on(database: Database, name: str, study: str = "tiny") -> None:
    """A worker that works on the study."""
    enroll(database, name)
    join(database, name, study, "cpu")


def numbers(database: Database, name: str = "ann", most: int = 4) -> list[int]:
    return [claim.number for claim in take(database, "tiny", name, most=most)]


def test_slots_are_taken_several_at_once_but_benchmarks_and_verdict_alone(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        [benchmark] = take(database, "tiny", "ann", most=9)
        assert benchmark.kind == "benchmark"
        end(database, benchmark)
        first = take(database, "tiny", "ann", most=4)
        rest = take(database, "tiny", "bob", most=4)
        assert [[c.number for c in claims] for claims in (first, rest)] == [[1, 2, 3, 4], [5, 6]]
        for claim in (*first, *rest):
            assert take(database, "tiny", "bob", most=4) == []
            end(database, claim)
        [verdict] = take(database, "tiny", "ann", most=4)
        assert verdict.kind == "verdict"


def test_a_slot_whose_worker_died_is_taken_alone(database_url: str) -> None:
    with opened(database_url) as database:
        open_trials(database)
        assert numbers(database, most=2) == [1, 2]
        let_leases_expire(database_url)
        assert numbers(database, "bob") == [1]
        assert numbers(database, "bob") == [2]
        assert numbers(database, "bob") == [3, 4, 5, 6]


def test_a_slot_that_was_given_back_is_taken_together_with_others(database_url: str) -> None:
    with opened(database_url) as database:
        open_trials(database)
        assert release(database, take(database, "tiny", "ann", most=2))
        assert numbers(database, "bob") == [1, 2, 3, 4]


def test_workers_that_live_share_the_open_trials(database_url: str) -> None:
    with opened(database_url) as database:
        open_trials(database, budget={"trials": 9})
        for name in ("ann", "bob", "gone"):
            enroll_on(database, name)
        submit(database, tiny_study(name="other"))
        enroll_on(database, "elsewhere", "other")
        change(database_url, "UPDATE hpo_worker SET last_beat = 1 WHERE id = 'gone'")
        assert numbers(database) == [1, 2, 3, 4]  # half of nine, but no more than four
        assert numbers(database, "bob") == [5, 6, 7]
        assert numbers(database) == [8]
        assert numbers(database, "bob") == [9]


def test_a_worker_alone_takes_all_that_it_may(database_url: str) -> None:
    with opened(database_url) as database:
        open_trials(database)
        enroll_on(database, "ann")
        assert numbers(database) == [1, 2, 3, 4]
        assert numbers(database) == [5, 6]


def test_after_an_unexpected_error_slots_are_taken_again_alone_and_last(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        open_trials(database)
        record_failure(database, take(database, "tiny", "ann", most=3), "Traceback")
        assert numbers(database) == [4, 5, 6]
        assert [numbers(database) for _ in range(4)] == [[1], [2], [3], []]
    assert look(database_url, "SELECT DISTINCT expiries, crashes FROM hpo_slot") == [(0, 0)]


def test_a_trial_with_an_unexpected_error_leaves_its_neighbours_their_outcomes(
    sqlite_url: str,
) -> None:
    def fail(shape: Shape) -> None:
        if shape.cells == (3,):
            raise ValueError("of one trial")

    with opened(sqlite_url) as database:
        open_trials(database, budget={"trials": 4})
        worker(database, FakeTrainer(before=fail)).run()
        assert studies.state(database, "tiny") == "failed"
    unended = "SELECT number, expiries + crashes FROM hpo_slot WHERE state <> 'ended'"
    assert look(sqlite_url, unended) == [(2, 0), (5, 0)], "the trial and the verdict"


def test_leases_of_a_batch_are_extended_together_or_not_at_all(database_url: str) -> None:
    expiring = "SELECT count(*) FROM hpo_slot WHERE state = 'taken' AND expires_at = 1"
    with opened(database_url) as database:
        open_trials(database)
        claims = take(database, "tiny", "ann", most=3)
        let_leases_expire(database_url)
        assert beat(database, "ann", "working", claims)[:2] == ("running", True)
        assert look(database_url, expiring) == [(0,)]
        let_leases_expire(database_url)
        assert numbers(database, "bob") == [1]
        assert beat(database, "ann", "working", claims)[:2] == ("running", False)
        assert look(database_url, expiring) == [(2,)]
        assert release(database, claims)
        assert look(database_url, "SELECT number, worker FROM hpo_slot WHERE state = 'taken'") == [
            (1, "bob")
        ]


def test_a_batch_of_which_one_lease_is_lost_is_dropped_and_the_rest_given_back(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart, "BEAT_S", 0.02)
    with opened(database_url) as database:
        open_trials(database)
        one = worker(database)

        def lose(_: Shape) -> None:
            change(
                database_url,
                "UPDATE hpo_slot SET token = token + 1, worker = 'bob' WHERE number = 2",
            )
            hold = one.heart._hold
            assert hold is not None
            lost.append(eventually(hold.lost.is_set, within_s=10))

        lost: list[bool] = []
        trainer = FakeTrainer(before=lose)
        one.executor = InProcess(threads=1, trainer_for=lambda _: trainer)
        work_on(one, take(database, "tiny", one.id, most=4))
        assert lost == [True]
        assert trainer.trained == []
        assert results.count_networks(database, "tiny") == 0
    taken = "SELECT number, worker FROM hpo_slot WHERE state = 'taken'"
    assert look(database_url, taken) == [(2, "bob")]


def test_no_network_of_a_batch_is_kept_when_one_of_its_claims_is_lost(database_url: str) -> None:
    with opened(database_url) as database:
        open_trials(database)
        one = worker(database)
        one._work_on(take(database, "tiny", one.id, most=1))
        [(_, record)] = list(results.networks_of(database, "tiny")[0].items())[:1]
        claims = take(database, "tiny", one.id, most=2)
        change(database_url, "UPDATE hpo_slot SET token = token + 1 WHERE number = 3")
        with pytest.raises(LeaseLost):
            results.record_networks(database, claims, [(1, record)])
        assert set(results.networks_of(database, "tiny")) == {0}


def test_how_many_trials_are_taken_follows_from_the_engine_alone() -> None:
    assert trials_at_once("native") == trials_at_once(NATIVE) == NATIVE_TRIALS_AT_ONCE > 1
    assert trials_at_once("torch") == 1


def test_trials_of_a_batch_are_suggested_from_what_ended_before_it(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 10}), engine=NATIVE)
        worker(database).run()
        found = trials.all_trials(database, studies.find(database, "tiny").optuna_id)
    facts = [trial.user_attrs["facts"] for trial in found]
    assert [len(fact["seen"]) for fact in facts] == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8]
    assert [fact["beside"] for fact in facts[4:8]] == [[], [5], [5, 6], [5, 6, 7]]
    assert [trial.number for trial in found] == list(range(10))
    assert [trial.user_attrs["facts"]["slot"] for trial in found] == list(range(1, 11))


def test_one_trial_of_a_batch_that_cannot_be_trained_leaves_the_others_as_they_are(
    sqlite_url: str,
) -> None:
    def refuse(shape: Shape) -> None:
        if shape.cells == (3,):
            raise Diverged("at step 3")

    with opened(sqlite_url) as database:
        open_trials(database)
        one = worker(database, FakeTrainer(before=refuse), threads=2)
        one._work_on(take(database, "tiny", one.id, most=4))
    outcomes = look(sqlite_url, "SELECT outcome FROM hpo_slot WHERE number BETWEEN 1 AND 4")
    assert outcomes == [("complete",), ("infeasible",), ("complete",), ("complete",)]


def answered(url: str, threads: int) -> tuple[Any, ...]:
    """All that a study leaves behind but times, made by torch with so many threads."""
    with opened(url) as database:
        asked = tiny_study(
            budget={"trials": 9},
            validation={"folds": 2, "seeds": 3},
            space={"layers": (1, 2), "cells": (2, 6), "dropout": (0.0, 0.3)},
            training={"max_steps": 30, "device": "cpu"},
        )
        submit(database, asked, engine=NATIVE)
        one = worker(database, TorchTrainer("cpu"), threads=threads)
        one.run()
        answer = answer_of(database, "tiny").model_dump(exclude={"wall_s", "storage"})
        losses = "SELECT trial, fold, seed, steps, losses FROM hpo_network ORDER BY 1, 2, 3"
        slots = "SELECT number, trial, outcome, score, reason FROM hpo_slot ORDER BY 1"
        return answer, look(url, losses), look(url, slots)


def test_a_study_is_the_same_bit_for_bit_whatever_the_number_of_threads(tmp_path: Any) -> None:
    use_threads(1)
    found = [answered(f"sqlite:///{tmp_path / f'{n}.db'}", n) for n in (1, 2, 4)]
    assert found[0] == found[1] == found[2]
    outcomes = {row[2] for row in found[0][2]}
    assert "complete" in outcomes


def counted(database: Database, engine: str, trials_asked: int) -> tuple[float, float]:
    """Statements and commits per trial of one worker, benchmarks and verdict left aside."""
    count = Counter[str]()

    def see_statement(*_: object) -> None:
        count["statements"] += 1

    def see_commit(*_: object) -> None:
        count["commits"] += 1

    asked = tiny_study(
        budget={"trials": trials_asked},
        validation={"folds": 4, "seeds": 3},
        space={"layers": (1, 3)},
    )
    submit(database, asked, engine=engine)
    one = worker(database, threads=2)
    one._work_on(take(database, "tiny", one.id))
    sa.event.listen(database.engine, "before_cursor_execute", see_statement)
    sa.event.listen(database.engine, "commit", see_commit)
    ended = 0
    while ended < trials_asked:
        claims = one._take()
        one._work_on(claims)
        ended += len(claims)
    return count["statements"] / trials_asked, count["commits"] / trials_asked


@pytest.mark.parametrize("engine", ["torch", NATIVE])
def test_a_trial_costs_few_statements_and_commits(database_url: str, engine: str) -> None:
    with opened(database_url) as database:
        statements, commits = counted(database, engine, 12)
    assert statements <= MOST_STATEMENTS
    assert commits <= MOST_COMMITS


def run_to_the_end(database: Database) -> None:
    worker(database, executor=InProcess(threads=2)).run()


def test_a_batch_whose_worker_is_killed_is_finished_by_another_trial_by_trial(
    database_url: str,
) -> None:
    study = tiny_study(
        validation={"folds": 2, "seeds": 2},
        budget={"trials": 6},
        training={"max_steps": 30_000, "patience": 100_000},
    )
    with worker_process(database_url, study=study, engine=NATIVE, threads=2) as process:
        bound = eventually(lambda: halted_in_mid_batch(database_url, process), within_s=START_S)
        process.kill()
        process.wait()
    before = look(database_url, "SELECT trial, fold, seed, losses FROM hpo_network")
    let_leases_expire(database_url)
    with opened(database_url) as database:
        run_to_the_end(database)
        now = progress(database, "tiny")
        assert (now.state, now.trials.ended) == ("done", 6)
        stored = trials.all_trials(database, studies.find(database, "tiny").optuna_id)
        assert [t.number for t in stored] == list(range(6))
        assert all(t.state.is_finished() for t in stored)
    after = look(database_url, "SELECT trial, fold, seed, losses FROM hpo_network")
    assert set(before) <= set(after)
    assert len({row[:3] for row in after}) == len(after)
    again = "SELECT number, trial FROM hpo_slot WHERE expiries = 1 AND token = 2 ORDER BY 1"
    assert look(database_url, again) == sorted(bound)


def halted_in_mid_batch(url: str, process: Any) -> list[tuple[Any, ...]]:
    """The slots and trials of the batch that the process, now halted, works on."""
    if not look(url, IN_MID_TRIAL):
        return []
    os.kill(process.pid, signal.SIGSTOP)
    found = look(url, IN_MID_TRIAL)
    if not found:
        os.kill(process.pid, signal.SIGCONT)
    return found


def test_networks_that_an_engine_against_the_policy_trained_are_told() -> None:
    cells = {0: (4,), 1: (100,)}
    native, torch, wide = (
        Origin(trial=trial, engine=engine, device="cpu", networks=12)
        for trial, engine in ((0, "native"), (0, "torch"), (1, "torch"))
    )
    assert engines_that_differ(NATIVE, [native, wide], cells) == []
    assert engines_that_differ("native", [torch], cells) == [], "all alike: nothing is mixed"
    [warning] = engines_that_differ(NATIVE, [native, torch, wide], cells)
    assert "12 networks of 36 were trained by torch" in warning
    assert NATIVE in warning


def test_losses_of_a_batch_are_those_of_its_trials(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        open_trials(database)
        run_to_the_end(database)
        recorded = results.networks_of(database, "tiny")
        for trial in trials.all_trials(database, studies.find(database, "tiny").optuna_id):
            losses_SO = stack_losses(recorded[trial.number], range(2), range(1))
            assert losses_SO is not None
            assert trial.value == pytest.approx(np.mean(losses_SO))
