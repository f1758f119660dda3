"""Small tasks that every engine can learn, and the equations they are checked against."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.training.trainer import Plan, Samples, Sequences, Shape, Weights
from hpo.training.weights import initial_weights

SHAPE = Shape(inputs=1, outputs=1, cells=(4,))


def go_on(_step: int, _loss: float) -> bool:
    return True


def wave(rows: int = 120, *, noise: float = 0.0) -> NDArray[np.float32]:
    """values_RF of one column: a sine of 12 steps, with noise."""
    clean_R = np.sin(2 * np.pi * np.arange(rows) / 12)
    noise_R = noise * np.random.default_rng(0).normal(size=rows)
    return (clean_R + noise_R).astype(np.float32)[:, None]


def samples(
    values_RF: NDArray[np.float32], first: int = 0, last: int = 80, **changes: Any
) -> Samples:
    given = {"lookback": 6, "outputs": 1, "anchored": False, **changes}
    return Samples(values_RF=values_RF, starts_N=np.arange(first, last), **given)


def levels(count: int = 24) -> Sequences:
    """Noise of 2 to 12 steps around -1, 0 or 1 (the class), and a column that tells nothing."""
    generator = np.random.default_rng(5)
    lengths_N = generator.integers(2, 13, size=count)
    labels_N = np.arange(count) % 3
    values_RF = 0.2 * generator.normal(size=(lengths_N.sum(), 2))
    values_RF[:, 0] += np.repeat(labels_N - 1, lengths_N)
    return Sequences(
        values_RF=values_RF.astype(np.float32),
        starts_N=np.cumsum(lengths_N) - lengths_N,
        lengths_N=lengths_N,
        labels_N=labels_N,
        classes=3,
    )


def plan(steps: int = 60, rate: float = 0.01, windows: int = 80, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "order_SB": np.random.default_rng(1).integers(0, windows, size=(steps, 16)),
        "rates_S": np.full(steps, rate, dtype=np.float32),
        "loss": "absolute",
        "clip_norm": 1.0,
        "weight_decay": 0.0,
        "check_every": 10,
        "patience": 100,
        "dropout_seed": 0,
    }
    return Plan(**{**given, **changes})


def weights_of(shape: Shape, seed: int = 0) -> Weights:
    return initial_weights(shape, np.random.default_rng(seed))


def assert_same(one: Weights, other: Weights) -> None:
    """The same names, and the same arrays to the bit."""
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def forward(shape: Shape, weights: Weights, x_BTF: NDArray[np.float32]) -> NDArray[np.float64]:
    """y_BK by the equations in float64: c = f c + i g, h = o tanh(c)."""
    h_BTC = x_BTF.astype(np.float64)
    for layer, cells in enumerate(shape.cells):
        w_ih, w_hh, b_ih, b_hh = (
            weights[f"layers.{layer}.{part}_l0"].astype(np.float64)
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        h_BC = c_BC = np.zeros((len(x_BTF), cells))
        steps: list[NDArray[np.float64]] = []
        for step in range(x_BTF.shape[1]):
            gates_B4C = h_BTC[:, step] @ w_ih.T + h_BC @ w_hh.T + b_ih + b_hh
            i_BC, f_BC, g_BC, o_BC = np.split(gates_B4C, 4, axis=1)
            c_BC = _sigmoid(f_BC) * c_BC + _sigmoid(i_BC) * np.tanh(g_BC)
            h_BC = _sigmoid(o_BC) * np.tanh(c_BC)
            steps.append(h_BC)
        h_BTC = np.stack(steps, axis=1)
    y_BK: NDArray[np.float64] = h_BTC[:, -1] @ weights["head.weight"].T + weights["head.bias"]
    return y_BK


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-z)))
