"""A training's state goes through bytes unchanged, and what is no such state is refused."""

import pickle
from copy import copy
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from hpo.training.state import TrainingState
from hpo.training.trainer import Stopped

P = 5


def state(**changes: Any) -> TrainingState:
    """After step 9 of 20, with checks after steps 4 and 8."""
    weights_P, mean_P, square_P, best_P = np.random.default_rng(0).normal(size=(4, P))
    given: dict[str, Any] = {
        "engine": "native",
        "widths": (1, 3, 2),
        "plan_steps": 20,
        "check_every": 4,
        "step": 9,
        "weights_P": weights_P.astype(np.float32),
        "mean_P": mean_P.astype(np.float32),
        "square_P": square_P.astype(np.float32),
        "best_P": best_P.astype(np.float32),
        "checks_C3": np.array([[4.0, 0.7, 0.3], [8.0, 0.6, 0.4]]),
        "first_loss": 0.1 + 0.2,
        "summed_loss": 1 / 3,
    }
    return TrainingState(**{**given, **changes})


def assert_equal(one: TrainingState, other: TrainingState) -> None:
    for part in fields(TrainingState):
        value, found = getattr(one, part.name), getattr(other, part.name)
        assert type(value) is type(found), part.name
        np.testing.assert_array_equal(value, found, err_msg=part.name)


NONE_YET = {"step": 3, "checks_C3": np.empty((0, 3))}
BEFORE_THE_FIRST = {**NONE_YET, "step": 0, "first_loss": np.nan, "summed_loss": 0.0}
BROKEN = {"weights_P": np.full(P, np.nan, np.float32), "summed_loss": np.inf}
WITH_GAPS = {"weights_P": np.arange(2 * P, dtype=np.float32)[::2]}


@pytest.mark.parametrize(
    "changes",
    [{}, NONE_YET, BEFORE_THE_FIRST, BROKEN, WITH_GAPS],
    ids=["checked", "unchecked", "fresh", "broken", "with-gaps"],
)
def test_a_state_comes_back_from_bytes_as_it_was(changes: dict[str, Any]) -> None:
    before = state(**changes)
    assert_equal(TrainingState.from_bytes(before.to_bytes()), before)


def test_a_stopped_training_can_be_handed_to_another_process() -> None:
    told = copy(Stopped(state()))  # as pickle does it
    assert told.state is not None
    assert_equal(told.state, state())
    assert str(told) == "after step 9"
    assert str(Stopped()) == "before the first step"


@pytest.mark.parametrize(
    ("watched", "losses", "row"),
    [(True, (0.3, 0.4), 0), (True, (0.4, 0.3), 1), (True, (0.3, 0.3), 0), (False, (0.3, 0.4), 1)],
)
def test_the_best_check_is_the_first_of_the_lowest_or_without_a_watch_the_last(
    watched: bool, losses: tuple[float, float], row: int
) -> None:
    checks_C3 = np.array([[4.0, 0.7, losses[0]], [8.0, 0.6, losses[1]]])
    assert state(checks_C3=checks_C3).best_check(watched=watched) == row
    assert state(**NONE_YET).best_check(watched=watched) == 0


ONE_CHECK = np.array([[4.0, 0.7, 0.3]])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": -1}, "step=-1, check_every=4 must be"),
        ({"step": 20}, "step=20, check_every=4 must be below 20 steps"),
        ({"plan_steps": 9}, "step=9, check_every=4 must be below 9 steps"),
        ({"check_every": 0}, "step=9, check_every=0 must be"),
        ({"check_every": 3}, r"checks_C3 must be float64 of shape \(3, 3\), not float64 of shape"),
        ({"step": 12}, r"checks_C3 must be float64 of shape \(3, 3\), not float64 of shape"),
        ({"step": 2**62, "plan_steps": 2**63 - 1}, r"checks_C3 must be float64 of shape"),
        ({"mean_P": np.zeros(P - 1, np.float32)}, "mean_P must be float32, one for each weight"),
        ({"square_P": np.zeros(P + 1, np.float32)}, "square_P must be float32, one for each"),
        ({"best_P": np.zeros(P)}, "best_P must be float32, one for each weight, not float64"),
        ({"weights_P": np.zeros((1, P), np.float32)}, "weights_P must be float32, one for each"),
        ({"checks_C3": ONE_CHECK}, r"checks_C3 must be .* not float64 of shape \(1, 3\)"),
        ({"checks_C3": np.zeros((2, 2))}, r"checks_C3 must be .* not float64 of shape \(2, 2\)"),
        ({"checks_C3": np.zeros((2, 3), np.float32)}, "checks_C3 must be float64 .* not float32"),
        ({"checks_C3": np.array([[4, 1, 1], [7, 1, 1.0]])}, "finite losses, every 4 steps"),
        ({"checks_C3": np.array([[4, 1, 1], [8, 1, np.nan]])}, "finite losses, every 4 steps"),
        ({"checks_C3": np.array([[4, 1, 1], [8, np.inf, 1]])}, "finite losses, every 4 steps"),
    ],
)
def test_a_state_that_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        state(**changes)


NUMBERS = np.zeros(3, dtype=np.float32)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weights_P": None}, "they hold"),
        ({"more": NUMBERS}, "they hold"),
        ({"mean_P": np.zeros(P)}, "they hold"),
        ({"checks_C3": np.zeros(6)}, "they hold"),
        ({"steps": np.zeros(4, np.int64)}, "steps or losses are not all"),
        ({"losses": np.zeros(1)}, "steps or losses are not all"),
        ({"steps": np.array([20, 0, 9])}, "check_every=0 must be"),
        ({"steps": np.array([20, 4, 2**62])}, "must be below 20 steps"),
        ({"engine": np.full(3, 255, np.uint8)}, "'utf-8' codec can't decode"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_bytes_of_other_arrays_are_refused(changes: dict[str, Any], said: str) -> None:
    arrays = load(state().to_bytes()) | changes
    kept = {name: array for name, array in arrays.items() if array is not None}
    with pytest.raises(ValueError, match=said):
        TrainingState.from_bytes(save(kept))


def test_a_kind_of_number_that_numpy_has_not_is_refused() -> None:
    data = state().to_bytes().replace(b'"dtype":"F64"', b'"dtype":"F8" ', 1)
    with pytest.raises(ValueError, match="these bytes are no training state"):
        TrainingState.from_bytes(data)
    sixteen = save({"weights_P": np.zeros(4, np.float16)}).replace(b"F16", b"BF16", 1)
    with pytest.raises(ValueError, match="these bytes are no training state"):
        TrainingState.from_bytes(sixteen)


def test_a_pickle_is_refused() -> None:
    with pytest.raises(ValueError, match="these bytes are no training state"):
        TrainingState.from_bytes(pickle.dumps(state()))


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="these bytes are no training state"):
        TrainingState.from_bytes(data)


@settings(max_examples=300)
@given(at=st.integers(0), byte=st.integers(0, 255), end=st.integers(0))
def test_damaged_bytes_are_a_state_or_refused(at: int, byte: int, end: int) -> None:
    """A number may have changed unseen; nothing but ValueError is ever raised."""
    data = bytearray(state().to_bytes())
    data[at % len(data)] = byte
    for damaged in (bytes(data), bytes(data[: end % len(data)])):
        try:
            TrainingState.from_bytes(damaged).to_bytes()
        except ValueError:
            continue
