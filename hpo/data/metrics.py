"""How the error of a forecast is counted. Shapes: O origins, H horizon."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def losses(truth_OH: Floats, forecast_OH: Floats, scale_O: Floats, metric: str) -> Floats:
    """One loss per origin (float64, O), the mean over its steps; lower is better.

    mase: absolute error / scale_O, the seasonal naive's mean absolute error on the training part
    (Hyndman and Koehler 2006); mae: absolute error; rmse: squared error (see `score`);
    smape: 200 |e| / (|y| + |f|) in percent, 0 where both are 0 (Makridakis 1993).
    A forecast that is not finite has an infinite loss.

    >>> y, f, scale = np.array([[10.0, 12.0]]), np.array([[12.0, 12.0]]), np.array([2.0])
    >>> [losses(y, f, scale, m).round(2).tolist() for m in ("mase", "mae", "rmse", "smape")]
    [[0.5], [1.0], [2.0], [9.09]]
    """
    with np.errstate(over="ignore", invalid="ignore"):
        error_OH = np.abs(truth_OH - forecast_OH)
        if metric == "mase":
            error_OH = error_OH / scale_O[:, None]
        elif metric == "rmse":
            error_OH = np.square(error_OH)
        elif metric == "smape":
            size_OH = np.abs(truth_OH) + np.abs(forecast_OH)
            error_OH = 200 * error_OH / np.where(size_OH > 0, size_OH, 1)
        elif metric != "mae":
            raise ValueError(f"unknown metric {metric!r}")
        loss_O = error_OH.mean(axis=1)
    return np.where(np.isfinite(loss_O), loss_O, np.inf)
