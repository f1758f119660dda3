"""Benchmarks are as by hand, and the linear one finds what is linear."""

import numpy as np
import pytest

from hpo.data import benchmarks
from hpo.data.benchmarks import NAMES, drift, forecast_benchmarks, naive, seasonal_naive
from hpo.data.panel import Panel
from hpo.data.prepare import Prepared, prepare
from tests.unit.data.panels import panel_of, study, wave


def _prepared(panel: Panel, **task: object) -> Prepared:
    return prepare(study(**{f"task__{k}": v for k, v in task.items()}), panel)


def _ar2(rows: int, seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).normal(size=rows)
    y = [0.0, 0.0]
    for shock in noise[2:]:
        y.append(1.6 * y[-1] - 0.9 * y[-2] + shock)
    return y


def test_naive_seasonal_naive_and_drift_are_as_by_hand() -> None:
    values = np.random.default_rng(3).normal(size=100)
    prepared = _prepared(panel_of(values, season=4), horizon=6, lookback=5, strategy="direct")
    fold = prepared.folds[0]
    o = int(fold.origins_O[2])
    assert naive(prepared, fold)[2] == pytest.approx([values[o]] * 6)
    season = [values[o + k] for k in (-3, -2, -1, 0, -3, -2)]
    assert seasonal_naive(prepared, fold)[2] == pytest.approx(season)
    slope = (values[o] - values[0]) / o
    assert drift(prepared, fold)[2] == pytest.approx(values[o] + slope * np.arange(1, 7))


def test_seasonal_naive_never_reaches_into_another_series() -> None:
    panel = panel_of(wave(90), wave(60) + 1000, season=55)
    prepared = _prepared(panel, lookback=5)
    for fold in (*prepared.folds, prepared.test):
        of_b = fold.series_O == 1
        assert (seasonal_naive(prepared, fold)[of_b] > 900).all()


def test_every_benchmark_has_losses_for_each_fold_and_the_test_span() -> None:
    done: list[str] = []
    prepared = _prepared(panel_of(10 * wave(120), season=12), horizon=2)
    report = forecast_benchmarks(prepared, on_done=done.append)
    assert tuple(report.losses) == NAMES == tuple(done)
    for per_fold in report.losses.values():
        assert [len(loss) for loss in per_fold] == [
            len(f.origins_O) for f in (*prepared.folds, prepared.test)
        ]
        assert all(np.isfinite(loss).all() for loss in per_fold)
    assert report.warnings == ()


def test_ets_and_theta_beat_naive_on_a_noisy_level_with_a_season() -> None:
    noise = np.random.default_rng(0).normal(size=160)
    prepared = _prepared(panel_of(50 + 10 * wave(160) + 2 * noise, season=12))
    report = forecast_benchmarks(prepared).losses
    mean = {name: np.concatenate(per_fold).mean() for name, per_fold in report.items()}
    assert mean["auto_ets"] < 0.8 * mean["naive"]
    assert mean["theta"] < 0.8 * mean["naive"]


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_ridge_solves_a_sine_that_no_other_knows(strategy: str) -> None:
    panel = panel_of(wave(300, season=17))
    prepared = _prepared(panel, horizon=4, strategy=strategy)
    report = forecast_benchmarks(prepared).losses
    assert np.concatenate(report["ridge"]).mean() < 0.02 * np.concatenate(report["naive"]).mean()


def test_ridge_is_near_the_optimum_of_an_autoregression() -> None:
    prepared = _prepared(panel_of(_ar2(1500)), metric="rmse", transform="none")
    report = forecast_benchmarks(prepared).losses
    assert np.concatenate(report["ridge"]).mean() < 1.1  # the shocks' variance is 1
    assert np.concatenate(report["naive"]).mean() > 2


def test_ridge_uses_covariates() -> None:
    x = np.random.default_rng(1).normal(size=400)
    y = np.concatenate([[0.0], x[:-1]])
    prepared = _prepared(panel_of(y + 3, x=x), metric="mae", transform="none")
    assert np.concatenate(forecast_benchmarks(prepared).losses["ridge"]).mean() < 0.05


def test_ridge_recovers_the_season_that_is_longer_than_ets_can_hold() -> None:
    prepared = _prepared(panel_of(wave(400, season=30), season=30))
    report = forecast_benchmarks(prepared)
    assert (
        np.concatenate(report.losses["ridge"]).mean()
        < 0.1 * np.concatenate(report.losses["naive"]).mean()
    )


def test_a_model_that_fails_is_replaced_by_the_seasonal_naive_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise NotImplementedError("tiny datasets")

    monkeypatch.setattr(benchmarks, "_fit_model", fail)
    prepared = _prepared(panel_of(wave(120), wave(110), season=12))
    report = forecast_benchmarks(prepared)
    for ets, seasonal in zip(
        report.losses["auto_ets"], report.losses["seasonal_naive"], strict=True
    ):
        assert (ets == seasonal).all()
    assert report.warnings[0] == (
        "auto_ets could not be fitted for 2 series ('a', 'b'); "
        "the seasonal naive stands in for it there"
    )


def test_models_are_fitted_on_training_parts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []

    def fit(
        _name: str, _season: int, y_R: np.ndarray[tuple[int], np.dtype[np.float64]], _rows: int
    ) -> None:
        lengths.append(len(y_R))
        raise ValueError

    monkeypatch.setattr(benchmarks, "_fit_model", fit)
    prepared = _prepared(panel_of(wave(144), season=12), horizon=12, strategy="recursive")
    forecast_benchmarks(prepared)
    ends = [int(f.train_ends_S[0]) for f in (*prepared.folds, prepared.test)]
    assert lengths == ends * 2


def test_many_series_are_fitted_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[int] = []

    def fit(*_: object) -> benchmarks._Model:
        fitted.append(1)
        return benchmarks._Model(fitted=None, first=0, scale=1.0)

    monkeypatch.setattr(benchmarks, "MOST_REFITTED_SERIES", 1)
    monkeypatch.setattr(benchmarks, "_fit_model", fit)
    monkeypatch.setattr(benchmarks, "_step_forward", lambda _m, y_R, h: np.repeat(y_R[-1], h))
    report = forecast_benchmarks(_prepared(panel_of(wave(120), wave(110))))
    assert len(fitted) == 2 * 2
    assert np.concatenate(report.losses["theta"]) == pytest.approx(
        np.concatenate(report.losses["naive"])
    )


@pytest.mark.parametrize("refitted", [1, 100])
def test_a_model_of_the_last_rows_keeps_the_phase_of_the_season_as_it_is_carried_on(
    monkeypatch: pytest.MonkeyPatch, refitted: int
) -> None:
    season = np.array([30.0, 5.0, 1.0, 0.0, 2.0, 4.0, 9.0, 3.0, 8.0, 20.0, 15.0, 7.0])
    noise = np.random.default_rng(0).normal(scale=0.5, size=(2, 240))
    grows = np.linspace(1, 3, 240)  # so that the scale of later folds is another
    monkeypatch.setattr(benchmarks, "FEWEST_MODEL_ROWS", 100)
    monkeypatch.setattr(benchmarks, "MOST_MODEL_ROWS", 200)
    monkeypatch.setattr(benchmarks, "MOST_REFITTED_SERIES", refitted)
    ys = [grows * (100 + np.tile(season, 20) + e) for e in noise]
    report = forecast_benchmarks(_prepared(panel_of(*ys, season=12)))
    assert max(np.concatenate(report.losses["auto_ets"])) < 1


def test_a_season_too_long_for_ets_is_said_to_be_left_out() -> None:
    noise = np.random.default_rng(0).normal(size=120)
    for season, said in ((24, False), (25, True)):
        report = forecast_benchmarks(_prepared(panel_of(noise, season=season), lookback=5))
        told = [w for w in report.warnings if w.startswith("auto_ets is fitted without a season")]
        assert len(told) == said
        assert all(f"that of {season} steps" in sentence for sentence in told)


def test_benchmarks_are_scored_where_the_truth_is_known_alone() -> None:
    values = 50 + np.random.default_rng(0).normal(size=120)
    values[[85, 115]] = np.nan
    prepared = _prepared(panel_of(values), horizon=2, lookback=5)
    report = forecast_benchmarks(prepared)
    for per_fold in report.losses.values():
        assert [len(loss) for loss in per_fold] == [
            len(f.origins_O) for f in (*prepared.folds, prepared.test)
        ]
    assert (report.losses["naive"][-1] > 0).all()  # a value that is filled repeats the last one
