"""Optuna's side of a slot: found again after a crash, told once."""

import pytest
from optuna.trial import FrozenTrial, TrialState

from hpo.data.prepare import Prepared
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.search.suggestion import suggest_together
from hpo.service import studies, trials
from hpo.service.claims import Claim, LeaseLost, Settlement, settle
from hpo.service.database import Database
from hpo.service.work import Worker
from hpo.sizing.bound import parameters
from tests.integration.service.stage import (
    claim_of,
    end,
    first_trial,
    let_leases_expire,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import FakeTrainer, tiny_prepared, tiny_study

PREPARED = tiny_prepared()
INFEASIBLE = Infeasible("the loss is not a finite number")


def optuna_id(database: Database) -> int:
    return studies.find(database, "tiny").optuna_id


def trial_of(database: Database, claim: Claim, prepared: Prepared = PREPARED) -> FrozenTrial:
    """The trial of one slot."""
    [trial] = trials_of(database, [claim], prepared)
    return trial


def trials_of(
    database: Database, claims: list[Claim], prepared: Prepared = PREPARED
) -> list[FrozenTrial]:
    """The trials of a batch of slots."""
    return trials.batch_of(database, optuna_id(database), claims, prepared).trials


def test_a_slot_without_number_finds_the_trial_its_worker_made_before_it_died(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        claim, study = first_trial(database), optuna_id(database)
        trial_of(database, claim)
        let_leases_expire(database_url)
        again = claim_of(database, "bob")
        assert (again.number, again.trial) == (1, None)
        trial = trial_of(database, again)
        assert (trial.number, trial.state) == (0, TrialState.RUNNING)
        assert len(trials.all_trials(database, study)) == 1
        settle(database, [Settlement(claim=again, trial=trial.number, outcome="complete")])
    assert look(database_url, "SELECT trial FROM hpo_slot WHERE number = 1") == [(0,)]


def test_a_trial_holds_its_slot_its_network_and_the_bound_in_force(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        trial, submitted = trial_of(database, claim), claim.created_at
    assert trial.user_attrs == {
        "slot": 1,
        "facts": {
            "cells": [2],
            "weights": 43,
            "rule": "formula",
            "alpha": 2.0,
            "max_equal_cells": PREPARED.limit.samples // 4,
            "limit_cells": PREPARED.limit.samples // 4,
            "seen": [],
            "beside": [],
            "submitted": submitted,
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
                trials.tell(database, made, Completed(1.0 / (1 + place)))
        found = trials.all_trials(database, study)
    last = found[-1]
    seen = last.user_attrs["facts"]["seen"]
    assert seen == [1, 2, 4, 5, 7, 8, 10]
    history = [trial for trial in found if trial.number in seen]
    number = last.user_attrs["slot"] - 1
    assert suggest_together(PREPARED, history, [number]) == [last.params]


@pytest.mark.parametrize(
    "outcome", [Completed(0.5), Pruned(0.75, "clearly worse"), INFEASIBLE], ids=lambda o: str(o)[:8]
)
def test_what_is_told_is_what_is_read_and_is_told_once(database_url: str, outcome: Outcome) -> None:
    with opened(database_url) as database:
        submit(database)
        trial = trial_of(database, first_trial(database))
        assert trials.told(trial) is None
        assert trials.tell(database, trial, outcome) == outcome
        assert trials.tell(database, trial, Completed(9.0)) == outcome
        [found] = trials.all_trials(database, optuna_id(database))
        assert trials.told(found) == outcome


def test_infeasible_is_complete_with_an_infinite_value_and_a_broken_constraint(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        trial = trial_of(database, first_trial(database))
        trials.tell(database, trial, INFEASIBLE)
        [found] = trials.all_trials(database, optuna_id(database))
    assert (found.state, found.value) == (TrialState.COMPLETE, float("inf"))
    assert found.constraints == {"infeasible": 1.0}
    assert not trials.is_feasible(found)


def test_infeasible_half_told_stays_infeasible(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        trial = trial_of(database, claim)
        storage = database.storage
        storage.set_trial_user_attr(trial._trial_id, "reason", INFEASIBLE.reason)
        storage.set_trial_system_attr(trial._trial_id, "constraints:infeasible", 1.0)
        again = trial_of(database, claim)
        assert trials.told(again) == INFEASIBLE


def test_a_trial_told_but_not_settled_is_settled_without_training(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        trial = trial_of(database, claim)
        trials.tell(database, trial, Completed(0.25))
        let_leases_expire(database_url)
        trainer = FakeTrainer()
        run_once(worker(database, trainer))
    assert trainer.trained == []
    assert look(database_url, "SELECT outcome, score FROM hpo_slot WHERE number = 1") == [
        ("complete", 0.25)
    ]


def run_once(one: Worker) -> None:
    one._work_on([claim_of(one.database, one.id)])


def test_a_trial_made_after_the_lease_was_lost_is_closed_before_the_verdict(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database_url) as database:
        submit(database)
        lost, study = first_trial(database), optuna_id(database)
        let_leases_expire(database_url)
        taken = claim_of(database, "bob")
        kept = trial_of(database, taken)
        end(database, taken, score=1.0)
        trials.tell(database, kept, Completed(1.0))
        monkeypatch.setattr(trials, "all_trials", lambda *_: [])  # it looked before bob's trial
        trials.batch_of(database, study, [lost], PREPARED)
        monkeypatch.undo()
        with pytest.raises(LeaseLost):
            settle(database, [Settlement(claim=lost, outcome="complete")])
        trials.close_orphans(database, study, lost.created_at)
        states = [trial.state for trial in trials.all_trials(database, study)]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]
