"""The end of a study: the race of the finalists becomes the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.prepare import Prepared
from hpo.errors import StudyFailed
from hpo.search.importance import importance
from hpo.search.importance import in_words as importance_in_words
from hpo.search.objective import Train
from hpo.search.phases import at_the_bound
from hpo.service import results, studies
from hpo.service.advice import about_weights, advice, engines_that_differ
from hpo.service.course import Course
from hpo.service.database import Database, without_password
from hpo.service.final_race import FinalRace, Tested
from hpo.service.status import progress
from hpo.sizing.bound import (
    UNBOUNDED,
    degrees_of_freedom,
    largest_equal_cells,
    parameters,
)
from hpo.sizing.metric import finite_scores, score
from hpo.sizing.reasons import about_choice
from hpo.sizing.selection import Corrected
from hpo.sizing.target import Mark, marks
from hpo.sizing.target import in_words as marks_in_words
from hpo.sizing.verdict import Entrant, Judgement
from hpo.spec.answer import Answer, BoundInForce, TargetReached
from hpo.spec.study import Study

Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What the losses of all trials tell beside the verdict, and its sentences."""

    corrected: Corrected
    target: TargetReached | None
    importance: dict[str, float] | None
    reasons: tuple[str, ...]


def conclude(database: Database, name: str, prepared: Prepared, train: Train) -> Answer:
    """Race the finalists, judge them, test the recommended network once; the answer.

    `train` trains and keeps networks. Raises StudyFailed when no trial was completed, and what
    `train` does.
    """
    stored = studies.find(database, name)  # with the benchmarks' warnings, and what closed it
    race = FinalRace(database, stored, prepared, train)
    course = Course(race)
    entrants = race.entrants(course.end.prepared.limit)
    if not entrants:
        raise StudyFailed(_why_no_trial(database, stored))
    finalists = race.with_fresh_seeds([entrants[i] for i in race.finalists(entrants)])
    if not finalists:
        raise StudyFailed("no finalist could be trained with fresh seeds; lower learning rates")
    finalists = race.with_further_seeds(finalists)
    judgement = race.judge(finalists)
    tested = race.test(finalists[judgement.chosen])
    return _answer(race, course, entrants, finalists, judgement, tested)


def _why_no_trial(database: Database, stored: studies.Stored) -> str:
    counts = progress(database, stored.name).trials
    ended = f"before the {stored.closed_by} " if stored.closed_by else ""
    return (
        f"{studies.NO_TRIAL} {ended}({counts.pruned} pruned, {counts.infeasible} infeasible);"
        " allow more trials or time, or lower learning rates"
    )


def _answer(
    race: FinalRace,
    course: Course,
    entrants: list[Entrant],
    finalists: list[Entrant],
    judgement: Judgement,
    tested: Tested,
) -> Answer:
    chosen = finalists[judgement.chosen]
    database, stored = race.database, race.stored
    spec, prepared = race.spec, course.end.prepared
    limit, candidate = prepared.limit, race.candidate(chosen.trial)
    bound = _bound(prepared, chosen)
    counts = progress(database, stored.name)
    told = advice(prepared, chosen.cells, bound, counts.skipped, stored.closed_by)
    more = _findings(race, entrants, finalists, judgement)
    weights = parameters(chosen.cells, limit.inputs, limit.outputs)
    makers = results.made_by(database, stored.name)
    return Answer(
        study=stored.name,
        state="done",
        task=spec.task.model_dump(mode="json") | {"season": prepared.season},
        trial=chosen.trial,
        layers=len(chosen.cells),
        cells=chosen.cells,
        cells_tied=race.tied_range(entrants, finalists, judgement),
        layers_probability=judgement.layers_probability,
        learning_rate=candidate.learning_rate,
        weight_decay=candidate.weight_decay,
        dropout=candidate.dropout,
        lookback=candidate.lookback,
        horizon=spec.task.horizon,
        strategy=prepared.strategy,
        steps=tested.steps,
        transform=prepared.transform_steps,
        alpha=limit.alpha,
        bound=bound,
        weights=weights,
        degrees_of_freedom=degrees_of_freedom(limit.samples, limit.inputs, limit.outputs),
        alpha_path=course.alpha_path(),
        gap=course.gap(chosen.trial),
        ladder=course.ladder(),
        effective_parameters=tested.effective_parameters,
        metric=spec.task.metric,
        score=judgement.score,
        score_se=judgement.score_se,
        score_corrected=more.corrected.score,
        detectable_difference=judgement.detectable.difference if judgement.detectable else None,
        test_score=tested.score,
        test_se=tested.se,
        test_origins=len(prepared.test.origins_O),
        benchmarks=judgement.benchmark_scores,
        benchmarks_test=_test_scores(results.benchmarks_of(database, stored.name), spec),
        best_benchmark=judgement.best_benchmark,
        best_benchmark_corrected=more.corrected.benchmark,
        lstm_justified=judgement.lstm_justified,
        target_score=more.target,
        importance=more.importance,
        reasons=(
            *judgement.reasons,
            *course.reasons(counts.trials.ended, spec.budget.trials),
            *more.reasons,
            *about_weights(tested.effective_parameters, weights),
            *told.reasons,
        ),
        warnings=(
            *prepared.warnings,
            *stored.benchmark_warnings,
            *judgement.warnings,
            *race.warnings,
            *told.warnings,
            *engines_that_differ(stored.engine, makers, race.cells()),
        ),
        trials=counts.trials,
        networks=counts.networks,
        wall_s=studies.seconds_since_start(database, stored.name),
        device=", ".join(sorted({maker.device for maker in makers})),
        engine=", ".join(sorted({maker.engine for maker in makers})),
        seed=spec.search.seed,
        fingerprint=stored.fingerprint,
        versions=stored.versions,
        storage=without_password(database.url),
    )


def _findings(
    race: FinalRace, entrants: list[Entrant], finalists: list[Entrant], judgement: Judgement
) -> Findings:
    spec, metric = race.spec, race.metric
    corrected = race.correct(entrants)
    shares = importance(
        [(race.candidate(e.trial), score(float(e.losses_SO.mean()), metric)) for e in entrants]
    )
    wanted = spec.verdict.target_score
    found = marks(wanted, entrants, finalists, metric=metric) if wanted else ()
    return Findings(
        corrected=corrected,
        target=_target(found[1]) if found else None,
        importance=shares,
        reasons=(
            *race.told_of_rounds(finalists),
            *([marks_in_words(found, metric=metric)] if found else []),
            *about_choice(corrected, judgement.score, metric),
            *([importance_in_words(shares)] if shares else []),
        ),
    )


def _target(mark: Mark) -> TargetReached:
    return TargetReached(
        target=mark.target,
        cells=mark.cells,
        score=mark.score,
        layers=len(mark.cells) if mark.cells else None,
        fresh_seeds=mark.is_fresh,
    )


def _test_scores(errors: Mapping[str, Sequence[Losses]], spec: Study) -> dict[str, float]:
    """The benchmarks' scores on the test span, of those whose forecasts are finite numbers."""
    means = {name: per_fold[-1].mean() for name, per_fold in errors.items()}
    return finite_scores(means, spec.task.metric)


def _bound(prepared: Prepared, chosen: Entrant) -> BoundInForce:
    limit = prepared.limit
    most = largest_equal_cells(1, limit)
    return BoundInForce(
        rule=limit.rule,
        samples=limit.samples,
        inputs=limit.inputs,
        outputs=limit.outputs,
        alpha=limit.alpha,
        max_cells=None if most == UNBOUNDED else most,
        hit=at_the_bound(chosen.cells, limit),
    )
