"""A transform is chosen by a stated rule from training parts, and undone."""

import numpy as np
import pytest

from hpo.data.panel import Panel
from hpo.data.season import has_season, level_wanders, seasonal_indices, swing_grows
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


def test_auto_takes_the_log_where_the_swing_grows_with_the_level() -> None:
    growth = np.exp(0.02 * np.arange(144) + 0.2 * wave(144))
    panel = panel_of(growth, season=12)
    assert choose(panel, _ends(panel, 100), "auto") == "log+deseasonalise+difference"


def test_auto_follows_the_majority_of_a_panel() -> None:
    walks = [1000 + _noise(300, s).cumsum() for s in range(3)]
    panel = panel_of(*walks, _noise(300, 9), _noise(300, 11))
    assert choose(panel, _ends(panel, 250), "auto") == "difference"


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


def test_a_trend_is_not_taken_for_a_season() -> None:
    assert not has_season(np.arange(200.0) + 0.1 * _noise(200), 12)
    assert not has_season(_noise(2000).cumsum(), 12)
    assert has_season(wave(200, trend=0.5) + 0.3 * _noise(200), 12)
    assert not has_season(wave(30), 12)


def test_the_level_test_errs_on_stationary_noise_about_once_in_twenty() -> None:
    refused = [level_wanders(_noise(200, seed)) for seed in range(400)]
    assert 0.02 <= np.mean(refused) <= 0.09
    assert all(level_wanders(_noise(400, seed).cumsum()) for seed in range(20))


def test_a_swing_that_does_not_grow_needs_no_log() -> None:
    assert not swing_grows(wave(200, trend=0.5), 12)
    assert not swing_grows(wave(200) - 20, 12)
    assert swing_grows(np.exp(0.02 * np.arange(200)) * wave(200), 12)
