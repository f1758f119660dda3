"""What is in residuals is found, and chance is seldom taken for it."""

import numpy as np
import pytest
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tsa.stattools import acf

from hpo.sizing.residuals import FEWEST, autocorrelations, check, ljung_box


def noise(count: int = 200, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=count)


def test_autocorrelations_and_ljung_box_are_those_of_statsmodels() -> None:
    x_N = noise().cumsum()[:60] + noise(60, 1)
    np.testing.assert_allclose(autocorrelations(x_N, 10), acf(x_N, nlags=10)[1:], atol=1e-12)
    expected = float(acorr_ljungbox(noise(60), lags=[10])["lb_pvalue"].iloc[0])
    assert ljung_box(autocorrelations(noise(60), 10), 60) == pytest.approx(expected, abs=1e-12)


def test_chance_is_taken_for_something_in_about_one_of_twenty() -> None:
    found = [check(noise(100, seed), noise(100, 10_000 + seed)) for seed in range(400)]
    for name in ("bias", "memory", "spread"):
        share = np.mean([getattr(checks, name) < 0.05 for checks in found])
        assert 0.02 < share < 0.10, name


def test_a_bias_a_memory_and_a_spread_are_found() -> None:
    level_N = np.linspace(1, 5, 200)
    biased = check(noise() + 0.5, level_N)
    remembering = check(noise().cumsum(), level_N)
    spreading = check(noise() * level_N, level_N)
    assert biased is not None
    assert remembering is not None
    assert spreading is not None
    assert biased.bias < 0.001
    assert biased.mean == pytest.approx(0.5, abs=0.2)
    assert remembering.memory < 0.001
    assert spreading.spread < 0.001


def test_memory_widens_the_error_of_the_mean() -> None:
    """A slow wave around zero is no bias, though its mean is far from zero for white noise."""
    wave_N = np.sin(np.arange(90) / 12) + 0.1 * noise(90)
    checks = check(wave_N, noise(90, 1))
    assert checks is not None
    assert checks.bias > 0.05


@pytest.mark.parametrize("x_N", [noise(FEWEST - 1), np.zeros(50)], ids=["few", "all equal"])
def test_of_too_little_nothing_is_said(x_N: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
    assert check(x_N, np.arange(len(x_N), dtype=float)) is None


def test_a_forecast_that_never_changes_has_no_spread_to_check() -> None:
    checks = check(noise(), np.ones(200))
    assert checks is not None
    assert checks.spread == 1.0
