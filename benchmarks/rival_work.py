"""What the rivals of benchmarks/rivals.py are asked to forecast, and what they tell: values."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Work:
    """Find an LSTM for a series by its first rows, and forecast from `origins` with it.

    `origins`: the rows of the last known value; each forecast is of the `horizon` rows after it,
    and none of these is among the `training_rows`. The last `validation_rows` of those are for the
    choice. No trial begins when `limit_s` have passed, but for the first; the best one's refit is
    extra. What was missing in `values` is filled.
    """

    values: list[float]
    training_rows: int
    validation_rows: int
    origins: list[int]
    horizon: int
    lookbacks: list[int]
    limit_s: float
    most_epochs: int
    threads: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """The cells of each layer of the network chosen, and its forecasts: one list an origin."""

    trials: int
    cells: list[int]
    forecasts: list[list[float]]
    made_by: str
