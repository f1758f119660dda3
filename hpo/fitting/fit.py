"""One network on one span of the data with one seed: the one function all others call.

Shapes: O origins, N windows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.forecast import forecast
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.data.windows import split_tail, window_starts
from hpo.fitting.schedule import make_plan
from hpo.spec.candidate import Candidate
from hpo.training.network import initial_weights
from hpo.training.trainer import Samples, Shape, Trainer, Weights

MOST_WATCHED = 2048  # windows of the inner tail that are looked at in a check, evenly thinned
Clock = Callable[[], float]
OnCheck = Callable[[int, float], bool]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network and how it did.

    `steps`: the step its weights are from; `train_loss`, `watch_loss`: the loss at these weights in
    evaluation mode on its training windows and on the inner tail (NaN without one).
    """

    weights: Weights
    losses_O: NDArray[np.float64]
    steps: int
    train_loss: float
    watch_loss: float
    wall_s: float


def shape_of(prepared: Prepared, candidate: Candidate) -> Shape:
    """The network's shape: as many inputs as columns, as many outputs as the strategy has."""
    return Shape(
        inputs=prepared.limit.inputs,
        outputs=prepared.limit.outputs,
        cells=candidate.cells,
        dropout=candidate.dropout,
    )


def fit_network(
    prepared: Prepared,
    fold: Fold,
    candidate: Candidate,
    *,
    seed: int,
    trainer: Trainer,
    on_check: OnCheck,
    steps: int = 0,
) -> Fitted:
    """Train on the fold's training part, forecast from its origins, count the errors.

    With `steps` = 0 the purged inner tail of the training part (its last 15 %) stops the training
    and chooses the weights; the scored origins are never looked at. With `steps` > 0 the network
    takes that many steps on all windows of the training part: the final refits.
    Raises Diverged, OutOfMemory, Stopped.
    """
    started = perf_counter()
    generator = np.random.default_rng([prepared.study.search.seed, fold.number, seed])
    inner, tail = _samples(prepared, fold, candidate, watched=steps == 0)
    plan = make_plan(
        prepared.study,
        candidate,
        len(inner.starts_N),
        steps or prepared.study.training.max_steps,
        generator,
    )
    shape = shape_of(prepared, candidate)
    trained = trainer.train(shape, initial_weights(shape, generator), inner, plan, tail, on_check)
    metric = prepared.study.task.metric
    predict = trainer.predictor(shape, trained.weights)
    forecast_OH = forecast(predict, prepared, fold, candidate.lookback)
    seen = replace(inner, starts_N=_thin(inner.starts_N))
    return Fitted(
        weights=trained.weights,
        losses_O=losses(truth(prepared, fold), forecast_OH, fold.scale_O, metric),
        steps=trained.steps,
        train_loss=trainer.loss(shape, trained.weights, seen, plan.loss),
        watch_loss=min((c.watch_loss for c in trained.checks), default=np.nan)
        if tail is not None
        else np.nan,
        wall_s=perf_counter() - started,
    )


def window_count(prepared: Prepared, fold: Fold, lookback: int, *, watched: bool) -> int:
    """How many windows a network trains on in this fold, with or without an inner tail."""
    return len(_starts(prepared, fold, lookback, watched=watched)[0])


def _samples(
    prepared: Prepared, fold: Fold, candidate: Candidate, *, watched: bool
) -> tuple[Samples, Samples | None]:
    inner_N, tail_M = _starts(prepared, fold, candidate.lookback, watched=watched)

    def samples(starts_N: NDArray[np.int64]) -> Samples:
        return Samples(
            values_RF=prepared.scaled_RF,
            starts_N=starts_N,
            lookback=candidate.lookback,
            outputs=prepared.limit.outputs,
            anchored=prepared.transform.anchored,
        )

    return samples(inner_N), samples(_thin(tail_M)) if watched else None


def _starts(
    prepared: Prepared, fold: Fold, lookback: int, *, watched: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    reach = {"lookback": lookback, "horizon": prepared.limit.outputs}
    if watched:
        return split_tail(prepared.panel, fold.train_ends_S, **reach)
    return window_starts(prepared.panel, fold.train_ends_S, **reach), np.empty(0, dtype=np.int64)


def _thin(starts_N: NDArray[np.int64]) -> NDArray[np.int64]:
    if len(starts_N) <= MOST_WATCHED:
        return starts_N
    return starts_N[np.linspace(0, len(starts_N) - 1, MOST_WATCHED).astype(np.int64)]
