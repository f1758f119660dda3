"""How much learning rate, cells and layers had to do with which trials were the best."""

import math
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, create_trial

from hpo.spec.candidate import Candidate

NAMES = ("learning_rate", "cells", "layers")
FEWEST_TRIALS = 10
TOP_SHARE, FEWEST_TOP = 0.1, 5

Values = dict[str, float | int]


def importance(complete: Sequence[tuple[Candidate, float]]) -> dict[str, float] | None:
    """Shares, which add up to 1, by PED-ANOVA (Watanabe, Bansal and Hutter 2023) of Optuna.

    `complete`: the networks of all complete trials with their finite scores, lower is better.
    `cells` are those of all layers together: the sizes that a trial does not have (Optuna's cells_2
    of a trial of one layer) say nothing. What never varied has importance 0. Asked is what sets the
    best tenth of the trials apart, or the best 5 where these are more, on the sizes and rates that
    were tried. None for fewer than 10 trials, where nothing varied, or where ties leave no trial
    that is not among the best.
    """
    share = max(TOP_SHARE, FEWEST_TOP / max(len(complete), 1))
    if len(complete) < FEWEST_TRIALS or _all_are_best([s for _, s in complete], share):
        return None
    rows = [_values(candidate) for candidate, _ in complete]
    ranges = {name: _range([row[name] for row in rows]) for name in NAMES}
    varied = [name for name in NAMES if not ranges[name].single()]
    if not varied:
        return None
    study = optuna.create_study()
    study.add_trials(
        [_trial(row, ranges, score) for row, (_, score) in zip(rows, complete, strict=True)]
    )
    evaluator = PedAnovaImportanceEvaluator(target_quantile=share)
    found = get_param_importances(study, evaluator=evaluator, params=varied)
    return {name: round(float(found.get(name, 0.0)), 6) for name in NAMES}


def in_words(shares: dict[str, float]) -> str:
    """One sentence, the most important first.

    >>> in_words({"learning_rate": 0.7, "cells": 0.1, "layers": 0.2})
    'What set the best trials apart: learning rate 70 %, layers 20 %, cells 10 % (PED-ANOVA).'
    """
    order = sorted(shares, key=lambda name: -shares[name])
    parts = [f"{name.replace('_', ' ')} {100 * shares[name]:.0f} %" for name in order]
    return f"What set the best trials apart: {', '.join(parts)} (PED-ANOVA)."


def _all_are_best(scores: Sequence[float], share: float) -> bool:
    """Whether none is worse than the last of this share of them.

    >>> _all_are_best([1.0, 1.0, 1.0], 0.5), _all_are_best([1.0, 2.0, 3.0], 0.5)
    (True, False)
    """
    return max(scores) <= sorted(scores)[math.ceil(share * len(scores)) - 1]


def _values(candidate: Candidate) -> Values:
    return {
        "learning_rate": candidate.learning_rate,
        "cells": sum(candidate.cells),
        "layers": len(candidate.cells),
    }


def _range(values: Sequence[float | int]) -> BaseDistribution:
    low, high = min(values), max(values)
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=True)
    return FloatDistribution(low, high, log=True)


def _trial(row: Values, ranges: dict[str, BaseDistribution], score: float) -> FrozenTrial:
    return create_trial(params=dict(row), distributions=dict(ranges), value=score)
