"""Predictors of scaled windows become forecasts on the data's own scale."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from hpo.data.forecast import BATCH, forecast
from hpo.data.panel import Panel
from hpo.data.prepare import Prepared, prepare, truth
from hpo.data.recursive import iterate
from tests.unit.data.panels import panel_of, study, wave

Array = npt.NDArray[Any]


def _prepared(panel: Panel, **task: object) -> Prepared:
    given = {"horizon": 3, "lookback": 8, "strategy": "direct"} | task
    return prepare(study(**{f"task__{k}": v for k, v in given.items()}), panel)


def _persist(outputs: int) -> Any:
    return lambda x_BTF: np.repeat(x_BTF[:, -1:, 0], outputs, axis=1)


@pytest.mark.parametrize("transform", ["none", "log", "difference", "log+difference"])
@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_repeating_the_last_scaled_value_is_the_naive_forecast(
    transform: str, strategy: str
) -> None:
    prepared = _prepared(panel_of(wave(200), wave(150)), transform=transform, strategy=strategy)
    for fold in (*prepared.folds, prepared.test):
        found = forecast(_persist(prepared.limit.outputs), prepared, fold, 8)
        last = prepared.panel.values_RF[fold.origins_O, 0]
        assert found == pytest.approx(np.repeat(last[:, None], 3, axis=1), rel=1e-4)
        assert found.dtype == np.float64


def test_with_difference_a_predictor_of_zero_is_the_naive_forecast() -> None:
    prepared = _prepared(panel_of(wave(200)), transform="difference")
    found = forecast(lambda x: np.zeros((len(x), 3), x.dtype), prepared, prepared.test, 8)
    last = prepared.panel.values_RF[prepared.test.origins_O, 0]
    assert found == pytest.approx(np.repeat(last[:, None], 3, axis=1), rel=1e-6)


def test_with_a_season_the_mean_of_the_rest_is_the_seasonal_pattern() -> None:
    panel = panel_of(wave(200, season=4), season=4)
    prepared = _prepared(panel, transform="deseasonalise", horizon=6, lookback=5)
    found = forecast(lambda x: np.zeros((len(x), 6), x.dtype), prepared, prepared.test, 5)
    assert found == pytest.approx(truth(prepared, prepared.test), abs=1e-6)


def test_a_predictor_sees_windows_that_end_with_the_origin() -> None:
    prepared = _prepared(panel_of(wave(200), x=range(200)), transform="none")
    seen: list[Array] = []

    def predict(x_BTF: Array) -> Array:
        seen.append(x_BTF)
        return np.zeros((len(x_BTF), 3), dtype=np.float32)

    forecast(predict, prepared, prepared.folds[0], 8)
    origin = int(prepared.folds[0].origins_O[0])
    scaled_RF = prepared.scaled_of(prepared.folds[0])
    assert (seen[0][0] == scaled_RF[origin - 7 : origin + 1]).all()
    assert seen[0].dtype == np.float32


def test_origins_are_forecast_in_batches_without_any_difference() -> None:
    prepared = _prepared(panel_of(wave(16_000)), transform="none", horizon=1)
    assert len(prepared.folds[0].origins_O) > BATCH
    sizes: list[int] = []

    def predict(x_BTF: Array) -> Array:
        sizes.append(len(x_BTF))
        return x_BTF[:, -1:, 0]

    found = forecast(predict, prepared, prepared.folds[0], 8)
    assert max(sizes) == BATCH
    last = prepared.panel.values_RF[prepared.folds[0].origins_O, 0]
    assert found[:, 0] == pytest.approx(last, rel=1e-5)


def test_a_recursive_window_slides_over_its_own_forecasts_and_holds_the_covariates() -> None:
    seen: list[Array] = []

    def predict(x_BTF: Array) -> Array:
        seen.append(x_BTF.copy())
        sums_B1: Array = x_BTF[:, :, 0].sum(axis=1, keepdims=True)
        return sums_B1

    window = np.array([[[1.0, 5.0], [2.0, 6.0]]])
    assert iterate(predict, window, horizon=3).tolist() == [[3, 5, 8]]
    assert seen[2][0].tolist() == [[3, 6], [5, 6]]
    assert window.tolist() == [[[1, 5], [2, 6]]]


def test_an_anchored_recursive_window_is_anchored_anew_at_each_step() -> None:
    def momentum(x_BTF: Array) -> Array:
        assert (x_BTF[:, -1, 0] == 0).all()
        return -x_BTF[:, -2:-1, 0]

    window = np.array([[[10.0], [12.0]]])
    assert iterate(momentum, window, horizon=3, anchored=True).tolist() == [[14, 16, 18]]
