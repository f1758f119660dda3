"""Whatever the losses, pruning is fair: better is never worse, and units do not matter."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpo.search.pruning import keep
from hpo.sizing.resampling import Floats, Origins

FOLD_O = np.repeat(np.arange(3), 6)
ORIGINS = Origins(fold_O=FOLD_O, series_O=0 * FOLD_O, horizon=2)
seeds = st.integers(0, 2**32 - 1)
spreads = st.floats(0.01, 1.0)
metrics = st.sampled_from(["mase", "rmse", "mae", "smape"])


def losses(seed: int) -> tuple[Floats, Floats]:
    """A trial's losses_O and the best trial's losses_SO."""
    rng = np.random.default_rng(seed)
    return rng.gamma(2.0, rng.uniform(0.2, 3.0), 18), rng.gamma(2.0, 1.0, (3, 18))


def kept(trial_O: Floats, best_SO: Floats, seed_sd: float, metric: str) -> bool:
    rng = np.random.default_rng(0)
    return keep(trial_O, best_SO, seed_sd, ORIGINS, metric=metric, rng=rng)


@given(seed=seeds, seed_sd=spreads, metric=metrics)
def test_a_trial_that_is_no_worse_on_average_is_kept(
    seed: int, seed_sd: float, metric: str
) -> None:
    trial_O, best_SO = losses(seed)
    as_good_O = trial_O * min(1.0, best_SO.mean() / trial_O.mean())

    assert kept(as_good_O, best_SO, seed_sd, metric)


@given(seed=seeds, seed_sd=spreads, better=st.floats(0.0, 5.0))
def test_a_trial_that_is_better_everywhere_is_kept_if_the_worse_one_is(
    seed: int, seed_sd: float, better: float
) -> None:
    trial_O, best_SO = losses(seed)

    if kept(trial_O, best_SO, seed_sd, "mae"):
        assert kept(trial_O - better, best_SO, seed_sd, "mae")


@given(seed=seeds, seed_sd=spreads, exponent=st.integers(-20, 20))
def test_the_units_of_the_target_do_not_matter(seed: int, seed_sd: float, exponent: int) -> None:
    trial_O, best_SO = losses(seed)
    unit = 2.0**exponent
    plain, squared = (kept(trial_O, best_SO, seed_sd, metric) for metric in ("mae", "rmse"))

    assert kept(trial_O * unit, best_SO * unit, seed_sd * unit, "mae") == plain
    assert kept(trial_O * unit**2, best_SO * unit**2, seed_sd * unit, "rmse") == squared


@given(seed=seeds, metric=metrics)
def test_more_spread_between_seeds_never_prunes_more(seed: int, metric: str) -> None:
    trial_O, best_SO = losses(seed)
    decisions = [kept(trial_O, best_SO, seed_sd, metric) for seed_sd in (0.01, 0.1, 1.0, 10.0)]

    assert decisions == sorted(decisions)
