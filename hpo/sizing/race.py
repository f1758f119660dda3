"""A race: networks of several sizes compared in pairs on the same origins.

Shapes: E entrants, S seeds of an entrant, O origins, B bootstrap replicates. Losses are per origin
and lower is better; for rmse they are squared errors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.sizing.metric import score
from hpo.sizing.resampling import Floats, Origins, bootstrap_means

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """One network size in the race: its cells per layer, its weights P, its losses_SO."""

    trial: int
    cells: tuple[int, ...]
    weights: int
    losses_SO: Floats


@dataclass(frozen=True, kw_only=True)
class Race:
    """Entrants with finite losses, their scores, and their scores on resampled origins.

    A score is the metric of the losses averaged over seeds; `seed_var_E` is the variance that
    chance in the seeds leaves in it.
    """

    entrants: Sequence[Entrant]
    scores_E: Floats
    seed_var_E: Floats
    scores_BE: Floats

    @property
    def best(self) -> int:
        """The entrant with the lowest score."""
        return int(self.scores_E.argmin())

    def se(self, entrant: int) -> float:
        """Standard error of one entrant's own score, over origins and seeds."""
        return float(np.sqrt(self.scores_BE[:, entrant].var() + self.seed_var_E[entrant]))

    def behind(self, reference: int) -> Floats:
        """How much higher than the reference's each entrant's score is."""
        behind_E: Floats = self.scores_E - self.scores_E[reference]
        return behind_E

    def ses_to(self, reference: int) -> Floats:
        """Standard errors of the paired differences of all entrants to one of them."""
        origin_var_E = (self.scores_BE - self.scores_BE[:, [reference]]).var(axis=0)
        ses_E: Floats = np.sqrt(origin_var_E + self.seed_var_E + self.seed_var_E[reference])
        ses_E[reference] = 0.0
        return ses_E

    def margins_to(self, reference: int, tolerance: float, *, ses: float = 1.0) -> Floats:
        """How far behind the reference an entrant may be and still be as good as it."""
        tolerated = tolerance * float(self.scores_E[reference])
        margins_E: Floats = np.maximum(ses * self.ses_to(reference), tolerated)
        return margins_E

    def tied_with(self, reference: int, tolerance: float, *, ses: float = 1.0) -> Flags:
        """Who is as good as the reference: behind it by at most `ses` standard errors."""
        tied_E: Flags = self.behind(reference) <= self.margins_to(reference, tolerance, ses=ses)
        return tied_E

    def by_size(self) -> list[int]:
        """Entrants from the fewest weights to the most; of equal weights the better first."""
        weights_E = np.array([float(e.weights) for e in self.entrants])
        return [int(e) for e in np.lexsort((self.scores_E, weights_E))]

    def smallest(self, among_E: Flags) -> int:
        """The entrant with the fewest weights of those that are flagged."""
        return next(e for e in self.by_size() if among_E[e])


def run_race(
    entrants: Sequence[Entrant], origins: Origins, *, metric: str, rng: np.random.Generator
) -> Race:
    """Score entrants with finite losses, with the block bootstrap over their common origins."""
    means_BE = bootstrap_means(origins, [e.losses_SO.mean(axis=0) for e in entrants], rng=rng)
    return score_race(entrants, means_BE, metric)


def score_race(entrants: Sequence[Entrant], means_BE: Floats, metric: str) -> Race:
    """The race of entrants whose mean losses on resampled origins are known."""
    return Race(
        entrants=entrants,
        scores_E=score(np.array([e.losses_SO.mean() for e in entrants]), metric),
        seed_var_E=np.array([_seed_variance(e.losses_SO, metric) for e in entrants]),
        scores_BE=score(means_BE, metric),
    )


def finite(entrants: Sequence[Entrant]) -> list[int]:
    """Indices of the entrants without an infinite or undefined loss: only these can race."""
    return [i for i, entrant in enumerate(entrants) if np.isfinite(entrant.losses_SO).all()]


def _seed_variance(losses_SO: Floats, metric: str) -> float:
    """Variance of the mean over seeds; zero where one seed says nothing about it."""
    seeds = len(losses_SO)
    return float(score(losses_SO.mean(axis=1), metric).var(ddof=1)) / seeds if seeds > 1 else 0.0
