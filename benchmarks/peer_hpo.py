"""The work done by this project's trainer: Optuna asks and tells, a pool of threads trains.

Shapes: R rows, F features, N windows, T steps, B windows in a batch, S optimiser steps.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from peer_work import HIGHEST_RATE, LOWEST_RATE, Found, Work

from hpo.training.engine import Engines, resolve_engine
from hpo.training.trainer import Plan, Samples, Shape, Trainer, Weights
from hpo.training.weights import initial_weights


def search(work: Work) -> Found:
    """Draw, train and judge all networks, `threads` at a time; refit the best."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    values_R1 = np.asarray(work.values, dtype=np.float32)[:, None]
    shape = Shape(inputs=1, outputs=1, cells=(work.cells,))
    trainer = Engines(resolve_engine("auto", "cpu"), "cpu").trainer_for(shape)
    judged = len(values_R1) - work.test - work.validation

    def judge(rate: float, seed: int) -> float:
        weights = _train(trainer, shape, values_R1[:judged], rate, work, seed)
        return _error(trainer, shape, weights, values_R1[: -work.test], work, work.validation)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=work.seed))
    trials = [study.ask() for _ in range(work.trials)]
    rates = [t.suggest_float("learning_rate", LOWEST_RATE, HIGHEST_RATE, log=True) for t in trials]
    with ThreadPoolExecutor(work.threads) as pool:
        for trial, error in zip(trials, pool.map(judge, rates, range(work.trials)), strict=True):
            study.tell(trial, error)
    rate = study.best_params["learning_rate"]
    weights = _train(trainer, shape, values_R1[: -work.test], rate, work, work.trials)
    return Found(
        networks=work.trials + 1,
        validation_mae=study.best_value,
        test_mae=_error(trainer, shape, weights, values_R1, work, work.test),
        learning_rate=rate,
        made_by=f"hpo, {trainer.name} engine, {work.threads} networks at once",
    )


def _train(
    trainer: Trainer,
    shape: Shape,
    values_R1: NDArray[np.float32],
    rate: float,
    work: Work,
    seed: int,
) -> Weights:
    generator = np.random.default_rng([work.seed, seed])
    windows = len(values_R1) - work.lookback
    samples = Samples(
        values_RF=values_R1,
        starts_N=np.arange(windows),
        lookback=work.lookback,
        outputs=1,
        anchored=False,
    )
    plan = Plan(
        order_SB=generator.integers(windows, size=(work.max_steps, work.batch)),
        rates_S=np.full(work.max_steps, rate, dtype=np.float32),
        loss="absolute",
        clip_norm=1.0,
        weight_decay=0.0,
        check_every=work.max_steps,
        patience=1,
        dropout_seed=0,
    )
    first = initial_weights(shape, generator)
    return trainer.train(shape, first, samples, plan, None, lambda *_: True).weights


def _error(
    trainer: Trainer,
    shape: Shape,
    weights: Weights,
    values_R1: NDArray[np.float32],
    work: Work,
    last: int,
) -> float:
    """The mean absolute error of one-step forecasts of the `last` rows."""
    x_NT = sliding_window_view(values_R1[-last - work.lookback : -1, 0], work.lookback)
    y_N1 = trainer.predictor(shape, weights)(np.ascontiguousarray(x_NT[:, :, None]))
    return float(np.abs(y_N1 - values_R1[-last:]).mean())
