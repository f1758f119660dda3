"""The rows that we write of Optuna's trials are those that its own storage writes."""

from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.errors import UnknownStudy
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.search.space import distributions
from hpo.service import trial_rows
from hpo.service.database import Database
from tests.integration.service.databases import look
from tests.integration.service.stage import opened
from tests.unit.search.fake_trainer import tiny_prepared

PARAMS = {"layers": 2, "cells_1": 5, "cells_2": 3, "cells_3": 2, "learning_rate": 0.01}
TABLES = {
    "trials": ("number", "state"),
    "trial_params": ("param_name", "param_value", "distribution_json"),
    "trial_values": ("objective", "value", "value_type"),
    "trial_intermediate_values": (*("step", "intermediate_value", "intermediate_value_type"),),
    "trial_user_attributes": ("key", "value_json"),
    "trial_system_attributes": ("key", "value_json"),
}


def template() -> FrozenTrial:
    limits = distributions(tiny_prepared(space={"layers": [1, 3]}))
    assert set(PARAMS) == set(limits)
    return create_trial(
        state=TrialState.RUNNING,
        params=PARAMS,
        distributions=limits,
        user_attrs={"facts": {"slot": 1, "seen": [], "cells": [5, 3]}, "more": "\u00e9"},
    )


def new_study(database: Database) -> str:
    return optuna.create_study(storage=database.storage).study_name


def optunas_id(database: Database, study: str) -> int:
    return database.storage.get_study_id_from_name(study)


def add(database: Database, study: str, count: int = 1) -> list[FrozenTrial]:
    templates = [template() for _ in range(count)]
    with database.transaction() as connection:
        trial_rows.add(connection, trial_rows.lock(connection, study), templates)
    return templates


def end(database: Database, study: str, trial_id: int, outcome: Outcome) -> set[int]:
    with database.transaction() as connection:
        return trial_rows.end(connection, study, {trial_id: outcome})


def rows_of(url: str, trial_id: int) -> dict[str, list[tuple[Any, ...]]]:
    """All that the tables say of a trial, but for its ids and times."""
    return {
        table: sorted(
            look(url, f"SELECT {', '.join(columns)} FROM {table} WHERE trial_id = :id", id=trial_id)  # noqa: S608
        )
        for table, columns in TABLES.items()
    }


def by_optuna(database: Database, outcome: Outcome | None) -> int:
    """A trial as Optuna writes it."""
    storage = database.storage
    study = optunas_id(database, new_study(database))
    trial_id = storage.create_new_trial(study, template())
    match outcome:
        case Completed(score):
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [score])
        case Pruned(score, reason):
            storage.set_trial_intermediate_value(trial_id, 0, score)
            storage.set_trial_user_attr(trial_id, "reason", reason)
            storage.set_trial_state_values(trial_id, TrialState.PRUNED, None)
        case Infeasible(reason):
            storage.set_trial_user_attr(trial_id, "reason", reason)
            storage.set_trial_system_attr(trial_id, "constraints:infeasible", 1.0)
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [float("inf")])
    return trial_id


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Completed(0.5),
        Pruned(0.75, "clearly worse"),
        Pruned(float("nan"), "not a number"),
        Infeasible("out of memory"),
    ],
    ids=["running", "complete", "pruned", "pruned-nan", "infeasible"],
)
def test_a_trial_is_written_as_optuna_writes_it(database_url: str, outcome: Outcome | None) -> None:
    with opened(database_url) as database:
        study = new_study(database)
        [trial] = add(database, study)
        if outcome is not None:
            assert end(database, study, trial._trial_id, outcome) == set()
        theirs = by_optuna(database, outcome)
        assert rows_of(database_url, trial._trial_id) == rows_of(database_url, theirs)
        ours = database.storage.get_trial(trial._trial_id)
        others = database.storage.get_trial(theirs)
    assert ours.datetime_start is not None
    assert others.datetime_start is not None
    assert abs((ours.datetime_start - others.datetime_start).total_seconds()) < 60
    assert (ours.datetime_complete is None) == (others.datetime_complete is None)


def test_trials_are_numbered_in_the_order_in_which_they_are_added(database_url: str) -> None:
    with opened(database_url) as database:
        other, study = new_study(database), new_study(database)
        add(database, other, 2)
        made = [trial for count in (3, 1) for trial in add(database, study, count)]
        database.storage.create_new_trial(optunas_id(database, study))
        found = database.storage.get_all_trials(optunas_id(database, study))
    assert [trial.number for trial in made] == [0, 1, 2, 3]
    assert [(t.number, t._trial_id) for t in found[:4]] == [(t.number, t._trial_id) for t in made]
    assert found[4].number == 4


def test_what_was_ended_before_stays_as_it_is_and_is_told(database_url: str) -> None:
    with opened(database_url) as database:
        study = new_study(database)
        first, second = add(database, study, 2)
        assert end(database, study, first._trial_id, Completed(0.5)) == set()
        with database.transaction() as connection:
            both = dict.fromkeys((first._trial_id, second._trial_id), Completed(0.25))
            assert trial_rows.end(connection, study, both) == {first._trial_id}
        found = [database.storage.get_trial(trial._trial_id) for trial in (first, second)]
    assert [trial.value for trial in found] == [0.5, 0.25]


@pytest.mark.parametrize("outcome", [Pruned(0.75, "clearly worse"), Infeasible("out of memory")])
def test_what_somebody_has_half_told_is_told_anew(
    database_url: str, outcome: Pruned | Infeasible
) -> None:
    with opened(database_url) as database:
        study = new_study(database)
        [trial] = add(database, study)
        database.storage.set_trial_intermediate_value(trial._trial_id, 0, 9.0)
        database.storage.set_trial_user_attr(trial._trial_id, "reason", "interrupted")
        database.storage.set_trial_system_attr(trial._trial_id, "constraints:infeasible", 0.0)
        assert end(database, study, trial._trial_id, outcome) == set()
        found = database.storage.get_trial(trial._trial_id)
    assert found.user_attrs["reason"] == outcome.reason
    match outcome:
        case Pruned(score):
            assert (found.state, found.intermediate_values) == (TrialState.PRUNED, {0: score})
        case _:
            assert (found.state, found.constraints) == (TrialState.COMPLETE, {"infeasible": 1.0})


def test_the_running_trials_of_one_study_fail(database_url: str) -> None:
    with opened(database_url) as database:
        study = new_study(database)
        ended, _ = add(database, study, 2)
        [other] = add(database, new_study(database))
        end(database, study, ended._trial_id, Completed(0.5))
        with database.transaction() as connection:
            trial_rows.fail_running(connection, study)
        found = database.storage.get_all_trials(optunas_id(database, study))
        assert database.storage.get_trial(other._trial_id).state == TrialState.RUNNING
    assert [trial.state for trial in found] == [TrialState.COMPLETE, TrialState.FAIL]
    assert found[1].datetime_complete is not None


def test_a_study_that_is_deleted_gets_no_trials(database_url: str) -> None:
    with opened(database_url) as database:
        study = new_study(database)
        database.storage.delete_study(optunas_id(database, study))
        with pytest.raises(UnknownStudy):
            add(database, study)


def test_the_trials_of_another_study_are_not_ended(database_url: str) -> None:
    with opened(database_url) as database:
        study, other = new_study(database), new_study(database)
        [trial] = add(database, other)
        assert end(database, study, trial._trial_id, Completed(0.5)) == {trial._trial_id}
        assert database.storage.get_trial(trial._trial_id).state == TrialState.RUNNING


def test_all_rows_of_one_study_are_deleted(database_url: str) -> None:
    def rows() -> dict[str, int]:
        tables = {*TABLES, "studies", "study_directions", "study_user_attributes"}
        return {t: look(database_url, f"SELECT count(*) FROM {t}")[0][0] for t in tables}  # noqa: S608

    def fill(database: Database) -> str:
        study = new_study(database)
        database.storage.set_study_user_attr(optunas_id(database, study), "note", "kept")
        for outcome in (Pruned(0.75, "clearly worse"), Infeasible("out of memory")):
            [trial] = add(database, study)
            end(database, study, trial._trial_id, outcome)
        return study

    with opened(database_url) as database:
        fill(database)
        before = rows()
        assert set(before.values()) >= {1, 2}
        study = fill(database)
        with database.transaction() as connection:
            trial_rows.delete(connection, study)
    assert rows() == before
