"""The training plan of one network: batch order, rates, checks, from the study and a seed.

Shapes: S optimiser steps, B windows in a batch.
"""

import math

import numpy as np

from hpo.spec.candidate import Candidate
from hpo.spec.study import Study
from hpo.training.trainer import Plan

CLIP_NORM = 1.0
FEWEST_CHECK_STEPS, MOST_CHECK_STEPS = 20, 100
LOSS_OF_METRIC = {"mase": "absolute", "mae": "absolute", "smape": "absolute", "rmse": "squared"}


def make_plan(
    study: Study, candidate: Candidate, windows: int, steps: int, generator: np.random.Generator
) -> Plan:
    """A plan of `steps` optimiser steps over `windows` training windows.

    A check is due about once a pass over the windows, but not before 20 nor after 100 steps.
    """
    batch = min(study.training.batch_size, windows)
    once_through = math.ceil(windows / batch)
    return Plan(
        order_SB=batch_order(windows, batch, steps, generator),
        rates_S=np.full(steps, candidate.learning_rate, dtype=np.float32),
        loss="squared" if LOSS_OF_METRIC[study.task.metric] == "squared" else "absolute",
        clip_norm=CLIP_NORM,
        weight_decay=candidate.weight_decay,
        check_every=min(max(once_through, FEWEST_CHECK_STEPS), MOST_CHECK_STEPS),
        patience=study.training.patience,
        dropout_seed=int(generator.integers(2**31)),
    )


def batch_order(windows: int, batch: int, steps: int, generator: np.random.Generator) -> np.ndarray:
    """int64 order_SB: shuffled passes over all windows, one after another, cut into batches.

    >>> batch_order(3, 2, 3, np.random.default_rng(0)).shape
    (3, 2)
    """
    passes = math.ceil(steps * batch / windows)
    if passes <= 1:
        drawn = generator.permutation(windows)[: steps * batch]
    else:
        drawn = np.concatenate([generator.permutation(windows) for _ in range(passes)])
    return drawn[: steps * batch].reshape(steps, batch).astype(np.int64)
