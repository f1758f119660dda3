"""The objective: folds x seeds networks, a look after the first pass, a reason for every end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from hpo.fitting.pool import Failure, Job, TimeLimit
from hpo.search.objective import Networks, run_trials
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Pruned, Rival
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Diverged, OutOfMemory
from tests.unit.search.fake_trainer import tiny_prepared

PREPARED = tiny_prepared(rows=120, validation={"folds": 2, "seeds": 3})
CANDIDATE = Candidate(
    cells=(2,), learning_rate=0.01, weight_decay=0.0, dropout=0.0, lookback=PREPARED.lookbacks[-1]
)
ORIGINS = sum(len(fold.origins_O) for fold in PREPARED.folds)
Records = Mapping[tuple[int, int], NetworkRecord]
Key = tuple[int, int, int]


class Stage:
    """A place to train that remembers every call, as (trial, fold, seed), and fails as told.

    The loss of a trial's networks is its number + 1, plus a little of fold and seed.
    """

    def __init__(
        self, failures: Mapping[Key, Failure] | None = None, losses: Mapping[Key, float] = {}
    ) -> None:
        self.failures, self.losses = failures or {}, losses
        self.calls: list[list[Key]] = []
        self.kept: dict[Key, NetworkRecord] = {}

    def train(self, jobs: Sequence[Job]) -> dict[Job, NetworkRecord | Failure]:
        self.calls.append([(job.trial, job.fold, job.seed) for job in jobs])
        return {job: self._result(job) for job in jobs}

    def _result(self, job: Job) -> NetworkRecord | Failure:
        key = (job.trial, job.fold, job.seed)
        if key in self.failures:
            return self.failures[key]
        usual = 1 + job.trial + 0.01 * job.fold + 0.001 * job.seed
        self.kept[key] = NetworkRecord(
            fold=job.fold,
            seed=job.seed,
            losses_O=np.full(len(PREPARED.folds[job.fold].origins_O), self.losses.get(key, usual)),
            steps=7,
            train_loss=1.0,
            watch_loss=1.0,
            wall_s=1.0,
            engine="fake",
            device="cpu",
        )
        return self.kept[key]

    def records(self, trial: int, count: int = 6) -> Records:
        found = [(key[1:], record) for key, record in self.kept.items() if key[0] == trial]
        return dict(found[:count])


def networks(trial: int = 0, recorded: Records | None = None) -> Networks:
    limit_s = PREPARED.study.budget.trial_timeout_s
    return Networks(
        PREPARED, trial, CANDIDATE, recorded or {}, folds=PREPARED.folds, limit_s=limit_s
    )


def rival(loss: float) -> Rival:
    return Rival(losses_SO=np.full((3, ORIGINS), loss), seed_sd=0.001)


def test_a_trial_trains_each_fold_with_each_seed_and_scores_their_mean() -> None:
    stage = Stage()
    [outcome] = run_trials([networks()], stage.train, None)
    assert stage.calls == [[(0, 0, 0), (0, 1, 0)], [(0, f, s) for s in (1, 2) for f in (0, 1)]]
    pairs = [(r.losses_O.mean(), len(r.losses_O)) for r in stage.kept.values()]
    assert isinstance(outcome, Completed)
    assert outcome.score == pytest.approx(sum(m * n for m, n in pairs) / sum(n for _, n in pairs))


def test_trials_of_a_batch_go_in_step() -> None:
    stage = Stage()
    run_trials([networks(4), networks(5)], stage.train, None)
    first, others = stage.calls
    assert first == [(trial, fold, 0) for trial in (4, 5) for fold in (0, 1)]
    assert {key[2] for key in others} == {1, 2}
    assert len(others) == 8


def test_each_trial_is_looked_at_beside_the_rival_known_before_the_batch() -> None:
    stage = Stage()
    outcomes = run_trials([networks(0), networks(1), networks(0 + 9)], stage.train, rival(1.5))
    assert [type(outcome) for outcome in outcomes] == [Completed, Pruned, Pruned]
    assert [len(call) for call in stage.calls] == [6, 4]
    assert {key[0] for key in stage.calls[1]} == {0}
    alone = [run_trials([networks(trial)], Stage().train, rival(1.5))[0] for trial in (0, 1, 9)]
    assert alone == outcomes


def test_a_pruned_trial_has_the_score_of_its_pass_and_a_reason() -> None:
    stage = Stage()
    [outcome] = run_trials([networks()], stage.train, rival(0.0001))
    assert isinstance(outcome, Pruned)
    first = np.concatenate([record.losses_O for record in stage.kept.values()])
    assert outcome.score == pytest.approx(first.mean())
    assert "worse" in outcome.reason


def test_recorded_networks_are_not_trained_again_and_the_score_is_the_same() -> None:
    whole = Stage()
    outcome = run_trials([networks()], whole.train, None)
    rest = Stage()
    assert run_trials([networks(0, whole.records(0, 3))], rest.train, None) == outcome
    assert rest.calls == [[], [(0, 1, 1), (0, 0, 2), (0, 1, 2)]]
    nothing = Stage()
    assert run_trials([networks(0, whole.records(0))], nothing.train, None) == outcome
    assert nothing.calls == [[], []]


@pytest.mark.parametrize("error", [Diverged("at step 7"), OutOfMemory("full"), TimeLimit("late")])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_that_fails_makes_its_trial_infeasible_and_ends_nothing_else(
    error: Failure, seed: int
) -> None:
    stage = Stage(failures={(0, 0, seed): error, (0, 1, seed): Diverged("another")})
    outcomes = run_trials([networks(0), networks(1)], stage.train, None)
    assert outcomes[0] == Infeasible(str(error)), "the first failure, whichever ended first"
    assert isinstance(outcomes[1], Completed)
    assert {key for key in stage.kept if key[0] == 1} == {
        (1, fold, s) for fold in (0, 1) for s in (0, 1, 2)
    }
    assert len(stage.calls[0]) == 4, "the pass is finished"


def test_forecasts_that_are_no_numbers_make_the_trial_infeasible() -> None:
    stage = Stage(losses={(0, 1, 0): np.inf})
    assert run_trials([networks()], stage.train, None) == [
        Infeasible("a forecast is not a finite number")
    ]


def test_a_trial_whose_networks_train_longer_together_than_the_limit_is_infeasible() -> None:
    whole = Stage()
    run_trials([networks()], whole.train, None)
    slow = {key: replace(record, wall_s=299.6) for key, record in whole.records(0, 2).items()}
    [late] = run_trials([networks(0, slow)], Stage().train, None)
    assert isinstance(late, Infeasible)
    assert "budget.trial_timeout_s = 600" in late.reason
    in_time = {key: replace(record, wall_s=297.9) for key, record in slow.items()}
    [outcome] = run_trials([networks(0, in_time)], Stage().train, None)
    assert isinstance(outcome, Completed)


def test_a_batch_without_trials_trains_nothing() -> None:
    assert run_trials([], Stage().train, None) == []
