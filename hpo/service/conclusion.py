"""The end of a study: the race of the finalists becomes the answer."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.data.prepare import Prepared
from hpo.errors import StudyFailed
from hpo.search.objective import Train
from hpo.service import results, studies
from hpo.service.advice import advice, engines_that_differ
from hpo.service.database import Database, without_password
from hpo.service.final_race import FinalRace, Tested, complete_entrants
from hpo.service.status import progress
from hpo.sizing.bound import (
    UNBOUNDED,
    degrees_of_freedom,
    fits,
    largest_equal_cells,
    parameters,
)
from hpo.sizing.metric import finite_scores
from hpo.sizing.verdict import Entrant, Judgement
from hpo.spec.answer import Answer, BoundInForce
from hpo.spec.study import Study

Losses = NDArray[np.float64]


def conclude(database: Database, name: str, prepared: Prepared, train: Train) -> Answer:
    """Race the finalists, judge them, test the recommended network once; the answer.

    `train` trains and keeps networks. Raises StudyFailed when no trial was completed, and what
    `train` does.
    """
    stored = studies.find(database, name)  # with the benchmarks' warnings, and what closed it
    race = FinalRace(database, stored, prepared, train)
    entrants = complete_entrants(database, stored, prepared)
    if not entrants:
        raise StudyFailed(_why_no_trial(database, stored))
    finalists = race.with_fresh_seeds([entrants[i] for i in race.finalists(entrants)])
    if not finalists:
        raise StudyFailed("no finalist could be trained with fresh seeds; lower learning rates")
    judgement = race.judge(finalists)
    tested = race.test(finalists[judgement.chosen])
    return _answer(race, entrants, finalists, judgement, tested)


def _why_no_trial(database: Database, stored: studies.Stored) -> str:
    counts = progress(database, stored.name).trials
    ended = f"before the {stored.closed_by} " if stored.closed_by else ""
    return (
        f"no trial was completed {ended}({counts.pruned} pruned, {counts.infeasible} infeasible);"
        " allow more trials or time, or lower learning rates"
    )


def _answer(
    race: FinalRace,
    entrants: list[Entrant],
    finalists: list[Entrant],
    judgement: Judgement,
    tested: Tested,
) -> Answer:
    chosen = finalists[judgement.chosen]
    database, stored = race.database, race.stored
    spec, prepared = race.spec, race.prepared
    limit, candidate = prepared.limit, race.candidate(chosen.trial)
    bound = _bound(prepared, chosen)
    counts = progress(database, stored.name)
    told = advice(prepared, chosen.cells, bound, counts.skipped, stored.closed_by)
    makers = results.made_by(database, stored.name)
    return Answer(
        study=stored.name,
        state="done",
        task=spec.task.model_dump(mode="json") | {"season": prepared.season},
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
        weights=parameters(chosen.cells, limit.inputs, limit.outputs),
        degrees_of_freedom=degrees_of_freedom(limit.samples, limit.inputs, limit.outputs),
        metric=spec.task.metric,
        score=judgement.score,
        score_se=judgement.score_se,
        test_score=tested.score,
        test_se=tested.se,
        test_origins=len(prepared.test.origins_O),
        benchmarks=judgement.benchmark_scores,
        benchmarks_test=_test_scores(results.benchmarks_of(database, stored.name), spec),
        best_benchmark=judgement.best_benchmark,
        lstm_justified=judgement.lstm_justified,
        reasons=(*judgement.reasons, *told.reasons),
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


def _test_scores(errors: Mapping[str, Sequence[Losses]], spec: Study) -> dict[str, float]:
    """The benchmarks' scores on the test span, of those whose forecasts are finite numbers."""
    means = {name: per_fold[-1].mean() for name, per_fold in errors.items()}
    return finite_scores(means, spec.task.metric)


def _bound(prepared: Prepared, chosen: Entrant) -> BoundInForce:
    limit = prepared.limit
    most = largest_equal_cells(1, limit)
    larger = tuple(c + max(1, c // 10) for c in chosen.cells)
    return BoundInForce(
        rule=limit.rule,
        samples=limit.samples,
        inputs=limit.inputs,
        outputs=limit.outputs,
        alpha=limit.alpha,
        max_cells=None if most == UNBOUNDED else most,
        hit=not fits(larger, limit),
    )
