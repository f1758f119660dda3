"""Block bootstrap over forecast origins: how far a mean loss would move on other origins.

Shapes: O origins (of all folds and series), K columns of losses, U units that are drawn, B
replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from hpo.sizing.metric import score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REPLICATES = 1000
SERIES_AS_UNITS = 8
_CHUNK_ITEMS = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Origins:
    """Where each scored forecast starts, in time order inside every (fold, series).

    `fold_O` and `series_O` number the fold and the series of each origin (int64); `horizon` is in
    steps: forecasts from origins that are nearer than this share targets.
    """

    fold_O: Ints
    series_O: Ints
    horizon: int

    def __post_init__(self) -> None:
        assert self.fold_O.shape == self.series_O.shape, "a fold and a series for every origin"
        assert self.fold_O.size >= 1, "at least one origin"
        assert self.horizon >= 1, "a forecast looks at least one step ahead"


@dataclass(frozen=True, kw_only=True)
class _Units:
    """What one draw takes: unit u covers `lengths_U[u]` origins; `draws` units make a replicate."""

    lengths_U: Ints
    draws: int


def block_length(origins: Origins) -> int:
    """Origins in one resampled block: two horizons, and at least the cube root of all of a series.

    Forecasts less than a horizon apart share targets: blocks of one horizon would miss a third of
    the variance that this adds, blocks of two miss a sixth (triangular autocovariance). n^(1/3) is
    the order that is optimal for the variance of a mean (Kuensch 1989, Hall, Horowitz and Jing
    1995). A lone fold of a lone series is cut into two blocks at least.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> block_length(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 48 ** (1/3) = 3.6
    4
    >>> block_length(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=3))
    6
    """
    length, runs = max(2 * origins.horizon, _cube_root(origins)), _runs(origins)
    return min(length, max(1, runs[0].size // 2)) if len(runs) == 1 else length


def block_count(origins: Origins) -> int:
    """Number of independent pieces of evidence: series of a panel, else stretches of origins.

    A panel of 8 series or more counts its series. Fewer count, in every fold of every series, the
    stretches of a horizon (or the cube root, see `block_length`), at least one each.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> block_count(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 4 folds of 3 blocks
    12
    >>> block_count(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=8))
    4
    """
    series = int(np.unique(origins.series_O).size)
    if series >= SERIES_AS_UNITS:
        return series
    length = max(origins.horizon, _cube_root(origins))
    return sum(max(1, run_N.size // length) for run_N in _runs(origins))


def variance_freedom(origins: Origins) -> int:
    """Degrees of freedom of a bootstrap variance: the units in the data less one, at least 1.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> variance_freedom(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 12 blocks of 4
    11
    """
    return _units(origins).draws


def bootstrap_means(
    origins: Origins,
    losses_KO: Sequence[Floats] | Floats,
    *,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Floats:
    """Means of K columns of losses over resampled origins, float64 (B, K); draws are shared by K.

    Panels of 8 series or more draw whole series. Otherwise blocks of neighbouring origins are
    drawn from all folds and series; a block never leaves its fold, whose end is joined to its
    start so that every origin weighs alike (circular blocks, Politis and Romano 1992). One unit
    fewer is drawn than the data hold, which makes the variance of a replicate that of the mean
    (McCarthy 1969). Works on sums per unit, in chunks: memory does not grow with B times O.

    >>> origins = Origins(fold_O=np.zeros(4, int), series_O=np.zeros(4, int), horizon=1)
    >>> bootstrap_means(origins, [np.ones(4)], rng=np.random.default_rng(0), replicates=2).tolist()
    [[1.0], [1.0]]
    """
    units, sums_UK = _units(origins), _unit_sums(origins, losses_KO)
    size = units.lengths_U.size
    means_BK = np.empty((replicates, sums_UK.shape[1]))
    chunk = max(1, _CHUNK_ITEMS // size)
    for start in range(0, replicates, chunk):
        rows = min(chunk, replicates - start)
        drawn_RD = rng.integers(size, size=(rows, units.draws))
        flat = (drawn_RD + size * np.arange(rows)[:, None]).ravel()
        counts_RU = np.bincount(flat, minlength=rows * size).reshape(rows, size).astype(np.float64)
        covered_R1 = (counts_RU @ units.lengths_U)[:, None]
        means_BK[start : start + rows] = (counts_RU @ sums_UK) / covered_R1
    return means_BK


def paired_difference(
    a_O: Floats, b_O: Floats, origins: Origins, *, metric: str, rng: np.random.Generator
) -> tuple[float, float]:
    """Score of a minus score of b on the same origins, and its bootstrap standard error.

    >>> origins = Origins(fold_O=np.zeros(4, int), series_O=np.zeros(4, int), horizon=1)
    >>> a_O, b_O = np.array([2.0, 3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0])
    >>> paired_difference(a_O, b_O, origins, metric="mae", rng=np.random.default_rng(0))
    (1.0, 0.0)
    """
    scores_BK = score(bootstrap_means(origins, [a_O, b_O], rng=rng), metric)
    a, b = score(np.array([a_O.mean(), b_O.mean()]), metric)
    return float(a - b), float((scores_BK[:, 0] - scores_BK[:, 1]).std())


def _runs(origins: Origins) -> list[Ints]:
    """Indices of the origins of every (fold, series), each in its order of time."""
    order_O = np.lexsort((np.arange(origins.fold_O.size), origins.series_O, origins.fold_O))
    changes_O = (np.diff(origins.fold_O[order_O]) != 0) | (np.diff(origins.series_O[order_O]) != 0)
    return np.split(order_O, np.flatnonzero(changes_O) + 1)


def _cube_root(origins: Origins) -> int:
    """The cube root of the most origins of one series, rounded up."""
    _, per_series = np.unique(origins.series_O, return_counts=True)
    return ceil(round(float(np.cbrt(int(per_series.max()))), 9))


def _units(origins: Origins) -> _Units:
    """The units that a replicate draws from: whole series, or the blocks from every origin on."""
    _, per_series = np.unique(origins.series_O, return_counts=True)
    if per_series.size >= SERIES_AS_UNITS:
        return _Units(lengths_U=per_series, draws=per_series.size - 1)
    sizes, length = [run_N.size for run_N in _runs(origins)], block_length(origins)
    lengths_U = np.concatenate([np.full(size, min(length, size)) for size in sizes])
    draws = max(1, round(lengths_U.size / float(lengths_U.mean())) - 1)
    return _Units(lengths_U=lengths_U, draws=draws)


def _unit_sums(origins: Origins, losses_KO: Sequence[Floats] | Floats) -> Floats:
    """The sum of each column over each unit, float64 (U, K)."""
    names_U, unit_O = np.unique(origins.series_O, return_inverse=True)
    if names_U.size >= SERIES_AS_UNITS:
        sums_KU = [np.bincount(unit_O, weights=loss_O) for loss_O in losses_KO]
    else:
        runs, length = _runs(origins), block_length(origins)
        sums_KU = [
            np.concatenate([_block_sums(loss_O[run_N], length) for run_N in runs])
            for loss_O in losses_KO
        ]
    return np.stack(sums_KU, axis=1)


def _block_sums(loss_N: Floats, length: int) -> Floats:
    """Sums over the blocks that start at each origin of one run, its end joined to its start."""
    length = min(length, loss_N.size)
    total_N = np.cumsum(np.concatenate([[0.0], loss_N, loss_N[: length - 1]]))
    sums: Floats = total_N[length:] - total_N[:-length]
    return sums
