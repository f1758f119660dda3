"""From a mean of losses to the metric's own scale."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def score(mean_loss: Any, metric: str) -> Any:
    """The score of a mean of losses (a number or an array): its root for rmse, itself otherwise.

    >>> score(9.0, "rmse"), score(9.0, "mae")
    (3.0, 9.0)
    """
    if metric != "rmse":
        return mean_loss
    root = np.sqrt(mean_loss)
    return float(root) if np.ndim(root) == 0 else root


def finite_scores(mean_losses: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Scores by name of those mean losses that are finite numbers.

    >>> finite_scores({"naive": 4.0, "ridge": np.inf}, "rmse")
    {'naive': 2.0}
    """
    return {
        name: float(score(loss, metric)) for name, loss in mean_losses.items() if np.isfinite(loss)
    }
