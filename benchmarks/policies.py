"""Ways to search a landscape: each tries points until it is content or its trials are spent.

A policy is given a landscape and returns the points that it knows with all folds and seeds, and
the seconds of training that it spent. Points are sizes and learning rates.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np
import optuna
from landscape import Landscape, Point
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.data.prepare import Prepared
from hpo.search.known import Known
from hpo.search.phases import standing
from hpo.search.rungs import params_of, tuned_values
from hpo.search.space import distributions
from hpo.sizing.bound import fits
from hpo.sizing.ladder import Rung

WIDTHS = (2, 3, 4, 6, 8, 11, 16, 23, 32)
LAYERS = (1, 2)
RATES = (10**-2.5, 1e-2, 10**-1.5)
GRID: tuple[Point, ...] = tuple(
    ((width,) * layers, rate) for layers in LAYERS for width in WIDTHS for rate in RATES
)
STARTUP = 5


@dataclass(frozen=True)
class Searched:
    """The points of which all networks are known, and what finding them cost in seconds."""

    points: tuple[Point, ...]
    cost_s: float


Policy = Callable[[Landscape, int], Searched]
"""A search of this landscape with this seed."""


def climb(landscape: Landscape, _seed: int) -> Searched:
    """The ladder of hpo itself; off the grid it trains what it wants."""
    return _climb(landscape, landscape.prepared)


def climb_at_first_alpha(landscape: Landscape, _seed: int) -> Searched:
    """The ladder, with an alpha that no gap moves."""
    study = landscape.prepared.study
    fixed = study.bound.model_copy(update={"alpha_max": study.bound.alpha})
    return _climb(
        landscape,
        replace(landscape.prepared, study=study.model_copy(update={"bound": fixed})),
    )


def _climb(landscape: Landscape, prepared: Prepared) -> Searched:
    points, trials, known = list[Point](), list[FrozenTrial](), dict[int, Known]()
    rates = tuned_values(prepared)["learning_rate"]
    while True:
        now_at = standing(prepared, trials, known)
        assert now_at.climb is not None, "the study has a ladder"
        if now_at.climb.has_ended:
            limit = now_at.prepared.limit
            inside = [p for n, p in enumerate(points) if n in known and fits(p[0], limit)]
            return Searched(tuple(inside), sum(map(landscape.cost_s, points)))
        for rung in now_at.climb.wanted:
            points.append((rung.cells, rates[rung.setting[0]]))
            trials.append(_trial(prepared, rung, len(trials)))
            shown = landscape.known(points[-1])
            if np.isfinite(shown.losses_SO).all():
                known[trials[-1].number] = shown


def _trial(prepared: Prepared, rung: Rung, number: int) -> FrozenTrial:
    trial = create_trial(
        value=0.0, params=params_of(rung, prepared), distributions=distributions(prepared)
    )
    trial.number = number
    return trial


def everything(landscape: Landscape, _seed: int) -> Searched:
    """The whole grid."""
    return Searched(_inside(landscape, GRID), sum(map(landscape.cost_s, GRID)))


def ask_and_tell(sampler: Callable[[int], BaseSampler], trials: int) -> Policy:
    """A sampler of Optuna's on the grid, so many trials."""

    def search(landscape: Landscape, seed: int) -> Searched:
        limits: dict[str, BaseDistribution] = {
            "layers": IntDistribution(0, len(LAYERS) - 1),
            "width": IntDistribution(0, len(WIDTHS) - 1),
            "rate": IntDistribution(0, len(RATES) - 1),
        }
        study = optuna.create_study(sampler=sampler(seed))
        points: list[Point] = []
        cost_s = 0.0
        for _ in range(trials):
            trial = study.ask(limits)
            at = trial.params
            point = ((WIDTHS[at["width"]],) * LAYERS[at["layers"]], RATES[at["rate"]])
            points.append(point)
            cost_s += landscape.cost_s(point)
            score = float(landscape.losses(point).mean())
            state = TrialState.COMPLETE if np.isfinite(score) else TrialState.FAIL
            study.tell(trial, score if np.isfinite(score) else None, state=state)
        return Searched(_inside(landscape, dict.fromkeys(points)), cost_s)

    return search


def halving(landscape: Landscape, seed: int) -> Searched:
    """Successive halving (Jamieson and Talwalkar 2016): one seed for all, three for a third.

    The first seed of every point of a random half of the grid, then all seeds of the best sixth.
    """
    drawn = np.random.default_rng(seed).permutation(len(GRID))[: len(GRID) // 2]
    some = [GRID[place] for place in drawn]
    first = sorted(some, key=lambda p: _first_seed(landscape, p))
    kept = first[: max(1, len(some) // 6)]
    cost_s = sum(landscape.cost_s(p, seeds=1) for p in some)
    cost_s += sum(landscape.cost_s(p) - landscape.cost_s(p, seeds=1) for p in kept)
    return Searched(_inside(landscape, kept), cost_s)


def _inside(landscape: Landscape, points: Iterable[Point]) -> tuple[Point, ...]:
    """Those inside the bound of the first alpha."""
    return tuple(p for p in points if fits(p[0], landscape.prepared.limit))


def _first_seed(landscape: Landscape, point: Point) -> float:
    score = float(landscape.losses(point)[0].mean())
    return score if np.isfinite(score) else inf


def briefly(short: Landscape) -> Policy:
    """Train the whole grid briefly with one seed, keep the best sixth and train it fully."""

    def search(landscape: Landscape, _seed: int) -> Searched:
        first = sorted(GRID, key=lambda p: _first_seed(short, p))
        kept = first[: len(GRID) // 6]
        cost_s = sum(short.cost_s(p, seeds=1) for p in GRID)
        cost_s += sum(map(landscape.cost_s, kept))
        return Searched(_inside(landscape, kept), cost_s)

    return search


def policies(short: Landscape, trials: Sequence[int] = (15, 30)) -> dict[str, Policy]:
    """Every policy by its name."""
    found: dict[str, Policy] = {"ladder": climb, "ladder at alpha 2": climb_at_first_alpha}
    for count in trials:
        found |= {
            f"tpe {count}": ask_and_tell(
                lambda seed: TPESampler(seed=seed, n_startup_trials=STARTUP), count
            ),
            f"gp {count}": ask_and_tell(
                lambda seed: GPSampler(seed=seed, n_startup_trials=STARTUP), count
            ),
            f"random {count}": ask_and_tell(lambda seed: RandomSampler(seed=seed), count),
        }
    return found | {"halving": halving, "briefly": briefly(short), "grid": everything}
