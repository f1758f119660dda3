"""From a mean of losses to the metric's own scale."""

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
