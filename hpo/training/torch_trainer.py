"""The torch engine: trains one network with nn.LSTM on any device torch knows.

Shapes: B windows in a batch, T steps, F features, K outputs, N windows, S optimiser steps.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.training.network import Network, flatten, load, unload
from hpo.training.trainer import (
    Check,
    Diverged,
    OnCheck,
    OutOfMemory,
    Plan,
    Predictor,
    Samples,
    Shape,
    Stopped,
    Trained,
    Weights,
)

EVALUATION_BATCH = 4096
EXPLODED = {"absolute": 1e3, "squared": 1e6}  # times the loss of the first batch, or of one


class TorchTrainer:
    """Fulfils `trainer.Trainer` with torch.nn.LSTM and AdamW."""

    name = "torch"

    def __init__(self, device: str) -> None:
        self.device = device

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Samples,
        plan: Plan,
        watch: Samples | None,
        on_check: OnCheck,
    ) -> Trained:
        """See `trainer.Trainer.train`."""
        torch.manual_seed(plan.dropout_seed)
        try:
            network = load(shape, weights, self.device)
            return self._train(network, samples, plan, watch, on_check)
        except torch.OutOfMemoryError as error:
            raise OutOfMemory(f"{self.device} is out of memory at {shape.cells} cells") from error
        except RuntimeError as error:
            if "not enough memory" in str(error) or "can't allocate memory" in str(error):
                raise OutOfMemory(
                    f"{self.device} is out of memory at {shape.cells} cells"
                ) from error
            raise

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """See `trainer.Trainer.predictor`."""
        network = load(shape, weights, self.device).eval()

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            with torch.inference_mode():
                x = torch.from_numpy(np.ascontiguousarray(x_BTF)).to(self.device)
                y_BK: NDArray[np.float32] = network(x).cpu().numpy()
            return y_BK

        return predict

    def loss(
        self, shape: Shape, weights: Weights, samples: Samples, loss: Literal["absolute", "squared"]
    ) -> float:
        """See `trainer.Trainer.loss`."""
        return _evaluate(load(shape, weights, self.device), _Windows(samples, self.device), loss)

    def _train(
        self,
        network: Network,
        samples: Samples,
        plan: Plan,
        watch: Samples | None,
        on_check: OnCheck,
    ) -> Trained:
        windows = _Windows(samples, self.device)
        watched = _Windows(watch, self.device) if watch is not None else None
        best = _Best(network)
        checks: list[Check] = []
        for step, train_loss, first_loss in self._steps(network, windows, plan):
            if watched is not None:
                watch_loss = _evaluate(network, watched, plan.loss)
            else:
                watch_loss = train_loss
            checks.append(Check(step=step, train_loss=train_loss, watch_loss=watch_loss))
            _refuse_divergence(checks[-1], first_loss, plan.loss)
            if not on_check(step, watch_loss):
                raise Stopped
            best.look(network, step, watch_loss, always=watched is None)
            if watched is not None and best.checks_since >= plan.patience:
                break
        return Trained(weights=best.weights, steps=best.step, checks=tuple(checks))

    def _steps(
        self, network: Network, windows: "_Windows", plan: Plan
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
            x_BTF, y_BK = windows.take(batch_B)
            value = _LOSSES[plan.loss](network(x_BTF), y_BK)
            gradient_P.zero_()
            torch.autograd.backward(value)
            gradient_P.mul_((plan.clip_norm / (gradient_P.norm() + 1e-6)).clamp(max=1.0))
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
            summed, since = summed + value.detach(), since + 1
            first = value.detach() if step == 1 else first
            if step % plan.check_every == 0 or step == last:
                yield step, summed.item() / since, first.item()
                network.train()
                summed, since = torch.zeros((), device=self.device), 0


class _Windows:
    """The samples on the device, from which any batch can be taken."""

    def __init__(self, samples: Samples, device: str) -> None:
        length = samples.lookback + samples.outputs
        values_RF = torch.from_numpy(np.ascontiguousarray(samples.values_RF)).to(device)
        self.windows_RFL = values_RF.unfold(0, length, 1)  # a view: no window is copied
        self.starts_N = torch.from_numpy(samples.starts_N).to(device)
        self.lookback = samples.lookback
        self.anchored = samples.anchored

    def take(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """x_BTF and y_BK of the windows with these indices."""
        window_BFL = self.windows_RFL[self.starts_N[index_B]]
        if self.anchored:
            window_BFL[:, 0] -= window_BFL[:, 0, self.lookback - 1, None].clone()
        x_BTF = window_BFL[:, :, : self.lookback].transpose(1, 2).contiguous()
        return x_BTF, window_BFL[:, 0, self.lookback :]


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


_LOSSES = {"absolute": _absolute, "squared": _squared}


def _evaluate(network: Network, windows: _Windows, loss: Literal["absolute", "squared"]) -> float:
    network.eval()
    count, total = len(windows.starts_N), 0.0
    with torch.inference_mode():
        for begin in range(0, count, EVALUATION_BATCH):
            end = min(begin + EVALUATION_BATCH, count)
            index_B = torch.arange(begin, end, device=windows.starts_N.device)
            x_BTF, y_BK = windows.take(index_B)
            total += _LOSSES[loss](network(x_BTF), y_BK).item() * len(index_B)
    return total / count


def _refuse_divergence(now: Check, first_loss: float, loss: Literal["absolute", "squared"]) -> None:
    if not (math.isfinite(now.train_loss) and math.isfinite(now.watch_loss)):
        raise Diverged(f"the loss is not a finite number at step {now.step}")
    if now.train_loss > EXPLODED[loss] * max(first_loss, 1.0):
        raise Diverged(
            f"the training loss exploded from {first_loss:.3g} to {now.train_loss:.3g}"
            f" at step {now.step}"
        )
