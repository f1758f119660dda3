"""The torch engine: trains one network with nn.LSTM on any device torch knows.

Shapes: B windows in a batch, T steps, F features, K outputs, N windows, S optimiser steps.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hpo.training.network import Network, flatten, load, unload
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
    check_fit,
    check_windows,
    refuse_divergence,
)

EVALUATION_BATCH = 4096


class TorchTrainer:
    """Fulfils `trainer.Trainer` with torch.nn.LSTM and AdamW."""

    name = "torch"

    def __init__(self, device: str) -> None:
        self.device = device

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
    ) -> Trained:
        """See `trainer.Trainer.train`."""
        check_fit(shape, samples, plan)
        if watch is not None:
            check_fit(shape, watch, plan.loss)
        with _out_of_memory_told(shape, self.device):
            network = load(shape, weights, self.device, dropout_seed=plan.dropout_seed)
            return self._train(network, samples, plan, watch, on_check)

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

    def _train(
        self,
        network: Network,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
    ) -> Trained:
        windows = _on_device(samples, self.device)
        watched = _on_device(watch, self.device) if watch is not None else None
        best, asking = _Best(network), _Asking(on_check)
        checks: list[Check] = []
        for step, train_loss, first_loss in self._steps(network, windows, plan, asking):
            if watched is not None:
                watch_loss = _evaluate(network, watched, plan.loss)
            else:
                watch_loss = train_loss
            checks.append(Check(step=step, train_loss=train_loss, watch_loss=watch_loss))
            refuse_divergence(checks[-1], first_loss, plan.loss)
            asking.last_loss = watch_loss
            best.look(network, step, watch_loss, always=watched is None)
            if watched is not None and best.checks_since >= plan.patience:
                break
        return Trained(weights=best.weights, steps=best.step, checks=tuple(checks))

    def _steps(
        self, network: Network, windows: "_Windows", plan: Plan, asking: "_Asking"
    ) -> Iterator[tuple[int, float, float]]:
        """Take the plan's steps; whenever a check is due, yield what it needs.

        That is the step, the mean training loss since the last check, the first batch's loss.
        """
        flat_P = flatten(network)
        gradient_P = flat_P.grad
        assert gradient_P is not None
        optimiser = torch.optim.AdamW(
            [flat_P], lr=1.0, weight_decay=plan.weight_decay, fused=self.device != "mps"
        )
        order_SB = torch.from_numpy(plan.order_SB).to(self.device)
        rates = plan.rates_S.tolist()
        network.train()
        first = summed = torch.zeros((), device=self.device)
        since, last = 0, len(order_SB)
        for step, (batch_B, rate) in enumerate(zip(order_SB, rates, strict=True), start=1):
            x_BTF, last_B, target = windows.take(batch_B)
            value = _LOSSES[plan.loss](network(x_BTF, last_B), target)
            gradient_P.zero_()
            torch.autograd.backward(value)
            gradient_P.mul_((plan.clip_norm / (gradient_P.norm() + 1e-6)).clamp(max=1.0))
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
            summed, since = summed + value.detach(), since + 1
            first = value.detach() if step == 1 else first
            asking.ask_if_due(step)
            if step % plan.check_every == 0 or step == last:
                yield step, summed.item() / since, first.item()
                network.train()
                summed, since = torch.zeros((), device=self.device), 0


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


class _Asking:
    """Asks `on_check` every `QUIET_S` and tells it the last check's loss."""

    def __init__(self, on_check: OnCheck) -> None:
        self.on_check, self.last_loss, self.asked_at = on_check, math.nan, perf_counter()

    def ask_if_due(self, step: int) -> None:
        """Raise Stopped where the training is to end."""
        if perf_counter() - self.asked_at < QUIET_S:
            return
        if not self.on_check(step, self.last_loss):
            raise Stopped
        self.asked_at = perf_counter()


class _Best:
    """The weights with the lowest watched loss so far."""

    def __init__(self, network: Network) -> None:
        self.weights, self.step, self.loss, self.checks_since = unload(network), 0, math.inf, 0

    def look(self, network: Network, step: int, loss: float, *, always: bool) -> None:
        self.checks_since += 1
        if loss < self.loss or always:
            self.weights, self.step, self.loss, self.checks_since = unload(network), step, loss, 0


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
