"""The training plan of one network: batch order, rates, checks, from the study and a seed.

Shapes: S optimiser steps, B windows in a batch.
"""

import math

import numpy as np
from numpy.typing import NDArray

from hpo.spec.candidate import Candidate
from hpo.spec.study import Study
from hpo.training.trainer import Loss, Plan

CLIP_NORM = 1.0
FEWEST_CHECK_STEPS, MOST_CHECK_STEPS = 10, 100  # docs/decisions/0004

Ints = NDArray[np.int64]


def make_plan(
    study: Study,
    candidate: Candidate,
    order_SB: Ints,
    *,
    windows: int,
    generator: np.random.Generator,
) -> Plan:
    """The plan of a network that takes its batches, of `windows` training windows, in this order.

    A check is due about once a pass over the windows, but not before 10 nor after 100 steps.
    """
    steps, batch = order_SB.shape
    once_through = math.ceil(windows / batch)
    return Plan(
        order_SB=order_SB,
        rates_S=falling_rates(candidate.learning_rate, steps, study.training.max_steps),
        loss=loss_of(study.task.metric),
        clip_norm=CLIP_NORM,
        weight_decay=candidate.weight_decay,
        check_every=min(max(once_through, FEWEST_CHECK_STEPS), MOST_CHECK_STEPS),
        patience=study.training.patience,
        dropout_seed=int(generator.integers(2**31)),
    )


def loss_of(metric: str) -> Loss:
    """What is trained where this metric counts: squares for rmse, else absolute errors."""
    return "squared" if metric == "rmse" else "absolute"


def falling_rates(rate: float, steps: int, max_steps: int) -> np.ndarray:
    """float32 rates_S: half a cosine from `rate` at the first step to 0 after max_steps.

    Without warm restarts (Loshchilov and Hutter 2017). Networks that stop early hardly notice it;
    those that go on learning end with small steps. More steps than max_steps stretch it.

    >>> falling_rates(0.01, steps=3, max_steps=4).astype(float).round(4).tolist()
    [0.01, 0.0085, 0.005]
    """
    share_S = np.arange(steps) / max(steps, max_steps)
    return (rate * (1 + np.cos(np.pi * share_S)) / 2).astype(np.float32)


def batch_order(windows: int, batch: int, steps: int, generator: np.random.Generator) -> Ints:
    """int64 order_SB: shuffled passes over all windows, one after another, cut into batches.

    >>> batch_order(3, 2, 3, np.random.default_rng(0)).shape
    (3, 2)
    """
    passes = math.ceil(steps * batch / windows)
    in_order = np.broadcast_to(np.arange(windows, dtype=np.int64), (passes, windows))
    drawn_N = generator.permuted(in_order, axis=1).ravel()
    return drawn_N[: steps * batch].reshape(steps, batch)
