"""The gain of a chosen network over the best benchmark, with a limit that allows for the choice.

Shapes: E entrants, B bootstrap replicates, K benchmarks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from hpo.sizing.race import Race
from hpo.sizing.resampling import Floats, Origins, block_count, variance_freedom

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Gain:
    """The best benchmark's score less the network's, on the metric's scale, above 0: a gain.

    `low` is the one-sided 95 % lower limit; minus infinity where one block of origins is all.
    """

    benchmark: str
    benchmark_score: float
    value: float
    se: float
    low: float

    def exceeds(self, tolerance: float) -> bool:
        """Whether the lower limit is above this share of the benchmark's score."""
        return self.low > tolerance * self.benchmark_score


def gain_over_best(
    race: Race,
    chosen: int,
    scores: Mapping[str, float],
    scores_BK: Floats,
    origins: Origins,
    *,
    rng: np.random.Generator,
) -> Gain:
    """The chosen entrant's paired gain over the benchmark with the lowest score.

    `scores_BK` holds the benchmarks of `scores` on the race's replicates. The lower limit is of
    Student's t with the degrees of freedom of Welch (1947) and Satterthwaite (1946), since the
    variances over origins and between seeds add. It holds for the luckiest of all finalists, as
    the chosen one was picked by its score (the maximum statistic of White's reality check, 2000).
    """
    rival = min(scores, key=lambda name: scores[name])
    rival_B = scores_BK[:, list(scores).index(rival)]
    gains_BE = rival_B[:, None] - race.scores_BE
    origin_var, seed_var = float(gains_BE[:, chosen].var()), float(race.seed_var_E[chosen])
    seeds = len(race.entrants[chosen].losses_SO)
    freedom = sum_freedom((origin_var, variance_freedom(origins)), (seed_var, seeds - 1))
    quantile = float(stdtrit(freedom, _confidence(race, gains_BE, rng)))
    se = (origin_var + seed_var) ** 0.5
    value = scores[rival] - float(race.scores_E[chosen])
    low = value - quantile * se if block_count(origins) > 1 else -np.inf
    return Gain(benchmark=rival, benchmark_score=scores[rival], value=value, se=se, low=low)


def _confidence(race: Race, gains_BE: Floats, rng: np.random.Generator) -> float:
    """The confidence for one finalist that gives 95 % for the luckiest of them."""
    seed_sd_E = np.sqrt(race.seed_var_E)
    luck_BE = gains_BE - gains_BE.mean(axis=0) + seed_sd_E * rng.standard_normal(gains_BE.shape)
    sd_E = luck_BE.std(axis=0)
    if not sd_E.any() or len(sd_E) == 1:
        return CONFIDENCE
    luckiest_B = (luck_BE[:, sd_E > 0] / sd_E[sd_E > 0]).max(axis=1)
    return max(CONFIDENCE, float(ndtr(np.quantile(luckiest_B, CONFIDENCE))))


def sum_freedom(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances, each with its own: Welch and Satterthwaite.

    >>> sum_freedom((2.0, 4), (2.0, 4)), sum_freedom((3.0, 5), (0.0, 0))
    (8.0, 5.0)
    """
    uneven = sum(variance**2 / max(freedom, 1) for variance, freedom in parts)
    return sum(variance for variance, _ in parts) ** 2 / uneven if uneven > 0 else np.inf
