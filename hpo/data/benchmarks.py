"""Classical forecasts of the folds and the test span, which a network has to beat.

Shapes: R rows, O origins, H horizon, S series.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.data.folds import Fold
from hpo.data.forecast import forecast
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.data.ridge import fit_ridge
from hpo.spec.words import listed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NAMES = ("naive", "seasonal_naive", "drift", "auto_ets", "theta", "ridge")
LONGEST_ETS_SEASON = 24  # of statsforecast's exponential smoothing
MOST_ROWS = {"auto_ets": 2_000, "theta": 500}  # of a series that a model looks at, the last ones
MOST_MODEL_ROWS = 200_000  # of all series of a fold together
FEWEST_MODEL_ROWS = 100
MOST_REFITTED_SERIES = 100  # above, a series' model is fitted once, on its first fold
FAILURES = (ValueError, ArithmeticError, RuntimeError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, kw_only=True, eq=False)
class BenchmarkErrors:
    """Losses of each benchmark: one array (float64, O) per fold, and lastly the test span's.

    test_forecasts: what it forecast over the test span (float64, O x H), on the target's own scale.
    """

    losses: Mapping[str, tuple[Floats, ...]]
    test_forecasts: Mapping[str, Floats]
    warnings: tuple[str, ...]


def forecast_benchmarks(
    prepared: Prepared, *, on_done: Callable[[str], None] = lambda _: None
) -> BenchmarkErrors:
    """Forecast every origin of every fold and of the test span, fitted on training parts only.

    naive, seasonal_naive and drift know the history up to the origin. AutoETS and Theta
    (statsforecast) are fitted per series on each fold's training part and carried forward to the
    origins without refitting, on the last 2,000 and 500 rows (less where there are many series)
    and what became known since; above 100 series a series' model is fitted on its first fold only.
    A model that fails on a series is replaced there by the seasonal naive, with a warning; AutoETS
    on a season of more than 24 steps leaves the season out, with a warning. ridge: see
    hpo.data.ridge.
    on_done is called with a benchmark's name when it is finished.
    """
    found: dict[str, tuple[Floats, ...]] = {}
    last: dict[str, Floats] = {}
    said = _season_left_out(prepared.season)
    for name in NAMES:
        failed: set[str] = set()
        forecasts = list(_forecast_spans(name, prepared, failed))
        found[name] = tuple(
            losses(truth(prepared, fold), y_OH, fold.scale_O, prepared.study.task.metric)
            for fold, y_OH in forecasts
        )
        last[name] = forecasts[-1][1]
        if failed:
            said.append(_failure(name, failed))
        on_done(name)
    return BenchmarkErrors(losses=found, test_forecasts=last, warnings=tuple(said))


def naive(prepared: Prepared, fold: Fold) -> Floats:
    """The last known value, for every step (float64, O x H)."""
    last_O = prepared.panel.values_RF[fold.origins_O, 0]
    return np.repeat(last_O[:, None], prepared.study.task.horizon, axis=1)


def seasonal_naive(prepared: Prepared, fold: Fold) -> Floats:
    """The last known value of the same phase of the season; naive where there is no full season.

    Step h repeats row origin + h - m ceil(h / m), m the season (float64, O x H).
    """
    season = prepared.season
    steps_H = np.arange(1, prepared.study.task.horizon + 1)
    back_H = steps_H - season * -(-steps_H // season)
    rows_OH = fold.origins_O[:, None] + back_H
    begins_O = prepared.panel.starts_S[fold.series_O]
    has_season_O = fold.origins_O - begins_O + 1 >= season
    rows_OH = np.where(has_season_O[:, None], rows_OH, fold.origins_O[:, None])
    repeated_OH: Floats = prepared.panel.values_RF[rows_OH, 0]
    return repeated_OH


def drift(prepared: Prepared, fold: Fold) -> Floats:
    """The line from the series' first to its last known value, continued (float64, O x H)."""
    target_R = prepared.panel.values_RF[:, 0]
    begins_O = prepared.panel.starts_S[fold.series_O]
    last_O = target_R[fold.origins_O]
    slope_O = (last_O - target_R[begins_O]) / np.maximum(fold.origins_O - begins_O, 1)
    steps_H = np.arange(1, prepared.study.task.horizon + 1)
    line_OH: Floats = last_O[:, None] + slope_O[:, None] * steps_H
    return line_OH


def _forecast_spans(
    name: str, prepared: Prepared, failed: set[str]
) -> Iterator[tuple[Fold, Floats]]:
    simple = {"naive": naive, "seasonal_naive": seasonal_naive, "drift": drift}
    models: dict[int, _Model] = {}
    lookback = prepared.lookbacks[-1]
    for fold in (*prepared.folds, prepared.test):
        if name in simple:
            yield fold, simple[name](prepared, fold)
        elif name == "ridge":
            predict = fit_ridge(prepared, fold, lookback)
            yield fold, forecast(predict, prepared, fold, lookback)
        else:
            if len(np.unique(fold.series_O)) <= MOST_REFITTED_SERIES:
                models.clear()
            yield fold, _carry_forward(name, prepared, fold, models, failed)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Model:
    """A fitted model, with what its initial states belong to: the first row and the divisor."""

    fitted: Any
    first: int
    scale: float


def _carry_forward(
    name: str, prepared: Prepared, fold: Fold, models: dict[int, _Model], failed: set[str]
) -> Floats:
    """Forecasts of one statistical model per series; seasonal naive where it fails."""
    forecast_OH = seasonal_naive(prepared, fold)
    series = np.unique(fold.series_O)
    fewest = max(FEWEST_MODEL_ROWS, 4 * prepared.season)
    most = max(MOST_ROWS[name], min(4 * prepared.season, MOST_ROWS["auto_ets"]))
    rows = min(most, max(fewest, MOST_MODEL_ROWS // len(series)))
    for s in series.tolist():
        of_series = np.flatnonzero(fold.series_O == s)
        start = int(prepared.panel.starts_S[s])
        target_R = prepared.panel.values_RF[start : prepared.panel.starts_S[s + 1], 0]
        try:
            if s not in models:
                part_R = target_R[: fold.train_ends_S[s] - start]
                models[s] = _fit_model(name, prepared.season, part_R, rows)
            for o in of_series:
                known_R = target_R[: fold.origins_O[o] - start + 1]
                known_R = known_R[_begin(models[s], len(known_R), rows, prepared.season) :]
                forecast_OH[o] = _step_forward(models[s], known_R, forecast_OH.shape[1])
        except FAILURES:
            failed.add(prepared.panel.names[s])
    return forecast_OH


def _begin(model: _Model, known: int, rows: int, season: int) -> int:
    """Where the history begins that a model is carried over: where its initial states belong.

    Only what has grown to twice `rows` is cut, by whole seasons, so that the phase stays.

    >>> model = _Model(fitted=None, first=20, scale=1.0)
    >>> [_begin(model, known, rows=100, season=12) for known in (120, 220, 221)]
    [20, 20, 32]
    """
    too_many = max(0, known - model.first - 2 * rows)
    return model.first + season * -(-too_many // season)


def _fit_model(name: str, season: int, part_R: Floats, rows: int) -> _Model:
    """The model of the last `rows` rows of a training part."""
    from statsforecast.models import AutoETS, Theta

    if name == "theta":
        model = Theta(season_length=season)
    else:
        model = AutoETS(season_length=season if season <= LONGEST_ETS_SEASON else 1)
    first, scale = max(0, len(part_R) - rows), float(np.abs(part_R).max()) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = model.fit(part_R[first:] / scale)
    return _Model(fitted=fitted, first=first, scale=scale)


def _step_forward(model: _Model, y_R: Floats, horizon: int) -> Floats:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        mean_H = model.fitted.forward(y_R / model.scale, h=horizon)["mean"]
    y_H = model.scale * np.asarray(mean_H, dtype=np.float64)
    if not np.isfinite(y_H).all():
        raise FloatingPointError
    return y_H


def _season_left_out(season: int) -> list[str]:
    if season <= LONGEST_ETS_SEASON:
        return []
    return [
        f"auto_ets is fitted without a season: that of {season} steps is longer than the "
        f"{LONGEST_ETS_SEASON} it can take"
    ]


def _failure(name: str, failed: set[str]) -> str:
    series = "" if failed == {""} else f" for {len(failed)} series ({listed(sorted(failed))})"
    return f"{name} could not be fitted{series}; the seasonal naive stands in for it there"
