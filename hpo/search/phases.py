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
from hpo.search.rungs import climb_on, rung_of
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

    `is_over`: no trial will follow. A phase that has begun ends with it, and alpha moves no more.
    """
    on_ladder = prepared.study.search.sampler == "ladder"
    climb = climb_on(prepared, ended, known) if on_ladder else None
    path: list[Phase] = []
    asked: float | None = None
    while prepared.limit.rule != "off":
        seen, is_whole = _phase(prepared, ended, climb, len(path))
        inside = [
            t for t in seen if t.number in known and fits(_cells(prepared, t), prepared.limit)
        ]
        if not inside or not (is_whole or is_over):
            break
        phase, asked = _end_of_phase(prepared, inside, known, climb, [p.alpha for p in path])
        path.append(phase)
        if not is_whole or (asked is None and on_ladder):
            break
        if asked is not None:
            prepared = at_alpha(prepared, asked)
            climb = climb_on(prepared, ended, known) if on_ladder else None
    if is_over and path and asked is not None:
        prepared = at_alpha(prepared, path[-1].alpha)
        climb = climb_on(prepared, ended, known) if on_ladder else None
        path[-1] = replace(path[-1], reason=f"{path[-1].reason}, but the search has ended")
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
    prepared: Prepared, ended: Sequence[FrozenTrial], climb: Climb | None, phases: int
) -> tuple[list[FrozenTrial], bool]:
    """The trials of the phase that follows so many, and whether it has ended; none before it began.

    Only those that it rests on, whatever came later: what was decided by it then stays decided.
    """
    if climb is not None:
        seen = [t for t in ended if rung_of(t.params, prepared) in climb.seen]
        return (seen if climb.has_ended or phases == 0 else []), climb.has_ended
    begin, end = PHASE_TRIALS * phases, PHASE_TRIALS * (phases + 1)
    numbers = {trial.number for trial in ended}
    has_begun = max(numbers, default=-1) >= begin
    seen = [trial for trial in ended if trial.number < end]
    return (seen if has_begun else []), set(range(end)) <= numbers


def _end_of_phase(
    prepared: Prepared,
    inside: Sequence[FrozenTrial],
    known: KnownTrials,
    climb: Climb | None,
    tried: Sequence[float],
) -> tuple[Phase, float | None]:
    """The best of the trials inside the bound, and the alpha that its gap asks for."""
    study, limit = prepared.study, prepared.limit
    best = _best(prepared, inside, known, climb)
    cells, gap = _cells(prepared, best), gap_of_trial(prepared, best, known[best.number])
    moved = move(
        limit.alpha,
        gap,
        smaller_is_worse=lambda: _smaller_is_worse(prepared, best, inside, known),
        at_the_bound=at_the_bound(cells, limit),
        tried=tried,
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
        noise=pooled_noise([known[trial.number].losses_SO for trial in inside], task.metric),
    ).pays


def at_the_bound(cells: tuple[int, ...], limit: Limit) -> bool:
    """Whether a network a tenth larger in every layer is outside the bound.

    >>> formula = Limit(rule="formula", samples=48, inputs=1, outputs=1, alpha=2)  # 12 cells
    >>> at_the_bound((12,), formula), at_the_bound((6,), formula)
    (True, False)
    """
    return not fits(tuple(c + max(1, c // 10) for c in cells), limit)


def _cells(prepared: Prepared, trial: FrozenTrial) -> tuple[int, ...]:
    return to_candidate(trial.params, prepared.study, prepared.lookbacks).cells
