"""Which network next: Optuna's samplers, asked on an in-memory copy of what is known.

A suggestion is a function of the study, the trial's number, the trials it has seen and those that
were suggested just before it: asked again with the same, it says the same.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from hpo.data.prepare import Prepared
from hpo.search.rungs import params_of, rung_of
from hpo.search.space import (
    Params,
    distributions,
    first_guesses,
    into_bound,
    tuned_names,
    values_of,
)
from hpo.sizing.bound import largest_equal_cells
from hpo.sizing.ladder import Climb, Rung

GRID_WIDTHS = 8
STARTUP_TRIALS = 10


class SearchEnded(Exception):
    """The ladder has been climbed: no further trial is worth its time."""


def suggest_together(
    prepared: Prepared,
    history: Sequence[FrozenTrial],
    numbers: Sequence[int],
    *,
    climb: Climb | None = None,
    running: Sequence[FrozenTrial] = (),
) -> list[Params]:
    """Parameters of trials that run at one time, inside the bound, given those of `history`.

    The first trials of a study are one layer with 2 and with 3 cells; then its sampler speaks. TPE
    keeps a trial away from those suggested before it: it takes them for bad ones while they run.
    With a `climb` come first the rungs that the ladder wants, and those that it may want then, but
    for what other workers have `running`. Raises SearchEnded where a climb has ended.
    """
    if climb is not None and climb.has_ended:
        raise SearchEnded
    rungs = wanted_rungs(prepared, climb, running, ahead=True)[: len(numbers)] if climb else []
    climbed = [into_bound(params_of(rung, prepared), prepared) for rung in rungs]
    return climbed + _sampled(prepared, history, numbers[len(climbed) :])


def wanted_rungs(
    prepared: Prepared, climb: Climb, running: Sequence[FrozenTrial], *, ahead: bool
) -> list[Rung]:
    """What the ladder wants to know next, and, with `ahead`, what it may want then.

    Without what is running.
    """
    taken = [rung_of(trial.params, prepared) for trial in running]
    rungs = (*climb.wanted, *climb.ahead) if ahead else climb.wanted
    return [rung for rung in rungs if rung not in taken]


def _sampled(
    prepared: Prepared, history: Sequence[FrozenTrial], numbers: Sequence[int]
) -> list[Params]:
    guesses, limits = first_guesses(prepared), distributions(prepared)
    known = _in_memory(prepared, history)
    found = []
    for number in numbers:
        if number < len(guesses):
            found.append(guesses[number])
        elif prepared.study.search.sampler == "grid":
            found.append(_grid_point(prepared, limits, number - len(guesses)))
        else:
            known.sampler = _sampler(prepared, number)
            found.append(known.ask(limits).params)
    return [into_bound(params, prepared) for params in found]


def _in_memory(prepared: Prepared, history: Sequence[FrozenTrial]) -> optuna.Study:
    known = optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        pruner=optuna.pruners.NopPruner(),
        direction="minimize",
    )
    seen = _finite(history) if prepared.study.search.sampler == "gp" else history
    known.add_trials(_without_user_attrs(trial) for trial in seen)
    return known


def _without_user_attrs(trial: FrozenTrial) -> FrozenTrial:
    """A copy with what samplers look at; it is copied deeply, and the rest takes the longest."""
    bare = copy.copy(trial)
    bare.user_attrs = {}
    return bare


def _finite(history: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Infeasible trials as bad as the worst feasible one, without their constraint.

    GPSampler refuses a history in which some trials have a constraint and some have none.
    """
    values = [t.value for t in history if t.state == TrialState.COMPLETE and t.value is not None]
    worst = max((v for v in values if math.isfinite(v)), default=0.0)
    found = []
    for trial in history:
        if trial.state == TrialState.COMPLETE and trial.value == math.inf:
            trial = copy.copy(trial)
            trial.value, trial.system_attrs = worst, {}
        found.append(trial)
    return found


def _sampler(prepared: Prepared, number: int) -> BaseSampler:
    search = prepared.study.search
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    match search.sampler:
        case "gp":
            return GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        case "random":
            return RandomSampler(seed=seed)
        case _:
            return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)


def _grid_point(prepared: Prepared, limits: dict[str, BaseDistribution], place: int) -> Params:
    """The grid's point `place`; a budget larger than the grid goes through it again.

    Layers x 8 equal widths in log steps up to what the bound leaves each of them x 3 values of
    each rate (the middle first) x every lookback: the sizes run fastest, so that a short budget
    sees every size at sensible rates.
    """
    rates = [_middle_first(values_of(limits[name])) for name in tuned_names(limits)]
    points = list(product(product(*rates), _grid_sizes(prepared, limits)))
    values, (count, width) = points[place % len(points)]
    return (
        {name: width for name in limits if name.startswith("cells_")}
        | {"layers": count}
        | dict(zip(tuned_names(limits), values, strict=True))
    )


def _grid_sizes(prepared: Prepared, limits: dict[str, BaseDistribution]) -> list[tuple[int, int]]:
    """(layers, cells in each of them), every one inside the first bound and different."""
    low, high = prepared.study.space.cells
    counts = values_of(limits["layers"])
    at_first = replace(prepared.limit, alpha=prepared.study.bound.alpha)
    most = {count: largest_equal_cells(count, at_first) for count in counts}
    return [
        (count, width)
        for count, largest in most.items()
        if largest is not None
        for width in _log_steps(low, min(largest, high))
    ]


def _middle_first(values: list[Any]) -> list[Any]:
    middle = len(values) // 2
    return [values[middle], *values[:middle], *values[middle + 1 :]]


def _log_steps(low: int, high: int) -> list[int]:
    return sorted({round(float(c)) for c in np.geomspace(low, max(high, low), num=GRID_WIDTHS)})
