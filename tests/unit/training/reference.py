"""What the native kernels are held against: the same network, gradient and training in torch.

Shapes: B windows in a batch, T steps, F features, C cells, K outputs, N windows, S optimiser steps,
P weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hpo.training.network import Network, flatten, load
from hpo.training.trainer import Examples, Loss, Plan, Samples, Sequences, Shape
from hpo.training.weights import split

native: Any = pytest.importorskip("hpo.training._native")

LOSSES: tuple[Loss, ...] = ("absolute", "squared", "cross_entropy")
KERNELS: list[str] = native.kernels()
SINGLE = [kernel for kernel in KERNELS if kernel != "double"]

Reals = NDArray[np.float64]
Masks = list[Tensor]  # of every layer: what its outputs h_BTC are multiplied with
_ERRORS = {"absolute": functional.l1_loss, "squared": functional.mse_loss}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network with its weights, samples and loss, in numbers that single precision holds."""

    shape: Shape
    weights_P: NDArray[np.float32]
    samples: Examples
    loss: Loss


def random_task(
    cells: tuple[int, ...],
    loss: Loss = "squared",
    seed: int = 0,
    *,
    inputs: int = 2,
    outputs: int = 2,
    dropout: float = 0.0,
    steps: int = 9,
    windows: int = 40,
    anchored: bool = False,
) -> Task:
    """Weights and values drawn at random; windows, or sequences of up to `steps` steps.

    The more cells, the smaller the weights, as in fresh networks: large weights of many cells make
    a chaos of many steps, where a rounding grows to anything, in torch and here.
    """
    rng = np.random.default_rng(seed)
    values_RF = rng.normal(size=(windows + steps + outputs, inputs)).astype(np.float32)
    starts_N = rng.permutation(windows)
    samples: Examples
    if loss == "cross_entropy":
        samples = Sequences(
            values_RF=values_RF,
            starts_N=starts_N,
            lengths_N=rng.integers(1, steps + 1, windows),
            labels_N=rng.integers(0, outputs, windows),
            classes=outputs,
        )
    else:
        samples = Samples(
            values_RF=values_RF,
            starts_N=starts_N,
            lookback=steps,
            outputs=outputs,
            anchored=anchored,
        )
    shape = Shape(inputs=inputs, outputs=outputs, cells=cells, dropout=dropout)
    scale = min(0.4, 1 / np.sqrt(max(cells)))
    weights_P = rng.normal(scale=scale, size=count_weights(shape)).astype(np.float32)
    return Task(shape=shape, weights_P=weights_P, samples=samples, loss=loss)


def count_weights(shape: Shape) -> int:
    widths = (shape.inputs, *shape.cells)
    layers = sum(4 * cells * (below + cells + 2) for below, cells in pairwise(widths))
    return layers + shape.outputs * (shape.cells[-1] + 1)


# The kernels


def network_of(task: Task, kernel: str) -> tuple[Any, ...]:
    """The network as the kernel takes it, its weights a copy in the kernel's precision."""
    shape = task.shape
    cells = np.array(shape.cells, dtype=np.int64)
    weights_P = task.weights_P.astype(precision(kernel))
    return (kernel, cells, shape.inputs, shape.outputs, shape.dropout, weights_P)


def samples_of(samples: Examples, kernel: str) -> tuple[Any, ...]:
    """The samples as the kernel takes them."""
    values_RF = samples.values_RF.astype(precision(kernel))
    if isinstance(samples, Sequences):
        return (values_RF, samples.starts_N, samples.lengths_N, samples.labels_N, 1, False)
    return (values_RF, samples.starts_N, None, None, samples.lookback, samples.anchored)


def course_of(
    weights_P: NDArray[np.float32], checks_C3: NDArray[np.float64], kernel: str
) -> tuple[Any, ...]:
    """The course of a training that begins, as the kernel takes it."""
    mean_P, square_P, best_P = np.zeros((3, len(weights_P)), precision(kernel))
    return (checks_C3, mean_P, square_P, best_P, 0, 0, np.nan, 0.0)


def precision(kernel: str) -> Any:
    return np.float64 if kernel == "double" else np.float32


def native_gradient(
    task: Task, kernel: str, order_B: NDArray[np.int64], seed: int = 0
) -> tuple[float, Reals]:
    """The batch's loss and its gradient by every weight."""
    gradient_P = np.empty(len(task.weights_P), precision(kernel))
    loss = native.gradient(
        network_of(task, kernel),
        samples_of(task.samples, kernel),
        order_B,
        LOSSES.index(task.loss),
        seed,
        gradient_P,
    )
    return loss, gradient_P.astype(np.float64)


def native_training(task: Task, kernel: str, plan: Plan) -> tuple[Reals, Reals]:
    """The loss of every step's batch, and the weights after the last step."""
    network = network_of(task, kernel)
    steps, batch = plan.order_SB.shape
    checks = np.empty((steps + 1, 3))
    native.train(
        network,
        samples_of(task.samples, kernel),
        None,
        plan.order_SB,
        plan.rates_S,
        batch,
        LOSSES.index(plan.loss),
        plan.clip_norm,
        plan.weight_decay,
        1,
        1,
        np.inf,
        plan.dropout_seed,
        np.inf,
        course_of(task.weights_P, checks, kernel),
        None,
    )
    return checks[:steps, 1], network[-1].astype(np.float64)


# torch


def torch_gradient(
    task: Task, dtype: torch.dtype, order_B: NDArray[np.int64], masks: Masks | None = None
) -> tuple[float, Reals]:
    """The same by autograd."""
    network = _network(task, dtype)
    flat_P = flatten(network)
    mean = _batch_loss(network, task, order_B, masks)
    torch.autograd.backward(mean)
    assert flat_P.grad is not None
    return mean.item(), flat_P.grad.double().numpy()


def torch_training(
    task: Task, dtype: torch.dtype, plan: Plan, masks_of: Callable[[int], Masks] | None = None
) -> tuple[Reals, Reals]:
    """The same by autograd and AdamW; `masks_of` gives each step's masks, the first step is 0."""
    network = _network(task, dtype)
    flat_P = flatten(network)
    assert flat_P.grad is not None
    optimiser = torch.optim.AdamW([flat_P], weight_decay=plan.weight_decay)
    losses = []
    for step, (order_B, rate) in enumerate(zip(plan.order_SB, plan.rates_S, strict=True)):
        optimiser.param_groups[0]["lr"] = float(rate)
        optimiser.zero_grad(set_to_none=False)
        mean = _batch_loss(network, task, order_B, masks_of(step) if masks_of else None)
        torch.autograd.backward(mean)
        nn.utils.clip_grad_norm_(flat_P, plan.clip_norm)
        optimiser.step()
        losses.append(mean.item())
    return np.array(losses), flat_P.detach().double().numpy()


class _GivenMasks(nn.Module):
    """In place of the network's dropout: each layer's turn takes the next mask."""

    def __init__(self, masks: Masks) -> None:
        super().__init__()
        self.masks = iter(masks)

    def forward(self, h_BTC: Tensor) -> Tensor:
        return h_BTC * next(self.masks)


def _network(task: Task, dtype: torch.dtype) -> Network:
    return load(task.shape, split(task.shape, task.weights_P), "cpu").to(dtype)


def _batch_loss(
    network: Network, task: Task, order_B: NDArray[np.int64], masks: Masks | None
) -> Tensor:
    network.register_module("dropout", nn.Identity() if masks is None else _GivenMasks(masks))
    x_BTF, last_B, target = batch_of(task.samples, order_B)
    dtype = network.head.weight.dtype
    y_BK = network(torch.from_numpy(x_BTF).to(dtype), torch.from_numpy(last_B))
    if task.loss == "cross_entropy":
        return functional.cross_entropy(y_BK, torch.from_numpy(target))
    return _ERRORS[task.loss](y_BK, torch.from_numpy(target).to(dtype))


def batch_of(
    samples: Examples, order_B: NDArray[np.int64]
) -> tuple[Reals, NDArray[np.int64], NDArray[Any]]:
    """x_BTF with zeros behind a sequence's end, each window's last step, targets or labels."""
    starts_B = samples.starts_N[order_B]
    if isinstance(samples, Sequences):
        lengths_B = samples.lengths_N[order_B]
        x_BTF = np.zeros((len(order_B), int(lengths_B.max()), samples.values_RF.shape[1]))
        for x_TF, start, length in zip(x_BTF, starts_B, lengths_B, strict=True):
            x_TF[:length] = samples.values_RF[start : start + length]
        return x_BTF, lengths_B - 1, samples.labels_N[order_B]
    rows_BT = starts_B[:, None] + np.arange(samples.lookback + samples.outputs)
    values_BTF = samples.values_RF[rows_BT].astype(np.float64)
    if samples.anchored:
        values_BTF[:, :, 0] -= values_BTF[:, samples.lookback - 1, None, 0]
    x_BTF, y_BKF = np.split(values_BTF, [samples.lookback], axis=1)
    return x_BTF, np.full(len(order_B), samples.lookback - 1), y_BKF[:, :, 0]
