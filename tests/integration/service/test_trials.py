"""Optuna's side of a slot: made with its binding, ended with its settlement, once each."""

from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo.data.prepare import Prepared
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.search.suggestion import suggest_together
from hpo.service import life, studies, trials
from hpo.service.claims import Claim, LeaseLost, release
from hpo.service.database import Database
from hpo.sizing.bound import parameters
from hpo.training.trainer import Shape
from tests.integration.service.databases import change
from tests.integration.service.stage import (
    claim_of,
    first_trial,
    let_leases_expire,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import FakeTrainer, tiny_prepared, tiny_study

PREPARED = tiny_prepared()


def optuna_id(database: Database) -> int:
    return studies.find(database, "tiny").optuna_id


def trial_of(database: Database, claim: Claim, prepared: Prepared = PREPARED) -> FrozenTrial:
    """The trial of one slot."""
    [trial] = trials.batch_of(database, optuna_id(database), [claim], prepared).trials
    return trial


def test_a_trial_whose_worker_died_is_that_of_the_next(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        made = trial_of(database, first_trial(database))
        assert look(database_url, "SELECT trial FROM hpo_slot WHERE number = 1") == [(0,)]
        let_leases_expire(database_url)
        again = claim_of(database, "bob")
        assert (again.number, again.trial) == (1, 0)
        found = trial_of(database, again)
        assert (found.number, found.state) == (0, TrialState.RUNNING)
        assert (found.params, found._trial_id) == (made.params, made._trial_id)
        assert len(trials.all_trials(database, optuna_id(database))) == 1


def test_trials_of_which_the_commit_was_not_heard_are_found_again(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        made = trial_of(database, claim)
        again = trial_of(database, claim)  # the claim does not know that its slot has a trial
        assert (again.number, again._trial_id) == (0, made._trial_id)
        assert len(trials.all_trials(database, optuna_id(database))) == 1


def test_trials_of_which_the_commit_is_seen_late_are_found_too(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        claim = first_trial(database)
        made = trial_of(database, claim)
        looked = iter(([], trials.all_trials(database, optuna_id(database))))
        monkeypatch.setattr(trials, "all_trials", lambda *_: next(looked))
        assert trial_of(database, claim)._trial_id == made._trial_id


def test_a_trial_holds_its_slot_its_network_and_the_bound_in_force(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        trial = trial_of(database, claim)
    assert trial.user_attrs == {
        "facts": {
            "slot": 1,
            "cells": [2],
            "weights": 43,
            "rule": "formula",
            "alpha": 2.0,
            "max_equal_cells": PREPARED.limit.samples // 4,
            "limit_cells": PREPARED.limit.samples // 4,
            "seen": [],
            "running": [],
            "beside": [],
        },
    }


@pytest.mark.parametrize(("rule", "per_sample"), [("freedom", 2), ("strict", 1)])
def test_a_rule_that_counts_weights_says_how_many_it_allows(
    sqlite_url: str, rule: str, per_sample: int
) -> None:
    prepared = tiny_prepared(bound={"rule": rule, "alpha": 0.75})
    with opened(sqlite_url) as database:
        submit(database)
        trial = trial_of(database, first_trial(database), prepared)
    most = trial.user_attrs["facts"]["limit_weights"]
    assert most == prepared.limit.samples * per_sample * 4 // 3
    cells = trial.user_attrs["facts"]["max_equal_cells"]
    assert parameters([cells], 1, 1) <= most < parameters([cells + 1], 1, 1)


def test_a_suggestion_is_repeated_from_the_trials_it_saw(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 13}))
        first_trial(database)  # its worker is slow: the trial runs all the time
        study = optuna_id(database)
        for place in range(12):
            claim = claim_of(database)
            made = trial_of(database, claim)
            if place % 3:
                trials.end(database, [(claim, made, Completed(1.0 / (1 + place)))])
        found = trials.all_trials(database, study)
    last = found[-1]
    seen = last.user_attrs["facts"]["seen"]
    assert seen == [1, 2, 4, 5, 7, 8, 10]
    history = [trial for trial in found if trial.number in seen]
    number = last.user_attrs["facts"]["slot"] - 1
    assert suggest_together(PREPARED, history, [number]) == [last.params]


ENDINGS: dict[str, tuple[Outcome, tuple[Any, ...], tuple[Any, ...]]] = {
    "complete": (Completed(0.5), (0.5, ""), (TrialState.COMPLETE, 0.5, {}, {})),
    "pruned": (
        Pruned(0.75, "clearly worse"),
        (0.75, "clearly worse"),
        (TrialState.PRUNED, None, {}, {0: 0.75}),
    ),
    "infeasible": (
        Infeasible("the loss is not a finite number"),
        (None, "the loss is not a finite number"),
        (TrialState.COMPLETE, float("inf"), {"infeasible": 1.0}, {}),
    ),
}


@pytest.mark.parametrize("outcome", ENDINGS)
def test_a_trial_and_its_slot_end_together_and_once(database_url: str, outcome: str) -> None:
    ending, of_slot, of_optuna = ENDINGS[outcome]
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        trial = trial_of(database, claim)
        told = trials.end(database, [(claim, trial, ending)])
        assert trials.end(database, [(claim, trial, Completed(9.0))]) == told  # and does nothing
        [found] = trials.all_trials(database, optuna_id(database))
    shown = (found.state, found.value, found.constraints, found.intermediate_values)
    assert shown == of_optuna
    assert found.user_attrs.get("reason", "") == of_slot[1]
    assert trials.is_complete(found) == (outcome == "complete")
    slot = "SELECT outcome, score, reason FROM hpo_slot WHERE number = 1"
    assert look(database_url, slot) == [(outcome, *of_slot)]


def test_a_late_worker_ends_neither_the_slot_nor_the_trial(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        late = first_trial(database)
        trial = trial_of(database, late)
        let_leases_expire(database_url)
        claim_of(database, "bob")
        with pytest.raises(LeaseLost):
            trials.end(database, [(late, trial, Completed(0.5))])
        [found] = trials.all_trials(database, optuna_id(database))
    assert found.state == TrialState.RUNNING


def test_a_late_worker_makes_no_trial(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        late = first_trial(database)
        let_leases_expire(database_url)
        claim_of(database, "bob")
        with pytest.raises(LeaseLost):
            trial_of(database, late)
        assert trials.all_trials(database, optuna_id(database)) == []


def test_a_cancelled_study_gets_no_more_trials_and_none_runs_on(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        first = first_trial(database)
        trial = trial_of(database, first)
        second = claim_of(database)
        life.cancel(database, "tiny")
        with pytest.raises(LeaseLost, match="has ended"):
            trial_of(database, second)
        with pytest.raises(LeaseLost, match="has ended"):
            trials.end(database, [(first, trial, Completed(0.5))])
        [found] = trials.all_trials(database, optuna_id(database))
    assert found.state == TrialState.FAIL
    outcome = "SELECT outcome FROM hpo_slot WHERE number = 1"
    assert look(database_url, outcome) == [(None,)]


FROM_OUTSIDE = [("infeasible", "the trial was ended from outside")]


@pytest.mark.parametrize("moment", ["before its training", "in its training"])
def test_a_trial_that_somebody_else_has_failed_costs_its_slot_and_no_worker(
    database_url: str, moment: str
) -> None:
    def fail(_: Shape | None = None) -> None:
        change(database_url, "UPDATE trials SET state = 'FAIL', datetime_complete = datetime_start")

    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        if moment == "before its training":
            trial_of(database, claim)
            fail()
        worker(database, FakeTrainer(before=fail))._work_on([claim])
        [found] = trials.all_trials(database, optuna_id(database))
    assert found.state == TrialState.FAIL
    slot = "SELECT outcome, reason FROM hpo_slot WHERE number = 1"
    assert look(database_url, slot) == FROM_OUTSIDE


def test_the_trial_of_a_skipped_slot_fails_with_the_end_of_its_study(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        study = optuna_id(database)
        claim, other = first_trial(database), claim_of(database, "bob")
        trials.end(database, [(claim, trial_of(database, claim), Completed(0.5))])
        trial_of(database, other)
        release(database, [other])
        life.stop(database, "tiny")
        trials.end_study(database, claim_of(database), answer="{}")
        states = [trial.state for trial in trials.all_trials(database, study)]
        assert studies.state(database, "tiny") == "done"
    assert states == [TrialState.COMPLETE, TrialState.FAIL]
