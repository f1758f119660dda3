"""A transform is chosen by a stated rule from training parts, and undone."""

import numpy as np
import pytest

from hpo.data.panel import Panel
from hpo.data.season import (
    has_season,
    level_wanders,
    log_gain,
    seasonal_indices,
    shrunken_indices,
)
from hpo.data.transform import choose, fit
from hpo.errors import DataError, SpecError
from tests.unit.data.panels import panel_of, wave


def _noise(rows: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=rows)


def _ends(panel: Panel, rows: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return panel.starts_S[:-1] + rows


def test_auto_leaves_white_noise_alone() -> None:
    panel = panel_of(_noise(400), season=12)
    assert choose(panel, _ends(panel, 300), "auto") == "none"


def test_auto_takes_the_level_off_a_random_walk() -> None:
    panel = panel_of(1000 + _noise(400).cumsum())
    assert choose(panel, _ends(panel, 300), "auto") == "difference"


def test_auto_adjusts_a_season() -> None:
    panel = panel_of(wave(400) + 0.2 * _noise(400), season=12)
    assert choose(panel, _ends(panel, 300), "auto") == "deseasonalise"


def test_auto_takes_the_log_where_changes_grow_with_the_level() -> None:
    growth = np.exp(0.02 * np.arange(144) + 0.2 * wave(144))
    panel = panel_of(growth, season=12)
    assert choose(panel, _ends(panel, 100), "auto") == "log+deseasonalise+difference"


def test_auto_takes_the_level_off_a_panel_where_most_series_wander() -> None:
    walks = [1000 + _noise(300, s).cumsum() for s in range(3)]
    panel = panel_of(*walks, _noise(300, 9), _noise(300, 11))
    assert choose(panel, _ends(panel, 250), "auto") == "difference"


def test_auto_takes_the_log_of_a_panel_by_the_likelihood_of_all_its_series() -> None:
    grows = [np.exp(0.02 * np.arange(150) + 0.1 * _noise(150, s).cumsum()) for s in range(2)]
    steady = [100 + _noise(150, s) for s in range(3, 8)]  # to which the log hardly matters
    panel = panel_of(*grows, *steady)
    assert "log" in choose(panel, _ends(panel, 120), "auto")
    assert "log" not in choose(panel_of(*steady), _ends(panel, 120)[:5], "auto")


@pytest.mark.parametrize(("seasonal", "chosen"), [(1, True), (0, False)])
def test_auto_adjusts_a_panel_where_one_series_in_ten_has_a_season(
    seasonal: int, chosen: bool
) -> None:
    quiet = [[s, *_noise(149, s)] for s in range(10 - seasonal)]
    assert not any(has_season(np.array(y[:120]), 12) for y in quiet)
    panel = panel_of(*[wave(150) - 10 + 0.2 * _noise(150)] * seasonal, *quiet, season=12)
    assert ("deseasonalise" in choose(panel, _ends(panel, 120), "auto")) == chosen


def test_in_a_panel_each_series_decides_whether_it_is_adjusted() -> None:
    panel = panel_of(wave(150) + 0.2 * _noise(150), 10 + _noise(150, 1), season=12)
    seasonal_SM = fit(panel, _ends(panel, 120), "deseasonalise").seasonal_SM
    assert np.abs(seasonal_SM[0]).max() > 0.5
    assert (seasonal_SM[1] == 0).all()


def test_a_single_series_is_adjusted_where_it_is_asked_for() -> None:
    panel = panel_of(wave(30), season=12)
    assert not has_season(panel.values_RF[:25, 0], 12)
    assert np.abs(fit(panel, _ends(panel, 25), "deseasonalise").seasonal_SM).max() > 0.5


def test_auto_looks_at_training_parts_only() -> None:
    quiet = _noise(300)
    loud = np.concatenate([quiet[:200], 1e6 * np.arange(100)])
    panel, other = panel_of(quiet, season=12), panel_of(loud, season=12)
    assert choose(panel, _ends(panel, 200), "auto") == choose(other, _ends(other, 200), "auto")
    for steps in ("none", "deseasonalise+difference"):
        one, two = fit(panel, _ends(panel, 200), steps), fit(other, _ends(other, 200), steps)
        assert (one.centre_SF == two.centre_SF).all()
        assert (one.scale_SF == two.scale_SF).all()
        assert (one.seasonal_SM == two.seasonal_SM).all()
        assert (one.apply(panel)[:200] == two.apply(other)[:200]).all()


def test_a_log_of_what_is_not_positive_is_refused_with_row_and_value() -> None:
    panel = panel_of(wave(50), np.append(wave(49), -2.5))
    with pytest.raises(DataError) as refusal:
        choose(panel, _ends(panel, 40), "log")
    assert "the log of -2.5 in column 'y'" in str(refusal.value)
    assert "row 49 counted from 0 of series 'b'" in str(refusal.value)


def test_values_below_zero_after_the_training_part_do_not_break_a_log_that_auto_chose() -> None:
    growth = np.exp(0.02 * np.arange(200) + 0.2 * wave(200))
    growth[190:] = -1
    panel = panel_of(growth, season=12)
    steps = choose(panel, _ends(panel, 100), "auto")
    assert "log" in steps
    assert np.isfinite(fit(panel, _ends(panel, 100), steps).apply(panel)).all()


def test_deseasonalising_without_a_season_is_refused() -> None:
    panel = panel_of(wave(50))
    with pytest.raises(SpecError, match=r"set data\.season"):
        choose(panel, _ends(panel, 40), "deseasonalise")


def test_each_series_is_standardised_by_itself_on_its_training_part() -> None:
    panel = panel_of(100 * _noise(200), 5 + _noise(200, 1), x=[*range(200), *range(200)])
    scaled = fit(panel, _ends(panel, 150), "none").apply(panel)
    for start in panel.starts_S[:-1]:
        part = scaled[start : start + 150]
        assert part.mean(axis=0) == pytest.approx([0, 0], abs=1e-5)
        assert part.std(axis=0) == pytest.approx([1, 1], abs=1e-5)
    assert scaled.dtype == np.float32


def test_with_difference_the_size_of_a_step_is_one() -> None:
    panel = panel_of(1e6 + 50 * _noise(500).cumsum())
    scaled = fit(panel, _ends(panel, 400), "difference").apply(panel)
    assert np.square(np.diff(scaled[:400, 0])).mean() == pytest.approx(1, rel=1e-3)


def test_with_difference_the_steps_of_a_panel_keep_their_share_of_the_deviation() -> None:
    walks = [_noise(500, s).cumsum() for s in range(3)]
    panel = panel_of(
        *walks, 1e3 * (5 * wave(500) + 0.01 * _noise(500, 4)), [7.0] * 400 + [8.0] * 100
    )
    ends_S = _ends(panel, 400)
    transform = fit(panel, ends_S, "difference")
    scaled_R = transform.apply(panel)[:, 0]
    parts = [scaled_R[start:end] for start, end in zip(panel.starts_S, ends_S, strict=False)]
    steps = [np.sqrt(np.square(np.diff(part)).mean()) for part in parts[:4]]
    assert np.median(steps) == pytest.approx(1, rel=1e-3)
    deviations = [part.std() for part in parts[:4]]
    assert deviations == pytest.approx([deviations[0]] * 4, rel=1e-3)
    assert transform.scale_SF[4, 0] == 1


def test_a_training_part_without_change_keeps_a_scale_of_one() -> None:
    panel = panel_of([5.0] * 30 + [6.0, 7.0], x=[1.0] * 30 + [2.0, 3.0])
    for steps in ("none", "difference", "log"):
        assert (fit(panel, _ends(panel, 30), steps).scale_SF == 1).all()


def test_a_series_without_training_rows_is_left_as_it_is() -> None:
    panel = panel_of(wave(50), wave(40))
    transform = fit(panel, panel.starts_S[:-1] + np.array([30, 0]), "none")
    assert transform.apply(panel)[50:, 0] == pytest.approx(panel.values_RF[50:, 0], rel=1e-6)


def test_the_seasonal_phase_runs_on_beyond_the_end_of_a_series() -> None:
    panel = panel_of(wave(60, season=4), wave(63, season=4), season=4)
    transform = fit(panel, _ends(panel, 40), "deseasonalise")
    rows = np.array([[60, 61, 62, 63]])  # of series a, which ends at row 59
    scaled = np.zeros((1, 4))
    found = transform.invert(scaled, rows, np.array([0]))
    expected = transform.centre_SF[0, 0] + transform.seasonal_SM[0]
    assert found[0] == pytest.approx(expected)


def test_no_forecast_overflows_when_it_is_turned_back() -> None:
    panel = panel_of(np.exp(wave(60)))
    transform = fit(panel, _ends(panel, 40), "log")
    found = transform.invert(np.array([[1e30, -1e30]]), np.array([[60, 61]]), np.array([0]))
    assert np.isfinite(np.square(found)).all()


def test_classical_indices_of_a_trend_and_a_season_are_the_season() -> None:
    season = np.array([3.0, -1.0, -2.0])
    y = np.tile(season, 20) + 0.7 * np.arange(60)
    assert seasonal_indices(y, 3) == pytest.approx(season)
    assert seasonal_indices(y[:5], 3).tolist() == [0, 0, 0]


def test_indices_shrink_by_what_noise_makes_of_them() -> None:
    season = np.sin(2 * np.pi * np.arange(12) / 12)
    y = np.tile(season, 10)
    assert shrunken_indices(y, 12) == pytest.approx(seasonal_indices(y, 12))
    left = []
    for seed in range(50):
        noise = _noise(120, seed)
        classical, shrunken = seasonal_indices(noise, 12), shrunken_indices(noise, 12)
        left.append(np.square(shrunken).sum() / np.square(classical).sum())
        assert (shrunken * classical >= 0).all()
    assert np.mean(left) < 0.2
    assert shrunken_indices(y[:20], 12).tolist() == [0] * 12


def test_a_trend_is_not_taken_for_a_season() -> None:
    assert not has_season(np.arange(200.0) + 0.1 * _noise(200), 12)
    assert not has_season(_noise(2000).cumsum(), 12)
    assert has_season(wave(200, trend=0.5) + 0.3 * _noise(200), 12)
    assert not has_season(wave(30), 12)


def test_the_level_test_errs_on_stationary_noise_about_once_in_twenty() -> None:
    refused = [level_wanders(_noise(200, seed)) for seed in range(400)]
    assert 0.02 <= np.mean(refused) <= 0.09
    assert all(level_wanders(_noise(400, seed).cumsum()) for seed in range(20))


def test_the_log_gains_where_changes_grow_with_the_level_alone() -> None:
    assert log_gain(np.exp(0.02 * np.arange(200)) * (10 + _noise(200)), 12) > 10
    assert log_gain(100 + np.arange(200.0) + _noise(200), 12) < -10
    assert log_gain(wave(200, trend=0.5) + 0.3 * _noise(200), 12) < -10
    assert abs(log_gain(1000 + _noise(200), 1)) < 1


def test_the_log_gains_nothing_on_constant_or_few_values() -> None:
    assert log_gain(np.full(100, 7.0), 12) == 0
    assert log_gain(np.exp(np.arange(5.0)), 1) == 0
    assert log_gain(np.exp(0.1 * np.arange(100)), 1) == 99  # exponential: the most, 1 a change


def test_one_straight_line_does_not_decide_the_log_of_a_panel() -> None:
    line = log_gain(np.linspace(1.0, 200.0, 100), 1)
    walks = [np.exp(np.cumsum(0.05 * _noise(100))) for _ in range(20)]
    assert line < 0 < sum(log_gain(y_R, 1) for y_R in walks)
    assert line + sum(log_gain(y_R, 1) for y_R in walks) > 0


@pytest.mark.parametrize("steps", ["none", "log", "log+deseasonalise+difference"])
def test_a_scaled_target_is_a_forecast_turned_back_undone(steps: str) -> None:
    panel = panel_of(wave(60, trend=0.1), 100 * wave(48), season=12)
    transform = fit(panel, panel.starts_S[1:], steps)
    rows_OH, series_O = np.array([[57, 58, 59], [100, 107, 130]]), np.array([0, 1])
    scaled_OH = np.random.default_rng(0).normal(size=(2, 3))
    y_OH = transform.invert(scaled_OH, rows_OH, series_O)
    np.testing.assert_allclose(transform.scaled_target(y_OH, rows_OH, series_O), scaled_OH)
    known_OH = np.array([[3, 4], [70, 71]])
    found_OH = transform.scaled_target(panel.values_RF[known_OH, 0], known_OH, series_O)
    np.testing.assert_allclose(found_OH, transform.apply(panel)[known_OH, 0], atol=1e-5)


def test_a_transform_of_some_series_scales_them_as_the_whole_does() -> None:
    panel = panel_of(wave(60), 100 * wave(48), 7 * wave(50, trend=0.1), season=12)
    transform = fit(panel, panel.starts_S[1:], "log+deseasonalise")
    part = panel_of(panel.values_RF[108 + 5 :, 0], panel.values_RF[60 + 7 : 108, 0], season=12)
    starts_S = part.starts_S[:-1] - np.array([5, 7])
    some = transform.for_series(np.array([2, 1]), starts_S).apply(part)
    whole = transform.apply(panel)
    np.testing.assert_array_equal(some, np.concatenate([whole[113:], whole[67:108]]))
