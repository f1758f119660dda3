"""The ensemble that is taken away: as many passes over the rows, whatever the threads."""

import numpy as np
import pytest

from hpo.data.prepare import with_all_rows
from hpo.errors import StudyFailed
from hpo.export.refit import Ensemble, refit, steps_for
from hpo.fitting.material import window_count
from hpo.training.trainer import Diverged, Shape
from tests.contract.tasks import assert_same
from tests.unit.export.models import case, months
from tests.unit.search.fake_trainer import FakeTrainer

CASE = case(months())


def test_steps_grow_with_the_windows() -> None:
    prepared, whole = with_all_rows(CASE.prepared)
    lookback = CASE.candidate.lookback
    before = window_count(prepared, prepared.test, lookback, watched=False)
    here = window_count(prepared, whole, lookback, watched=False)
    assert here == before + len(months()) - int(prepared.test.train_ends_S[0])
    assert steps_for(prepared, whole, lookback, test_steps=before) == here
    assert steps_for(prepared, prepared.test, lookback, test_steps=77) == 77


def test_networks_do_not_depend_on_the_number_of_threads() -> None:
    prepared, test = CASE.prepared, CASE.prepared.test
    assert prepared.transform_of(test) is prepared.transforms[-1]
    one, two = CASE.refitted(test), CASE.refitted(test, threads=2)
    assert list(one.weights) == list(two.weights) == list(CASE.seeds)
    for seed in CASE.seeds:
        assert_same(one.weights[seed], two.weights[seed])
    first, second = one.weights.values()
    assert any((first[name] != second[name]).any() for name in first)


def test_a_network_that_fails_is_left_out_and_told() -> None:
    calls: list[Shape] = []

    def fail_once(shape: Shape) -> None:
        calls.append(shape)
        if len(calls) == 1:
            raise Diverged("at step 3")

    made = _refit(FakeTrainer(before=fail_once))
    assert list(made.weights) == [3]
    assert made.warnings == ("the network of seed 2 fell out: at step 3",)
    assert np.isfinite(made.weights[3]["head.weight"]).all()


def test_where_every_network_fails_there_is_no_model() -> None:
    def fail(_: Shape) -> None:
        raise Diverged("at step 3")

    with pytest.raises(StudyFailed, match="no network could be trained on all rows: the network"):
        _refit(FakeTrainer(before=fail))


def _refit(trainer: FakeTrainer) -> Ensemble:
    return refit(
        CASE.prepared,
        CASE.prepared.test,
        CASE.candidate,
        seeds=CASE.seeds,
        steps=9,
        trainer_for=lambda _: trainer,
        threads=1,
    )
