"""Statistical tests that say which transform a series needs, and its seasonal pattern."""

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

Floats = npt.NDArray[np.float64]

FEWEST_BLOCKS = 5
LEVEL_GROWTH = 1.5  # the highest block's level over the lowest one's
SWING_SLOPE = 0.5  # of log spread on log level: a power below 1/2 is nearest to the log
SIGNIFICANT = 0.05
SEASON_Z = 1.645  # 90 % two-sided
KPSS_CRITICAL = 0.463  # 5 %
FEWEST_FOR_KPSS = 10


def swing_grows(y_R: Floats, season: int) -> bool:
    """Whether the swing grows with the level, so that the log makes it even.

    The series is cut into seasons (or ten blocks); where the level grows by half, the log of
    the blocks' spread is regressed on the log of their level. A slope of 1 is made even by the
    log, a slope of 0 by nothing (Guerrero 1993; Box and Cox 1964); from 1/2 on, and significant at
    5 % (one-sided), it is the log. Values that are not positive: never.
    """
    block = season if len(y_R) >= FEWEST_BLOCKS * season > FEWEST_BLOCKS else len(y_R) // 10
    if block < 3 or y_R.min() <= 0:
        return False
    blocks = y_R[len(y_R) % block :].reshape(-1, block)
    level, spread = blocks.mean(axis=1), blocks.std(axis=1)
    varied = spread > 0
    if varied.sum() < FEWEST_BLOCKS or level.max() < LEVEL_GROWTH * level.min():
        return False
    slope, chance = _rise(np.log(level[varied]), np.log(spread[varied]))
    return slope >= SWING_SLOPE and chance < SIGNIFICANT


def _rise(x_N: Floats, y_N: Floats) -> tuple[float, float]:
    """The slope of y on x by least squares, and Student's one-sided chance of it or a larger one.

    >>> slope, chance = _rise(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    >>> slope, round(chance, 4)  # t = 0.5 / 0.2887 = 1.732 on 1 degree of freedom: 1/6
    (0.5, 0.1667)
    """
    x_N, y_N, freedom = x_N - x_N.mean(), y_N - y_N.mean(), len(x_N) - 2
    slope = float(x_N @ y_N / (x_N @ x_N))
    left = float(np.square(y_N - slope * x_N).sum())
    error = np.sqrt(left / freedom / (x_N @ x_N))
    return slope, float(stdtr(freedom, -slope / error)) if error > 0 else float(slope <= 0)


def has_season(y_R: Floats, season: int) -> bool:
    """Whether the autocorrelation at the season is above its 90 % limit.

    r_m > 1.645 sqrt((1 + 2 (r_1^2 + ... + r_{m-1}^2)) / n), on three full seasons at least
    (Makridakis, Spiliotis and Assimakopoulos 2018); of the one-step changes where the level
    wanders, so that a trend is not taken for a season.
    """
    if season < 2 or len(y_R) < 3 * season:
        return False
    steady_R = np.diff(y_R) if level_wanders(y_R) else y_R
    r = _autocorrelations(steady_R, season)
    limit = SEASON_Z * np.sqrt((1 + 2 * np.square(r[:-1]).sum()) / len(steady_R))
    return bool(r[-1] > limit)


def level_wanders(y_R: Floats) -> bool:
    """Whether the KPSS test (1992) refuses at 5 % that the series keeps its level.

    Long-run variance by Newey and West with trunc(3 sqrt(n) / 13) lags; limit 0.463.
    """
    count = len(y_R)
    if count < FEWEST_FOR_KPSS or np.ptp(y_R) == 0:
        return False
    centred_R = (y_R - y_R.mean()) / np.ptp(y_R)
    lags = int(3 * np.sqrt(count) / 13)
    variance = np.square(centred_R).sum()
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred_R[lag:] @ centred_R[:-lag])
    statistic = np.square(np.cumsum(centred_R)).sum() / (count * variance)
    return bool(variance <= 0 or statistic > KPSS_CRITICAL)


def seasonal_indices(y_R: Floats, season: int) -> Floats:
    """What each phase of the season adds (float64, season; sum 0): classical decomposition.

    The mean, by phase, of the series less its centred moving average over one season. All zeros
    below two seasons. Phase 0 is the series' first row.

    >>> seasonal_indices(np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]), 2).tolist()
    [-1.0, 1.0]
    """
    if season < 2 or len(y_R) < 2 * season:
        return np.zeros(max(season, 1))
    weights = np.ones(season) / season
    if season % 2 == 0:
        weights = np.concatenate(([0.5], np.ones(season - 1), [0.5])) / season
    level_R = np.convolve(y_R, weights, mode="valid")
    offset = len(weights) // 2
    detrended_R = y_R[offset : offset + len(level_R)] - level_R
    phase_R = (np.arange(len(detrended_R)) + offset) % season
    counts = np.bincount(phase_R, minlength=season)
    sums = np.bincount(phase_R, weights=detrended_R, minlength=season)
    means = sums / np.maximum(counts, 1)
    indices: Floats = means - means.mean()
    return indices


def _autocorrelations(y_R: Floats, lags: int) -> Floats:
    centred_R = y_R - y_R.mean()
    size = 1 << (2 * len(centred_R) - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(centred_R, size)))
    covariances = np.fft.irfft(power, size)[: lags + 1]
    return covariances[1:] / covariances[0] if covariances[0] > 0 else np.zeros(lags)
