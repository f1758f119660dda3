"""Block bootstrap over forecast origins: how far a mean loss would move on other origins.

Shapes: O origins (of all folds and series), F folds, P places (an origin's place in its fold, that
all series share; of all folds), K columns of losses, U units that are drawn, B replicates.
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
    steps: forecasts from origins that are nearer than this share targets. `step_O` (int64) tells
    where in time an origin stands in its fold, on a scale that all series share. Without it the
    last origins of all series in a fold are taken to be at the same time, and none to be missing.
    """

    fold_O: Ints
    series_O: Ints
    horizon: int
    step_O: Ints | None = None

    def __post_init__(self) -> None:
        assert self.fold_O.shape == self.series_O.shape, "a fold and a series for every origin"
        assert self.step_O is None or self.step_O.shape == self.fold_O.shape, "a step for each"
        assert self.fold_O.size >= 1, "at least one origin"
        assert self.horizon >= 1, "a forecast looks at least one step ahead"


@dataclass(frozen=True, kw_only=True)
class _Units:
    """What a draw takes: each unit's sums of K columns, and last its number of origins (U, K + 1).

    `draws` units make a replicate.
    """

    sums_UK: Floats
    draws: int

    def means(self, rng: np.random.Generator, replicates: int) -> Floats:
        """Means over drawn units, float64 (B, K)."""
        size, columns = self.sums_UK.shape
        means_BK = np.empty((replicates, columns - 1))
        chunk = max(1, _CHUNK_ITEMS // size)
        for start in range(0, replicates, chunk):
            rows = min(chunk, replicates - start)
            drawn_RD = rng.integers(size, size=(rows, self.draws))
            flat = (drawn_RD + size * np.arange(rows)[:, None]).ravel()
            counts_RU = np.bincount(flat, minlength=rows * size).reshape(rows, size)
            means_BK[start : start + rows] = _means(counts_RU.astype(np.float64), self.sums_UK)
        return means_BK


def block_length(origins: Origins) -> int:
    """Origins in one resampled block: two horizons, and at least the cube root of all of a series.

    Forecasts less than a horizon apart share targets: blocks of one horizon would miss a third of
    the variance that this adds, blocks of two miss a sixth (triangular autocovariance). n^(1/3) is
    the order that is optimal for the variance of a mean (Kuensch 1989, Hall, Horowitz and Jing
    1995). A lone fold is cut into two blocks at least.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> block_length(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 48 ** (1/3) = 3.6
    4
    >>> block_length(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=3))
    6
    """
    return _block_length(_places(origins)[1], origins.horizon)


def block_count(origins: Origins) -> int:
    """Number of independent pieces of evidence: stretches of time, of which all series share one.

    Counts, in every fold, the stretches of a horizon (or the cube root, see `block_length`), at
    least one each. A panel of 8 series or more has no more pieces than series.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> block_count(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 4 folds of 3 blocks
    12
    >>> block_count(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=8))
    4
    """
    _, sizes_F = _places(origins)
    length = max(origins.horizon, _cube_root(sizes_F))
    stretches = int(np.maximum(1, sizes_F // length).sum())
    series = np.unique(origins.series_O).size
    return min(series, stretches) if series >= SERIES_AS_UNITS else stretches


def variance_freedom(origins: Origins) -> int:
    """Degrees of freedom of a bootstrap variance: the units in the data less one, at least 1.

    Of a panel of 8 series or more, whose variance has two parts: those of the part with fewer.

    >>> fold_O = np.repeat([0, 1, 2, 3], 12)
    >>> variance_freedom(Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=1))  # 12 blocks of 4
    11
    """
    _, sizes_F = _places(origins)
    draws = _time_draws(sizes_F, _block_length(sizes_F, origins.horizon))
    series = np.unique(origins.series_O).size
    return min(series - 1, draws) if series >= SERIES_AS_UNITS else draws


def bootstrap_means(
    origins: Origins,
    losses_KO: Sequence[Floats] | Floats,
    *,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Floats:
    """Means of K columns of losses over resampled origins, float64 (B, K); draws are shared by K.

    Blocks of neighbouring places are drawn from all folds, each with the origins of all series
    there, since what happens at a time strikes all series. A block never leaves its fold, whose
    end is joined to its start so that every origin weighs alike (circular blocks, Politis and
    Romano 1992). One unit fewer is drawn than the data hold, which makes the variance of a
    replicate that of the mean (McCarthy 1969). Works on sums per unit, in chunks: memory does not
    grow with B times O.

    Panels of 8 series or more also draw whole series, apart from the blocks; a replicate moves by
    both deviations, within the range of the losses. The variance is the sum of those of clusters
    in two ways (Cameron, Gelbach and Miller 2011) without taking off that of their intersections:
    right where shocks are common or series differ, twice too large where all losses are
    independent.

    >>> origins = Origins(fold_O=np.zeros(4, int), series_O=np.zeros(4, int), horizon=1)
    >>> bootstrap_means(origins, [np.ones(4)], rng=np.random.default_rng(0), replicates=2).tolist()
    [[1.0], [1.0]]
    """
    by_time_BK = _time_units(origins, losses_KO).means(rng, replicates)
    names, owner_O = np.unique(origins.series_O, return_inverse=True)
    if names.size < SERIES_AS_UNITS:
        return by_time_BK
    series = _Units(sums_UK=_sums(owner_O, losses_KO), draws=names.size - 1)
    by_series_BK = series.means(rng, replicates)
    mean_K, lowest_K, highest_K = (
        np.array([f(loss_O) for loss_O in losses_KO]) for f in (np.mean, np.min, np.max)
    )
    means_BK: Floats = np.clip(by_time_BK + (by_series_BK - mean_K), lowest_K, highest_K)
    return means_BK


def bags(
    origins: Origins,
    inside_KO: Sequence[Floats] | Floats,
    outside_KO: Sequence[Floats] | Floats,
    *,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> tuple[Floats, Floats]:
    """Means of K columns of losses over drawn origins, of K others over the rest, float64 (B, K).

    Blocks are drawn as in `bootstrap_means`; the places that no drawn block holds are the rest,
    with the origins of all series there. In panels too only blocks are drawn. Replicates without a
    rest are passed over: B may be less than asked for, and is 0 where there is one place.

    >>> origins = Origins(fold_O=np.zeros(8, int), series_O=np.zeros(8, int), horizon=2)
    >>> rising_O, rng = np.arange(8.0), np.random.default_rng(0)
    >>> inside_B1, outside_B1 = bags(origins, [rising_O], [rising_O], rng=rng)
    >>> np.unique(inside_B1 + outside_B1).tolist()  # one of two halves is drawn, one the rest
    [7.0]
    """
    place_O, sizes_F = _places(origins)
    length = _block_length(sizes_F, origins.horizon)
    draws = _time_draws(sizes_F, length)
    inside_PK, outside_PK = _sums(place_O, inside_KO), _sums(place_O, outside_KO)
    chunk = max(1, _CHUNK_ITEMS // len(inside_PK))
    inside: list[Floats] = []
    outside: list[Floats] = []
    for begin in range(0, replicates, chunk):
        drawn_RD = rng.integers(len(inside_PK), size=(min(chunk, replicates - begin), draws))
        times_RP = _times_drawn(drawn_RD, sizes_F, length)
        rest_RP = times_RP == 0
        kept_R = rest_RP.any(axis=1)
        inside.append(_means(times_RP[kept_R], inside_PK))
        outside.append(_means(rest_RP[kept_R].astype(np.float64), outside_PK))
    return np.concatenate(inside), np.concatenate(outside)


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


def _places(origins: Origins) -> tuple[Ints, Ints]:
    """The place of each origin, numbered over all folds (O,), and the places of each fold (F,).

    >>> fold_O, series_O = np.array([0, 0, 0, 0, 0, 1]), np.array([4, 4, 4, 9, 9, 4])
    >>> place_O, sizes_F = _places(Origins(fold_O=fold_O, series_O=series_O, horizon=1))
    >>> place_O.tolist(), sizes_F.tolist()
    ([0, 1, 2, 1, 2, 3], [3, 1])
    """
    step_O = _steps_to_end(origins) if origins.step_O is None else origins.step_O
    step_O = step_O - step_O.min()
    _, fold_O = np.unique(origins.fold_O, return_inverse=True)
    fold_steps = int(step_O.max()) + 1
    places_P, place_O = np.unique(fold_O * fold_steps + step_O, return_inverse=True)
    return place_O, np.bincount(places_P // fold_steps)


def _steps_to_end(origins: Origins) -> Ints:
    """Each origin's step counted back from the last of its fold and series, which is -1."""
    order_O = np.lexsort((np.arange(origins.fold_O.size), origins.series_O, origins.fold_O))
    changes_O = (np.diff(origins.fold_O[order_O]) != 0) | (np.diff(origins.series_O[order_O]) != 0)
    ends_R = np.append(np.flatnonzero(changes_O) + 1, order_O.size)
    step_O = np.empty(order_O.size, dtype=np.int64)
    step_O[order_O] = np.arange(order_O.size) - np.repeat(ends_R, np.diff(ends_R, prepend=0))
    return step_O


def _cube_root(sizes_F: Ints) -> int:
    """The cube root of the places of all folds, rounded up."""
    return ceil(round(float(np.cbrt(int(sizes_F.sum()))), 9))


def _block_length(sizes_F: Ints, horizon: int) -> int:
    length = max(2 * horizon, _cube_root(sizes_F))
    return min(length, max(1, int(sizes_F[0]) // 2)) if sizes_F.size == 1 else length


def _time_draws(sizes_F: Ints, length: int) -> int:
    """Blocks in a replicate: the places over the mean places of a block, less one."""
    mean_length = float((sizes_F * np.minimum(sizes_F, length)).sum() / sizes_F.sum())
    return max(1, round(int(sizes_F.sum()) / mean_length) - 1)


def _time_units(origins: Origins, losses_KO: Sequence[Floats] | Floats) -> _Units:
    """The blocks that start at every place of every fold, each with all series."""
    place_O, sizes_F = _places(origins)
    length = _block_length(sizes_F, origins.horizon)
    sums_FPK = np.split(_sums(place_O, losses_KO), np.cumsum(sizes_F)[:-1])
    sums_UK = np.concatenate([_block_sums(sums_PK, length) for sums_PK in sums_FPK])
    return _Units(sums_UK=sums_UK, draws=_time_draws(sizes_F, length))


def _means(times_RU: Floats, sums_UK: Floats) -> Floats:
    """Means over units that are taken so many times, from their sums (U, K + 1): (R, K)."""
    taken_RK = times_RU @ sums_UK
    means_RK: Floats = taken_RK[:, :-1] / taken_RK[:, -1:]
    return means_RK


def _times_drawn(drawn_RD: Ints, sizes_F: Ints, length: int) -> Floats:
    """How often each place is in blocks that start at the drawn places of their folds (R, P)."""
    fold_P = np.repeat(np.arange(sizes_F.size), sizes_F)
    first_F = np.cumsum(sizes_F) - sizes_F
    times_RP = np.zeros((len(drawn_RD), fold_P.size))
    rows_R = np.arange(len(drawn_RD))
    for start_R in drawn_RD.T:
        fold_R = fold_P[start_R]
        within_R = start_R - first_F[fold_R]
        for step in range(length):
            place_R = first_F[fold_R] + (within_R + step) % sizes_F[fold_R]
            times_RP[rows_R, place_R] += step < sizes_F[fold_R]
    return times_RP


def _sums(group_O: Ints, losses_KO: Sequence[Floats] | Floats) -> Floats:
    """The sum of each column over each group, and last the group's origins, float64 (G, K + 1)."""
    sums_KG = [np.bincount(group_O, weights=loss_O) for loss_O in losses_KO]
    return np.stack([*sums_KG, np.bincount(group_O).astype(np.float64)], axis=1)


def _block_sums(sums_NK: Floats, length: int) -> Floats:
    """Sums over the blocks that start at each place of one fold, its end joined to its start."""
    length = min(length, len(sums_NK))
    round_NK = np.concatenate([np.zeros((1, sums_NK.shape[1])), sums_NK, sums_NK[: length - 1]])
    total_NK = np.cumsum(round_NK, axis=0)
    sums: Floats = total_NK[length:] - total_NK[:-length]
    return sums
