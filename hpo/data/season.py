"""Statistical tests that say which transform a series needs, and its seasonal pattern."""

import numpy as np
import numpy.typing as npt

from hpo.sizing.residuals import autocorrelations

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SEASON_Z = 1.645  # 90 % two-sided
KPSS_CRITICAL = 0.463  # 5 %
FEWEST_FOR_KPSS = 10
FEWEST_CHANGES = 10
MOST_GAIN = 1.0  # nats a change


def log_gain(y_R: Floats, season: int) -> float:
    """How much likelier (in nats) the changes of the log are than those of the values themselves.

    Of Box and Cox's (1964) profile likelihoods at 0 and 1, for normal changes from row to row (and
    season to season, where there are three seasons): n log(s / (g s')), s and s' the standard
    deviations of the changes of values and logs, g the geometric mean. 0 for too few or constant
    values. Values must be positive. The unit of the values does not matter. At most 1 nat a
    change: a straight line, whose changes have no spread at all, does not outvote a whole panel.

    >>> round(log_gain(np.exp(np.array([0.0, 1.0, 0.0, 1.0] * 5)), 1), 1)  # 19 log(1.73 / 1.65)
    0.8
    """
    log_R = np.log(y_R)
    changes_R, log_changes_R = (_changes(z_R, season) for z_R in (y_R, log_R))
    if len(changes_R) < FEWEST_CHANGES or np.ptp(log_R) == 0:
        return 0.0
    least = np.finfo(np.float64).tiny
    spread, log_spread = (max(float(z_R.std()), least) for z_R in (changes_R, log_changes_R))
    gain = float(np.log(spread) - log_R.mean() - np.log(log_spread))
    return len(changes_R) * min(max(gain, -MOST_GAIN), MOST_GAIN)


def _changes(y_R: Floats, season: int) -> Floats:
    changes_R = np.diff(y_R)
    return changes_R[season:] - changes_R[:-season] if 1 < season <= len(y_R) // 3 else changes_R


def has_season(y_R: Floats, season: int) -> bool:
    """Whether the autocorrelation at the season is above its 90 % limit.

    r_m > 1.645 sqrt((1 + 2 (r_1^2 + ... + r_{m-1}^2)) / n), on three full seasons at least
    (Makridakis, Spiliotis and Assimakopoulos 2018); of the one-step changes where the level
    wanders, so that a trend is not taken for a season.
    """
    if season < 2 or len(y_R) < 3 * season:
        return False
    steady_R = np.diff(y_R) if level_wanders(y_R) else y_R
    r = autocorrelations(steady_R, season)
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
    detrended_R, phase_R = _detrended(y_R, season)
    counts = np.bincount(phase_R, minlength=season)
    sums = np.bincount(phase_R, weights=detrended_R, minlength=season)
    means = sums / np.maximum(counts, 1)
    indices: Floats = means - means.mean()
    return indices


def shrunken_indices(y_R: Floats, season: int) -> Floats:
    """Seasonal indices shrunken towards 0 by as much as noise makes of them (float64, season).

    James and Stein (1961): times 1 - (m - 3) v / (sum of their squares), v the variance of one
    index by what the indices leave of the detrended series. Three phases or fewer stay as they are.

    >>> shrunken_indices(np.array([1.0, 3.0, 1.0, 3.0, 1.0, 3.0]), 2).tolist()
    [-1.0, 1.0]
    """
    indices = seasonal_indices(y_R, season)
    size = float(np.square(indices).sum())
    if season <= 3 or size == 0:
        return indices
    detrended_R, phase_R = _detrended(y_R, season)
    left_R = detrended_R - indices[phase_R]
    freedom = max(len(left_R) - season, 1)
    variance = np.square(left_R - left_R.mean()).sum() / freedom * season / len(left_R)
    shrunken: Floats = indices * max(0.0, 1 - (season - 3) * float(variance) / size)
    return shrunken


def _detrended(y_R: Floats, season: int) -> tuple[Floats, Ints]:
    """The series less its centred moving average, where there is one, and the phase of each row."""
    weights = np.ones(season) / season
    if season % 2 == 0:
        weights = np.concatenate(([0.5], np.ones(season - 1), [0.5])) / season
    level_R = np.convolve(y_R, weights, mode="valid")
    offset = len(weights) // 2
    phase_R = (np.arange(len(level_R)) + offset) % season
    return y_R[offset : offset + len(level_R)] - level_R, phase_R
