"""The native kernel's gradients are torch's: in double precision to rounding, in single nearly."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.training.trainer import Loss
from tests.unit.training.reference import (
    LOSSES,
    SINGLE,
    Task,
    native_gradient,
    random_task,
    torch_gradient,
)

EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
orders = st.lists(st.integers(0, 39), min_size=1, max_size=37).map(np.array)


def tasks(*losses: Loss) -> st.SearchStrategy[Task]:
    """Random networks with 40 windows."""
    return st.sampled_from(losses).flatmap(
        lambda loss: st.builds(
            random_task,
            cells=st.lists(st.integers(1, 70), min_size=1, max_size=3).map(tuple),
            loss=st.just(loss),
            seed=st.integers(0, 2**32 - 1),
            inputs=st.integers(1, 9),
            outputs=st.integers(2 if loss == "cross_entropy" else 1, 5),
            steps=st.integers(1, 60),
            anchored=st.booleans(),
        )
    )


@given(task=tasks(*LOSSES), order_B=orders)
@EXAMPLES
def test_double_gradients_are_autograds(task: Task, order_B: NDArray[np.int64]) -> None:
    loss, gradient_P = native_gradient(task, "double", order_B)
    expected, expected_P = torch_gradient(task, torch.float64, order_B)
    assert loss == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient_P, expected_P, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kernel", SINGLE)
@given(task=tasks("squared", "cross_entropy"), order_B=orders)  # the absolute loss turns on a sign
@settings(EXAMPLES, max_examples=50)
def test_single_gradients_are_as_near_the_double_ones_as_torchs_own(
    kernel: str, task: Task, order_B: NDArray[np.int64]
) -> None:
    """Or as near as the double ones of weights and values that are moved by one rounding each.

    Of a single window torch's own distance may be small by luck.
    """
    _, expected_P = native_gradient(task, "double", order_B)
    _, gradient_P = native_gradient(task, kernel, order_B)
    _, torchs_P = torch_gradient(task, torch.float32, order_B)
    others = [native_gradient(moved, "double", order_B)[1] for moved in moved_by_a_rounding(task)]
    own = max(np.linalg.norm(other_P - expected_P) for other_P in (torchs_P, *others))
    assert np.linalg.norm(gradient_P - expected_P) <= 10 * own


def moved_by_a_rounding(task: Task) -> Iterator[Task]:
    for seed in range(4):
        rng = np.random.default_rng(seed)

        def moved(array: NDArray[np.float32], rng: np.random.Generator = rng) -> Any:
            towards = rng.choice([-np.inf, np.inf], array.shape).astype(np.float32)
            return np.nextafter(array, towards)

        samples = replace(task.samples, values_RF=moved(task.samples.values_RF))
        yield replace(task, weights_P=moved(task.weights_P), samples=samples)
