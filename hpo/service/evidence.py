"""What a study that is done rests on, worked out again from its records; nothing is trained.

Shapes: O origins, H horizon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared, truth
from hpo.errors import DataError
from hpo.fitting.pool import Failure, Job
from hpo.search.outcome import NetworkRecord, mean_forecast
from hpo.service import results, studies
from hpo.service.database import Database
from hpo.service.final_race import FinalRace
from hpo.service.preparing import no_verdict, prepared_of
from hpo.service.shown import TrialShown, shown_trials
from hpo.sizing.race import Entrant, run_race
from hpo.sizing.verdict import Judgement, best_per_size
from hpo.spec.answer import Answer
from hpo.spec.study import Study
from hpo.training.trainer import Diverged

Floats = NDArray[np.float64]
NOT_KEPT = "an earlier hpo answered the study and kept no forecasts"

Records = Mapping[tuple[int, int], NetworkRecord]


@dataclass(frozen=True, kw_only=True)
class SizeShown:
    """The best trial of one size: its score with the search's seeds, how far it is behind the best.

    `behind_se`: standard error of the paired difference to the best, 0 for the best. `train_loss`,
    `valid_loss`: means over folds and seeds of the loss that was trained, on the training windows
    and on those that score (for rmse squared errors). `fits`: whether it is inside the bound of the
    verdict.
    """

    trial: int
    cells: tuple[int, ...]
    weights: int
    score: float
    behind_se: float
    train_loss: float
    valid_loss: float
    fits: bool

    @property
    def cells_in_all(self) -> int:
        """Cells of all layers together."""
        return sum(self.cells)


@dataclass(frozen=True, kw_only=True)
class FinalistShown:
    """A finalist with its fresh seeds: how far behind the best in pairs, and whether it is tied."""

    trial: int
    cells: tuple[int, ...]
    weights: int
    score: float
    seeds: int
    behind: float
    behind_se: float
    is_tied: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class ForecastsShown:
    """One fold's origins: what came, and the mean forecast of the recommended networks (O x H).

    benchmark_OH: of the best benchmark, known of the test span alone.
    """

    fold: Fold
    truth_OH: Floats
    network_OH: Floats
    benchmark_OH: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """A study that is done. `missing` says why something of it lacks, empty where nothing does.

    closed_by: what ended the search before its budget, empty where nothing did. Without its data
    only answer and trials are told. folds: of the recommended network, with fresh
    seeds; test: of its refits; both lack where an earlier hpo kept no forecasts.
    """

    spec: Study
    answer: Answer
    trials: Sequence[TrialShown]
    closed_by: str = ""
    missing: str = ""
    prepared: Prepared | None = None
    sizes: Sequence[SizeShown] = ()
    finalists: Sequence[FinalistShown] = ()
    folds: Sequence[ForecastsShown] = ()
    test: ForecastsShown | None = None


def evidence_of(database: Database, name: str) -> Evidence:
    """The evidence of a study that is done.

    Raises UnknownStudy, UsageError before its verdict, StudyFailed where it has ended without one.
    """
    stored = studies.find(database, name)
    if stored.answer is None:
        raise no_verdict(name, stored.state)
    trials = shown_trials(database, stored)
    told = Evidence(
        spec=stored.spec, answer=stored.answer, trials=trials, closed_by=stored.closed_by
    )
    try:
        prepared = prepared_of(database, stored)
    except DataError as error:
        return replace(told, missing=str(error))
    race = FinalRace(database, stored, prepared, _train_nothing)
    test = _on_test(race, stored.answer, results.benchmark_forecasts_of(database, name))
    limit = replace(prepared.limit, alpha=stored.answer.alpha)
    inside = race.entrants(limit)
    return replace(
        told,
        prepared=prepared,
        sizes=_sizes(race, race.entrants(replace(limit, rule="off")), inside),
        finalists=_finalists(race, inside),
        folds=_on_folds(race, stored.answer),
        test=test,
        missing=NOT_KEPT if test is None and stored.answer.test_score is not None else "",
    )


def _train_nothing(jobs: Sequence[Job]) -> dict[Job, NetworkRecord | Failure]:
    """Of a race that is over every network is recorded that could be trained."""
    return {job: Diverged("it could not be trained") for job in jobs}


def _sizes(
    race: FinalRace, entrants: Sequence[Entrant], inside: Sequence[Entrant]
) -> list[SizeShown]:
    best = [entrants[i] for i in best_per_size(entrants)]
    if not best:
        return []
    scored = run_race(best, race.origins, metric=race.metric, rng=race.generator())
    behind_E = scored.ses_to(scored.best)
    in_bound = {entrant.trial for entrant in inside}
    found = [
        SizeShown(
            trial=entrant.trial,
            cells=entrant.cells,
            weights=entrant.weights,
            score=float(scored.scores_E[e]),
            behind_se=float(behind_E[e]),
            train_loss=float(race.known[entrant.trial].train_SF.mean()),
            valid_loss=float(race.known[entrant.trial].valid_SF.mean()),
            fits=entrant.trial in in_bound,
        )
        for e, entrant in enumerate(best)
    ]
    return sorted(found, key=lambda size: (len(size.cells), size.cells_in_all, size.cells))


def _finalists(race: FinalRace, entrants: list[Entrant]) -> list[FinalistShown]:
    """The final race run again from its records."""
    raced = race.with_fresh_seeds([entrants[i] for i in race.finalists(entrants)])
    if not raced:
        return []
    raced = race.with_further_seeds(raced)
    judged: Judgement = race.judge(raced)
    alone = run_race(raced, race.origins, metric=race.metric, rng=race.generator())
    found = [
        FinalistShown(
            trial=entrant.trial,
            cells=entrant.cells,
            weights=entrant.weights,
            score=float(alone.scores_E[e]),
            seeds=len(entrant.losses_SO),
            behind=judged.differences[e],
            behind_se=judged.difference_ses[e],
            is_tied=judged.tied[e],
        )
        for e, entrant in enumerate(raced)
    ]
    return sorted(found, key=lambda finalist: finalist.weights)


def _on_folds(race: FinalRace, answer: Answer) -> list[ForecastsShown]:
    """The recommended network's forecasts of the folds' origins; none where a fold lacks them."""
    records = race.recorded.get(answer.trial, {}) if answer.trial is not None else {}
    found = [_mean_forecast(race, records, fold) for fold in race.prepared.folds]
    known = [shown for shown in found if shown is not None]
    return known if len(known) == len(found) else []


def _on_test(
    race: FinalRace, answer: Answer, benchmarks: Mapping[str, Floats]
) -> ForecastsShown | None:
    records = race.recorded.get(answer.trial, {}) if answer.trial is not None else {}
    shown = _mean_forecast(race, records, race.prepared.test)
    if shown is None:
        return None
    return replace(shown, benchmark_OH=benchmarks.get(answer.best_benchmark or ""))


def _mean_forecast(race: FinalRace, records: Records, fold: Fold) -> ForecastsShown | None:
    mean_OH = mean_forecast(records, fold.number, race.fresh)
    if mean_OH is None:
        return None
    return ForecastsShown(fold=fold, truth_OH=truth(race.prepared, fold), network_OH=mean_OH)
