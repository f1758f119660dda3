"""What a trial is: folds x seeds networks, a look after the first pass over the folds, a score.

Shapes: S seeds, O origins of all folds one after another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.fitting.fit import fit_network
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Outcome, Pruned, Rival
from hpo.search.pruning import keep
from hpo.sizing.metric import score
from hpo.sizing.resampling import Origins
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Diverged, OutOfMemory, Stopped, Trainer

Key = tuple[int, int]


class TrainingStopped(Exception):
    """The worker was asked to stop; the trial goes on elsewhere from the networks recorded."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a trial needs of the one who runs it.

    `on_network` keeps a record; `go_on` says False when the work must stop; `rival` looks up the
    best trial (None: none yet); `clock` counts seconds.
    """

    trainer: Trainer
    on_network: Callable[[NetworkRecord], None]
    go_on: Callable[[], bool]
    rival: Callable[[], Rival | None]
    clock: Callable[[], float]


def run_trial(
    prepared: Prepared,
    candidate: Candidate,
    recorded: Mapping[Key, NetworkRecord],
    around: Surroundings,
) -> Outcome:
    """Train what is not yet recorded of the trial's folds x seeds networks, and judge it.

    Raises TrainingStopped when `go_on` says so.
    """
    validation = prepared.study.validation
    networks = _Networks(prepared, candidate, dict(recorded), around)
    try:
        first_O = networks.one_pass(seed=0)
        if _is_worse(prepared, first_O, around):
            return Pruned(
                float(score(first_O.mean(), prepared.study.task.metric)),
                "clearly worse than the best trial after one pass over the folds",
            )
        losses_SO = np.stack([first_O, *(networks.one_pass(s) for s in range(1, validation.seeds))])
    except (Diverged, OutOfMemory, TimeLimit) as error:
        return Infeasible(str(error))
    mean = float(score(losses_SO.mean(), prepared.study.task.metric))
    return Completed(mean) if np.isfinite(mean) else Infeasible("a forecast is not a finite number")


class TimeLimit(Exception):
    """The trial takes longer than the study allows."""


class _Networks:
    """The networks of one trial: trained one by one, or taken from the records."""

    def __init__(
        self,
        prepared: Prepared,
        candidate: Candidate,
        recorded: dict[Key, NetworkRecord],
        around: Surroundings,
    ) -> None:
        self.prepared, self.candidate, self.recorded, self.around = (
            prepared,
            candidate,
            recorded,
            around,
        )
        spent_s = sum(record.wall_s for record in recorded.values())
        self.deadline = around.clock() + prepared.study.budget.trial_timeout_s - spent_s

    def one_pass(self, seed: int) -> NDArray[np.float64]:
        """losses_O of one seed over all folds."""
        return np.concatenate([self._losses(fold, seed) for fold in self.prepared.folds])

    def _losses(self, fold: Fold, seed: int) -> NDArray[np.float64]:
        record = self.recorded.get((fold.number, seed))
        if record is None:
            record = train_record(
                self.prepared, fold, self.candidate, seed, self.around, self._check
            )
            self.around.on_network(record)
        refuse_not_finite(record)
        return record.losses_O

    def _check(self) -> None:
        if self.around.clock() > self.deadline:
            limit = self.prepared.study.budget.trial_timeout_s
            raise TimeLimit(f"the trial takes longer than budget.trial_timeout_s = {limit:g}")


def train_record(
    prepared: Prepared,
    fold: Fold,
    candidate: Candidate,
    seed: int,
    around: Surroundings,
    check: Callable[[], None] = lambda: None,
    *,
    steps: int = 0,
) -> NetworkRecord:
    """Train one network and describe it. `check` may raise; raises TrainingStopped."""

    def on_check(_step: int, _loss: float) -> bool:
        check()
        return around.go_on()

    try:
        fitted = fit_network(
            prepared,
            fold,
            candidate,
            seed=seed,
            trainer=around.trainer,
            on_check=on_check,
            steps=steps,
        )
    except Stopped as error:
        raise TrainingStopped from error
    return NetworkRecord(
        fold=fold.number,
        seed=seed,
        losses_O=fitted.losses_O,
        steps=fitted.steps,
        train_loss=fitted.train_loss,
        watch_loss=fitted.watch_loss,
        wall_s=fitted.wall_s,
    )


def refuse_not_finite(record: NetworkRecord) -> None:
    """Raise Diverged when a forecast of the network is not a finite number."""
    if not np.isfinite(record.losses_O).all():
        raise Diverged("a forecast is not a finite number")


def origins_of(folds: Sequence[Fold], horizon: int) -> Origins:
    """The origins of folds one after another, as the bootstrap needs them."""
    return Origins(
        fold_O=np.concatenate([np.full(len(f.origins_O), f.number) for f in folds]),
        series_O=np.concatenate([f.series_O for f in folds]),
        step_O=np.concatenate([f.origins_O - f.train_ends_S[f.series_O] for f in folds]),
        horizon=horizon,
    )


def _is_worse(prepared: Prepared, trial_O: NDArray[np.float64], around: Surroundings) -> bool:
    rival = around.rival()
    if rival is None:
        return False
    generator = np.random.default_rng(prepared.study.search.seed)
    return not keep(
        trial_O,
        rival.losses_SO,
        rival.seed_sd,
        origins_of(prepared.folds, prepared.study.task.horizon),
        metric=prepared.study.task.metric,
        rng=generator,
    )
