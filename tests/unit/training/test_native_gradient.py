"""The native kernel's gradients are torch's: in double precision to rounding, in single nearly."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_native = pytest.importorskip("hpo.training._native")

LOSSES = ("absolute", "squared", "cross_entropy")
SINGLE = [name for name in _native.kernels() if name != "double"]
EXAMPLES = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class Case:
    """A random network with a random batch, the same for both engines."""

    def __init__(
        self,
        cells: list[int],
        inputs: int,
        outputs: int,
        steps: int,
        batch: int,
        loss: str,
        seed: int,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.cells, self.inputs, self.loss, self.steps = cells, inputs, loss, steps
        self.outputs = max(2, outputs) if loss == "cross_entropy" else outputs
        widths = [inputs, *cells]
        count = sum(4 * c * (b + c + 2) for b, c in zip(widths, cells, strict=False))
        count += self.outputs * (cells[-1] + 1)
        self.weights_P = _single(rng.normal(0, 0.4, count))
        windows = batch + 3
        rows = windows * 2 + steps + self.outputs
        self.values_RF = _single(rng.normal(0, 1, (rows, inputs)))
        self.starts_N = rng.integers(0, windows, windows)
        self.order_B = rng.integers(0, windows, batch)
        self.lengths_N = rng.integers(1, steps + 1, windows) if loss == "cross_entropy" else None
        self.labels_N = rng.integers(0, self.outputs, windows) if loss == "cross_entropy" else None
        self.anchored = bool(rng.integers(2)) and loss != "cross_entropy"

    def native(self, kernel: str) -> tuple[float, NDArray[np.float64]]:
        dtype = np.float64 if kernel == "double" else np.float32
        weights_P, gradient_P = self.weights_P.astype(dtype), np.empty(len(self.weights_P), dtype)
        cells = np.array(self.cells, dtype=np.int64)
        lookback = self.steps if self.lengths_N is None else 1
        loss = _native.gradient(
            (kernel, cells, self.inputs, self.outputs, 0.0, weights_P),
            (
                self.values_RF.astype(dtype),
                self.starts_N,
                self.lengths_N,
                self.labels_N,
                lookback,
                self.anchored,
            ),
            self.order_B,
            LOSSES.index(self.loss),
            0,
            gradient_P,
        )
        return loss, gradient_P.astype(np.float64)

    def torch(self, dtype: torch.dtype) -> tuple[float, NDArray[np.float64]]:
        flat_P = torch.tensor(self.weights_P, dtype=dtype, requires_grad=True)
        mean = torch.stack([self._window_loss(flat_P, int(n)) for n in self.order_B]).mean()
        (gradient_P,) = torch.autograd.grad(mean, flat_P)
        return mean.item(), gradient_P.double().numpy()

    def _window_loss(self, flat_P: Tensor, n: int) -> Tensor:
        start = int(self.starts_N[n])
        steps = self.steps if self.lengths_N is None else int(self.lengths_N[n])
        values_RF = torch.tensor(self.values_RF, dtype=flat_P.dtype)
        x_TF = values_RF[start : start + steps].clone()
        target_K = values_RF[start + steps : start + steps + self.outputs, 0]
        if self.anchored:
            anchor = x_TF[-1, 0].clone()
            x_TF[:, 0] -= anchor
            target_K = target_K - anchor
        y_K = self._forward(flat_P, x_TF)
        if self.labels_N is not None:
            return functional.cross_entropy(y_K[None], torch.tensor([int(self.labels_N[n])]))
        error_K = y_K - target_K
        return (error_K.abs() if self.loss == "absolute" else error_K.square()).mean()

    def _forward(self, flat_P: Tensor, x_TF: Tensor) -> Tensor:
        place, below, h_BTC = 0, self.inputs, x_TF[None]
        for cells in self.cells:
            layer = nn.LSTM(below, cells, batch_first=True, dtype=x_TF.dtype)
            state = {}
            for name, weight in layer.named_parameters():
                state[name] = flat_P[place : place + weight.numel()].view_as(weight)
                place += weight.numel()
            h_BTC, _ = torch.func.functional_call(layer, state, h_BTC)
            below = cells
        weight_KC = flat_P[place : place + self.outputs * below].view(self.outputs, below)
        y_K: Tensor = weight_KC @ h_BTC[0, -1] + flat_P[place + self.outputs * below :]
        return y_K


def _single(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same numbers for both precisions."""
    return values.astype(np.float32).astype(np.float64)


def cases(*losses: str) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        cells=st.lists(st.integers(1, 70), min_size=1, max_size=3),
        inputs=st.integers(1, 9),
        outputs=st.integers(1, 5),
        steps=st.integers(1, 60),
        batch=st.integers(1, 37),
        loss=st.sampled_from(losses),
        seed=st.integers(0, 2**32 - 1),
    )


@given(case=cases(*LOSSES))
@EXAMPLES
def test_double_gradients_are_autograds(case: Case) -> None:
    loss, gradient_P = case.native("double")
    expected, expected_P = case.torch(torch.float64)
    assert loss == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient_P, expected_P, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kernel", SINGLE)
@given(case=cases("squared", "cross_entropy"))  # the absolute loss turns on a sign
@settings(EXAMPLES, max_examples=25)
def test_single_gradients_are_as_near_the_double_ones_as_torchs_own(
    kernel: str, case: Case
) -> None:
    _, expected_P = case.native("double")
    _, gradient_P = case.native(kernel)
    _, torchs_P = case.torch(torch.float32)
    own = np.linalg.norm(torchs_P - expected_P)
    rounding = np.finfo(np.float32).eps * np.linalg.norm(expected_P)
    assert np.linalg.norm(gradient_P - expected_P) <= 10 * max(own, rounding)
