"""What is left in the residuals of forecasts: a mean that is not zero, a memory, changing spread.

Residuals are in time order, of forecasts one step ahead; those of a good forecast show none of it.
Shapes: N residuals, K lags.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm, spearmanr

Floats = NDArray[np.float64]

FEWEST = 12  # residuals, below which nothing is said
MOST_LAGS = 10
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Checks:
    """p-values: each is small where what it looks for is hardly chance; below 0.05 it is said.

    `bias`: that the mean is not zero (its standard error allows for `lags` autocorrelations, Newey
    and West 1987); `memory`: Ljung and Box 1978 over `lags` lags; `spread`: Spearman's correlation
    of the residuals' sizes with the forecasts. `autocorrelation_K`: of lags 1 to K; a value beyond
    plus or minus `band` is hardly chance (95 %). `mean` on the residuals' own scale.
    """

    count: int
    mean: float
    bias: float
    memory: float
    spread: float
    lags: int
    autocorrelation_K: Floats
    band: float


def check(residuals_N: Floats, forecasts_N: Floats) -> Checks | None:
    """The checks of residuals and their forecasts; None of fewer than 12, or of equal ones."""
    count = len(residuals_N)
    if count < FEWEST or not np.ptp(residuals_N) > 0:
        return None
    lags = min(MOST_LAGS, count // 5)
    correlations_K = autocorrelations(residuals_N, lags)
    return Checks(
        count=count,
        mean=float(residuals_N.mean()),
        bias=_bias(residuals_N, lags),
        memory=ljung_box(correlations_K, count),
        spread=_spread(residuals_N, forecasts_N),
        lags=lags,
        autocorrelation_K=correlations_K,
        band=float(norm.ppf(1 - LEVEL / 2)) / count**0.5,
    )


def autocorrelations(x_N: Floats, lags: int) -> Floats:
    """Of lags 1 to `lags` (float64), each sum of products over that of lag 0; 0 of equal values.

    >>> autocorrelations(np.array([1.0, -1.0, 1.0, -1.0]), 2).round(2).tolist()
    [-0.75, 0.5]
    """
    centred_N = x_N - x_N.mean()
    size = 1 << (2 * len(centred_N) - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(centred_N, size)))
    products = np.fft.irfft(power, size)[: lags + 1]
    return products[1:] / products[0] if products[0] > 0 else np.zeros(lags)


def ljung_box(correlations_K: Floats, count: int) -> float:
    """The p-value of Q = n (n + 2) sum of r_k^2 / (n - k), chi-squared of K degrees (1978).

    With n = 100 and r_1 = 0.2: Q = 100 * 102 * 0.04 / 99 = 4.12, p = 0.042.

    >>> round(ljung_box(np.array([0.2]), 100), 3)
    0.042
    """
    lags_K = np.arange(1, len(correlations_K) + 1)
    statistic = count * (count + 2) * float((correlations_K**2 / (count - lags_K)).sum())
    return float(chi2.sf(statistic, len(correlations_K)))


def _bias(x_N: Floats, lags: int) -> float:
    """Two-sided p-value of a mean of zero."""
    reach = min(lags, ceil(4 * (len(x_N) / 100) ** (2 / 9)))
    weights_K = 1 - np.arange(1, reach + 1) / (reach + 1)
    longer = 1 + 2 * float((weights_K * autocorrelations(x_N, reach)).sum())
    se = (float(x_N.var()) * max(longer, 0.0) / len(x_N)) ** 0.5
    return float(2 * norm.sf(abs(x_N.mean()) / se)) if se > 0 else 0.0


def _spread(residuals_N: Floats, forecasts_N: Floats) -> float:
    if not np.ptp(forecasts_N) > 0:
        return 1.0
    return float(spearmanr(np.abs(residuals_N), forecasts_N).pvalue)
