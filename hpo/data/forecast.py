"""A predictor of scaled windows forecasts a fold's origins on the data's own scale.

Shapes: O origins, H horizon, B windows in a batch, T lookback, F features, K outputs.
"""

import numpy as np
import numpy.typing as npt

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.data.recursive import Predict, iterate, predict_levels
from hpo.data.windows import gather

BATCH = 1_024  # origins


def forecast(
    predict: Predict, prepared: Prepared, fold: Fold, lookback: int
) -> npt.NDArray[np.float64]:
    """Forecasts (float64, O x H) from every origin of the fold, on the target's own scale.

    predict: x_BTF float32 -> y_BK float32, K the horizon (direct) or 1 (recursive); it sees
    windows of `lookback` rows that end with the origin, anchored if the transform is.
    """
    horizon = prepared.study.task.horizon
    transform, scaled_RF = prepared.transform_of(fold), prepared.scaled_of(fold)
    scaled_OH = np.empty((len(fold.origins_O), horizon))
    for begin in range(0, len(fold.origins_O), BATCH):
        batch = slice(begin, begin + BATCH)
        starts_B = fold.origins_O[batch] - lookback + 1
        x_BTF = gather(scaled_RF, starts_B, length=lookback)
        if prepared.strategy == "direct":
            scaled_OH[batch] = predict_levels(predict, x_BTF, anchored=transform.anchored)
        else:
            scaled_OH[batch] = iterate(predict, x_BTF, horizon=horizon, anchored=transform.anchored)
    rows_OH = fold.origins_O[:, None] + 1 + np.arange(horizon)
    return transform.invert(scaled_OH, rows_OH, fold.series_O)
