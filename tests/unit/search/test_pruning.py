"""Pruning spares what may be as good as the best, and stops what is clearly worse."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.signal import lfilter

from hpo.search.pruning import FEWEST_ORIGINS, keep, seed_spread
from hpo.sizing.resampling import Floats, Origins


def origins_of(per_fold: int = 15, horizon: int = 1) -> Origins:
    fold_O = np.repeat(np.arange(4), per_fold)
    return Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=horizon)


def noise(rng: np.random.Generator, *shape: int, memory: float) -> Floats:
    shocks = rng.standard_normal((*shape[:-1], shape[-1] + 50))
    walk: Floats = lfilter([np.sqrt(1 - memory**2)], [1, -memory], shocks, axis=-1)
    return walk[..., 50:]


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """Trials of a mean error of 1, their noise: of seeds, of origins by seed and by trial."""

    seed_sd: float
    seed_origin_sd: float
    trial_origin_sd: float
    horizon: int = 1
    seeds: int = 3


LANDSCAPES = [
    Landscape(seed_sd=0.0, seed_origin_sd=0.3, trial_origin_sd=0.0),
    Landscape(seed_sd=0.1, seed_origin_sd=0.0, trial_origin_sd=0.0, horizon=12),
    Landscape(seed_sd=0.1, seed_origin_sd=0.2, trial_origin_sd=0.1),
    Landscape(seed_sd=0.05, seed_origin_sd=0.2, trial_origin_sd=0.2),
    Landscape(seed_sd=0.1, seed_origin_sd=0.2, trial_origin_sd=0.1, horizon=12, seeds=2),
]


def simulate(land: Landscape, rng: np.random.Generator, worse_T: Floats) -> list[bool]:
    """Which trials of a study are kept; trial t is worse than the others by worse_T[t]."""
    origins = origins_of(horizon=land.horizon)
    size = origins.fold_O.size
    base_O = 1 + 0.4 * noise(rng, size, memory=0.5)
    complete: list[Floats] = []
    kept = []
    for worse in worse_T:
        trial_O = base_O + worse + land.trial_origin_sd * noise(rng, size, memory=0.6)
        level_S1 = land.seed_sd * rng.standard_normal((land.seeds, 1))
        own_SO = land.seed_origin_sd * noise(rng, land.seeds, size, memory=0.6)
        losses_SO = trial_O + level_S1 + own_SO
        best_SO = min(complete, key=np.mean, default=losses_SO)
        spread = seed_spread(complete, "mae")
        kept.append(keep(losses_SO[0], best_SO, spread, origins, metric="mae", rng=rng))
        complete += [losses_SO] * kept[-1]
    return kept


@pytest.mark.parametrize("land", LANDSCAPES)
def test_of_60_equally_good_trials_at_least_95_percent_are_kept(land: Landscape) -> None:
    kept = [simulate(land, np.random.default_rng(s), np.zeros(60)) for s in range(12)]

    assert np.mean(kept) >= 0.95


@pytest.mark.parametrize("land", LANDSCAPES)
def test_trials_that_are_half_as_bad_again_are_mostly_pruned(land: Landscape) -> None:
    worse_T = np.tile([0.0, 0.0, 0.5], 10)
    kept = np.array([simulate(land, np.random.default_rng(s), worse_T) for s in range(4)])

    assert np.mean(kept[:, 12:][:, worse_T[12:] > 0]) <= 0.25


def test_a_quarter_worse_is_enough_where_seeds_agree() -> None:
    worse_T = np.tile([0.0, 0.0, 0.25], 10)
    calm = Landscape(seed_sd=0.02, seed_origin_sd=0.1, trial_origin_sd=0.05)
    kept = np.array([simulate(calm, np.random.default_rng(s), worse_T) for s in range(4)])

    assert np.mean(kept[:, 12:][:, worse_T[12:] > 0]) <= 0.05


def kept(loss: float, *, origins: Origins, seed_sd: float = 0.01, metric: str = "mae") -> bool:
    size = origins.fold_O.size
    best_SO, rng = np.full((3, size), 1.0), np.random.default_rng(0)
    return keep(np.full(size, loss), best_SO, seed_sd, origins, metric=metric, rng=rng)


def test_nothing_is_pruned_on_fewer_than_eight_origins() -> None:
    fold_O = np.zeros(FEWEST_ORIGINS, dtype=int)
    enough = Origins(fold_O=fold_O, series_O=fold_O, horizon=1)
    few = Origins(fold_O=fold_O[1:], series_O=fold_O[1:], horizon=1)

    assert not kept(9.0, origins=enough)
    assert kept(9.0, origins=few)


def test_nothing_is_pruned_before_the_spread_of_seeds_is_known() -> None:
    assert kept(9.0, origins=origins_of(), seed_sd=seed_spread([], "mae"))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_losses_that_are_not_finite_are_not_kept(bad: float) -> None:
    assert not kept(bad, origins=origins_of())


def test_rmse_is_compared_after_the_root() -> None:
    """Three times 0.5 * sqrt(4/3) is 1.73: a squared error of 6.25 is behind by 1.5, of 9 by 2."""
    assert kept(6.25, origins=origins_of(), seed_sd=0.5, metric="rmse")
    assert not kept(9.0, origins=origins_of(), seed_sd=0.5, metric="rmse")


def test_a_trial_with_an_infinite_loss_tells_nothing_of_the_spread() -> None:
    rng = np.random.default_rng(0)
    complete = [1 + 0.1 * rng.standard_normal((3, 1)) + np.zeros(20) for _ in range(6)]
    broken = np.full((3, 20), np.inf)

    assert seed_spread([*complete, broken], "mae") == seed_spread(complete, "mae")
    assert seed_spread([broken] * 9, "mae") == np.inf


def test_the_spread_of_seeds_is_found_from_many_trials() -> None:
    rng = np.random.default_rng(0)
    trials = [t + 0.1 * rng.standard_normal((3, 1)) + np.zeros(20) for t in range(1, 200)]

    assert seed_spread(trials, "mae") == pytest.approx(0.1, rel=0.1)
