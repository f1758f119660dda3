"""The objective: folds x seeds networks, a look after the first pass, a reason for every end."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.search.objective import Surroundings, TrainingStopped, run_trial
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Outcome, Pruned, Rival
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Diverged, OutOfMemory, Shape
from tests.unit.search.fake_trainer import FakeTrainer, tiny_prepared

PREPARED = tiny_prepared(rows=120, validation={"folds": 2, "seeds": 3})
CANDIDATE = Candidate(
    cells=(2,), learning_rate=0.01, weight_decay=0.0, dropout=0.0, lookback=PREPARED.lookbacks[-1]
)
ORIGINS = sum(len(fold.origins_O) for fold in PREPARED.folds)
Records = Mapping[tuple[int, int], NetworkRecord]


class Stage:
    """Surroundings that remember what was recorded, in order."""

    def __init__(self, trainer: FakeTrainer | None = None, **values: Any) -> None:
        self.kept: list[NetworkRecord] = []
        self.trainer = trainer or FakeTrainer()
        self.around = replace(
            Surroundings(
                trainer=self.trainer,
                on_network=self.kept.append,
                go_on=lambda: True,
                rival=lambda: None,
                clock=lambda: 0.0,
            ),
            **values,
        )

    def run(self, recorded: Records | None = None) -> Outcome:
        return run_trial(PREPARED, CANDIDATE, recorded or {}, self.around)

    def keys(self) -> list[tuple[int, int]]:
        return [(record.fold, record.seed) for record in self.kept]


def rival(loss: float) -> Rival:
    return Rival(losses_SO=np.full((3, ORIGINS), loss), seed_sd=0.001)


def test_a_trial_trains_each_fold_with_each_seed_and_scores_their_mean() -> None:
    stage = Stage()
    outcome = stage.run()
    assert stage.keys() == [(fold, seed) for seed in range(3) for fold in range(2)]
    losses = [np.concatenate([r.losses_O for r in stage.kept if r.seed == s]) for s in range(3)]
    assert isinstance(outcome, Completed)
    assert outcome.score == pytest.approx(np.mean(losses))


def test_recorded_networks_are_not_trained_again_and_the_score_is_the_same() -> None:
    whole = Stage()
    outcome = whole.run()
    recorded = {(r.fold, r.seed): r for r in whole.kept[:3]}
    rest = Stage()
    assert rest.run(recorded) == outcome
    assert rest.keys() == whole.keys()[3:]
    nothing = Stage()
    assert nothing.run({(r.fold, r.seed): r for r in whole.kept}) == outcome
    assert nothing.trainer.trained == []


def test_a_clearly_worse_trial_is_pruned_after_one_pass_and_not_before() -> None:
    stage = Stage(rival=lambda: rival(0.0001))
    outcome = stage.run()
    assert isinstance(outcome, Pruned)
    assert stage.keys() == [(0, 0), (1, 0)]
    assert outcome.score == pytest.approx(np.concatenate([r.losses_O for r in stage.kept]).mean())
    assert "worse" in outcome.reason


def test_a_trial_as_good_as_the_best_is_kept_and_the_rival_is_asked_for_once() -> None:
    asked = []

    def look_up() -> Rival:
        asked.append(1)
        return rival(100.0)

    assert isinstance(Stage(rival=look_up).run(), Completed)
    assert len(asked) == 1


@pytest.mark.parametrize("error", [Diverged("at step 7"), OutOfMemory("cpu is full")])
def test_a_network_that_cannot_be_trained_makes_the_trial_infeasible_with_the_reason(
    error: Exception,
) -> None:
    left = [None, None, error]

    def refuse(_: Shape) -> None:
        if (next_ := left.pop(0)) is not None:
            raise next_

    stage = Stage(FakeTrainer(before=refuse))
    assert stage.run() == Infeasible(str(error))
    assert stage.keys() == [(0, 0), (1, 0)]


def test_forecasts_that_are_no_numbers_make_the_trial_infeasible() -> None:
    assert Stage(FakeTrainer(forecast=np.nan)).run() == Infeasible(
        "a forecast is not a finite number"
    )


def test_a_trial_over_its_time_is_infeasible_and_says_the_limit() -> None:
    times = iter([0.0, 1.0, 2.0, 601.0])
    stage = Stage(clock=lambda: next(times))
    outcome = stage.run()
    assert isinstance(outcome, Infeasible)
    assert "budget.trial_timeout_s = 600" in outcome.reason
    assert len(stage.kept) == 2


def test_time_spent_on_recorded_networks_counts() -> None:
    whole = Stage()
    whole.run()
    slow = {(r.fold, r.seed): replace(r, wall_s=400.0) for r in whole.kept[:2]}
    assert isinstance(Stage().run(slow), Infeasible)


def test_asked_to_stop_a_trial_keeps_the_networks_it_has_and_drops_the_one_in_training() -> None:
    answers = iter([True, True, True, False])
    stage = Stage(go_on=lambda: next(answers))
    with pytest.raises(TrainingStopped):
        stage.run()
    assert len(stage.kept) == 3
    assert len(stage.trainer.trained) == 3
