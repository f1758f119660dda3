"""The protocol every engine fulfils: arrays, batch order and rates in; weights and losses out.

Shapes: R rows of values, F features (column 0 is the target of a forecast), N windows, B windows in
a batch, T steps of a window, K outputs, S optimiser steps, P weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hpo.training.state import TrainingState

Weights = dict[str, NDArray[np.float32]]
Predictor = Callable[[NDArray[np.float32]], NDArray[np.float32]]
QUIET_S = 0.05  # how long a trainer goes on without asking on_check, unless it is told otherwise
OnCheck = Callable[[int, float], bool]
Loss = Literal["absolute", "squared", "cross_entropy"]

# A training has diverged at this many times the loss of its first batch, or times one.
EXPLODED: dict[Loss, float] = {"absolute": 1e3, "squared": 1e6, "cross_entropy": 1e3}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A stack of LSTM layers (`cells` each, first layer first) with a linear head.

    `dropout`: the share of every layer's outputs that is set to zero while training.
    Raises ValueError where no such network can be.
    """

    inputs: int
    outputs: int
    cells: tuple[int, ...]
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.inputs < 1 or self.outputs < 1:
            found = f"inputs={self.inputs}, outputs={self.outputs}"
            raise ValueError(f"{found} must both be at least 1")
        if not self.cells or min(self.cells) < 1:
            raise ValueError(f"cells={self.cells} must name at least one layer of 1 cell or more")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Windows to forecast: window n takes rows starts_N[n] .. + lookback, then `outputs` targets.

    With `anchored`, the target's last value in the window is subtracted from the window's target
    column and from its targets. Raises ValueError where windows do not fit their values.
    """

    values_RF: NDArray[np.float32]
    starts_N: NDArray[np.int64]
    lookback: int
    outputs: int
    anchored: bool

    def __post_init__(self) -> None:
        _check_values(self.values_RF)
        if self.lookback < 1 or self.outputs < 1:
            raise ValueError(f"no window has {self.lookback} steps and {self.outputs} outputs")
        _check_per_window("starts_N", self.starts_N)
        _check_rows(self.values_RF, self.starts_N, self.lookback + self.outputs)


@dataclass(frozen=True, kw_only=True)
class Sequences:
    """Windows to classify: sequence n takes lengths_N[n] rows from starts_N[n] on.

    labels_N[n] in 0 .. classes - 1 is its class, told from the output at its own last step.
    Raises ValueError where sequences do not fit their values or labels their classes.
    """

    values_RF: NDArray[np.float32]
    starts_N: NDArray[np.int64]
    lengths_N: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    classes: int

    def __post_init__(self) -> None:
        _check_values(self.values_RF)
        _check_per_window("starts_N", self.starts_N)
        for name, array_N in (("lengths_N", self.lengths_N), ("labels_N", self.labels_N)):
            _check_per_window(name, array_N)
            if len(array_N) != len(self.starts_N):
                raise ValueError(
                    f"{name} has {len(array_N)} entries, starts_N {len(self.starts_N)}"
                )
        if (shortest := int(self.lengths_N.min())) < 1:
            raise ValueError(f"a sequence has {shortest} steps; lengths_N must be at least 1")
        _check_rows(self.values_RF, self.starts_N, self.lengths_N)
        if self.classes < 2:
            raise ValueError(f"classes={self.classes} must be at least 2")
        low, high = int(self.labels_N.min()), int(self.labels_N.max())
        if low < 0 or high >= self.classes:
            raise ValueError(f"labels_N holds {low} .. {high}, not only 0 .. {self.classes - 1}")


Examples = Samples | Sequences


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How one network is trained, with nothing left to chance but dropout (`dropout_seed`).

    order_SB: the windows of every batch; rates_S: AdamW's step sizes. Every `check_every` steps
    the loss on the watched samples is looked at; `patience` checks without gain end the training.
    Raises ValueError where a value contradicts another or makes no training.
    """

    order_SB: NDArray[np.int64]
    rates_S: NDArray[np.float32]
    loss: Loss
    clip_norm: float
    weight_decay: float
    check_every: int
    patience: int
    dropout_seed: int

    def __post_init__(self) -> None:
        if self.order_SB.ndim != 2 or not self.order_SB.size or self.order_SB.dtype != np.int64:
            found = f"{self.order_SB.dtype} of shape {self.order_SB.shape}"
            raise ValueError(f"order_SB must be int64, steps by windows, neither 0, not {found}")
        if self.rates_S.shape != (len(self.order_SB),) or self.rates_S.dtype != np.float32:
            found = f"{self.rates_S.dtype} of shape {self.rates_S.shape}"
            raise ValueError(f"rates_S must be float32, {len(self.order_SB)} steps, not {found}")
        if self.check_every < 1 or self.patience < 1:
            found = f"check_every={self.check_every}, patience={self.patience}"
            raise ValueError(f"{found} must both be at least 1")
        if not (self.clip_norm > 0 and self.weight_decay >= 0):
            found = f"clip_norm={self.clip_norm}, weight_decay={self.weight_decay}"
            raise ValueError(f"{found} must be above 0 and at least 0")


@dataclass(frozen=True, kw_only=True)
class Check:
    """The mean loss of the batches since the last check, and the loss on the watched samples."""

    step: int
    train_loss: float
    watch_loss: float


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The restored (best watched) weights, the step they are from, and the loss curve.

    Raises Diverged where a weight is not a finite number: the last step's loss is from before it.
    """

    weights: Weights
    steps: int
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        if not all(np.isfinite(array).all() for array in self.weights.values()):
            raise Diverged(f"a weight is not a finite number after step {self.steps}")


class Diverged(Exception):
    """The loss or a weight became infinite, not a number, or the loss exploded."""


class OutOfMemory(Exception):
    """The device has no room for this network and batch."""


class Stopped(Exception):
    """`on_check` asked to stop; from `state` it can go on, None where nothing had begun."""

    def __init__(self, state: TrainingState | None = None) -> None:
        super().__init__(state)
        self.state = state

    def __str__(self) -> str:
        return f"after step {self.state.step}" if self.state else "before the first step"


class Trainer(Protocol):
    """An engine. Same plan, weights, samples and device: same result."""

    name: str
    device: str

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
        *,
        state: TrainingState | None = None,
    ) -> Trained:
        """Train from `weights` and return the weights of the lowest watched loss.

        Without `watch` all steps are taken and the last weights returned.

        `on_check` hears the step and the last check's watched (else training) loss, NaN before the
        first: about every `QUIET_S`, or after the step where a step takes longer, not necessarily
        at every check, and not after the last step. False ends the training with Stopped, which
        carries its state; what `on_check` raises comes through.

        With `state` the training goes on where it was stopped, `weights` are those it once began
        with, and its result is, on the same kind of device, that of a training never stopped, bit
        for bit. On another kind of processor it goes on as well, and may differ by roundings.

        Raises Diverged, OutOfMemory, Stopped; ValueError for arguments that do not belong together
        (`check_fit`, `weights.join`, `begin`).
        """
        ...

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """A function from windows x_BTF (anchored already) to outputs y_BK, in evaluation mode.

        For classes, y_BK is read at the last step, before the softmax. Both raise OutOfMemory, and
        ValueError for weights or windows of another shape.
        """
        ...

    def loss(self, shape: Shape, weights: Weights, samples: Examples, loss: Loss) -> float:
        """The mean loss over all windows of `samples`, in evaluation mode.

        Raises OutOfMemory, and ValueError for arguments that do not belong together.
        """
        ...


def check_fit(shape: Shape, samples: Examples, asked: Plan | Loss) -> None:
    """Raise ValueError where network, samples and the plan (or the loss alone) do not fit together.

    Every engine calls it first in `train` (with the plan; for what is watched, with its loss) and
    in `loss`: what an engine's arithmetic is then given lies within its arrays.
    """
    loss = asked.loss if isinstance(asked, Plan) else asked
    _check_columns(shape, samples)
    _check_loss(samples, loss)
    if isinstance(asked, Plan):
        count = len(samples.starts_N)
        low, high = int(asked.order_SB.min()), int(asked.order_SB.max())
        if low < 0 or high >= count:
            raise ValueError(f"order_SB names windows {low} .. {high}, not only 0 .. {count - 1}")


def begin(
    engine: str,
    shape: Shape,
    plan: Plan,
    weights_P: NDArray[np.float32],
    state: TrainingState | None,
) -> TrainingState:
    """Where a training begins: at `state`, or without one at `weights_P`.

    Every engine calls it in `train`. Raises ValueError for a state of another engine or training.
    """
    fresh = TrainingState(
        engine=engine,
        widths=(shape.inputs, *shape.cells, shape.outputs),
        plan_steps=len(plan.rates_S),
        check_every=plan.check_every,
        step=0,
        weights_P=weights_P,
        mean_P=np.zeros_like(weights_P),
        square_P=np.zeros_like(weights_P),
        best_P=weights_P,
        checks_C3=np.empty((0, 3)),
        first_loss=math.nan,
        summed_loss=0.0,
    )
    if state is None:
        return fresh
    for name in ("engine", "widths", "plan_steps", "check_every"):
        found, right = getattr(state, name), getattr(fresh, name)
        if found != right:
            raise ValueError(f"the state's {name} is {found!r}, this training's {right!r}")
    if len(state.weights_P) != len(weights_P):
        found, right = len(state.weights_P), len(weights_P)
        raise ValueError(f"the state has {found} weights, this training's network {right}")
    return state


def check_windows(shape: Shape, x_BTF: NDArray[np.float32]) -> None:
    """Raise ValueError unless `x_BTF` can be predicted from: float32, with steps and inputs."""
    fits = x_BTF.ndim == 3 and x_BTF.shape[1] > 0 and x_BTF.shape[2] == shape.inputs
    if not fits or x_BTF.dtype != np.float32:
        wanted = f"windows by steps by {shape.inputs} inputs"
        raise ValueError(f"x_BTF must be float32, {wanted}, not {x_BTF.dtype} of {x_BTF.shape}")


def checks_of(checks_C3: NDArray[np.float64]) -> tuple[Check, ...]:
    """The rows of a TrainingState's checks_C3 as Checks."""
    return tuple(
        Check(step=int(step), train_loss=train_loss, watch_loss=watch_loss)
        for step, train_loss, watch_loss in checks_C3.tolist()
    )


def refuse_divergence(now: Check, first_loss: float, loss: Loss) -> None:
    """Raise Diverged where a loss is no number, or has grown beyond `EXPLODED`.

    `first_loss`: the training loss of the first batch, before any step.
    """
    if not (math.isfinite(now.train_loss) and math.isfinite(now.watch_loss)):
        raise Diverged(f"the loss is not a finite number at step {now.step}")
    if now.train_loss > EXPLODED[loss] * max(first_loss, 1.0):
        raise Diverged(
            f"the training loss exploded from {first_loss:.3g} to {now.train_loss:.3g}"
            f" at step {now.step}"
        )


def _check_columns(shape: Shape, samples: Examples) -> None:
    columns = samples.values_RF.shape[1]
    if columns != shape.inputs:
        raise ValueError(f"values_RF has {columns} columns, the network {shape.inputs} inputs")
    if isinstance(samples, Sequences):
        outputs, what = samples.classes, "classes"
    else:
        outputs, what = samples.outputs, "outputs"
    if outputs != shape.outputs:
        raise ValueError(f"the samples have {outputs} {what}, the network {shape.outputs} outputs")


def _check_loss(samples: Examples, loss: Loss) -> None:
    if loss not in EXPLODED:
        raise ValueError(f"loss={loss!r} must be one of {', '.join(EXPLODED)}")
    if isinstance(samples, Sequences) != (loss == "cross_entropy"):
        raise ValueError(f"loss={loss!r} must be {_RIGHT_LOSS[type(samples)]}")


def _check_values(values_RF: NDArray[np.float32]) -> None:
    if values_RF.ndim != 2 or values_RF.dtype != np.float32:
        found = f"{values_RF.dtype} of shape {values_RF.shape}"
        raise ValueError(f"values_RF must be float32 of 2 dimensions, not {found}")


def _check_per_window(name: str, array_N: NDArray[np.int64]) -> None:
    if array_N.ndim != 1 or not len(array_N):
        raise ValueError(f"{name} must name at least one window, in one dimension")
    if array_N.dtype != np.int64:
        raise ValueError(f"{name} must be int64, not {array_N.dtype}")


def _check_rows(
    values_RF: NDArray[np.float32], starts_N: NDArray[np.int64], lengths_N: NDArray[np.int64] | int
) -> None:
    if (first := int(starts_N.min())) < 0:
        raise ValueError(f"windows begin at row {first}, not at 0 or later")
    if (beyond_N := lengths_N > len(values_RF) - starts_N).any():  # a sum could overflow
        window = int(beyond_N.argmax())
        reach = int(starts_N[window]) + int(np.broadcast_to(lengths_N, starts_N.shape)[window])
        raise ValueError(f"windows reach to row {reach} of {len(values_RF)} (window {window})")


_RIGHT_LOSS = {
    Samples: "'absolute' or 'squared' for windows to forecast",
    Sequences: "'cross_entropy' for sequences to classify",
}
