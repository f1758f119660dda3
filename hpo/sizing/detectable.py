"""What difference between two finalists the race could have detected, and what would lower it.

Shapes: E entrants.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from hpo.sizing.race import Race

CONFIDENCE, POWER = 0.95, 0.80
MOST_SHARE = 0.05  # of the score: where a smaller difference goes unseen, it is told


@dataclass(frozen=True, kw_only=True)
class Detectable:
    """The minimum detectable difference, on the metric's scale and as a share of the score.

    `by_seeds`: whether chance in the seeds adds more to it than the choice of origins.
    """

    difference: float
    share: float
    by_seeds: bool


def detectable_difference(race: Race, chosen: int) -> Detectable | None:
    """The difference to the chosen entrant that would be seen in 80 % of such races.

    (z_0.95 + z_0.80) times the standard error of the paired difference, for a one-sided test at
    5 % (Bloom 1995); the standard error is the median of those to the other entrants. None where
    there is no other.
    """
    others = [e for e in np.argsort(race.ses_to(chosen)) if e != chosen]
    if not others:
        return None
    typical = int(others[(len(others) - 1) // 2])
    se, score = float(race.ses_to(chosen)[typical]), float(race.scores_E[chosen])
    seed_var = float(race.seed_var_E[typical] + race.seed_var_E[chosen])
    difference = _quantiles() * se
    return Detectable(
        difference=difference,
        share=difference / score if score > 0 else 0.0,
        by_seeds=seed_var > se**2 / 2,
    )


def _quantiles() -> float:
    """z_0.95 + z_0.80.

    >>> round(_quantiles(), 3)
    2.486
    """
    return float(ndtri(CONFIDENCE) + ndtri(POWER))
