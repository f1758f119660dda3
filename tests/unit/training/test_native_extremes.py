"""Where numbers are at their limits the kernels still give the losses and gradients of float64."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpo.training.trainer import Loss
from hpo.training.weights import layout
from tests.unit.training.reference import (
    KERNELS,
    LOSSES,
    SINGLE,
    Reals,
    Task,
    native_gradient,
    random_task,
    torch_gradient,
)

ORDER = np.arange(23)
every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def with_values(task: Task, values_RF: Reals | NDArray[np.float32]) -> Task:
    samples = replace(task.samples, values_RF=values_RF.astype(np.float32))
    return replace(task, samples=samples)


def scaled(task: Task, factor: float) -> Task:
    """The same with all values times a factor, first of all rounded to single precision."""
    return with_values(task, task.samples.values_RF.astype(np.float64) * factor)


def with_gates_at(task: Task, limits: tuple[int, ...], reach: float) -> Task:
    """The same with +-`reach`, or nothing, added to the biases of the gates i f g o."""
    flat_P, place = task.weights_P.copy(), 0
    for name, size in layout(task.shape):
        count = int(np.prod(size))
        if "bias_ih" in name:
            flat_P[place : place + count] += np.repeat(limits, count // 4) * np.float32(reach)
        place += count
    return replace(task, weights_P=flat_P)


def assert_as_in_float64(task: Task, kernel: str, single: float, double: float) -> None:
    """Loss and gradient are off by no more than these shares of their size."""
    expected, expected_P = torch_gradient(task, torch.float64, ORDER)
    found, found_P = native_gradient(task, kernel, ORDER)
    share = double if kernel == "double" else single
    assert np.isfinite(expected_P).all()
    assert found == pytest.approx(expected, rel=share)
    assert np.linalg.norm(found_P - expected_P) <= share * np.linalg.norm(expected_P)


@every_kernel
@pytest.mark.parametrize("reach", [30.0, 1e4, 1e30])
@pytest.mark.parametrize("limits", list(product((-1, 1), repeat=4)), ids=str)
def test_gates_at_their_limits_give_the_right_gradient(
    limits: tuple[int, ...], reach: float, kernel: str
) -> None:
    """Every gate of every cell and step is 0 or 1 (g: -1 or 1) to rounding, so that nothing but
    the head learns."""
    for task in (random_task((4,)), random_task((5, 3), "cross_entropy")):
        assert_as_in_float64(with_gates_at(task, limits, reach), kernel, 1e-5, 1e-10)


@every_kernel
@pytest.mark.parametrize("limits", [(1, 1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, -1, 0, 1)])
def test_some_gates_at_their_limits_leave_the_others_gradients_right(
    limits: tuple[int, ...], kernel: str
) -> None:
    """With i and f open, c grows with every step, and tanh c comes to its limit too."""
    for task in (random_task((4,), steps=40), random_task((5, 3), "cross_entropy", steps=40)):
        assert_as_in_float64(with_gates_at(task, limits, 50.0), kernel, 1e-5, 1e-10)


@every_kernel
@pytest.mark.parametrize("factor", [0.0, 1e-45, 1e-40, 1e-38, 1e-30, 1e-10])
def test_tiny_values_give_the_right_gradient(factor: float, kernel: str) -> None:
    """1e-45 leaves 0 and the smallest numbers there are, 1e-40 denormal ones."""
    task = scaled(random_task((4,), inputs=1), factor)
    assert_as_in_float64(task, kernel, 1e-5, 1e-10)


@every_kernel
@pytest.mark.parametrize("factor", [1e-35, 1e-30, 1e-10])
def test_the_gradient_of_weights_on_tiny_values_is_as_exact_as_any(
    factor: float, kernel: str
) -> None:
    task = scaled(random_task((4,), "cross_entropy"), factor)
    weight_ih = slice(0, 4 * 4 * task.shape.inputs)
    expected = torch_gradient(task, torch.float64, ORDER)[1][weight_ih]
    found = native_gradient(task, kernel, ORDER)[1][weight_ih]
    share = 1e-10 if kernel == "double" else 1e-5
    assert 0 < np.abs(expected).max() < factor
    np.testing.assert_allclose(found, expected, rtol=0, atol=share * np.abs(expected).max())


@every_kernel
def test_denormal_weights_give_the_right_gradient(kernel: str) -> None:
    task = random_task((4,))
    tiny = replace(task, weights_P=(task.weights_P * np.float32(1e-40)).astype(np.float32))
    assert_as_in_float64(tiny, kernel, 1e-5, 1e-10)


@every_kernel
@pytest.mark.parametrize("factor", [1e2, 1e4, 1e6, 1e10, 1e30])
def test_huge_values_give_the_right_gradient(factor: float, kernel: str) -> None:
    """A gate that is fully open or shut has no gradient, however large what it is multiplied by."""
    task = scaled(random_task((4,), "cross_entropy"), factor)
    assert_as_in_float64(task, kernel, 1e-5, 1e-10)


@pytest.mark.parametrize("kernel", SINGLE)
@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FC00001, 0xFFFFFFFF])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_kind_of_nan_is_taken_for_a_number(loss: Loss, bits: int, kernel: str) -> None:
    """A NaN's lower bits could be lost, or become an exponent, on the way through 2^n."""
    task = random_task((3, 2), loss)
    values_RF = task.samples.values_RF.copy()
    first = int(task.samples.starts_N[ORDER[0]])
    values_RF[first, 1] = np.array([bits], dtype=np.uint32).view(np.float32)[0]
    found, gradient_P = native_gradient(with_values(task, values_RF), kernel, ORDER)
    assert np.isnan(found)
    assert np.isnan(gradient_P).any()
