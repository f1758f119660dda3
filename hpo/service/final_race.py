"""The race of the finalists: trained anew with fresh seeds, judged, the winner tested once.

Every network of the race is recorded like those of the trials (under its trial, with seeds from
`validation.seeds` on; the test span is the fold after the last), so that a race that was
interrupted goes on where it was.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.fitting.material import window_count
from hpo.search.objective import Networks, Train, origins_of, train_missing
from hpo.search.outcome import stack_losses
from hpo.search.space import to_candidate
from hpo.service import results, studies
from hpo.service.checkpoints import saved_of
from hpo.service.database import Database
from hpo.service.trials import all_trials, is_complete
from hpo.sizing.bound import parameters
from hpo.sizing.race import run_race
from hpo.sizing.verdict import Entrant, Judgement, judge, pick_finalists, tied_range
from hpo.spec.candidate import Candidate
from hpo.spec.words import size_in_words
from hpo.training.trainer import Diverged, OutOfMemory


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
    folds, seeds = _numbers(prepared), range(stored.spec.validation.seeds)
    found = []
    for trial in all_trials(database, stored.optuna_id):
        losses_SO = stack_losses(recorded.get(trial.number, {}), folds, seeds)
        if not is_complete(trial) or losses_SO is None:
            continue
        cells = to_candidate(trial.params, stored.spec, prepared.lookbacks).cells
        weights = parameters(cells, prepared.limit.inputs, prepared.limit.outputs)
        found.append(Entrant(trial=trial.number, cells=cells, weights=weights, losses_SO=losses_SO))
    return found


class FinalRace:
    """The finalists of a study; `train` trains and keeps their networks."""

    def __init__(
        self, database: Database, stored: studies.Stored, prepared: Prepared, train: Train
    ) -> None:
        self.database, self.stored, self.prepared = database, stored, prepared
        self.train = train
        self.spec = stored.spec
        self.metric = stored.spec.task.metric
        self.origins = origins_of(prepared.folds, stored.spec.task.horizon)
        self.recorded = results.networks_of(database, stored.name)
        self.saved = saved_of(database, stored.name)
        self.trials = all_trials(database, stored.optuna_id)
        seeds = stored.spec.validation.seeds
        self.fresh = range(seeds, 2 * seeds)
        self.warnings: list[str] = []

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self.spec.search.seed)

    def finalists(self, entrants: list[Entrant]) -> list[int]:
        """Which of the complete trials are worth fresh seeds."""
        return pick_finalists(
            entrants,
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            rng=self._generator(),
        )

    def with_fresh_seeds(self, finalists: Sequence[Entrant]) -> list[Entrant]:
        """The finalists with errors from seeds that the search has not seen, trained all at once.

        One whose networks cannot all be trained falls out, with a warning.
        """
        batch = [self._networks(entrant.trial, self.prepared.folds) for entrant in finalists]
        train_missing(batch, self.fresh, self.train)
        raced = []
        for entrant, networks in zip(finalists, batch, strict=True):
            try:
                losses_SO = networks.losses(self.fresh)
            except (Diverged, OutOfMemory) as error:
                self.warnings.append(
                    f"the finalist with {size_in_words(entrant.cells)} (trial {entrant.trial}) fell"
                    f" out: {error}"
                )
            else:
                raced.append(replace(entrant, losses_SO=losses_SO))
        return raced

    def _networks(self, trial: int, folds: Sequence[Fold], *, steps: int = 0) -> Networks:
        return Networks(
            self.prepared,
            trial,
            self.candidate(trial),
            self.recorded.get(trial, {}),
            folds=folds,
            limit_s=math.inf,
            saved=self.saved.get(trial, {}),
            steps=steps,
        )

    def judge(self, finalists: list[Entrant]) -> Judgement:
        """The verdict on finalists with fresh seeds, beside the benchmarks."""
        errors = results.benchmarks_of(self.database, self.stored.name)
        return judge(
            finalists,
            {name: np.concatenate(per_fold[:-1]) for name, per_fold in errors.items()},
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            layers_range=self.spec.space.layers,
            rng=self._generator(),
        )

    def test(self, chosen: Entrant) -> Tested:
        """Refit on all rows before the test span, for the median steps, and forecast it once."""
        steps = self._refit_steps(chosen.trial)
        networks = self._networks(chosen.trial, [self.prepared.test], steps=steps)
        train_missing([networks], self.fresh, self.train)
        refits = []
        for seed in self.fresh:
            try:
                refits.append(networks.losses([seed])[0])
            except (Diverged, OutOfMemory) as error:
                self.warnings.append(f"a refit for the test span fell out: {error}")
        if not refits:
            return Tested(steps=steps, score=None, se=None)
        tested = replace(chosen, losses_SO=np.stack(refits))
        origins = origins_of([self.prepared.test], self.spec.task.horizon)
        alone = run_race([tested], origins, metric=self.metric, rng=self._generator())
        return Tested(steps=steps, score=float(alone.scores_E[0]), se=alone.se(0))

    def _refit_steps(self, trial: int) -> int:
        """The median of the steps over folds and seeds, scaled by the number of windows."""
        lookback = self.candidate(trial).lookback
        stopped = results.networks_of(self.database, self.stored.name, [trial])[trial]
        folds = self.prepared.folds
        windows = {f.number: window_count(self.prepared, f, lookback, watched=True) for f in folds}
        per_window = [r.steps / windows[f] for (f, _), r in stopped.items() if f in windows]
        refit = window_count(self.prepared, self.prepared.test, lookback, watched=False)
        return max(1, round(float(np.median(per_window)) * refit))

    def candidate(self, trial: int) -> Candidate:
        """The network that a trial is about."""
        return to_candidate(self.trials[trial].params, self.spec, self.prepared.lookbacks)

    def cells(self) -> dict[int, tuple[int, ...]]:
        """The cells per layer of every trial."""
        return {trial.number: self.candidate(trial.number).cells for trial in self.trials}

    def tied_range(
        self, entrants: list[Entrant], finalists: list[Entrant], judgement: Judgement
    ) -> tuple[int, int]:
        """Cells of all layers of the smallest and the largest network that is as good.

        The smallest is a finalist: fresh seeds decide what is too small. The largest may be a
        trial of the search that is as good as the recommended network was there.
        """
        tied = [
            sum(f.cells) for f, is_tied in zip(finalists, judgement.tied, strict=True) if is_tied
        ]
        chosen = finalists[judgement.chosen].trial
        _, largest = tied_range(
            entrants,
            next(e for e in entrants if e.trial == chosen),
            self.origins,
            metric=self.metric,
            tolerance=self.spec.verdict.tolerance,
            rng=self._generator(),
        )
        return min(tied), max(largest, *tied)


def _numbers(prepared: Prepared) -> list[int]:
    return [fold.number for fold in prepared.folds]
