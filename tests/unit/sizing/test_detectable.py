"""The smallest difference that a race would have seen, and what would make it smaller."""

import numpy as np
import pytest

from hpo.sizing.detectable import Detectable, detectable_difference
from hpo.sizing.race import run_race
from hpo.sizing.reasons import power
from tests.unit.sizing.races import FOLD_O, ORIGINS, entrants_of, losses_of_sizes, noise


def detectable(own_sd: float, network_sd: float, *, sizes: int = 3, seed: int = 0) -> Detectable:
    rng = np.random.default_rng(seed)
    base_O = np.full(FOLD_O.size, 2.0)
    losses = losses_of_sizes(rng, base_O, [0.0] * sizes, own_sd=own_sd, network_sd=network_sd)
    entrants = entrants_of(losses, [6] * sizes)
    race = run_race(entrants, ORIGINS, metric="mase", rng=np.random.default_rng(0))
    found = detectable_difference(race, 0)
    assert found is not None
    return found


def test_a_difference_of_that_size_is_seen_in_about_80_percent_of_races() -> None:
    """Seen: one network is worse than another by 1.645 standard errors. Simulated 600 times: 80 %.

    The standard error of each race is an estimate: here the share is of the average one.
    """
    difference = float(
        np.mean([detectable(0.1, 0.05, sizes=2, seed=s).difference for s in range(40)])
    )
    seen = []
    for seed in range(150):
        rng = np.random.default_rng(10_000 + seed)
        base_O = 2 + 0.5 * noise(rng, FOLD_O.size)
        behind = [difference, 0.0]
        losses = losses_of_sizes(rng, base_O, behind, own_sd=0.1, network_sd=0.05)
        race = run_race(
            entrants_of(losses, [6, 6]), ORIGINS, metric="mase", rng=np.random.default_rng(0)
        )
        seen.append(race.behind(1)[0] > 1.645 * race.ses_to(1)[0])

    assert 0.7 < np.mean(seen) < 0.9


def test_it_is_told_as_a_share_of_the_score_too() -> None:
    found = detectable(0.1, 0.0)

    assert found.share == pytest.approx(found.difference / 2, rel=0.05)


@pytest.mark.parametrize(
    ("own_sd", "network_sd", "by_seeds"), [(0.3, 0.0, False), (0.0, 0.3, True)]
)
def test_its_larger_part_is_named(own_sd: float, network_sd: float, by_seeds: bool) -> None:
    assert detectable(own_sd, network_sd).by_seeds is by_seeds


def test_a_lone_finalist_has_none() -> None:
    losses_SO = np.ones((3, FOLD_O.size))
    race = run_race(
        entrants_of([losses_SO], [3]), ORIGINS, metric="mase", rng=np.random.default_rng(0)
    )

    assert detectable_difference(race, 0) is None
    assert power(None, "mase") == ((), ())


@pytest.mark.parametrize(
    ("by_seeds", "cause", "cure"),
    [
        (True, "chance in the seeds adds most to it", "raise --seeds."),
        (
            False,
            "the choice of origins adds most to it",
            "more rows or a shorter --horizon lower it.",
        ),
    ],
)
def test_a_coarse_verdict_is_warned_of_with_what_would_sharpen_it(
    by_seeds: bool, cause: str, cure: str
) -> None:
    fine = Detectable(difference=0.02, share=0.05, by_seeds=by_seeds)
    coarse = Detectable(difference=0.08, share=0.2, by_seeds=by_seeds)

    assert power(fine, "mase")[1] == ()
    [warning] = power(coarse, "mase")[1]
    assert warning.startswith("A size that is better by less than 20.0 % of the score may have")
    assert warning.endswith(f"{cause}; {cure}")
