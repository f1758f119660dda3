"""Whether a larger network pays: its paired gain over the smaller one, against chance.

Shapes: S seeds, O origins. Losses are per origin and lower is better; for rmse they are squared.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from hpo.sizing.gain import sum_freedom
from hpo.sizing.metric import score
from hpo.sizing.resampling import Floats, Origins, paired_difference, variance_freedom

CONFIDENCE = 0.99  # one-sided, of one look: a climb takes many


class Growth(NamedTuple):
    """How much lower the larger network's score is, its standard error, whether that pays."""

    gain: float
    se: float
    pays: bool


def growth(
    small_SO: Floats,
    large_SO: Floats,
    origins: Origins,
    *,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
    confidence: float = CONFIDENCE,
) -> Growth:
    """The gain of a larger network, which pays where chance alone would hardly show as much.

    It must be above `tolerance` (a share of the smaller one's score) and above Student's quantile
    times its standard error, which joins the block bootstrap over origins with the variance between
    seeds; degrees of freedom by Welch and Satterthwaite. Losses that are not finite are of a
    network that could not be trained: it never pays, and what can be trained pays over it.

    >>> origins = Origins(fold_O=np.zeros(40, int), series_O=np.zeros(40, int), horizon=1)
    >>> rng = np.random.default_rng(0)
    >>> small_SO, large_SO = rng.normal(2.0, 0.1, (3, 40)), rng.normal(1.0, 0.1, (3, 40))
    >>> growth(small_SO, large_SO, origins, metric="mae", tolerance=0.0, rng=rng).pays
    True
    """
    if not (np.isfinite(small_SO).all() and np.isfinite(large_SO).all()):
        can_be_trained = bool(np.isfinite(large_SO).all())
        return Growth(np.inf if can_be_trained else -np.inf, 0.0, can_be_trained)
    small_O, large_O = small_SO.mean(axis=0), large_SO.mean(axis=0)
    gain, origin_se = paired_difference(small_O, large_O, origins, metric=metric, rng=rng)
    scores = [score(losses_SO.mean(axis=1), metric) for losses_SO in (small_SO, large_SO)]
    seed_vars = [float(s.var(ddof=1)) / len(s) if len(s) > 1 else 0.0 for s in scores]
    of_seeds = [(var, len(s) - 1) for var, s in zip(seed_vars, scores, strict=True)]
    freedom = sum_freedom((origin_se**2, variance_freedom(origins)), *of_seeds)
    se = float(np.sqrt(origin_se**2 + sum(seed_vars)))
    least = max(float(stdtrit(freedom, confidence)) * se, tolerance * float(scores[0].mean()))
    return Growth(gain, se, bool(gain > least))
