"""The end of a study: finalists raced with fresh seeds, the verdict, the test span, the answer.

Every network of the race is recorded like those of the trials (under its trial, with seeds from
`validation.seeds` on; the test span is the fold after the last), so that a conclusion that was
interrupted goes on where it was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.prepare import Prepared
from hpo.errors import StudyFailed
from hpo.fitting.fit import window_count
from hpo.search.objective import Surroundings, origins_of, refuse_not_finite, train_record
from hpo.search.outcome import NetworkRecord
from hpo.search.space import to_candidate
from hpo.service import results, studies
from hpo.service.advice import advice
from hpo.service.database import Database, without_password
from hpo.service.status import progress
from hpo.service.trials import all_trials, is_feasible
from hpo.sizing.bound import (
    UNBOUNDED,
    degrees_of_freedom,
    fits,
    largest_equal_cells,
    parameters,
)
from hpo.sizing.metric import score
from hpo.sizing.resampling import Origins, bootstrap_means
from hpo.sizing.verdict import Entrant, Judgement, judge, pick_finalists, tied_range
from hpo.spec.answer import Answer, BoundInForce
from hpo.spec.candidate import Candidate
from hpo.spec.words import size_in_words
from hpo.training.trainer import Diverged, OutOfMemory

Records = Mapping[tuple[int, int], NetworkRecord]
Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The recommended network on the test span: `steps` of its refit, its error and its SE.

    Both are None when no refit could be trained.
    """

    steps: int
    score: float | None
    se: float | None


def complete_entrants(
    database: Database, stored: studies.Stored, prepared: Prepared
) -> list[Entrant]:
    """The complete, feasible trials with their errors from the search's seeds."""
    recorded = results.networks_of(database, stored.name)
    seeds = range(stored.spec.validation.seeds)
    found = []
    for trial in all_trials(database, stored.optuna_id):
        records = recorded.get(trial.number, {})
        if trial.value is None or not is_feasible(trial) or not _has_all(prepared, records, seeds):
            continue
        cells = to_candidate(trial.params, stored.spec, prepared.lookbacks).cells
        found.append(_entrant(prepared, trial.number, cells, records, seeds))
    return found


def conclude(
    database: Database,
    stored: studies.Stored,
    prepared: Prepared,
    surroundings: Callable[[int], Surroundings],
) -> Answer:
    """Race the finalists, judge them, test the recommended network once; the answer.

    `surroundings` gives what training a trial's networks needs. Raises StudyFailed when no trial
    was completed, TrainingStopped and LeaseLost as the trials do.
    """
    race = _Conclusion(database, stored, prepared, surroundings)
    entrants = complete_entrants(database, stored, prepared)
    if not entrants:
        raise StudyFailed(_why_no_trial(database, stored))
    raced = [race.with_fresh_seeds(entrants[i]) for i in race.finalists(entrants)]
    finalists = [entrant for entrant in raced if entrant is not None]
    if not finalists:
        raise StudyFailed("no finalist could be trained with fresh seeds; lower learning rates")
    judgement = race.judge(finalists)
    chosen = finalists[judgement.chosen]
    tested = race.test(chosen)
    return race.answer(entrants, chosen, judgement, tested)


def _why_no_trial(database: Database, stored: studies.Stored) -> str:
    counts = progress(database, stored.name).trials
    ended = "before the time limit " if stored.timed_out else ""
    return (
        f"no trial was completed {ended}({counts.pruned} pruned, {counts.infeasible} infeasible);"
        " allow more trials or time, or lower learning rates"
    )


class _Conclusion:
    def __init__(
        self,
        database: Database,
        stored: studies.Stored,
        prepared: Prepared,
        surroundings: Callable[[int], Surroundings],
    ) -> None:
        self.database, self.stored, self.prepared = database, stored, prepared
        self.surroundings = surroundings
        self.spec = stored.spec
        self.metric = stored.spec.task.metric
        self.origins = origins_of(prepared)
        self.recorded = results.networks_of(database, stored.name)
        self.trials = all_trials(database, stored.optuna_id)
        seeds = stored.spec.validation.seeds
        self.fresh = range(seeds, 2 * seeds)
        self.warnings: list[str] = []

    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self.spec.search.seed)

    def finalists(self, entrants: list[Entrant]) -> list[int]:
        return pick_finalists(
            entrants,
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            rng=self.generator(),
        )

    def with_fresh_seeds(self, entrant: Entrant) -> Entrant | None:
        """The entrant with errors from seeds that the search has not seen.

        None, and a warning, when one of these networks cannot be trained.
        """
        records = dict(self.recorded.get(entrant.trial, {}))
        try:
            for seed in self.fresh:
                for fold in self.prepared.folds:
                    if (fold.number, seed) not in records:
                        records[fold.number, seed] = self._train(entrant.trial, fold.number, seed)
                    refuse_not_finite(records[fold.number, seed])
        except (Diverged, OutOfMemory) as error:
            self.warnings.append(
                f"the finalist with {size_in_words(entrant.cells)} (trial {entrant.trial}) fell"
                f" out: {error}"
            )
            return None
        return _entrant(self.prepared, entrant.trial, entrant.cells, records, self.fresh)

    def judge(self, finalists: list[Entrant]) -> Judgement:
        errors = results.benchmarks_of(self.database, self.stored.name)
        return judge(
            finalists,
            {name: np.concatenate(per_fold[:-1]) for name, per_fold in errors.items()},
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            layers_range=self.spec.space.layers,
            rng=self.generator(),
        )

    def test(self, chosen: Entrant) -> Tested:
        """Refit on all rows before the test span, for the median steps, and forecast it once."""
        records = dict(self.recorded.get(chosen.trial, {}))
        steps = self._refit_steps(chosen.trial)
        fold = self.prepared.test.number
        refits = []
        for seed in self.fresh:
            try:
                if (fold, seed) not in records:
                    records[fold, seed] = self._train(chosen.trial, fold, seed, steps=steps)
                refuse_not_finite(records[fold, seed])
            except (Diverged, OutOfMemory) as error:
                self.warnings.append(f"a refit for the test span fell out: {error}")
            else:
                refits.append(records[fold, seed].losses_O)
        if not refits:
            return Tested(steps=steps, score=None, se=None)
        losses_SO = np.stack(refits)
        value, se = _score_with_error(
            losses_SO, _test_origins(self.prepared), self.metric, self.generator()
        )
        return Tested(steps=steps, score=value, se=se)

    def _refit_steps(self, trial: int) -> int:
        """The median of the steps over folds and seeds, scaled by the number of windows."""
        lookback = self._candidate(trial).lookback
        stopped = results.networks_of(self.database, self.stored.name, trial)[trial]
        folds = self.prepared.folds
        windows = {f.number: window_count(self.prepared, f, lookback, watched=True) for f in folds}
        per_window = [r.steps / windows[f] for (f, _), r in stopped.items() if f in windows]
        refit = window_count(self.prepared, self.prepared.test, lookback, watched=False)
        return max(1, round(float(np.median(per_window)) * refit))

    def _candidate(self, trial: int) -> Candidate:
        return to_candidate(self.trials[trial].params, self.spec, self.prepared.lookbacks)

    def _train(self, trial: int, fold: int, seed: int, *, steps: int = 0) -> NetworkRecord:
        around = self.surroundings(trial)
        span = (*self.prepared.folds, self.prepared.test)[fold]
        record = train_record(
            self.prepared, span, self._candidate(trial), seed, around, steps=steps
        )
        around.on_network(record)
        return record

    def answer(
        self, entrants: list[Entrant], chosen: Entrant, judgement: Judgement, tested: Tested
    ) -> Answer:
        limit, candidate = self.prepared.limit, self._candidate(chosen.trial)
        bound = self._bound(chosen)
        counts = progress(self.database, self.stored.name)
        told = advice(self.prepared, chosen.cells, bound, counts.skipped)
        makers = results.made_by(self.database, self.stored.name)
        errors = results.benchmarks_of(self.database, self.stored.name)
        return Answer(
            study=self.stored.name,
            state="done",
            task=self.spec.task.model_dump(mode="json") | {"season": self.prepared.season},
            layers=len(chosen.cells),
            cells=chosen.cells,
            cells_tied=self._tied_range(entrants, chosen),
            layers_probability=judgement.layers_probability,
            learning_rate=candidate.learning_rate,
            weight_decay=candidate.weight_decay,
            dropout=candidate.dropout,
            lookback=candidate.lookback,
            horizon=self.spec.task.horizon,
            strategy=self.prepared.strategy,
            steps=tested.steps,
            transform=self.prepared.transform_steps,
            alpha=limit.alpha,
            bound=bound,
            weights=parameters(chosen.cells, limit.inputs, limit.outputs),
            degrees_of_freedom=degrees_of_freedom(limit.samples, limit.inputs, limit.outputs),
            metric=self.metric,
            score=judgement.score,
            score_se=judgement.score_se,
            test_score=tested.score,
            test_se=tested.se,
            test_origins=len(self.prepared.test.origins_O),
            benchmarks=judgement.benchmark_scores,
            benchmarks_test={
                name: float(score(per_fold[-1].mean(), self.metric))
                for name, per_fold in errors.items()
            },
            best_benchmark=judgement.best_benchmark,
            lstm_justified=judgement.lstm_justified,
            reasons=(*judgement.reasons, *told.reasons),
            warnings=(
                *self.prepared.warnings,
                *self.stored_warnings(),
                *judgement.warnings,
                *self.warnings,
                *told.warnings,
            ),
            trials=counts.trials,
            networks=counts.networks,
            wall_s=self._wall_s(),
            device=", ".join(sorted({maker.device for maker in makers})),
            engine=", ".join(sorted({maker.engine for maker in makers})),
            seed=self.spec.search.seed,
            fingerprint=self.stored.fingerprint,
            versions=self.stored.versions,
            storage=without_password(self.database.url),
        )

    def stored_warnings(self) -> tuple[str, ...]:
        return studies.find(self.database, self.stored.name).benchmark_warnings

    def _wall_s(self) -> float:
        return studies.seconds_since_start(self.database, self.stored.name)

    def _bound(self, chosen: Entrant) -> BoundInForce:
        limit = self.prepared.limit
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

    def _tied_range(self, entrants: list[Entrant], chosen: Entrant) -> tuple[int, int]:
        reference = next(e for e in entrants if e.trial == chosen.trial)
        return tied_range(
            entrants,
            reference,
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            rng=self.generator(),
        )


def _has_all(prepared: Prepared, records: Records, seeds: range) -> bool:
    return all((fold.number, seed) in records for fold in prepared.folds for seed in seeds)


def _entrant(
    prepared: Prepared, trial: int, cells: tuple[int, ...], records: Records, seeds: range
) -> Entrant:
    losses_SO = np.stack(
        [np.concatenate([records[f.number, s].losses_O for f in prepared.folds]) for s in seeds]
    )
    limit = prepared.limit
    return Entrant(
        trial=trial,
        cells=cells,
        weights=parameters(cells, limit.inputs, limit.outputs),
        losses_SO=losses_SO,
    )


def _test_origins(prepared: Prepared) -> Origins:
    test = prepared.test
    return Origins(
        fold_O=np.full(len(test.origins_O), test.number),
        series_O=test.series_O,
        horizon=prepared.study.task.horizon,
    )


def _score_with_error(
    losses_SO: Losses, origins: Origins, metric: str, rng: np.random.Generator
) -> tuple[float, float]:
    value = float(score(losses_SO.mean(), metric))
    replicates_B1 = score(bootstrap_means(origins, [losses_SO.mean(axis=0)], rng=rng), metric)
    seeds = len(losses_SO)
    between = score(losses_SO.mean(axis=1), metric).var(ddof=1) / seeds if seeds > 1 else 0.0
    return value, float(np.sqrt(replicates_B1.var() + between))
