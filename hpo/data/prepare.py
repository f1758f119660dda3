"""A study meets its panel: lookback, strategy, folds, transform and bound are settled."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from hpo.data.folds import Fold, fewest_training_rows, make_folds, reference_rows, rows_ahead, spans
from hpo.data.panel import Panel
from hpo.data.transform import Transform, choose, fit
from hpo.data.windows import count_windows
from hpo.errors import SpecError
from hpo.sizing.bound import Limit, fits, largest_equal_cells
from hpo.spec.study import Study
from hpo.spec.words import counted

Ints = npt.NDArray[np.int64]
Strategy = Literal["direct", "recursive"]

FEWEST_DIRECT_CELLS = 8  # the bound must leave as many in one layer, else recursive
SEASONS_IN_LOOKBACK = 1.25  # Hewamalage, Bergmeir and Bandara 2021
SHORTEST_LOOKBACK = 12  # where there is a season
LOOKBACK_WITHOUT_SEASON = 24
FEWEST_STEPS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """All that trials of one study share; made from training parts only.

    lookbacks: ascending, more than one are searched. transforms: of each fold, fitted on its own
    training part, and lastly of the test span; all are made of the same transform_steps.
    scaled: float32, (R, F), the panel as each of them makes it. limit: the alpha rule, with the
    study's samples, inputs and outputs. test: the test span.
    """

    study: Study
    panel: Panel
    season: int
    lookbacks: tuple[int, ...]
    strategy: Strategy
    transform_steps: str
    transforms: tuple[Transform, ...]
    scaled: tuple[npt.NDArray[np.float32], ...]
    folds: tuple[Fold, ...]
    test: Fold
    limit: Limit
    warnings: tuple[str, ...]

    def transform_of(self, fold: Fold) -> Transform:
        """The transform that was fitted on the fold's training part."""
        return self.transforms[fold.number]

    def scaled_of(self, fold: Fold) -> npt.NDArray[np.float32]:
        """The panel (float32, R x F) as the fold's networks see it, not yet anchored."""
        return self.scaled[fold.number]


def prepare(study: Study, panel: Panel) -> Prepared:
    """Settle everything that the study leaves open, on this panel.

    Raises DataError for too few rows or a transform the values do not allow, SpecError for a bound
    that leaves no network.
    """
    task = study.task
    lookbacks = choose_lookbacks(study, panel)
    folds, test, said = make_folds(
        panel,
        horizon=task.horizon,
        test=study.data.test,
        folds=study.validation.folds,
        metric=task.metric,
        lookback=lookbacks[-1],
    )
    strategy, limit, why = _choose_strategy(study, panel, test, lookbacks[-1])
    parts = (*folds, test)
    steps = choose(panel, _first_training_ends(panel, parts), task.transform)
    transforms = tuple(fit(panel, part.train_ends_S, steps) for part in parts)
    return Prepared(
        study=study,
        panel=panel,
        season=panel.season,
        lookbacks=lookbacks,
        strategy=strategy,
        transform_steps=steps,
        transforms=transforms,
        scaled=tuple(transform.apply(panel) for transform in transforms),
        folds=folds,
        test=test,
        limit=limit,
        warnings=(*panel.warnings, *said, *why),
    )


def with_all_rows(prepared: Prepared) -> tuple[Prepared, Fold]:
    """The same with one fold more, and that fold: its training part is all rows of all series.

    What was settled (lookbacks, strategy, steps of the transform) stays; the transform is fitted on
    all rows. The fold has no origins: nothing is left to score it. Its number follows the test's.
    """
    panel, nothing = prepared.panel, np.empty(0, dtype=np.int64)
    whole = Fold(
        number=prepared.test.number + 1,
        train_ends_S=panel.starts_S[1:],
        origins_O=nothing,
        series_O=nothing,
        scale_O=np.empty(0),
    )
    transform = fit(panel, whole.train_ends_S, prepared.transform_steps)
    transforms = (*prepared.transforms, transform)
    scaled = (*prepared.scaled, transform.apply(panel))
    return replace(prepared, transforms=transforms, scaled=scaled), whole


def truth(prepared: Prepared, fold: Fold) -> npt.NDArray[np.float64]:
    """What was to be forecast from each origin (float64, O x H), on the data's own scale.

    All of it was in the data: a fold has no origin with a target that was filled.
    """
    rows_OH = rows_ahead(fold.origins_O, prepared.study.task.horizon)
    truth_OH: npt.NDArray[np.float64] = prepared.panel.values_RF[rows_OH, 0]
    return truth_OH


def choose_lookbacks(study: Study, panel: Panel) -> tuple[int, ...]:
    """The study's lookbacks, ascending; for 0 one by the rule.

    With a season 1.25 times the longer of season and horizon, at least 12 steps; without one the
    longer of 24 steps and 1.25 horizons. On short data less: lookback and horizon take at most
    half of the first training part of the median series, and leave the folds what they need;
    never below 4 steps.
    """
    given, horizon = study.task.lookback, study.task.horizon
    if given:
        return given if isinstance(given, tuple) else (given,)
    if panel.season > 1:
        wish = max(SHORTEST_LOOKBACK, ceil(SEASONS_IN_LOOKBACK * max(panel.season, horizon)))
    else:
        wish = max(LOOKBACK_WITHOUT_SEASON, ceil(SEASONS_IN_LOOKBACK * horizon))
    rows = reference_rows(panel)
    at = spans(rows, horizon=horizon, test=study.data.test, folds=study.validation.folds)
    training = rows - at.test - at.scored
    most = training // 2 - horizon + 1
    possible = training - fewest_training_rows(lookback=0, horizon=horizon)
    return (max(FEWEST_STEPS, min(wish, most, possible)),)


def count_samples(panel: Panel, ends_S: Ints, *, lookback: int, outputs: int) -> int:
    """N_s: windows with their targets in the rows before ends_S, of all series together."""
    rows_S = ends_S - panel.starts_S[:-1]
    return int(count_windows(rows_S, lookback=lookback, horizon=outputs).sum())


def _choose_strategy(
    study: Study, panel: Panel, test: Fold, lookback: int
) -> tuple[Strategy, Limit, list[str]]:
    """The strategy with its limit; for "auto" direct where 8 cells are left, else recursive."""

    def limit(outputs: int) -> Limit:
        samples = count_samples(panel, test.train_ends_S, lookback=lookback, outputs=outputs)
        return Limit(
            rule=study.bound.rule,
            samples=samples,
            inputs=panel.values_RF.shape[1],
            outputs=outputs,
            alpha=study.bound.alpha,
        )

    horizon, asked = study.task.horizon, study.task.strategy
    direct, recursive = limit(horizon), limit(1)
    left = largest_equal_cells(1, direct) or 0
    if asked == "direct" or (asked == "auto" and (horizon == 1 or left >= FEWEST_DIRECT_CELLS)):
        return "direct", _refuse_no_network(study, direct), []
    why = (
        f"the strategy is recursive: a direct head of {horizon} steps leaves "
        f"{left} cells in one layer on {direct.samples:,} samples at alpha {direct.alpha:g}, "
        f"fewer than {FEWEST_DIRECT_CELLS}; a recursive one leaves "
        f"{largest_equal_cells(1, recursive) or 0} on {recursive.samples:,}"
    )
    return "recursive", _refuse_no_network(study, recursive), [why] if asked == "auto" else []


def _refuse_no_network(study: Study, limit: Limit) -> Limit:
    layers, fewest = study.space.layers[0], study.space.cells[0]
    if fits((fewest,) * layers, limit):
        return limit
    left = largest_equal_cells(layers, limit) or 0
    recursive = "task.strategy=recursive, " if limit.outputs > 1 else ""
    other_rules = "off" if limit.rule == "formula" else "formula or off"
    raise SpecError(
        f"the bound leaves no network: at most {counted(left, 'cell')} in each of "
        f"{counted(layers, 'layer')} where space.cells begins at {fewest} "
        f"(bound.rule={limit.rule}, bound.alpha={limit.alpha:g}, "
        f"{counted(limit.samples, 'sample')}, {counted(limit.inputs, 'input')}, "
        f"{counted(limit.outputs, 'output')})",
        remedy=f"give more rows, a smaller task.horizon or task.lookback, {recursive}"
        f"a lower bound.alpha, bound.rule={other_rules}, or fewer space.layers or space.cells",
    )


def _first_training_ends(panel: Panel, parts: tuple[Fold, ...]) -> Ints:
    """Where each series' training part ends in the first fold that it takes part in."""
    ends_S = panel.starts_S[:-1].copy()
    for fold in reversed(parts):
        ends_S = np.where(fold.train_ends_S > panel.starts_S[:-1], fold.train_ends_S, ends_S)
    return ends_S
