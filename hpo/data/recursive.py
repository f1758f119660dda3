"""One-step forecasts are fed back until the horizon is reached.

Shapes: B windows, T lookback, F features (column 0 the target), K outputs, H horizon.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.data.windows import anchor

Array = npt.NDArray[Any]
Predict = Callable[[Array], Array]  # x_BTF float32 -> y_BK float32


def predict_levels(predict: Predict, x_BTF: Array, *, anchored: bool) -> Array:
    """Forecasts y_BK of windows that are not yet anchored; the anchor is taken off and put back."""
    if not anchored:
        return predict(x_BTF)
    anchored_BTF, level_B = anchor(x_BTF)
    forecast_BK: Array = predict(anchored_BTF) + level_B[:, None]
    return forecast_BK


def iterate(predict: Predict, window_BTF: Array, *, horizon: int, anchored: bool = False) -> Array:
    """Forecasts y_BH by a one-step `predict` (x_BTF -> y_B1) that is fed its own forecasts.

    The window slides over them. Future covariates keep their last known value. With `anchored`
    each slid window is anchored anew. window_BTF is not changed.

    >>> double = lambda x_BTF: 2 * x_BTF[:, -1, :1]
    >>> iterate(double, np.array([[[3.0], [1.0]]]), horizon=3).tolist()
    [[2.0, 4.0, 8.0]]
    """
    lookback = window_BTF.shape[1]
    held = np.repeat(window_BTF[:, -1:], horizon, axis=1)
    path = np.concatenate((window_BTF, held), axis=1)
    for step in range(horizon):
        window = np.ascontiguousarray(path[:, step : step + lookback])
        path[:, lookback + step, 0] = predict_levels(predict, window, anchored=anchored)[:, 0]
    forecast_BH: Array = path[:, lookback:, 0]
    return forecast_BH
