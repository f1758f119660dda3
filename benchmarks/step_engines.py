"""The engines that benchmarks/engine.py compares: each takes any number of training steps.

Shapes: R rows, F inputs, N windows, T steps, B windows in a batch, S optimiser steps.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from step_work import Case
from torch import Tensor, nn

from hpo.training.native_trainer import NativeTrainer, is_available
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Plan, Samples, Shape, Trainer
from hpo.training.weights import initial_weights

TakeSteps = Callable[[int], None]
ROWS = 1000
RATE = 1e-3
ADAMS = ("fused", "foreach", "loop")


def find_native_trainer(kernel: str) -> Trainer | None:
    """The native engine, where it is built, with this kernel; empty: the fastest."""
    return NativeTrainer(kernel) if is_available() else None


def hpo_torch() -> Trainer:
    """What `engine = "auto"` takes for networks that are too large for the native engine."""
    return TorchTrainer("cpu")


def by_trainer(trainer: Trainer, case: Case) -> TakeSteps:
    """Training as hpo does it: gather, forward, squared loss, backward, clipping, AdamW."""
    shape = Shape(inputs=case.inputs, outputs=1, cells=(case.cells,) * case.layers)
    weights = initial_weights(shape, np.random.default_rng(0))
    samples = Samples(
        values_RF=_values(case),
        starts_N=np.arange(_window_count(case)),
        lookback=case.steps,
        outputs=1,
        anchored=False,
    )

    def take_steps(steps: int) -> None:
        trainer.train(shape, weights, samples, _plan(case, steps), None, lambda *_: True)

    return take_steps


def by_plain_torch(case: Case, adam: str) -> TakeSteps:
    """Training as a practitioner writes it: nn.LSTM, nn.Linear, a batch gathered by index, Adam.

    `adam` is one of ADAMS, torch's three implementations of the same update. Nothing is clipped.
    """
    x_NTF, y_N1 = _windows(case)
    torch.manual_seed(0)
    network = PlainNetwork(case)
    optimiser = torch.optim.Adam(
        network.parameters(), lr=RATE, foreach=adam == "foreach", fused=adam == "fused"
    )
    loss = nn.MSELoss()

    def take_steps(steps: int) -> None:
        for batch_B in torch.from_numpy(_order(case, steps)):
            optimiser.zero_grad()
            value = loss(network(x_NTF[batch_B]), y_N1[batch_B])
            value.backward()
            optimiser.step()

    return take_steps


class PlainNetwork(nn.Module):
    """From windows x_BTF to outputs y_B1."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.lstm = nn.LSTM(case.inputs, case.cells, num_layers=case.layers, batch_first=True)
        self.head = nn.Linear(case.cells, 1)

    def forward(self, x_BTF: Tensor) -> Tensor:
        h_BTC, _ = self.lstm(x_BTF)
        y_B1: Tensor = self.head(h_BTC[:, -1])
        return y_B1


@contextmanager
def taken_at_once(take_steps: TakeSteps, threads: int) -> Iterator[TakeSteps]:
    """The same training `threads` times at once, each in a thread of its own."""
    with ThreadPoolExecutor(threads) as pool:

        def take_steps_at_once(steps: int) -> None:
            for _ in pool.map(take_steps, [steps] * threads):
                pass

        yield take_steps_at_once


def _values(case: Case) -> NDArray[np.float32]:
    """values_RF: a noisy wave and, beside it, noise."""
    generator = np.random.default_rng(0)
    values_RF = generator.standard_normal((ROWS, case.inputs), dtype=np.float32)
    values_RF[:, 0] = 0.3 * values_RF[:, 0] + np.sin(np.arange(ROWS) / 4)
    return values_RF


def _window_count(case: Case) -> int:
    return ROWS - case.steps


def _windows(case: Case) -> tuple[Tensor, Tensor]:
    """x_NTF and y_N1, every window a copy."""
    values_RF = torch.from_numpy(_values(case))
    x_NTF = values_RF[:-1].unfold(0, case.steps, 1).transpose(1, 2).contiguous()
    return x_NTF, values_RF[case.steps :, :1].contiguous()


def _order(case: Case, steps: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(_window_count(case), size=(steps, case.batch))


def _plan(case: Case, steps: int) -> Plan:
    return Plan(
        order_SB=_order(case, steps),
        rates_S=np.full(steps, RATE, dtype=np.float32),
        loss="squared",
        clip_norm=1.0,
        weight_decay=0.0,
        check_every=steps,
        patience=1,
        dropout_seed=0,
    )
