"""A predictor of scaled windows forecasts from origins on the data's own scale.

Shapes: R rows, O origins, H horizon, B windows in a batch, T lookback, F features, K outputs.
"""

import numpy as np
import numpy.typing as npt

from hpo.data.folds import Fold, rows_ahead
from hpo.data.prepare import Prepared, Strategy, truth
from hpo.data.recursive import Predict, iterate, predict_levels
from hpo.data.transform import Transform
from hpo.data.windows import gather

Ints = npt.NDArray[np.int64]

BATCH = 1_024  # origins


def forecast(
    predict: Predict, prepared: Prepared, fold: Fold, lookback: int
) -> npt.NDArray[np.float64]:
    """Forecasts (float64, O x H) from every origin of the fold, on the target's own scale.

    predict: x_BTF float32 -> y_BK float32, K the horizon (direct) or 1 (recursive); it sees
    windows of `lookback` rows that end with the origin, anchored if the transform is.
    """
    return forecast_from(
        fold.origins_O,
        fold.series_O,
        predict,
        prepared.transform_of(fold),
        prepared.scaled_of(fold),
        lookback=lookback,
        horizon=prepared.study.task.horizon,
        strategy=prepared.strategy,
    )


def forecast_from(
    origins_O: Ints,
    series_O: Ints,
    predict: Predict,
    transform: Transform,
    scaled_RF: npt.NDArray[np.float32],
    *,
    lookback: int,
    horizon: int,
    strategy: Strategy,
) -> npt.NDArray[np.float64]:
    """`forecast` for origins of these series among rows that the transform has scaled."""
    scaled_OH = np.empty((len(origins_O), horizon))
    for begin in range(0, len(origins_O), BATCH):
        batch = slice(begin, begin + BATCH)
        x_BTF = gather(scaled_RF, origins_O[batch] - lookback + 1, length=lookback)
        if strategy == "direct":
            scaled_OH[batch] = predict_levels(predict, x_BTF, anchored=transform.anchored)
        else:
            scaled_OH[batch] = iterate(predict, x_BTF, horizon=horizon, anchored=transform.anchored)
    return transform.invert(scaled_OH, rows_ahead(origins_O, horizon), series_O)


def scaled_errors(
    prepared: Prepared, fold: Fold, forecasts_OH: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Truth less forecasts (O x H) on the scale of the fold's networks; the anchor cancels."""
    transform = prepared.transform_of(fold)
    rows_OH = rows_ahead(fold.origins_O, forecasts_OH.shape[1])
    truth_OH, scaled_OH = (
        transform.scaled_target(values_OH, rows_OH, fold.series_O)
        for values_OH in (truth(prepared, fold), forecasts_OH)
    )
    errors_OH: npt.NDArray[np.float64] = truth_OH - scaled_OH
    return errors_OH
