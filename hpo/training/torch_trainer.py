"""The torch engine: trains one network with nn.LSTM on any device torch knows.

Shapes: B windows in a batch, T steps, F features, K outputs, N windows, S optimiser steps.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hpo.training.network import Network, flatten, load, unload
from hpo.training.state import TrainingState
from hpo.training.trainer import (
    QUIET_S,
    Check,
    Examples,
    Loss,
    OnCheck,
    OutOfMemory,
    Plan,
    Predictor,
    Samples,
    Sequences,
    Shape,
    Stopped,
    Trained,
    Weights,
    begin,
    check_fit,
    check_windows,
    checks_of,
    refuse_divergence,
)
from hpo.training.weights import join, split

EVALUATION_BATCH = 4096


class TorchTrainer:
    """Fulfils `trainer.Trainer` with torch.nn.LSTM and AdamW.

    `quiet_s`: how long a training goes on without asking on_check; with 0 it asks at every step.
    """

    name = "torch"

    def __init__(self, device: str, *, quiet_s: float = QUIET_S) -> None:
        self.device, self.quiet_s = device, quiet_s
        # The first optimiser loads parts of torch for seconds: now, for a training may be halted.
        torch.optim.AdamW([torch.zeros(1)])

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
        """See `trainer.Trainer.train`."""
        check_fit(shape, samples, plan)
        if watch is not None:
            check_fit(shape, watch, plan.loss)
        begun = begin(self.name, shape, plan, join(shape, weights), state)
        with _out_of_memory_told(shape, self.device):
            windows = _on_device(samples, self.device)
            watched = _on_device(watch, self.device) if watch is not None else None
            training = _Training(shape, plan, windows, watched, begun, self.device)
            return self._go_through(training, plan, on_check)

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """See `trainer.Trainer.predictor`."""
        with _out_of_memory_told(shape, self.device):
            network = load(shape, weights, self.device).eval()

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            check_windows(shape, x_BTF)
            with _out_of_memory_told(shape, self.device), torch.inference_mode():
                x = torch.from_numpy(np.ascontiguousarray(x_BTF)).to(self.device)
                y_BK: NDArray[np.float32] = network(x).cpu().numpy()
            return y_BK

        return predict

    def loss(self, shape: Shape, weights: Weights, samples: Examples, loss: Loss) -> float:
        """See `trainer.Trainer.loss`."""
        check_fit(shape, samples, loss)
        with _out_of_memory_told(shape, self.device):
            network = load(shape, weights, self.device)
            return _evaluate(network, _on_device(samples, self.device), loss)

    def _go_through(self, training: "_Training", plan: Plan, on_check: OnCheck) -> Trained:
        last, asked_at = len(plan.order_SB), perf_counter()
        while training.step < last:
            training.take_step()
            step = training.step
            if step % plan.check_every == 0 or step == last:
                training.check()
                if training.has_lost_patience():
                    break
            if step < last and perf_counter() - asked_at >= self.quiet_s:
                if not on_check(step, training.last_loss()):
                    raise Stopped(training.state())
                asked_at = perf_counter()
        return training.result()


class _Training:
    """A network on its way through a plan: all that one step hands on to the next."""

    def __init__(
        self,
        shape: Shape,
        plan: Plan,
        windows: "_Windows",
        watched: "_Windows | None",
        begun: TrainingState,
        device: str,
    ) -> None:
        self.shape, self.plan, self.begun, self.step = shape, plan, begun, begun.step
        self.windows, self.watched = windows, watched
        self.order_SB = torch.from_numpy(plan.order_SB).to(device)
        self.rates = plan.rates_S.tolist()
        self.seeds = _dropout_seeds(plan) if shape.dropout else None
        self.network = load(shape, split(shape, begun.weights_P), device).train()
        self.flat_P = flatten(self.network)
        self.optimiser = _adamw(self.flat_P, plan, begun, device)
        losses = torch.tensor([begun.first_loss, begun.summed_loss], device=device)
        self.first_loss, self.summed_loss = losses.unbind()
        self.checks = list(checks_of(begun.checks_C3))
        self.best = split(shape, begun.best_P)
        self.best_check = begun.best_check(watched=watched is not None)

    def take_step(self) -> None:
        """Learn from the plan's next batch."""
        if self.seeds is not None:
            self.network.dropout.generator.manual_seed(self.seeds[self.step])
        x_BTF, last_B, target = self.windows.take(self.order_SB[self.step])
        loss = _LOSSES[self.plan.loss](self.network(x_BTF, last_B), target)
        gradient_P = self.flat_P.grad
        assert gradient_P is not None
        gradient_P.zero_()
        torch.autograd.backward(loss)
        gradient_P.mul_((self.plan.clip_norm / (gradient_P.norm() + 1e-6)).clamp(max=1.0))
        self.optimiser.param_groups[0]["lr"] = self.rates[self.step]
        self.optimiser.step()
        self.summed_loss = self.summed_loss + loss.detach()
        self.first_loss = loss.detach() if self.step == 0 else self.first_loss
        self.step += 1

    def check(self) -> None:
        """Write down the losses, and keep the weights where they are the best. Raises Diverged."""
        since = (self.step - 1) % self.plan.check_every + 1
        train_loss = watch_loss = self.summed_loss.item() / since
        if self.watched is not None:
            watch_loss = _evaluate(self.network, self.watched, self.plan.loss)
            self.network.train()
        self.checks.append(Check(step=self.step, train_loss=train_loss, watch_loss=watch_loss))
        refuse_divergence(self.checks[-1], self.first_loss.item(), self.plan.loss)
        self.summed_loss = torch.zeros_like(self.summed_loss)
        is_first_or_unwatched = len(self.checks) == 1 or self.watched is None
        if is_first_or_unwatched or watch_loss < self.checks[self.best_check].watch_loss:
            self.best, self.best_check = unload(self.network), len(self.checks) - 1

    def has_lost_patience(self) -> bool:
        """Whether the last checks, as many as the plan's patience, brought no gain."""
        without_gain = len(self.checks) - 1 - self.best_check
        return self.watched is not None and without_gain >= self.plan.patience

    def last_loss(self) -> float:
        """The last check's watched loss."""
        return self.checks[-1].watch_loss if self.checks else math.nan

    def state(self) -> TrainingState:
        """As it is after the last step."""
        moments = self.optimiser.state[self.flat_P]
        rows = [(check.step, check.train_loss, check.watch_loss) for check in self.checks]
        return replace(
            self.begun,
            step=self.step,
            weights_P=_on_host(self.flat_P),
            mean_P=_on_host(moments["exp_avg"]),
            square_P=_on_host(moments["exp_avg_sq"]),
            best_P=join(self.shape, self.best),
            checks_C3=np.array(rows, dtype=np.float64).reshape(-1, 3),
            first_loss=self.first_loss.item(),
            summed_loss=self.summed_loss.item(),
        )

    def result(self) -> Trained:
        """The best weights, with the losses of all checks."""
        step = self.checks[self.best_check].step
        return Trained(weights=self.best, steps=step, checks=tuple(self.checks))


def _dropout_seeds(plan: Plan) -> list[int]:
    """One a step: then a step's masks do not depend on the steps before it."""
    generator = np.random.default_rng(plan.dropout_seed & 0xFFFFFFFFFFFFFFFF)
    seeds_S = generator.integers(2**63 - 1, size=len(plan.rates_S))
    return [int(seed) for seed in seeds_S]


def _adamw(flat_P: Tensor, plan: Plan, begun: TrainingState, device: str) -> torch.optim.Optimizer:
    """AdamW that has come as far as `begun`; every step sets its own rate."""
    optimiser = torch.optim.AdamW(
        [flat_P], lr=1.0, weight_decay=plan.weight_decay, fused=device != "mps"
    )
    moments = {
        "step": torch.tensor(float(begun.step)),
        "exp_avg": torch.tensor(begun.mean_P),
        "exp_avg_sq": torch.tensor(begun.square_P),
    }
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": {0: moments}, "param_groups": groups})
    return optimiser


def _on_host(flat_P: Tensor) -> NDArray[np.float32]:
    array_P: NDArray[np.float32] = flat_P.detach().cpu().numpy().copy()
    return array_P


class _Batch(NamedTuple):
    """x_BTF, the last step of each window, and the targets: y_BK, or the class of each."""

    x_BTF: Tensor
    last_B: Tensor | int
    target: Tensor


class _Windows(Protocol):
    """Examples on the device, from which any batch can be taken by the windows' indices."""

    starts_N: Tensor

    def take(self, index_B: Tensor) -> _Batch: ...


class _ToForecast:
    """`Samples` on the device."""

    def __init__(self, samples: Samples, device: str) -> None:
        length = samples.lookback + samples.outputs
        values_RF = torch.from_numpy(np.ascontiguousarray(samples.values_RF)).to(device)
        self.windows_RFL = values_RF.unfold(0, length, 1)  # a view: no window is copied
        self.starts_N = torch.from_numpy(samples.starts_N).to(device)
        self.lookback = samples.lookback
        self.anchored = samples.anchored

    def take(self, index_B: Tensor) -> _Batch:
        window_BFL = self.windows_RFL[self.starts_N[index_B]]
        if self.anchored:
            window_BFL[:, 0] -= window_BFL[:, 0, self.lookback - 1, None].clone()
        x_BTF = window_BFL[:, :, : self.lookback].transpose(1, 2).contiguous()
        return _Batch(x_BTF, -1, window_BFL[:, 0, self.lookback :])


class _ToClassify:
    """`Sequences` on the device; in a batch the shorter ones end in zeros."""

    def __init__(self, sequences: Sequences, device: str) -> None:
        self.values_RF = torch.from_numpy(np.ascontiguousarray(sequences.values_RF)).to(device)
        self.starts_N = torch.from_numpy(sequences.starts_N).to(device)
        self.lengths_N = torch.from_numpy(sequences.lengths_N).to(device)
        self.labels_N = torch.from_numpy(sequences.labels_N).to(device)

    def take(self, index_B: Tensor) -> _Batch:
        lengths_B = self.lengths_N[index_B]
        step_T = torch.arange(int(lengths_B.max()), device=lengths_B.device)
        over_BT = step_T >= lengths_B[:, None]
        row_BT = (self.starts_N[index_B, None] + step_T).masked_fill(over_BT, 0)
        x_BTF = self.values_RF[row_BT].masked_fill(over_BT[:, :, None], 0)
        return _Batch(x_BTF, lengths_B - 1, self.labels_N[index_B])


def _on_device(samples: Examples, device: str) -> _Windows:
    if isinstance(samples, Sequences):
        return _ToClassify(samples, device)
    return _ToForecast(samples, device)


def _absolute(forecast_BK: Tensor, target_BK: Tensor) -> Tensor:
    return (forecast_BK - target_BK).abs().mean()


def _squared(forecast_BK: Tensor, target_BK: Tensor) -> Tensor:
    return (forecast_BK - target_BK).square().mean()


_LOSSES: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {
    "absolute": _absolute,
    "squared": _squared,
    "cross_entropy": functional.cross_entropy,  # softmax and mean over the batch included
}


def _evaluate(network: Network, windows: _Windows, loss: Loss) -> float:
    network.eval()
    count, total = len(windows.starts_N), 0.0
    with torch.inference_mode():
        for begin in range(0, count, EVALUATION_BATCH):
            end = min(begin + EVALUATION_BATCH, count)
            index_B = torch.arange(begin, end, device=windows.starts_N.device)
            x_BTF, last_B, target = windows.take(index_B)
            total += _LOSSES[loss](network(x_BTF, last_B), target).item() * len(index_B)
    return total / count


@contextmanager
def _out_of_memory_told(shape: Shape, device: str) -> Iterator[None]:
    """Raise OutOfMemory in place of what torch raises for a full device."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        words = ("not enough memory", "can't allocate memory")
        if isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in words):
            raise OutOfMemory(f"{device} is out of memory at {shape.cells} cells") from error
        raise
