"""Where a search stands: the phases it has gone through, and the alpha in force after them.

A phase ends with the climb of the ladder, or for other samplers with every so many trials; then
the best network inside the bound is looked at, and alpha is raised, lowered or kept. All of it
follows from the trials that have ended. Shapes: S seeds, O origins, F folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from optuna.trial import FrozenTrial

from hpo.data.prepare import Prepared
from hpo.fitting.material import window_count
from hpo.search.known import Known, KnownTrials
from hpo.search.objective import origins_of
from hpo.search.rungs import climb_on, ladder_of, rung_of
from hpo.search.space import to_candidate
from hpo.sizing.bound import Limit, capacity, fits, parameters
from hpo.sizing.gap import Gap, Phase, gap_of, move
from hpo.sizing.growth import growth, pooled_noise
from hpo.sizing.ladder import Climb
from hpo.sizing.metric import score
from hpo.sizing.resampling import bootstrap_means

PHASE_TRIALS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Standing:
    """The study at the alpha in force, the climb of its ladder (if it has one), and its phases."""

    prepared: Prepared
    climb: Climb | None
    path: tuple[Phase, ...]


def standing(
    prepared: Prepared,
    ended: Sequence[FrozenTrial],
    known: KnownTrials,
    *,
    is_over: bool = False,
) -> Standing:
    """Where the search stands after these trials, of which the complete ones are `known`.

    `is_over`: no trial will follow, a phase that has begun ends with it.
    """
    on_ladder = prepared.study.search.sampler == "ladder"
    path: list[Phase] = []
    while True:
        climb = climb_on(prepared, ended, known) if on_ladder else None
        seen = _phase(ended, climb, path, prepared.limit.alpha, is_over=is_over)
        inside = [
            trial
            for trial in seen
            if trial.number in known and fits(_cells(prepared, trial), prepared.limit)
        ]
        if prepared.limit.rule == "off":
            break
        if not inside:
            if is_over and path:  # nothing was tried after the last move
                prepared = at_alpha(prepared, path[-1].alpha)
            break
        phase, alpha = _end_of_phase(prepared, inside, known, climb)
        path.append(phase)
        if alpha is not None and alpha not in [before.alpha for before in path]:
            prepared = at_alpha(prepared, alpha)
        elif climb is not None:
            break
    return Standing(prepared=prepared, climb=climb, path=tuple(path))


def at_alpha(prepared: Prepared, alpha: float) -> Prepared:
    """The study with the bound of another alpha."""
    return replace(prepared, limit=replace(prepared.limit, alpha=alpha))


def gap_of_trial(prepared: Prepared, trial: FrozenTrial, known: Known) -> Gap | None:
    """The gap of a complete trial's networks."""
    study, limit = prepared.study, prepared.limit
    candidate = to_candidate(trial.params, study, prepared.lookbacks)
    windows = [
        window_count(prepared, fold, candidate.lookback, watched=True) for fold in prepared.folds
    ]
    origins = origins_of(prepared.folds, study.task.horizon)
    rng = np.random.default_rng(study.search.seed)
    mean_O = known.losses_SO.mean(axis=0)
    return gap_of(
        known.train_SF,
        known.valid_SF,
        weights=parameters(candidate.cells, limit.inputs, limit.outputs),
        residuals_F=limit.outputs * np.array(windows),
        is_squared=study.task.metric == "rmse",
        relative_se=float(bootstrap_means(origins, [mean_O], rng=rng).std() / mean_O.mean()),
    )


def _phase(
    ended: Sequence[FrozenTrial],
    climb: Climb | None,
    path: Sequence[Phase],
    alpha: float,
    *,
    is_over: bool,
) -> list[FrozenTrial]:
    """The trials up to the end of the phase after this path; none while it has not ended."""
    if climb is not None:
        return list(ended) if climb.has_ended or is_over else []
    begin, end = PHASE_TRIALS * len(path), PHASE_TRIALS * (len(path) + 1)
    numbers = {trial.number for trial in ended}
    is_full = set(range(end)) <= numbers
    has_begun = max(numbers, default=-1) >= begin
    has_moved = bool(path) and path[-1].alpha != alpha
    if not (is_full or (is_over and (has_begun or has_moved))):
        return []
    return [trial for trial in ended if trial.number < end]


def _end_of_phase(
    prepared: Prepared, inside: Sequence[FrozenTrial], known: KnownTrials, climb: Climb | None
) -> tuple[Phase, float | None]:
    """The best of the trials inside the bound, and the alpha that its gap asks for."""
    study, limit = prepared.study, prepared.limit
    best = _best(prepared, inside, known, climb)
    cells, gap = _cells(prepared, best), gap_of_trial(prepared, best, known[best.number])
    moved = move(
        limit.alpha,
        gap,
        smaller_is_worse=_smaller_is_worse(prepared, best, inside, known),
        at_the_bound=_is_at_the_bound(prepared, cells, climb),
        least=study.bound.alpha_min,
        most=study.bound.alpha_max,
        leaves_a_network=lambda alpha: fits(
            (study.space.cells[0],) * study.space.layers[0], replace(limit, alpha=alpha)
        ),
    )
    phase = Phase(
        alpha=limit.alpha,
        bound=capacity(limit),
        cells=cells,
        score=float(score(known[best.number].losses_SO.mean(), study.task.metric)),
        gap=gap,
        reason=moved.reason,
    )
    return phase, moved.alpha


def _best(
    prepared: Prepared, inside: Sequence[FrozenTrial], known: KnownTrials, climb: Climb | None
) -> FrozenTrial:
    """The top of the ladder, or without one the trial with the lowest mean loss."""
    if climb is not None:
        on_top = [trial for trial in inside if rung_of(trial.params, prepared) == climb.top]
        if on_top:
            return on_top[0]
    return min(inside, key=lambda trial: float(known[trial.number].losses_SO.mean()))


def _smaller_is_worse(
    prepared: Prepared, best: FrozenTrial, inside: Sequence[FrozenTrial], known: KnownTrials
) -> bool:
    """Whether the best pays over every smaller network that was tried; also where none was."""
    limit, task = prepared.limit, prepared.study.task

    def weights(trial: FrozenTrial) -> int:
        return parameters(_cells(prepared, trial), limit.inputs, limit.outputs)

    smaller = [trial for trial in inside if weights(trial) < weights(best)]
    if not smaller:
        return True
    rival = min(smaller, key=lambda trial: float(known[trial.number].losses_SO.mean()))
    return growth(
        known[rival.number].losses_SO,
        known[best.number].losses_SO,
        origins_of(prepared.folds, task.horizon),
        metric=task.metric,
        tolerance=0.0,
        rng=np.random.default_rng(prepared.study.search.seed),
        noise=pooled_noise([shown.losses_SO for shown in known.values()], task.metric),
    ).pays


def at_the_bound(cells: tuple[int, ...], limit: Limit) -> bool:
    """Whether a network a tenth larger in every layer is outside the bound.

    >>> formula = Limit(rule="formula", samples=48, inputs=1, outputs=1, alpha=2)  # 12 cells
    >>> at_the_bound((12,), formula), at_the_bound((6,), formula)
    (True, False)
    """
    return not fits(tuple(c + max(1, c // 10) for c in cells), limit)


def _is_at_the_bound(prepared: Prepared, cells: tuple[int, ...], climb: Climb | None) -> bool:
    if climb is None or len(set(cells)) > 1:
        return at_the_bound(cells, prepared.limit)
    wider = ladder_of(prepared).widths(cells[0])
    return bool(wider) and not fits((wider[0],) * len(cells), prepared.limit)


def _cells(prepared: Prepared, trial: FrozenTrial) -> tuple[int, ...]:
    return to_candidate(trial.params, prepared.study, prepared.lookbacks).cells
