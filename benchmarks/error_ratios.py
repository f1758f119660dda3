"""One contestant's errors over another's, on many series at the same origins, and how surely.

Shapes: S series, O origins of a series, B replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.sizing.resampling import REPLICATES, Origins, bootstrap_means

Floats = NDArray[np.float64]

QUANTILES = (0.05, 0.95)
MUCH_WORSE = 1.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """The losses of both at the origins of one series, float64 (O,), and where these are."""

    series: str
    ours_O: Floats
    theirs_O: Floats
    origins: Origins

    @property
    def ratio(self) -> float:
        """Our mean loss over theirs."""
        return float(self.ours_O.mean() / self.theirs_O.mean())


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The geometric mean of the ratios with 90 % intervals; below 1 our errors are smaller.

    `by_origins`: blocks of origins are drawn within every series, of both contestants the same;
    what other months of these series would have said. `by_series`: series are drawn.
    """

    series: int
    ratio: float
    by_origins: tuple[float, float]
    by_series: tuple[float, float]
    worst_series: str
    worst_ratio: float
    much_worse_share: float

    @property
    def is_better(self) -> bool:
        """Surely better on the whole, and on no series worse by more than a tenth."""
        return self.ratio < 1 and self.by_origins[1] < 1 and self.worst_ratio <= MUCH_WORSE


def compare(pairs: Sequence[Pair], *, rng: np.random.Generator) -> Comparison:
    """Compare two contestants on these series.

    >>> losses_O = np.arange(1.0, 9.0)
    >>> origins = Origins(fold_O=np.zeros(8, int), series_O=np.zeros(8, int), horizon=1)
    >>> half, double = (
    ...     Pair(series=s, ours_O=k * losses_O, theirs_O=losses_O, origins=origins)
    ...     for s, k in (("half", 0.5), ("double", 2.0))
    ... )
    >>> found = compare([half, double, half], rng=np.random.default_rng(0))
    >>> round(found.ratio, 4), round(found.by_origins[0], 4), round(found.by_origins[1], 4)
    (0.7937, 0.7937, 0.7937)
    >>> found.worst_series, found.worst_ratio, round(found.much_worse_share, 4), found.is_better
    ('double', 2.0, 0.3333, False)
    """
    ratio_S = np.array([pair.ratio for pair in pairs])
    worst = int(ratio_S.argmax())
    return Comparison(
        series=len(pairs),
        ratio=float(np.exp(np.log(ratio_S).mean())),
        by_origins=_interval(_means_over_origins(pairs, rng)),
        by_series=_interval(_means_over_series(np.log(ratio_S), rng)),
        worst_series=pairs[worst].series,
        worst_ratio=float(ratio_S[worst]),
        much_worse_share=float((ratio_S > MUCH_WORSE).mean()),
    )


def _means_over_origins(pairs: Sequence[Pair], rng: np.random.Generator) -> Floats:
    """The mean log ratio (B,) on drawn origins of all series."""
    total_B = np.zeros(REPLICATES)
    for pair in pairs:
        means_B2 = bootstrap_means(pair.origins, [pair.ours_O, pair.theirs_O], rng=rng)
        total_B += np.log(means_B2[:, 0] / means_B2[:, 1])
    return total_B / len(pairs)


def _means_over_series(log_ratio_S: Floats, rng: np.random.Generator) -> Floats:
    """The mean log ratio (B,) of drawn series."""
    drawn_BS = rng.integers(log_ratio_S.size, size=(REPLICATES, log_ratio_S.size))
    means_B: Floats = log_ratio_S[drawn_BS].mean(axis=1)
    return means_B


def _interval(mean_log_B: Floats) -> tuple[float, float]:
    low, high = np.exp(np.quantile(mean_log_B, QUANTILES))
    return float(low), float(high)
