"""What is published about the 1,045 M3 series, and the same methods computed here.

Shapes: R rows before the test span, H steps of it (18), S series.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from m3_series import SEASON, TEST, Floats, Series

from hpo.data.folds import naive_scale
from hpo.data.metrics import losses

SOURCE = "Makridakis, Spiliotis, Assimakopoulos 2018, PLoS ONE 13(3) e0194889"
PUBLISHED = {  # sMAPE and MASE
    1: {
        "ETS": (7.12, 0.47),
        "ARIMA": (7.19, 0.47),
        "Theta": (7.23, 0.48),
        "MLP": (8.39, 0.55),
        "Naive2": (8.58, 0.56),
        "RNN": (9.48, 0.54),
        "LSTM": (11.67, 0.72),
    },
    18: {
        "Theta": (10.89, 0.90),
        "ETS": (11.26, 0.92),
        "MLP": (12.29, 0.96),
        "Naive2": (12.77, 1.05),
    },
}
SEASON_Z = 1.645  # 90 %, two-sided


@dataclass(frozen=True)
class Score:
    """Means over all series and their origins."""

    smape: float
    mase: float


def score_of(series: Sequence[Series], forecasts: Sequence[Floats]) -> Score:
    """forecasts: per series those of its 18 test values, whatever they were made from.

    The mean over steps is taken first: of 18 one-step forecasts, or of one of 18 steps.
    """
    truth_SH = np.stack([s.test_R for s in series])
    scale_S = np.array([naive_scale(s.train_R, SEASON) for s in series])
    forecast_SH = np.stack(forecasts)
    smape, mase = (
        float(losses(truth_SH, forecast_SH, scale_S, metric).mean()) for metric in ("smape", "mase")
    )
    return Score(smape=smape, mase=mase)


def references(series: Sequence[Series], horizon: int) -> dict[str, Score]:
    """Naive2, Theta and AutoETS: fitted once per series on the rows before the test span."""
    methods: dict[str, Callable[[Series, int], Floats]] = {
        "Naive2": naive2,
        "Theta": theta,
        "ETS": ets,
    }
    return {
        name: score_of(series, [method(s, horizon) for s in series])
        for name, method in methods.items()
    }


def naive2(series: Series, horizon: int) -> Floats:
    """The last value, seasonally adjusted by indices of the rows before the test span, with them.

    Classical multiplicative indices where the autocorrelation at 12 months is above its 90 % limit
    (Makridakis et al. 2018).
    """
    index_M = multiplicative_indices(series.train_R)
    whole_R = np.concatenate([series.train_R, series.test_R])
    rows_H = len(series.train_R) + np.arange(TEST)
    origins_H = rows_H - 1 if horizon == 1 else np.full(TEST, rows_H[0] - 1)
    forecast_H: Floats = whole_R[origins_H] / index_M[origins_H % SEASON] * index_M[rows_H % SEASON]
    return forecast_H


def multiplicative_indices(y_R: Floats) -> Floats:
    """Each month's mean share of the centred yearly average, mean 1; all 1 without a season."""
    if not _is_seasonal(y_R):
        return np.ones(SEASON)
    weights = np.concatenate(([0.5], np.ones(SEASON - 1), [0.5])) / SEASON
    half = SEASON // 2
    share_R = y_R[half:-half] / np.convolve(y_R, weights, mode="valid")
    month_R = np.arange(half, len(y_R) - half) % SEASON
    means_M = np.array([share_R[month_R == month].mean() for month in range(SEASON)])
    index_M: Floats = means_M / means_M.mean()
    return index_M


def _is_seasonal(y_R: Floats) -> bool:
    centred_R = y_R - y_R.mean()
    r = [centred_R[lag:] @ centred_R[:-lag] / (centred_R @ centred_R) for lag in range(1, 13)]
    limit = SEASON_Z * np.sqrt((1 + 2 * np.square(r[:-1]).sum()) / len(y_R))
    return bool(abs(r[-1]) > limit)


def theta(series: Series, horizon: int) -> Floats:
    """Statsforecast's Theta, carried forward without refitting."""
    from statsforecast.models import Theta

    return _carried(Theta(season_length=SEASON), series, horizon)


def ets(series: Series, horizon: int) -> Floats:
    """Statsforecast's AutoETS, carried forward without refitting."""
    from statsforecast.models import AutoETS

    return _carried(AutoETS(season_length=SEASON), series, horizon)


def _carried(model: Any, series: Series, horizon: int) -> Floats:
    whole_R = np.concatenate([series.train_R, series.test_R])
    train = len(series.train_R)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(series.train_R)
        if horizon > 1:
            return np.asarray(fitted.predict(h=TEST)["mean"], np.float64)
        steps = [fitted.forward(whole_R[: train + k], h=1)["mean"][0] for k in range(TEST)]
    return np.asarray(steps, np.float64)
