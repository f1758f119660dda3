"""A plan takes the windows in shuffled passes and looks at the tail about once a pass."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.fitting.schedule import CLIP_NORM, batch_order, falling_rates, make_plan
from hpo.spec.candidate import Candidate
from hpo.spec.study import Study
from hpo.training.trainer import Plan

CANDIDATE = Candidate(cells=(3,), learning_rate=0.03, weight_decay=0.01, lookback=12)


def planned(windows: int, steps: int = 10, seed: int = 0, **parts: Any) -> Plan:
    study = Study.model_validate({"data": {"source": "a.csv", "target": "y"}, **parts})
    rng, batch = np.random.default_rng(seed), min(study.training.batch_size, windows)
    order_SB = batch_order(windows, batch, steps, rng)
    return make_plan(study, CANDIDATE, order_SB, windows=windows, generator=rng)


@given(windows=st.integers(1, 60), batch=st.integers(1, 60), steps=st.integers(1, 40))
def test_every_pass_takes_every_window_once(windows: int, batch: int, steps: int) -> None:
    order_SB = batch_order(windows, batch, steps, np.random.default_rng(0))
    assert order_SB.shape == (steps, batch)
    assert order_SB.dtype == np.int64
    taken = order_SB.ravel()
    for begin in range(0, len(taken), windows):
        one_pass = taken[begin : begin + windows]
        assert len(set(one_pass.tolist())) == len(one_pass)
    assert 0 <= taken.min() <= taken.max() < windows


@given(windows=st.integers(1, 60), batch=st.integers(1, 60), steps=st.integers(1, 40))
def test_the_order_follows_from_the_generator(windows: int, batch: int, steps: int) -> None:
    one, same = (batch_order(windows, batch, steps, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, same)


def test_passes_differ() -> None:
    first, second = batch_order(50, 50, 2, np.random.default_rng(0))
    assert (first != second).any()


@pytest.mark.parametrize(
    ("windows", "every"),
    [(1, 10), (32, 10), (320, 10), (321, 11), (1600, 50), (3200, 100), (10**6, 100)],
)
def test_a_check_is_due_once_a_pass_but_not_before_10_nor_after_100_steps(
    windows: int, every: int
) -> None:
    assert planned(windows).check_every == every


def test_a_plan_holds_what_study_and_candidate_say() -> None:
    plan = planned(100, steps=7, training={"patience": 4, "batch_size": 8})
    assert plan.order_SB.shape == (7, 8)
    assert plan.rates_S.dtype == np.float32
    assert plan.rates_S[0] == np.float32(0.03)
    assert (plan.weight_decay, plan.patience, plan.clip_norm) == (0.01, 4, CLIP_NORM)


def test_rates_fall_from_the_candidates_to_nothing_after_the_most_steps() -> None:
    rates_S = planned(100, steps=400, training={"max_steps": 400}).rates_S
    assert (np.diff(rates_S) < 0).all()
    assert rates_S[200] == pytest.approx(0.015)
    assert 0 < rates_S[-1] < 0.03 * 1e-4


def test_a_shorter_training_takes_the_first_rates_of_the_longest() -> None:
    whole_S, part_S = (falling_rates(0.03, steps, 400) for steps in (400, 150))
    np.testing.assert_array_equal(part_S, whole_S[:150])


def test_a_training_of_more_than_the_most_steps_keeps_a_rate_to_its_end() -> None:
    rates_S = falling_rates(0.03, 800, 400)
    assert (rates_S > 0).all()
    assert rates_S[400] == pytest.approx(0.015)


@pytest.mark.parametrize(
    ("metric", "loss"),
    [("mase", "absolute"), ("mae", "absolute"), ("smape", "absolute"), ("rmse", "squared")],
)
def test_networks_are_trained_on_the_loss_that_belongs_to_the_metric(
    metric: str, loss: str
) -> None:
    assert planned(100, task={"metric": metric}).loss == loss


def test_the_same_seed_makes_the_same_plan_and_another_another() -> None:
    one, same, other = planned(100), planned(100), planned(100, seed=1)
    np.testing.assert_array_equal(one.order_SB, same.order_SB)
    assert one.dropout_seed == same.dropout_seed != other.dropout_seed
    assert (one.order_SB != other.order_SB).any()
