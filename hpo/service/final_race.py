"""The race of the finalists: trained anew with fresh seeds, judged, the winner tested once.

After a first round of `validation.seeds` fresh seeds for all finalists, those on whose side more
seeds could decide (see `sizing.rounds`) get as many again, in at most three further rounds; none
where the search was ended before its budget was spent. Every network of the race is recorded like
those of the trials (under its trial, the rounds' seeds one after another from `validation.seeds`
on; the test span is the fold after the last): a race that was interrupted finds its rounds
recorded and goes on where it was. Who gets a round depends on the losses and the study's seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.fitting.material import window_count
from hpo.search.known import known_trials
from hpo.search.objective import Networks, Train, origins_of, train_missing, usable
from hpo.search.outcome import NetworkRecord
from hpo.search.space import to_candidate
from hpo.service import results, studies
from hpo.service.checkpoints import saved_of
from hpo.service.database import Database
from hpo.service.trials import all_trials, is_complete
from hpo.sizing.bound import Limit, fits, parameters
from hpo.sizing.race import run_race
from hpo.sizing.rounds import MOST_ROUNDS, TIE_SES, about_rounds, undecided
from hpo.sizing.selection import Corrected, correct
from hpo.sizing.verdict import Entrant, Judgement, judge, pick_finalists, tied_range
from hpo.spec.candidate import Candidate
from hpo.spec.words import counted, size_in_words
from hpo.training.trainer import Diverged, OutOfMemory

Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """The recommended network on the test span: `steps` of its refits, one of each fresh seed.

    `score` is the error of their mean forecast and `se` its standard error over origins, None when
    no refit could be trained. `effective_parameters`: their median, None where none was told.
    """

    steps: int
    score: float | None = None
    se: float | None = None
    effective_parameters: float | None = None


class FinalRace:
    """The finalists of a study; `train` trains and keeps their networks."""

    def __init__(
        self, database: Database, stored: studies.Stored, prepared: Prepared, train: Train
    ) -> None:
        self.database, self.stored, self.prepared = database, stored, prepared
        self.train = train
        self.spec = stored.spec
        self.metric, self.tolerance = stored.spec.task.metric, stored.spec.verdict.tolerance
        self.origins = origins_of(prepared.folds, stored.spec.task.horizon)
        self.recorded = results.networks_of(database, stored.name)
        self.saved = saved_of(database, stored.name)
        self.trials = all_trials(database, stored.optuna_id)
        complete = [trial.number for trial in self.trials if is_complete(trial)]
        self.known = known_trials(self.recorded, complete, prepared)
        self.fresh = stored.spec.validation.fresh_seeds
        self.rounds = 0  # after the first
        self.warnings: list[str] = []

    def generator(self) -> np.random.Generator:
        """Of the draws that the verdict rests on: the same each time."""
        return np.random.default_rng(self.spec.search.seed)

    def entrants(self, limit: Limit) -> list[Entrant]:
        """The complete trials inside the bound, with their errors from the search's seeds."""
        found = []
        for number, known in self.known.items():
            cells = self.candidate(number).cells
            if fits(cells, limit):
                weights = parameters(cells, limit.inputs, limit.outputs)
                found.append(
                    Entrant(trial=number, cells=cells, weights=weights, losses_SO=known.losses_SO)
                )
        return found

    def finalists(self, entrants: list[Entrant]) -> list[int]:
        """Which of the complete trials are worth fresh seeds."""
        return pick_finalists(
            entrants,
            self.origins,
            metric=self.metric,
            tolerance=self.tolerance,
            rng=self.generator(),
        )

    def with_fresh_seeds(self, finalists: Sequence[Entrant]) -> list[Entrant]:
        """The finalists with errors from seeds that the search has not seen, trained all at once.

        One whose networks cannot all be trained falls out, with a warning.
        """
        raced = []
        for entrant, losses_SO in zip(finalists, self._round(finalists, self.fresh), strict=True):
            if isinstance(losses_SO, Exception):
                self.warnings.append(
                    f"the finalist with {size_in_words(entrant.cells)} (trial {entrant.trial}) fell"
                    f" out: {losses_SO}"
                )
            else:
                raced.append(replace(entrant, losses_SO=losses_SO))
        return raced

    def with_further_seeds(self, raced: Sequence[Entrant]) -> list[Entrant]:
        """The same after further rounds of as many seeds for those that these could decide.

        One whose networks of a round cannot all be trained keeps the errors it has, and gets no
        further round, with a warning.
        """
        entrants, broken = list(raced), set[int]()
        if self.stored.closed_by:
            return entrants
        for number in range(1, MOST_ROUNDS + 1):
            race = run_race(entrants, self.origins, metric=self.metric, rng=self.generator())
            again = [e for e in undecided(race, self.tolerance) if e not in broken]
            if not set(again) - {race.best}:
                break
            self.rounds = number
            seeds = range((number + 1) * len(self.fresh), (number + 2) * len(self.fresh))
            made = self._round([entrants[e] for e in again], seeds)
            for e, losses_SO in zip(again, made, strict=True):
                if isinstance(losses_SO, Exception):
                    broken.add(e)
                    self._tell_broken(entrants[e], losses_SO)
                else:
                    both_SO = np.concatenate([entrants[e].losses_SO, losses_SO])
                    entrants[e] = replace(entrants[e], losses_SO=both_SO)
        return entrants

    def told_of_rounds(self, raced: Sequence[Entrant]) -> tuple[str, ...]:
        """How many fresh seeds the finalists have, and what these leave open."""
        race = run_race(raced, self.origins, metric=self.metric, rng=self.generator())
        return about_rounds(race, self.tolerance, closed_by=self.stored.closed_by)

    def _tell_broken(self, entrant: Entrant, error: Exception) -> None:
        self.warnings.append(
            f"the finalist with {size_in_words(entrant.cells)} (trial {entrant.trial}) got no more"
            f" than {counted(len(entrant.losses_SO), 'fresh seed')}: {error}"
        )

    def _round(
        self, entrants: Sequence[Entrant], seeds: Sequence[int]
    ) -> list[Losses | Diverged | OutOfMemory]:
        """Of each entrant losses_SO of these seeds, or why one of its networks has none."""
        batch = [self._networks(entrant.trial, self.prepared.folds) for entrant in entrants]
        train_missing(batch, seeds, self.train)
        found: list[Losses | Diverged | OutOfMemory] = []
        for networks in batch:
            try:
                found.append(networks.losses(seeds))
            except (Diverged, OutOfMemory) as error:
                found.append(error)
        return found

    def _networks(self, trial: int, folds: Sequence[Fold], *, steps: int = 0) -> Networks:
        return Networks(
            self.prepared,
            trial,
            self.candidate(trial),
            self._usable_records(trial),
            folds=folds,
            limit_s=math.inf,
            saved=self.saved.get(trial, {}),
            steps=steps,
            keep_forecasts=True,
        )

    def _usable_records(self, trial: int) -> dict[tuple[int, int], NetworkRecord]:
        """Without the refits of hpo 0.1, whose forecasts were not kept: they are trained anew."""
        test = self.prepared.test.number
        return {
            (fold, seed): record
            for (fold, seed), record in self.recorded.get(trial, {}).items()
            if fold != test or record.forecasts_OH is not None
        }

    def judge(self, finalists: list[Entrant]) -> Judgement:
        """The verdict on finalists with fresh seeds, beside the benchmarks."""
        return judge(
            finalists,
            self._benchmark_losses(),
            self.origins,
            metric=self.metric,
            tolerance=self.tolerance,
            layers_range=self.spec.space.layers,
            rng=self.generator(),
            tie_ses=TIE_SES if self.rounds else 1.0,
        )

    def correct(self, entrants: Sequence[Entrant]) -> Corrected:
        """What the choice among the trials is expected to score on other origins."""
        return correct(
            entrants,
            self._benchmark_losses(),
            self.origins,
            metric=self.metric,
            tolerance=self.tolerance,
            rng=self.generator(),
        )

    def _benchmark_losses(self) -> dict[str, Losses]:
        errors = results.benchmarks_of(self.database, self.stored.name)
        return {name: np.concatenate(per_fold[:-1]) for name, per_fold in errors.items()}

    def test(self, chosen: Entrant) -> Tested:
        """Refit on all rows before the test span, for the median steps, and forecast it once."""
        steps, fold = self._refit_steps(chosen.trial), self.prepared.test
        networks = self._networks(chosen.trial, [fold], steps=steps)
        train_missing([networks], self.fresh, self.train)
        refits: list[NetworkRecord] = []
        for seed in self.fresh:
            try:
                refits.append(usable(networks.results[fold.number, seed]))
            except (Diverged, OutOfMemory) as error:
                self.warnings.append(f"a refit for the test span fell out: {error}")
        if not refits:
            return Tested(steps=steps)
        told = [r.effective_parameters for r in refits if r.effective_parameters is not None]
        ensemble_SO = self._losses_of_mean(refits)[None, :]
        origins = origins_of([fold], self.spec.task.horizon)
        tested = [replace(chosen, losses_SO=ensemble_SO)]
        alone = run_race(tested, origins, metric=self.metric, rng=self.generator())
        return Tested(
            steps=steps,
            score=float(alone.scores_E[0]),
            se=alone.se(0),
            effective_parameters=float(np.median(told)) if told else None,
        )

    def _losses_of_mean(self, refits: Sequence[NetworkRecord]) -> Losses:
        """losses_O of the mean of the refits' forecasts."""
        forecasts = [r.forecasts_OH for r in refits if r.forecasts_OH is not None]
        fold = self.prepared.test
        truth_OH = truth(self.prepared, fold)
        return losses(truth_OH, np.mean(forecasts, axis=0), fold.scale_O, self.metric)

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
        trial of the search that is as good as the recommended network was there, of a size that
        fresh seeds have not refuted.
        """
        raced = list(zip(finalists, judgement.tied, strict=True))
        tied = [sum(f.cells) for f, is_tied in raced if is_tied]
        refuted = {f.cells for f, is_tied in raced if not is_tied}
        chosen = finalists[judgement.chosen].trial
        _, largest = tied_range(
            [e for e in entrants if e.cells not in refuted or e.trial == chosen],
            next(e for e in entrants if e.trial == chosen),
            self.origins,
            metric=self.metric,
            tolerance=self.tolerance,
            rng=self.generator(),
        )
        return min(tied), max(largest, *tied)
