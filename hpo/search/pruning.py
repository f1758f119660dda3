"""Pruning: whether a new network is still worth its other seeds after one pass over the folds.

Shapes: S seeds, O origins of all folds. Losses are per origin and lower is better; for rmse they
are squared errors.
"""

from collections.abc import Sequence

import numpy as np

from hpo.sizing.growth import pooled_noise
from hpo.sizing.resampling import Floats, Origins, paired_difference

Z = 3.0
FEWEST_ORIGINS = 8
FEWEST_SEED_FREEDOM = 6


def keep(
    trial_O: Floats,
    best_SO: Floats,
    seed_sd: float,
    origins: Origins,
    *,
    metric: str,
    rng: np.random.Generator,
) -> bool:
    """Whether a trial with one seed's losses may still be as good as the best trial of S seeds.

    Pruned (False) where the paired difference of scores exceeds Z times its standard error
    sqrt(block-bootstrap variance + seed_sd^2 (1 + 1/S)). Z is above the usual 1.645 since the best
    of many trials looks better than it is: in simulated studies of 60 equally good trials at least
    95 % are kept (tests/unit/search/test_pruning.py); where equally good trials differ from origin
    to origin three times as much as their seeds do, and in long waves, about 90 %. Always kept:
    fewer than 8 origins, or a seed_sd of infinity (not known yet). Losses that are not finite are
    not kept.

    >>> origins = Origins(fold_O=np.zeros(16, int), series_O=np.zeros(16, int), horizon=1)
    >>> best_SO = np.full((3, 16), 1.0)
    >>> def kept(loss: float) -> bool:
    ...     rng = np.random.default_rng(0)
    ...     return keep(np.full(16, loss), best_SO, 0.1, origins, metric="mae", rng=rng)
    >>> kept(1.2), kept(1.4)  # the line is at 1 + 3 * 0.1 * sqrt(4 / 3) = 1.346
    (True, False)
    """
    if not np.isfinite(trial_O).all():
        return False
    if trial_O.size < FEWEST_ORIGINS or not np.isfinite(seed_sd):
        return True
    difference, origin_se = paired_difference(
        trial_O, best_SO.mean(axis=0), origins, metric=metric, rng=rng
    )
    seed_var = seed_sd**2 * (1 + 1 / len(best_SO))
    return bool(difference <= Z * np.sqrt(origin_se**2 + seed_var))


def seed_spread(trials: Sequence[Floats], metric: str) -> float:
    """Standard deviation of scores between seeds, pooled over complete trials' losses_SO.

    Over the better half of the trials (3 at least): a trial as good as the best has their spread,
    not that of rates at which training goes astray. Infinite (not known) until trials and seeds
    give 6 degrees of freedom: 3 trials of 3 seeds.

    >>> losses_SO = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> seed_spread([losses_SO] * 3, "mae"), seed_spread([losses_SO] * 2, "mae")
    (1.0, inf)
    """
    noise = pooled_noise(trials, metric)
    if noise.freedom < FEWEST_SEED_FREEDOM:
        return float("inf")
    return float(np.sqrt(noise.variance))
