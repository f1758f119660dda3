"""What comes of a trial: its networks as they are kept, and how it ended.

Shapes: S seeds, O origins of all folds one after another, H horizon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class NetworkRecord:
    """One network (trial, fold, seed) as it is kept: its errors, how and by what it was trained.

    `valid_loss`: see `fitting.fit.Fitted`; `forecasts_OH` is None but for the networks of the final
    race, `effective_parameters` but for final refits; both for what hpo 0.1 trained.
    """

    fold: int
    seed: int
    losses_O: NDArray[np.float64]
    steps: int
    train_loss: float
    watch_loss: float
    wall_s: float
    engine: str
    device: str
    valid_loss: float = np.nan
    forecasts_OH: NDArray[np.float64] | None = None
    effective_parameters: float | None = None


def stack_losses(
    records: Mapping[tuple[int, int], NetworkRecord], folds: Sequence[int], seeds: Sequence[int]
) -> NDArray[np.float64] | None:
    """losses_SO of a trial's records, the folds one after another; None when a network lacks."""
    if any((fold, seed) not in records for fold in folds for seed in seeds):
        return None
    return np.stack([np.concatenate([records[f, s].losses_O for f in folds]) for s in seeds])


def mean_forecast(
    records: Mapping[tuple[int, int], NetworkRecord], fold: int, seeds: Sequence[int]
) -> NDArray[np.float64] | None:
    """The mean forecast (O x H) of those of these seeds that were kept; None if none was."""
    found = [records[fold, seed].forecasts_OH for seed in seeds if (fold, seed) in records]
    kept = [forecasts_OH for forecasts_OH in found if forecasts_OH is not None]
    return np.mean(kept, axis=0) if kept else None


@dataclass(frozen=True, kw_only=True)
class Rival:
    """The best trial so far: its losses_SO, and the spread of scores between seeds."""

    losses_SO: NDArray[np.float64]
    seed_sd: float


@dataclass(frozen=True)
class Completed:
    """All networks of the trial are trained; `score` is its mean error."""

    score: float


@dataclass(frozen=True)
class Pruned:
    """Clearly worse than the best trial after one pass over the folds; `score` is of that pass."""

    score: float
    reason: str


@dataclass(frozen=True)
class Infeasible:
    """This network cannot be trained here: it diverges, or has no room, or takes too long."""

    reason: str


Outcome = Completed | Pruned | Infeasible
