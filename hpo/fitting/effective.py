"""How many of a trained network's weights its data determine: the effective number of parameters.

Shapes: N windows, B of them at a time, T steps, F features, C cells, G = 4 C gates, K outputs, P
weights in the order of `training.weights.layout`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from hpo.data.windows import examples
from hpo.training.trainer import Samples, Shape, Weights
from hpo.training.weights import join

MOST_WEIGHTS = 2_000  # 4 s, in which a training cannot be halted; it grows with the cube
MOST_ERRORS = 2 * MOST_WEIGHTS  # windows times outputs; more windows are thinned evenly
BATCH = 128  # windows
DECIMALS = 3  # the rest is roundings of sums, whose order is the machine's

Floats = NDArray[np.float64]
Weights64 = dict[str, Floats]


def effective_parameters(shape: Shape, weights: Weights, samples: Samples) -> float | None:
    """gamma, from 0 to P: the weights that the windows determine, the rest being left to the prior.

    Foresee and Hagan (1997), after MacKay (1992): for the objective beta E_D + alpha E_W (sums of
    squared errors and squared weights), gamma = P - 2 alpha tr(H^-1) with the Gauss-Newton Hessian
    H = 2 beta J'J + 2 alpha I. alpha and beta are those of the evidence at these weights: `settle`.
    Errors are those of scaled targets, taken as independent; windows are thinned. Pairs of biases
    that add up (bias_ih and bias_hh of every gate) count once at most.

    A second opinion: our networks stop early in place of a penalty, so their weights are not the
    minimum that the derivation supposes. None for more than 2,000 weights, and where errors or
    weights are all zero or not finite.
    """
    flat_P = join(shape, weights).astype(np.float64)
    if len(flat_P) > MOST_WEIGHTS:
        return None
    most = max(1, MOST_ERRORS // samples.outputs)
    starts_N = samples.starts_N
    thinned_N = starts_N[np.linspace(0, len(starts_N) - 1, min(len(starts_N), most)).astype(int)]
    curvature_PP, squared_error = np.zeros((len(flat_P), len(flat_P))), 0.0
    for jacobian_EP, error_E in _jacobians(shape, weights, samples, thinned_N):
        curvature_PP += jacobian_EP.T @ jacobian_EP
        squared_error += float(error_E @ error_E)
    share = len(thinned_N) / len(starts_N)
    if not np.isfinite(curvature_PP).all():
        return None
    return settle(
        np.asarray(np.linalg.eigvalsh(curvature_PP / share), dtype=np.float64),
        squared_error / share,
        float(flat_P @ flat_P),
        errors=len(starts_N) * samples.outputs,
    )


def settle(
    curvatures_P: Floats, squared_error: float, squared_weight: float, *, errors: int
) -> float | None:
    """gamma where alpha = gamma / (2 E_W) and beta = (errors - gamma) / (2 E_D) hold with it.

    `curvatures_P`: the eigenvalues of J'J; gamma is the sum of beta c / (beta c + alpha). The
    larger gamma is, the larger alpha and the smaller beta, and so the smaller that sum: there is
    one solution, found by bisection. None where a number is zero or not finite.

    >>> settle(np.full(4, 1e9), 1.0, 1.0, errors=100)  # the data determine every weight
    4.0
    >>> settle(np.array([1e9, 0.0]), 1.0, 1.0, errors=100)  # or one of two
    1.0
    """
    numbers = np.array([np.sum(curvatures_P), squared_error, squared_weight])
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        return None
    kept_P = np.maximum(curvatures_P, 0.0)

    def excess(gamma: float) -> float:
        alpha, beta = gamma / squared_weight, (errors - gamma) / squared_error
        return float((beta * kept_P / (beta * kept_P + alpha)).sum()) - gamma

    most = float(min(kept_P.size, errors))
    if excess(most) >= 0:
        return most
    least = most * 1e-9
    return round(float(brentq(excess, least, most)), DECIMALS) if excess(least) > 0 else 0.0


def _jacobians(
    shape: Shape, weights: Weights, samples: Samples, starts_N: NDArray[np.int64]
) -> Iterator[tuple[Floats, Floats]]:
    """Errors of one output in some windows, and their derivatives by the weights (E, P)."""
    doubles = {name: array.astype(np.float64) for name, array in weights.items()}
    for begin in range(0, len(starts_N), BATCH):
        x_BTF, y_BK = examples(
            samples.values_RF,
            starts_N[begin : begin + BATCH],
            lookback=samples.lookback,
            outputs=samples.outputs,
            anchored=samples.anchored,
        )
        passes = _forward(shape, doubles, x_BTF.astype(np.float64))
        h_BC = passes[-1].h_BTC[:, -1]
        predicted_BK = h_BC @ doubles["head.weight"].T + doubles["head.bias"]
        for k in range(shape.outputs):
            yield _derivatives(shape, doubles, passes, k), predicted_BK[:, k] - y_BK[:, k]


class _Pass:
    """One layer's way through the steps: what went in, and its gates (i, f, g, o) and cells."""

    def __init__(self, weights: Weights64, layer: int, x_BTF: Floats) -> None:
        self.x_BTF = x_BTF
        self.ih_GF = weights[f"layers.{layer}.weight_ih_l0"]
        self.hh_GC = weights[f"layers.{layer}.weight_hh_l0"]
        bias_G = weights[f"layers.{layer}.bias_ih_l0"] + weights[f"layers.{layer}.bias_hh_l0"]
        driven_BTG = x_BTF @ self.ih_GF.T + bias_G
        batch, steps, cells = *x_BTF.shape[:2], self.hh_GC.shape[1]
        self.gates_BT4C = np.empty((batch, steps, 4, cells))
        self.c_BTC, self.h_BTC = np.empty((2, batch, steps, cells))
        h_BC = c_BC = np.zeros((batch, cells))
        for t in range(steps):
            a_B4C = (driven_BTG[:, t] + h_BC @ self.hh_GC.T).reshape(batch, 4, cells)
            i, f, o = (expit(a_B4C[:, gate]) for gate in (0, 1, 3))
            g = np.tanh(a_B4C[:, 2])
            c_BC = f * c_BC + i * g
            h_BC = o * np.tanh(c_BC)
            self.gates_BT4C[:, t] = np.stack([i, f, g, o], axis=1)
            self.c_BTC[:, t], self.h_BTC[:, t] = c_BC, h_BC

    def backward(self, dh_BTC: Floats) -> tuple[Floats, Floats]:
        """From derivatives by its outputs to those by its gates' sums and by its inputs."""
        batch, steps, cells = dh_BTC.shape
        da_BT4C = np.empty((batch, steps, 4, cells))
        dh_BC = dc_BC = np.zeros((batch, cells))
        for t in reversed(range(steps)):
            i, f, g, o = self.gates_BT4C[:, t].swapaxes(0, 1)
            level_BC = np.tanh(self.c_BTC[:, t])
            before_BC = self.c_BTC[:, t - 1] if t else np.zeros((batch, cells))
            dh_BC = dh_BC + dh_BTC[:, t]
            dc_BC = dc_BC + dh_BC * o * (1 - level_BC**2)
            da_BT4C[:, t, 0] = dc_BC * g * i * (1 - i)
            da_BT4C[:, t, 1] = dc_BC * before_BC * f * (1 - f)
            da_BT4C[:, t, 2] = dc_BC * i * (1 - g**2)
            da_BT4C[:, t, 3] = dh_BC * level_BC * o * (1 - o)
            dh_BC = da_BT4C[:, t].reshape(batch, -1) @ self.hh_GC
            dc_BC = dc_BC * f
        da_BTG = da_BT4C.reshape(batch, steps, -1)
        return da_BTG, da_BTG @ self.ih_GF


def _forward(shape: Shape, weights: Weights64, x_BTF: Floats) -> list[_Pass]:
    passes: list[_Pass] = []
    for layer in range(len(shape.cells)):
        passes.append(_Pass(weights, layer, x_BTF))
        x_BTF = passes[-1].h_BTC
    return passes


def _derivatives(shape: Shape, weights: Weights64, passes: list[_Pass], output: int) -> Floats:
    """Derivatives of one output by all weights (B, P), backward through the steps."""
    dh_BTC = np.zeros_like(passes[-1].h_BTC)
    dh_BTC[:, -1] = weights["head.weight"][output]
    pieces: list[Floats] = []
    for layer in reversed(passes):
        da_BTG, dx_BTF = layer.backward(dh_BTC)
        before_BTC = np.zeros_like(layer.h_BTC)
        before_BTC[:, 1:] = layer.h_BTC[:, :-1]
        gates_BGT, bias_BG = da_BTG.swapaxes(1, 2), da_BTG.sum(axis=1)
        pieces = [gates_BGT @ layer.x_BTF, gates_BGT @ before_BTC, bias_BG, bias_BG, *pieces]
        dh_BTC = dx_BTF
    h_BC = passes[-1].h_BTC[:, -1]
    head_BKC = np.zeros((len(h_BC), shape.outputs, h_BC.shape[1]))
    head_BKC[:, output] = h_BC
    bias_BK = np.zeros((len(h_BC), shape.outputs))
    bias_BK[:, output] = 1.0
    return np.concatenate([p.reshape(len(h_BC), -1) for p in (*pieces, head_BKC, bias_BK)], axis=1)
