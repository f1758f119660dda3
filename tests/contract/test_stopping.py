"""A training that is stopped, carried off as bytes and gone on with is the one never stopped.

For every engine and to the last bit: weights, steps and losses.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.training.state import TrainingState
from hpo.training.trainer import Diverged, Examples, OnCheck, Plan, Shape, Stopped, Trained, Trainer
from tests.contract.engines import ENGINES, NATIVE, engine
from tests.contract.tasks import assert_same, go_on, levels, plan, samples, wave, weights_of


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is trained, and how."""

    shape: Shape
    inner: Examples
    watch: Examples | None
    how: Plan

    def train(
        self, trainer: Trainer, on_check: OnCheck = go_on, state: TrainingState | None = None
    ) -> Trained:
        given = weights_of(self.shape)
        return trainer.train(
            self.shape, given, self.inner, self.how, self.watch, on_check, state=state
        )


def columns(rows: int = 120) -> Any:
    """values_RF of three columns: a noisy wave and two covariates."""
    covariates_R2 = np.random.default_rng(3).normal(size=(rows, 2)).astype(np.float32)
    return np.concatenate([wave(rows, noise=0.3), covariates_R2], axis=1)


NOISE = wave(noise=1.0)
TASKS = {
    "all-steps": Task(
        shape=Shape(inputs=1, outputs=1, cells=(4,)),
        inner=samples(NOISE),
        watch=None,
        how=plan(23, check_every=5, weight_decay=0.1),
    ),
    "until-patience-ends": Task(
        shape=Shape(inputs=1, outputs=1, cells=(5,)),
        inner=samples(NOISE, 0, 20),
        watch=samples(NOISE, 90, 110),
        how=plan(400, rate=0.1, windows=20, check_every=4, patience=3),
    ),
    "two-layers-with-dropout": Task(
        shape=Shape(inputs=3, outputs=2, cells=(4, 3), dropout=0.3),
        inner=samples(columns(), outputs=2, anchored=True),
        watch=samples(columns(), 90, 110, outputs=2, anchored=True),
        how=plan(31, rate=0.05, check_every=6, loss="squared", dropout_seed=11),
    ),
    "sequences": Task(
        shape=Shape(inputs=2, outputs=3, cells=(6,), dropout=0.5),
        inner=levels(),
        watch=levels(9),
        how=plan(25, rate=0.03, windows=24, check_every=1, loss="cross_entropy"),
    ),
}


@cache
def unstopped(name: str, task: str) -> Trained:
    return TASKS[task].train(engine(name))


def state_after(
    task: Task, trainer: Trainer, step: int, state: TrainingState | None = None
) -> TrainingState:
    """Stop after this step; what is left of the training then went through bytes."""
    with pytest.raises(Stopped) as caught:
        task.train(trainer, lambda now, _: now != step, state)
    assert caught.value.state is not None
    return TrainingState.from_bytes(caught.value.state.to_bytes())


def with_stops(task: Task, name: str, stops: set[int]) -> Trained:
    """Stop after each of these steps, and go on with another trainer every time."""
    state = None
    for step in sorted(stops):
        state = state_after(task, engine(name, quiet_s=0), step, state)
        assert state.step == step
    return task.train(engine(name), state=state)


def assert_equal(one: Trained, other: Trained) -> None:
    assert_same(one.weights, other.weights)
    assert (one.steps, one.checks) == (other.steps, other.checks)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ENGINES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_training_with_stops_is_the_one_without(name: str, task: str, data: Any) -> None:
    expected = unstopped(name, task)
    steps = st.integers(1, expected.checks[-1].step - 1)
    stops = data.draw(st.sets(steps, min_size=1, max_size=4), label="stops")
    assert_equal(with_stops(TASKS[task], name, stops), expected)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ENGINES)
def test_a_training_stopped_after_every_step_is_the_one_without_stops(name: str, task: str) -> None:
    expected = unstopped(name, task)
    stops = set(range(1, expected.checks[-1].step))
    assert_equal(with_stops(TASKS[task], name, stops), expected)


@pytest.mark.parametrize("name", ENGINES)
def test_patience_ends_one_of_these_trainings_early_and_restores_its_weights(name: str) -> None:
    """Else the stops above would prove nothing about the bookkeeping of the best weights."""
    trained = unstopped(name, "until-patience-ends")
    last = trained.checks[-1].step
    assert trained.steps < last < len(TASKS["until-patience-ends"].how.rates_S)


@pytest.mark.parametrize("name", ENGINES)
def test_on_check_is_asked_after_every_step_but_the_last(name: str) -> None:
    heard: list[int] = []

    def hear(step: int, _loss: float) -> bool:
        heard.append(step)
        return True

    TASKS["all-steps"].train(engine(name, quiet_s=0), hear)
    assert heard == list(range(1, 23))


@pytest.mark.parametrize("name", ENGINES)
def test_a_state_can_be_gone_on_from_more_than_once(name: str) -> None:
    task = TASKS["two-layers-with-dropout"]
    state = state_after(task, engine(name, quiet_s=0), 9)
    before = state.to_bytes()
    for _ in range(2):
        assert_equal(
            task.train(engine(name), state=state), unstopped(name, "two-layers-with-dropout")
        )
    assert state.to_bytes() == before


@pytest.mark.parametrize("other", NATIVE)
@pytest.mark.parametrize("name", NATIVE)
def test_a_state_goes_on_on_another_kind_of_processor(name: str, other: str) -> None:
    """Not to the last bit there: the kernels differ by roundings."""
    task = TASKS["two-layers-with-dropout"]
    state = state_after(task, engine(name, quiet_s=0), 20)
    carried_on, expected = (
        [check.watch_loss for check in trained.checks]
        for trained in (
            task.train(engine(other), state=state),
            unstopped(name, "two-layers-with-dropout"),
        )
    )
    np.testing.assert_allclose(carried_on, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("stop", [1, 11, 12])
def test_a_loss_that_explodes_after_a_stop_is_held_against_the_first_batchs(
    name: str, stop: int
) -> None:
    """The rates are sane up to step 12 and absurd from there on."""
    task = TASKS["all-steps"]
    rates_S = np.where(np.arange(23) < 12, 0.01, 1e6).astype(np.float32)
    exploding = replace(task, how=replace(task.how, rates_S=rates_S))
    state = state_after(exploding, engine(name, quiet_s=0), stop)
    said = []
    for begun in (None, state):
        with pytest.raises(Diverged, match="exploded from") as caught:
            exploding.train(engine(name), state=begun)
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("name", ENGINES)
def test_weights_that_are_no_numbers_in_a_state_are_divergence(name: str) -> None:
    task = TASKS["all-steps"]
    state = state_after(task, engine(name, quiet_s=0), 7)
    broken = replace(state, weights_P=np.full_like(state.weights_P, np.nan))
    with pytest.raises(Diverged):
        task.train(engine(name), state=broken)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"engine": "abacus"}, "the state's engine is 'abacus', this training's '(torch|native)'"),
        ({"widths": (1, 5, 1)}, r"the state's widths is \(1, 5, 1\), this training's \(1, 4, 1\)"),
        ({"plan_steps": 24}, "the state's plan_steps is 24, this training's 23"),
        ({"check_every": 6}, "the state's check_every is 6, this training's 5"),
        ({"fewer": 1}, r"the state has 116 weights, this training's network 117"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_state_of_another_training_is_refused(
    name: str, changes: dict[str, Any], said: str
) -> None:
    task = TASKS["all-steps"]
    state = state_after(task, engine(name, quiet_s=0), 3)
    if "fewer" in changes:
        arrays = ("weights_P", "mean_P", "square_P", "best_P")
        changes = {array: getattr(state, array)[1:] for array in arrays}
    with pytest.raises(ValueError, match=said):
        task.train(engine(name), state=replace(state, **changes))


@pytest.mark.parametrize("name", ENGINES)
def test_the_weights_a_resumed_training_once_began_with_are_still_checked(name: str) -> None:
    task = TASKS["all-steps"]
    trainer = engine(name, quiet_s=0)
    state = state_after(task, trainer, 3)
    others = weights_of(replace(task.shape, cells=(5,)))
    with pytest.raises(ValueError, match="weight_ih_l0 has shape"):
        trainer.train(task.shape, others, task.inner, task.how, None, go_on, state=state)
