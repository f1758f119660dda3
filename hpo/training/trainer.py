"""The protocol every engine fulfils: arrays, batch order and rates in; weights and losses out.

Shapes: R rows of values, F features (column 0 is the target), N windows, B windows in a batch,
T steps of a window (lookback), K outputs, S optimiser steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
Predictor = Callable[[NDArray[np.float32]], NDArray[np.float32]]
OnCheck = Callable[[int, float], bool]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A stack of LSTM layers (`cells` each, first layer first) with a linear head."""

    inputs: int
    outputs: int
    cells: tuple[int, ...]
    dropout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Windows into values: window n takes rows starts_N[n] .. + lookback, then `outputs` targets.

    With `anchored`, the target's last value in the window is subtracted from the window's target
    column and from its targets.
    """

    values_RF: NDArray[np.float32]
    starts_N: NDArray[np.int64]
    lookback: int
    outputs: int
    anchored: bool

    def __post_init__(self) -> None:
        if self.values_RF.ndim != 2 or self.values_RF.dtype != np.float32:
            found = f"{self.values_RF.dtype} of shape {self.values_RF.shape}"
            raise ValueError(f"values_RF must be float32 of 2 dimensions, not {found}")
        if self.lookback < 1 or self.outputs < 1:
            raise ValueError(f"no window has {self.lookback} steps and {self.outputs} outputs")
        if self.starts_N.ndim != 1 or not len(self.starts_N):
            raise ValueError("starts_N must name at least one window")
        reach = int(self.starts_N.max()) + self.lookback + self.outputs
        if (first := int(self.starts_N.min())) < 0:
            raise ValueError(f"windows begin at row {first}")
        if reach > len(self.values_RF):
            raise ValueError(f"windows reach to row {reach} of {len(self.values_RF)}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one network is trained, with nothing left to chance but dropout (`dropout_seed`).

    order_SB: the windows of every batch; rates_S: AdamW's step sizes. Every `check_every` steps
    the loss on the watched samples is looked at; `patience` checks without gain end the training.
    """

    order_SB: NDArray[np.int64]
    rates_S: NDArray[np.float32]
    loss: Literal["absolute", "squared"]
    clip_norm: float
    weight_decay: float
    check_every: int
    patience: int
    dropout_seed: int


@dataclass(frozen=True, kw_only=True)
class Check:
    """The mean loss of the batches since the last check, and the loss on the watched samples."""

    step: int
    train_loss: float
    watch_loss: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The restored (best watched) weights, the step they are from, and the loss curve."""

    weights: Weights
    steps: int
    checks: tuple[Check, ...]


class Diverged(Exception):
    """The loss became infinite, not a number, or exploded."""


class OutOfMemory(Exception):
    """The device has no room for this network and batch."""


class Stopped(Exception):
    """`on_check` asked to stop; nothing of this training is kept."""


class Trainer(Protocol):
    """An engine. Same plan, weights, samples and device: same result."""

    name: str
    device: str

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Samples,
        plan: Plan,
        watch: Samples | None,
        on_check: OnCheck,
    ) -> Trained:
        """Train from `weights` and return the weights of the lowest watched loss.

        Without `watch` all steps are taken and the last weights returned; `on_check` is then
        called with the training loss. Raises Diverged, OutOfMemory, Stopped.
        """
        ...

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """A function from windows x_BTF (anchored already) to outputs y_BK, in evaluation mode."""
        ...

    def loss(
        self, shape: Shape, weights: Weights, samples: Samples, loss: Literal["absolute", "squared"]
    ) -> float:
        """The mean loss over all windows of `samples`, in evaluation mode."""
        ...
