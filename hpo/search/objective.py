"""What a trial is: folds x seeds networks, a look after the first pass over the folds, a score.

Trials of a batch go through it in step, so that all their networks can train at once.
Shapes: S seeds, O origins of all folds one after another.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.fitting.fit import Fitted
from hpo.fitting.pool import FAILURES, Failure, Job, Saved, TimeLimit
from hpo.search.outcome import (
    Completed,
    Infeasible,
    NetworkRecord,
    Outcome,
    Pruned,
    Rival,
    stack_losses,
)
from hpo.search.pruning import keep
from hpo.sizing.metric import score
from hpo.sizing.resampling import Origins
from hpo.spec.candidate import Candidate
from hpo.training.device import describe_device
from hpo.training.trainer import Diverged

Key = tuple[int, int]
Train = Callable[[Sequence[Job]], Mapping[Job, NetworkRecord | Failure]]
"""Trains and keeps networks; what it raises ends the work."""

WORSE = "clearly worse than the best trial after one pass over the folds"


class Networks:
    """The networks of one trial on some folds: those recorded, and those still to be trained.

    Together they may train `limit_s` seconds; `saved`: trainings that were halted in the middle;
    `steps`: see fit_network; `keep_forecasts`: see Job.
    """

    def __init__(
        self,
        prepared: Prepared,
        trial: int,
        candidate: Candidate,
        recorded: Mapping[Key, NetworkRecord],
        *,
        folds: Sequence[Fold],
        limit_s: float,
        saved: Mapping[Key, Saved] = {},
        steps: int = 0,
        keep_forecasts: bool = False,
    ) -> None:
        self.prepared, self.trial, self.candidate = prepared, trial, candidate
        self.folds, self.limit_s, self.saved, self.steps = folds, limit_s, saved, steps
        self.keep_forecasts = keep_forecasts
        self.results: dict[Key, NetworkRecord | Failure] = dict(recorded)

    def missing(self, seeds: Sequence[int]) -> list[Job]:
        """The jobs of these seeds over all folds that have no record."""
        spent_s = self._spent_s()
        return [
            Job(
                trial=self.trial,
                fold=fold.number,
                candidate=self.candidate,
                seed=seed,
                steps=self.steps,
                keep_forecast=self.keep_forecasts,
                limit_s=self.limit_s,
                spent_s=spent_s,
                saved=self.saved.get((fold.number, seed)),
            )
            for seed in seeds
            for fold in self.folds
            if (fold.number, seed) not in self.results
        ]

    def losses(self, seeds: Sequence[int]) -> NDArray[np.float64]:
        """losses_SO of these seeds, all trained. Raises what makes the trial infeasible."""
        folds = [fold.number for fold in self.folds]
        keys = [(fold, seed) for seed in seeds for fold in folds]
        losses_SO = stack_losses({key: usable(self.results[key]) for key in keys}, folds, seeds)
        assert losses_SO is not None, "every network of these seeds is here"
        if self._spent_s() > self.limit_s:
            raise TimeLimit.of(self.limit_s)
        return losses_SO

    def _spent_s(self) -> float:
        """Seconds that the trial's networks have trained, of those that are recorded or saved."""
        recorded = (r.wall_s for r in self.results.values() if isinstance(r, NetworkRecord))
        halted = (s.wall_s for key, s in self.saved.items() if key not in self.results)
        return sum(recorded) + sum(halted)


def run_trials(batch: Sequence[Networks], train: Train, rival: Rival | None) -> list[Outcome]:
    """Train what is not yet recorded of the trials' folds x seeds networks, and judge each trial.

    In step: the first seed of all trials on all folds, the look of each beside the best trial
    known before (`rival`; None: none yet), then the other seeds of those that were kept. A network
    that fails makes its trial infeasible and ends nothing else.
    """
    train_missing(batch, range(1), train)
    ended = {networks.trial: _first_look(networks, rival) for networks in batch}
    kept = [networks for networks in batch if ended[networks.trial] is None]
    if kept:
        train_missing(kept, range(1, kept[0].prepared.study.validation.seeds), train)
    return [ended[networks.trial] or _judge(networks) for networks in batch]


def train_missing(batch: Sequence[Networks], seeds: Sequence[int], train: Train) -> None:
    """Train at once what these trials lack of these seeds, and give each its results."""
    by_trial = {networks.trial: networks for networks in batch}
    jobs = [job for networks in batch for job in networks.missing(seeds)]
    for job, result in train(jobs).items():
        by_trial[job.trial].results[job.fold, job.seed] = result


def _first_look(networks: Networks, rival: Rival | None) -> Outcome | None:
    try:
        first_O = networks.losses(range(1))[0]
    except FAILURES as failure:
        return Infeasible(str(failure))
    if rival is None or not _is_worse(networks.prepared, first_O, rival):
        return None
    return Pruned(float(score(first_O.mean(), networks.prepared.study.task.metric)), WORSE)


def _judge(networks: Networks) -> Outcome:
    study = networks.prepared.study
    try:
        losses_SO = networks.losses(range(study.validation.seeds))
    except FAILURES as failure:
        return Infeasible(str(failure))
    mean = float(score(losses_SO.mean(), study.task.metric))
    return Completed(mean) if np.isfinite(mean) else Infeasible("a forecast is not a finite number")


def record_of(job: Job, fitted: Fitted) -> NetworkRecord:
    """The trained network of a job as it is kept."""
    return NetworkRecord(
        fold=job.fold,
        seed=job.seed,
        losses_O=fitted.losses_O,
        steps=fitted.steps,
        train_loss=fitted.train_loss,
        watch_loss=fitted.watch_loss,
        wall_s=fitted.wall_s,
        engine=fitted.engine,
        device=describe_device(fitted.device),
        valid_loss=fitted.valid_loss,
        forecasts_OH=fitted.forecast_OH if job.keep_forecast else None,
        effective_parameters=fitted.effective_parameters,
    )


def usable(result: NetworkRecord | Failure) -> NetworkRecord:
    """The record. Raises the failure, and Diverged for a forecast that is not a finite number."""
    if not isinstance(result, NetworkRecord):
        raise result
    if not np.isfinite(result.losses_O).all():
        raise Diverged("a forecast is not a finite number")
    return result


def origins_of(folds: Sequence[Fold], horizon: int) -> Origins:
    """The origins of folds one after another, as the bootstrap needs them."""
    return Origins(
        fold_O=np.concatenate([np.full(len(f.origins_O), f.number) for f in folds]),
        series_O=np.concatenate([f.series_O for f in folds]),
        step_O=np.concatenate([f.origins_O - f.train_ends_S[f.series_O] for f in folds]),
        horizon=horizon,
    )


def _is_worse(prepared: Prepared, trial_O: NDArray[np.float64], rival: Rival) -> bool:
    return not keep(
        trial_O,
        rival.losses_SO,
        rival.seed_sd,
        origins_of(prepared.folds, prepared.study.task.horizon),
        metric=prepared.study.task.metric,
        rng=np.random.default_rng(prepared.study.search.seed),
    )
