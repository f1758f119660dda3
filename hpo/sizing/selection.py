"""What the choice among many costs: scores of the chosen, where nothing was chosen by them.

Shapes: E entrants, S seeds of an entrant, O origins, B bootstrap replicates, K benchmarks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo.sizing.metric import score
from hpo.sizing.race import Entrant, Race, finite, run_race
from hpo.sizing.resampling import Floats, Ints, Origins, bags


@dataclass(frozen=True, kw_only=True)
class Corrected:
    """Expected scores on other origins, of the chosen of `entrants` and of the best benchmark.

    None where a choice cannot be repeated: all origins are one stretch.
    """

    score: float | None
    benchmark: float | None
    entrants: int


def correct(
    entrants: Sequence[Entrant],
    benchmarks: Mapping[str, Floats],
    origins: Origins,
    *,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
) -> Corrected:
    """Scores that allow for the choice: the bootstrap of Tsamardinos et al. (2018), BBC-CV.

    In each replicate the choice is made on the drawn blocks of origins (in the bag), and what was
    chosen is scored on the origins that were not drawn: the average over replicates has not been
    chosen by. The entrants are all complete trials with the search's seeds, since among these the
    choice was made: only of finalists are there fresh seeds, and these too meet the origins that
    made them finalists. The choice is the verdict's: the smallest within one standard error (or
    the tolerance) of the best. Seeds are chosen by as well: a replicate leaves out one seed, and
    scores by that alone; with one seed its luck stays in the score.

    Of benchmarks the best in the bag is scored. Where losses of neighbouring origins resemble each
    other a part of the optimism stays: a fifth to nothing of it in simulations with 80 origins
    (autocorrelation 0.5), where the plain minimum has all and fresh seeds alone half. Entrants and
    benchmarks with losses that are not finite are left out.
    """
    able = [entrants[i] for i in finite(entrants)]
    known = [loss_O for loss_O in benchmarks.values() if np.isfinite(loss_O).all()]
    return Corrected(
        score=_of_entrants(able, origins, metric, tolerance, rng) if able else None,
        benchmark=_of_benchmarks(known, origins, metric, rng) if known else None,
        entrants=len(able),
    )


def _of_entrants(
    entrants: Sequence[Entrant],
    origins: Origins,
    metric: str,
    tolerance: float,
    rng: np.random.Generator,
) -> float | None:
    race = run_race(entrants, origins, metric=metric, rng=rng)
    ordered = [entrants[e] for e in race.by_size()]
    margins_EE = _margins(race, tolerance)[np.ix_(race.by_size(), race.by_size())]
    seeds = min(len(entrant.losses_SO) for entrant in ordered)
    lost = []
    for left in range(seeds):
        kept = [s for s in range(seeds) if s != left] or [left]
        chosen_by = [entrant.losses_SO[kept].mean(axis=0) for entrant in ordered]
        scored_by = [entrant.losses_SO[left] for entrant in ordered]
        inside_BE, outside_BE = bags(origins, chosen_by, scored_by, rng=rng)
        chosen_B = _smallest_tied(score(inside_BE, metric), margins_EE)
        lost.append(_of_each(outside_BE, chosen_B))
    return _mean_score(np.concatenate(lost), metric)


def _of_benchmarks(
    losses_KO: Sequence[Floats], origins: Origins, metric: str, rng: np.random.Generator
) -> float | None:
    inside_BK, outside_BK = bags(origins, losses_KO, losses_KO, rng=rng)
    return _mean_score(_of_each(outside_BK, inside_BK.argmin(axis=1)), metric)


def _smallest_tied(scores_BE: Floats, margins_EE: Floats) -> Ints:
    """The first entrant within its margin of the best, entrants being ordered by size (B,)."""
    best_B = scores_BE.argmin(axis=1)
    behind_BE = scores_BE - scores_BE.min(axis=1, keepdims=True)
    first_B: Ints = (behind_BE <= margins_EE[best_B]).argmax(axis=1)
    return first_B


def _margins(race: Race, tolerance: float) -> Floats:
    """How far behind each entrant (rows) every other may be and still be as good (E, E)."""
    covariance_EE = np.atleast_2d(np.cov(race.scores_BE, rowvar=False, ddof=0))
    variance_E = covariance_EE.diagonal() + race.seed_var_E
    variance_EE = variance_E[:, None] + variance_E - 2 * covariance_EE
    np.fill_diagonal(variance_EE, 0.0)
    margins_EE: Floats = np.maximum(
        np.sqrt(np.maximum(variance_EE, 0.0)), tolerance * race.scores_E[:, None]
    )
    return margins_EE


def _of_each(losses_BE: Floats, chosen_B: Ints) -> Floats:
    chosen: Floats = np.take_along_axis(losses_BE, chosen_B[:, None], axis=1)[:, 0]
    return chosen


def _mean_score(loss_B: Floats, metric: str) -> float | None:
    return float(score(loss_B.mean(), metric)) if loss_B.size else None
