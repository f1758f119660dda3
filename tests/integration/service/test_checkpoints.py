"""A halted training is kept, carried on by another worker to the same result, then forgotten."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from hpo import events
from hpo.fitting import pool
from hpo.fitting.pool import Job, Saved
from hpo.service import checkpoints, deletion, studies
from hpo.service.checkpoints import keep, saved_of
from hpo.service.claims import Claim, LeaseLost
from hpo.service.database import Database
from hpo.service.heart import Hold
from hpo.spec.candidate import Candidate
from hpo.training.device import use_threads
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Trained
from tests.integration.service.stage import (
    change,
    claim_of,
    end,
    first_trial,
    let_leases_expire,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import tiny_study

CANDIDATE = Candidate(cells=(2,), learning_rate=0.01, weight_decay=0.0, dropout=0.0, lookback=4)
JOB = Job(trial=0, fold=1, candidate=CANDIDATE, seed=2)
HALF = Saved(state=b"half", wall_s=70.0)
RESULTS = "SELECT trial, fold, seed, steps, losses, train_loss, watch_loss FROM hpo_network"
STUDY: dict[str, Any] = {
    "budget": {"trials": 2},
    "space": {"layers": (1, 2), "cells": (2, 4), "dropout": (0.1, 0.3)},
    "training": {"max_steps": 60, "device": "cpu"},
}


def test_of_two_states_of_a_training_the_later_is_kept(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        for wall_s in (60.0, 120.0, 120.0):
            keep(database, [claim], JOB, Saved(state=b"s" * int(wall_s), wall_s=wall_s))
        found = saved_of(database, "tiny", [0])
        assert found == {0: {(1, 2): Saved(state=b"s" * 120, wall_s=120.0)}}
        assert saved_of(database, "tiny", [1]) == {}
        assert saved_of(database, "tiny") == found


def test_whoever_lost_the_lease_keeps_no_state(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        lost = first_trial(database)
        let_leases_expire(database_url)
        keep(database, [claim_of(database, "bob")], JOB, HALF)
        with pytest.raises(LeaseLost):
            keep(database, [lost], JOB, Saved(state=b"late", wall_s=1.0))
        assert saved_of(database, "tiny") == {0: {(1, 2): HALF}}


@pytest.mark.parametrize("how", ["delete", "trials"])
def test_states_go_with_their_study(database_url: str, how: str) -> None:
    with opened(database_url) as database:
        submit(database)
        keep(database, [first_trial(database)], JOB, HALF)
        if how == "delete":
            deletion.delete(database, "tiny")
        else:
            change(database_url, "DELETE FROM hpo_study")
    if how == "delete" or database_url.startswith("postgres"):
        assert look(database_url, "SELECT count(*) FROM hpo_checkpoint") == [(0,)]


class Halting(TorchTrainer):
    """Torch, that calls `at_check` before every answer to whether to go on."""

    def __init__(self, at_check: Callable[[], object]) -> None:
        super().__init__("cpu", quiet_s=0)
        self.at_check = at_check

    def train(self, *arguments: Any, **named: Any) -> Trained:
        *others, on_check = arguments
        train: Any = super().train

        def asked(step: int, loss: float) -> bool:
            self.at_check()
            return bool(on_check(step, loss))

        return cast(Trained, train(*others, asked, **named))


@pytest.fixture(autouse=True)
def one_thread() -> None:
    use_threads(1)


def finished(database: Database, **sections: Any) -> None:
    submit(database, tiny_study(**STUDY | sections))
    worker(database, TorchTrainer("cpu", quiet_s=0)).run()


def test_a_training_halted_by_one_worker_is_carried_on_by_another_to_the_last_bit(
    database_url: str, tmp_path: Any
) -> None:
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    with opened(whole) as database:
        finished(database)
    stop, asked, heard = threading.Event(), [0], list[events.Event]()

    def halt() -> None:
        asked[0] += 1
        if asked[0] == 75:  # in the second network
            stop.set()

    with opened(database_url) as database:
        submit(database, tiny_study(**STUDY))
        worker(database, Halting(halt), stop, hear=heard.append).run()
        [(trial, kept)] = saved_of(database, "tiny").items()
        [(_, saved)] = kept.items()
        assert (trial, len(kept)) == (0, 1)
        assert saved.wall_s > 0
        assert len([e for e in heard if isinstance(e, events.TrainingCheckpointed)]) == 1
        steps = count_checks(database)
        assert saved_of(database, "tiny") == {}, "forgotten with the verdict at the latest"
    with opened(whole) as database:
        assert look(database_url, RESULTS + " ORDER BY 1, 2, 3") == look(
            whole, RESULTS + " ORDER BY 1, 2, 3"
        )
    assert steps > 0


def count_checks(database: Database) -> int:
    """Carry the study to its end; how often it was asked on the way."""
    asked = [0]

    def count() -> None:
        asked[0] += 1

    worker(database, Halting(count)).run()
    assert studies.state(database, "tiny") == "done"
    return asked[0]


def test_a_long_training_is_kept_now_and_then_and_its_result_is_the_same(
    sqlite_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = f"sqlite:///{tmp_path / 'whole.db'}"
    with opened(whole) as database:
        finished(database, budget={"trials": 1})
    monkeypatch.setattr(pool, "SAVE_EVERY_S", 0.0)  # at every check
    kept: list[Job] = []
    keep_one = checkpoints.keep

    def remember(database: Database, claims: list[Claim], job: Job, saved: Saved) -> None:
        kept.append(job)
        keep_one(database, claims, job, saved)

    monkeypatch.setattr(checkpoints, "keep", remember)
    with opened(sqlite_url) as database:
        finished(database, budget={"trials": 1})
        assert saved_of(database, "tiny") == {}
    assert len(kept) > 20
    assert look(sqlite_url, RESULTS + " ORDER BY 1, 2, 3") == look(
        whole, RESULTS + " ORDER BY 1, 2, 3"
    )


def test_states_of_a_trial_are_forgotten_when_it_is_settled_and_no_others(
    database_url: str,
) -> None:
    stop = threading.Event()
    with opened(database_url) as database:
        submit(database, tiny_study(**STUDY))
        one = worker(database, Halting(stop.set), stop)
        one._work_on([claim_of(database, one.id)])
        other, first = claim_of(database), claim_of(database, one.id)
        one._work_on([first])
        [trial] = saved_of(database, "tiny")
        keep(database, [other], replace(JOB, trial=7), HALF)
        assert set(saved_of(database, "tiny")) == {trial, 7}
        again = worker(database, TorchTrainer("cpu"))
        again._work_on([claim_of(database, again.id)])
        assert set(saved_of(database, "tiny")) == {7}
        end(database, other, "infeasible")
        again.run()
        assert studies.state(database, "tiny") == "done"
        assert saved_of(database, "tiny") == {}, "the verdict forgets all"


@pytest.mark.parametrize("state", [b"", b"no state at all"], ids=["empty", "garbage"])
def test_a_state_that_cannot_be_read_is_begun_anew(sqlite_url: str, state: bytes) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        one = worker(database, TorchTrainer("cpu"))
        one._work_on([claim_of(database, one.id)])
        claim = claim_of(database, one.id)
        one._join([claim], Hold([claim], one.stop))
        keep_for_first_trial(database, claim, state)
        one._work_on([claim])
    assert look(sqlite_url, "SELECT outcome FROM hpo_slot WHERE number = 1") == [("complete",)]
    assert look(sqlite_url, "SELECT count(*) FROM hpo_failure") == [(0,)]


def keep_for_first_trial(database: Database, claim: Claim, state: bytes) -> None:
    """The trial is made, and a state of its first network is kept, as if a worker had died."""
    from hpo.service.trials import batch_of
    from tests.unit.search.fake_trainer import tiny_prepared

    batch_of(database, studies.find(database, "tiny").optuna_id, [claim], tiny_prepared())
    first = Job(trial=0, fold=0, candidate=CANDIDATE, seed=0)
    keep(database, [claim], first, Saved(state=state, wall_s=1.0))
