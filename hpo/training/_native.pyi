"""What hpo/training/native.c gives to Python."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float32] | NDArray[np.float64]
Ints = NDArray[np.int64]
# kernel, cells of the layers, inputs, outputs, dropout, weights in the order of the state dict
Network = tuple[str, Ints, int, int, float, Reals]
# values (rows x inputs), first rows of the windows, lengths and labels of sequences or None,
# lookback, whether anchored
Samples = tuple[Reals, Ints, Ints | None, Ints | None, int, bool]
# checks (a row each: step, training loss, watched loss), AdamW's mean and square, the weights of
# the best check, steps taken, the best check's row, the first batch's loss, the sum since a check
Course = tuple[NDArray[np.float64], Reals, Reals, Reals, int, int, float, float]

def kernels() -> list[str]: ...
def train(
    network: Network,
    samples: Samples,
    watch: Samples | None,
    order_SB: Ints,
    rates_S: NDArray[np.float32],
    batch: int,
    loss: int,
    clip_norm: float,
    weight_decay: float,
    check_every: int,
    patience: int,
    exploded: float,
    dropout_seed: int,
    quiet_s: float,
    course: Course,
    on_check: Callable[[int, float], Any],
    /,
) -> tuple[int, int, int, int, float, float]: ...
def run(network: Network, samples: Samples, loss: int, outputs: Reals | None, /) -> float: ...
def gradient(
    network: Network,
    samples: Samples,
    order_B: Ints,
    loss: int,
    dropout_seed: int,
    gradient_P: Reals,
    /,
) -> float: ...
