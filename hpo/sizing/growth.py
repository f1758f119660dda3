"""Whether a larger network pays: its paired gain over the smaller one, against chance.

Shapes: S seeds, O origins. Losses are per origin and lower is better; for rmse they are squared.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from hpo.sizing.gain import sum_freedom
from hpo.sizing.metric import score
from hpo.sizing.resampling import (
    Floats,
    Origins,
    block_count,
    paired_difference,
    variance_freedom,
)

CONFIDENCE = 0.99  # one-sided, of one look: a climb takes many
FEWEST_POOLED = 3  # networks
PRIOR_FREEDOM = 4.0  # at most, of what other networks tell about the seeds of one


class SeedNoise(NamedTuple):
    """The variance between scores of single seeds, and its degrees of freedom (0: not known)."""

    variance: float
    freedom: float


UNKNOWN_NOISE = SeedNoise(0.0, 0.0)


def pooled_noise(networks: Sequence[Floats], metric: str) -> SeedNoise:
    """The noise of seeds in the losses_SO of many networks, over the better half (3 at least).

    A network as good as the best has their spread, not that of rates at which training goes
    astray. Networks with losses that are not finite are left out.

    >>> losses_SO = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> pooled_noise([losses_SO] * 3, "mae")
    SeedNoise(variance=1.0, freedom=6.0)
    """
    finite = [losses_SO for losses_SO in networks if np.isfinite(losses_SO).all()]
    finite.sort(key=lambda losses_SO: float(losses_SO.mean()))
    usable = finite[: max(FEWEST_POOLED, (len(finite) + 1) // 2)]
    freedom = sum(len(losses_SO) - 1 for losses_SO in usable)
    if freedom == 0:
        return UNKNOWN_NOISE
    scores = [score(losses_SO.mean(axis=1), metric) for losses_SO in usable]
    squares = sum(float(((s - s.mean()) ** 2).sum()) for s in scores)
    return SeedNoise(squares / freedom, float(freedom))


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
    noise: SeedNoise = UNKNOWN_NOISE,
    confidence: float = CONFIDENCE,
) -> Growth:
    """The gain of a larger network, which pays where chance alone would hardly show as much.

    It must be above `tolerance` (a share of the smaller one's score) and above Student's quantile
    times its standard error, which joins the block bootstrap over origins with the variance between
    seeds; degrees of freedom by Welch and Satterthwaite. Three seeds hardly tell a variance (99 %
    quantile at 2 degrees of freedom: 7.0): that of each network is moderated by the `noise` of all
    (Smyth 2004), which counts as four degrees of freedom at most. One block of origins shows no
    gain: it cannot tell how far that is luck. Losses that are not finite are of
    a network that could not be trained: it never pays, and what can be trained pays over it.

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
    of_seeds = [_seed_part(losses_SO, metric, noise) for losses_SO in (small_SO, large_SO)]
    freedom = sum_freedom((origin_se**2, variance_freedom(origins)), *of_seeds)
    se = float(np.sqrt(origin_se**2 + sum(variance for variance, _ in of_seeds)))
    tolerated = tolerance * float(score(small_SO.mean(axis=1), metric).mean())
    least = max(float(stdtrit(freedom, confidence)) * se, tolerated)
    return Growth(gain, se, bool(gain > least) and block_count(origins) > 1)


def _seed_part(losses_SO: Floats, metric: str, noise: SeedNoise) -> tuple[float, float]:
    """The variance that chance in the seeds leaves in a network's score, and its freedom.

    >>> losses_SO = np.array([[1.0], [2.0], [3.0]])  # variance 1 with 2 degrees of freedom
    >>> _seed_part(losses_SO, "mae", SeedNoise(4.0, 30.0))  # (4 * 4 + 2 * 1) / 6 / 3 seeds
    (1.0, 6.0)
    """
    seeds, prior = len(losses_SO), min(noise.freedom, PRIOR_FREEDOM)
    own = float(score(losses_SO.mean(axis=1), metric).var(ddof=1)) if seeds > 1 else 0.0
    freedom = prior + seeds - 1
    if freedom == 0:
        return 0.0, 0.0
    return (prior * noise.variance + (seeds - 1) * own) / freedom / seeds, freedom
