"""The ladder of a study: its rungs as parameters of trials, climbed as far as trials have ended."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.search.known import Known, KnownTrials
from hpo.search.objective import origins_of
from hpo.search.space import Params, distributions, to_candidate, tuned_names, values_of
from hpo.sizing.bound import fits
from hpo.sizing.growth import Growth, SeedNoise, growth, pooled_noise
from hpo.sizing.ladder import Climb, Ladder, Look, Rung, Trials, climb
from hpo.spec.study import Study

RATE_STEP = math.sqrt(10)
_INFINITE = np.full((1, 1), np.inf)
NOT_WORTH_IT = Known(losses_SO=_INFINITE, train_SF=_INFINITE, valid_SF=_INFINITE)
"""What a rung has shown that could not be trained, or was pruned."""


def tuned_values(prepared: Prepared) -> dict[str, list[Any]]:
    """The values of every tuned parameter that the ladder tries, the learning rate first.

    Rates of learning stand half a decade apart, of what else is searched three values are tried,
    and every lookback.
    """
    limits = distributions(prepared)
    found = {name: values_of(limits[name]) for name in tuned_names(limits)}
    rate = limits["learning_rate"]
    assert isinstance(rate, FloatDistribution)
    steps = round(math.log(rate.high / rate.low) / math.log(RATE_STEP))
    spaced = np.geomspace(rate.low, rate.high, num=max(steps, 1) + 1)
    rates = [min(max(float(v), rate.low), rate.high) for v in spaced]
    return found | {"learning_rate": list(dict.fromkeys(rates))}


def ladder_of(prepared: Prepared) -> Ladder:
    """The ladder within the study's space and bound, begun in the middle of what is tuned."""
    space, values = prepared.study.space, tuned_values(prepared)
    starts = {name: len(of_name) // 2 for name, of_name in values.items()}
    if "lookback" in values:
        starts["lookback"] = len(values["lookback"]) - 1
    return Ladder(
        settings=tuple(len(of_name) for of_name in values.values()),
        start=tuple(starts.values()),
        layers=space.layers,
        fewest=space.cells[0],
        most=space.cells[1],
        fits=partial(fits, limit=prepared.limit),
    )


def params_of(rung: Rung, prepared: Prepared) -> Params:
    """A trial's parameters for a rung; the cells of layers that it has not are the fewest."""
    space = prepared.study.space
    cells = [*rung.cells, *[space.cells[0]] * (space.layers[1] - len(rung.cells))]
    tuned = {
        name: of_name[place]
        for (name, of_name), place in zip(tuned_values(prepared).items(), rung.setting, strict=True)
    }
    return (
        {"layers": len(rung.cells)}
        | {f"cells_{n}": c for n, c in enumerate(cells, start=1)}
        | tuned
    )


def rung_of(params: Mapping[str, Any], prepared: Prepared) -> Rung | None:
    """The rung that a trial stands on; None where its values are not those of a ladder."""
    setting = []
    for name, of_name in tuned_values(prepared).items():
        value = params.get(name, math.nan)  # a trial of another tool's may have none
        places = [p for p, v in enumerate(of_name) if math.isclose(v, value, rel_tol=1e-9)]
        if not places:
            return None
        setting.append(places[0])
    cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
    return Rung(cells, tuple(setting))


def climb_on(prepared: Prepared, ended: Sequence[FrozenTrial], known: KnownTrials) -> Climb:
    """The climb on the trials that have ended; the others than the `known` were not worth it."""
    numbers: dict[Rung, int] = {}
    for trial in ended:
        if (rung := rung_of(trial.params, prepared)) is not None:
            numbers.setdefault(rung, trial.number)
    shown = {rung: known.get(number, NOT_WORTH_IT) for rung, number in numbers.items()}

    def compare(over: Rung, rung: Rung, seen: Sequence[Rung]) -> Look:
        noise = pooled_noise([shown[r].losses_SO for r in seen], prepared.study.task.metric)
        found = _growth(shown[over], shown[rung], noise, prepared.folds, prepared.study)
        return Look(over=over, rung=rung, gain=found.gain, se=found.se, pays=found.pays)

    scores = {rung: float(of_rung.losses_SO.mean()) for rung, of_rung in shown.items()}
    return climb(ladder_of(prepared), Trials(scores=scores, compare=compare))


@lru_cache(maxsize=1_000)  # every further rung is suggested by the whole climb up to it
def _growth(
    small: Known, large: Known, noise: SeedNoise, folds: tuple[Fold, ...], study: Study
) -> Growth:
    return growth(
        small.losses_SO,
        large.losses_SO,
        origins_of(folds, study.task.horizon),
        metric=study.task.metric,
        tolerance=study.verdict.tolerance,
        rng=np.random.default_rng(study.search.seed),
        noise=noise,
    )
