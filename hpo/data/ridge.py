"""Ridge regression on the windows that a network would see: what is linear needs no LSTM.

Shapes: N windows, T lookback, F features, K outputs, D = T F regressors.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.data.recursive import Array, Predict
from hpo.data.windows import examples, split_tail, window_starts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PENALTIES = 10.0 ** np.arange(-6.0, 4.0, 0.5)  # shares of the regressors' mean variance
MOST_WINDOWS = 200_000
MOST_PRODUCTS = 1e11  # windows times regressors squared
CHUNK_VALUES = 4_000_000  # regressors in memory at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moments:
    """Sums over windows: everything that least squares needs, in float64."""

    count: int
    x_D: Floats
    y_K: Floats
    xx_DD: Floats
    xy_DK: Floats
    yy_K: Floats


def fit_ridge(prepared: Prepared, fold: Fold, lookback: int) -> Predict:
    """A predictor of scaled (and anchored) windows, fitted on the fold's training part.

    Linear in every value of the window, with an intercept that is not penalised (Hoerl and
    Kennard 1970). The penalty is the best of a grid on the purged inner tail; then all windows of
    the training part are fitted with it. At most 200,000 windows are taken, evenly.
    """
    reach = {"lookback": lookback, "horizon": prepared.limit.outputs}
    inner_N, tail_M = split_tail(prepared.panel, fold.train_ends_S, **reach)
    all_N = window_starts(prepared.panel, fold.train_ends_S, **reach)
    inner = _moments(prepared, fold, inner_N, lookback)
    tail = _moments(prepared, fold, tail_M, lookback)
    share = _best_penalty(inner, tail)
    intercept_K, weights_DK = _solve(_moments(prepared, fold, all_N, lookback), [share])[0]

    def predict(x_BTF: Array) -> Array:
        flat_BD = x_BTF.reshape(len(x_BTF), -1).astype(np.float64)
        return (flat_BD @ weights_DK + intercept_K).astype(np.float32)

    return predict


def _moments(prepared: Prepared, fold: Fold, starts_N: Ints, lookback: int) -> _Moments:
    outputs = prepared.limit.outputs
    regressors = lookback * prepared.limit.inputs
    starts_N = _thin(starts_N, regressors)
    x_D, y_K = np.zeros(regressors), np.zeros(outputs)
    xx_DD, xy_DK, yy_K = (
        np.zeros((regressors, regressors)),
        np.zeros((regressors, outputs)),
        np.zeros(outputs),
    )
    chunk = max(1, CHUNK_VALUES // regressors)
    for begin in range(0, len(starts_N), chunk):
        x_NTF, y_NK = examples(
            prepared.scaled_of(fold),
            starts_N[begin : begin + chunk],
            lookback=lookback,
            outputs=outputs,
            anchored=prepared.transform_of(fold).anchored,
        )
        x_ND, y_NK = x_NTF.reshape(len(x_NTF), -1).astype(np.float64), y_NK.astype(np.float64)
        x_D, y_K = x_D + x_ND.sum(axis=0), y_K + y_NK.sum(axis=0)
        xx_DD, xy_DK = xx_DD + x_ND.T @ x_ND, xy_DK + x_ND.T @ y_NK
        yy_K = yy_K + np.square(y_NK).sum(axis=0)
    return _Moments(count=len(starts_N), x_D=x_D, y_K=y_K, xx_DD=xx_DD, xy_DK=xy_DK, yy_K=yy_K)


def _thin(starts_N: Ints, regressors: int) -> Ints:
    most = min(MOST_WINDOWS, max(2_000, int(MOST_PRODUCTS / regressors**2)))
    if len(starts_N) <= most:
        return starts_N
    return starts_N[np.linspace(0, len(starts_N) - 1, most).astype(np.int64)]


def _best_penalty(inner: _Moments, tail: _Moments) -> float:
    if not inner.count or not tail.count:
        return 1.0
    errors = [_squared_error(tail, *solution) for solution in _solve(inner, PENALTIES)]
    return float(PENALTIES[int(np.argmin(errors))])


def _solve(moments: _Moments, shares: npt.ArrayLike) -> list[tuple[Floats, Floats]]:
    """Intercept and weights for each penalty, by one eigendecomposition of the covariance."""
    count = max(moments.count, 1)
    x_D, y_K = moments.x_D / count, moments.y_K / count
    covariance_DD = moments.xx_DD / count - np.outer(x_D, x_D)
    cross_DK = moments.xy_DK / count - np.outer(x_D, y_K)
    values_D, vectors_DD = np.linalg.eigh(covariance_DD)
    values_D = np.maximum(values_D, 0.0)
    size = float(values_D.mean()) or 1.0
    rotated_DK = vectors_DD.T @ cross_DK
    solutions = []
    for share in np.asarray(shares, dtype=np.float64):
        weights_DK = vectors_DD @ (rotated_DK / (values_D + share * size)[:, None])
        solutions.append((y_K - x_D @ weights_DK, weights_DK))
    return solutions


def _squared_error(moments: _Moments, intercept_K: Floats, weights_DK: Floats) -> float:
    """The sum of squared errors of a solution on the windows that the moments are of."""
    bias_K = 2 * intercept_K * (moments.x_D @ weights_DK - moments.y_K)
    fitted_K = ((moments.xx_DD @ weights_DK - 2 * moments.xy_DK) * weights_DK).sum(axis=0)
    offset_K = moments.count * np.square(intercept_K)
    return float((moments.yy_K + fitted_K + bias_K + offset_K).sum())
