"""One network on one span of the data with one seed: the one function all others call.

Shapes: O origins, H horizon.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.data.forecast import forecast
from hpo.data.metrics import losses
from hpo.data.prepare import Prepared, truth
from hpo.fitting.effective import effective_parameters
from hpo.fitting.material import Material
from hpo.fitting.schedule import loss_of, make_plan
from hpo.spec.candidate import Candidate
from hpo.training.state import TrainingState
from hpo.training.trainer import OnCheck, Shape, Trained, Trainer, Weights
from hpo.training.weights import initial_weights

WEIGHTS_STREAM = 1  # of random numbers, beside that of the batch orders


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A trained network, how it did, and the engine and the kind of device that trained it.

    `steps`: the step its weights are from; `train_loss`, `watch_loss`, `valid_loss`: the loss that
    was trained, at these weights in evaluation mode, on its training windows, on the inner tail
    (NaN without one) and on the windows that end with the fold's origins.
    `forecast_OH`: on the target's own scale. Of final refits alone: `effective_parameters` (see
    `fitting.effective`; None for large networks too).
    """

    weights: Weights
    losses_O: NDArray[np.float64]
    forecast_OH: NDArray[np.float64]
    steps: int
    train_loss: float
    watch_loss: float
    wall_s: float
    engine: str
    device: str
    valid_loss: float = np.nan
    effective_parameters: float | None = None


def shape_of(prepared: Prepared, candidate: Candidate) -> Shape:
    """The network's shape: as many inputs as columns, as many outputs as the strategy has."""
    return Shape(
        inputs=prepared.limit.inputs,
        outputs=prepared.limit.outputs,
        cells=candidate.cells,
        dropout=candidate.dropout,
    )


def train_network(
    material: Material,
    fold: Fold,
    candidate: Candidate,
    *,
    seed: int,
    trainer: Trainer,
    on_check: OnCheck,
    steps: int = 0,
    state: TrainingState | None = None,
) -> Trained:
    """Train on the fold's training part and look at nothing after it; see `fit_network`."""
    study = material.prepared.study
    part = material.part(fold, candidate.lookback, watched=steps == 0)
    windows, most = len(part.inner.starts_N), steps or study.training.max_steps
    order_SB = material.order(fold, seed, windows=windows, steps=most)
    generator = np.random.default_rng([study.search.seed, fold.number, seed, WEIGHTS_STREAM])
    plan = make_plan(study, candidate, order_SB, windows=windows, generator=generator)
    shape = shape_of(material.prepared, candidate)
    fresh = initial_weights(shape, generator)
    return trainer.train(shape, fresh, part.inner, plan, part.tail, on_check, state=state)


def fit_network(
    material: Material,
    fold: Fold,
    candidate: Candidate,
    *,
    seed: int,
    trainer: Trainer,
    on_check: OnCheck,
    steps: int = 0,
    state: TrainingState | None = None,
) -> Fitted:
    """Train on the fold's training part, forecast from its origins, count the errors.

    With `steps` = 0 the purged inner tail of the training part (its last 15 %) stops the training
    and chooses the weights; the scored origins are never looked at. With `steps` > 0 the network
    takes that many steps on all windows of the training part: the final refits.
    With `state` the training goes on where a Stopped left it; `wall_s` is then that of its rest.
    Raises Diverged, OutOfMemory, Stopped; ValueError for a state of another training.
    """
    started = perf_counter()
    prepared, metric = material.prepared, material.prepared.study.task.metric
    trained = train_network(
        material,
        fold,
        candidate,
        seed=seed,
        trainer=trainer,
        on_check=on_check,
        steps=steps,
        state=state,
    )
    shape, loss = shape_of(prepared, candidate), loss_of(metric)
    part = material.part(fold, candidate.lookback, watched=steps == 0)
    scored = material.scored(fold, candidate.lookback)
    predict = trainer.predictor(shape, trained.weights)
    forecast_OH = forecast(predict, prepared, fold, candidate.lookback)
    watched = [check.watch_loss for check in trained.checks] if part.tail is not None else []
    return Fitted(
        weights=trained.weights,
        losses_O=losses(truth(prepared, fold), forecast_OH, fold.scale_O, metric),
        forecast_OH=forecast_OH,
        steps=trained.steps,
        train_loss=trainer.loss(shape, trained.weights, part.seen, loss),
        watch_loss=min(watched, default=np.nan),
        wall_s=perf_counter() - started,
        engine=trainer.name,
        device=trainer.device,
        valid_loss=trainer.loss(shape, trained.weights, scored, loss),
        effective_parameters=(
            effective_parameters(shape, trained.weights, part.inner) if steps > 0 else None
        ),
    )
