"""The work that every contestant of benchmarks/peers.py does, and what it tells of it: values."""

from dataclasses import dataclass

LOWEST_RATE, HIGHEST_RATE = 1e-3, 1e-2  # drawn by Optuna's RandomSampler, logarithmically


@dataclass(frozen=True, kw_only=True)
class Work:
    """Find a learning rate for one LSTM layer of `cells` with a linear head, and use it.

    `trials` networks take `max_steps` steps of Adam on the mean absolute error of `batch` windows
    of `lookback` values, one step ahead, and are judged on `validation` rows; one more, with the
    best rate, trains on these as well and forecasts the last `test` rows, one step ahead each.
    """

    values: list[float]
    lookback: int
    cells: int
    batch: int
    max_steps: int
    trials: int
    validation: int
    test: int
    threads: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """How many networks were trained, and the mean absolute errors of the best and the last."""

    networks: int
    validation_mae: float
    test_mae: float
    learning_rate: float
    made_by: str
