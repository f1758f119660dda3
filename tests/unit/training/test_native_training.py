"""Many steps of the native kernels follow the same steps in double precision.

One float32 course may be near its float64 one by luck, and one tiny difference may grow as the
steps go on. So distances are medians over seeds, and the loss is a smooth one: at the absolute
loss's kink a rounding turns a gradient round, and torch's own distance, the measure here, means
nothing. What is measured: the length of the difference of all weights after the last step, and of
the losses of all steps.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from hpo.training.trainer import Loss, Plan
from tests.unit.training.reference import (
    LOSSES,
    SINGLE,
    Reals,
    Task,
    native_training,
    random_task,
    torch_training,
)

Course = tuple[Reals, Reals]  # the losses of all steps, the last weights
SEEDS = range(5)


@dataclass(frozen=True)
class Known:
    """A training and its courses in torch."""

    task: Task
    plan: Plan
    single: Course
    double: Course


def plan_of(task: Task, seed: int, steps: int = 200) -> Plan:
    """Rates from 0.01 down to 0.001, clipping that takes hold of the first steps, weight decay."""
    return Plan(
        order_SB=np.random.default_rng(seed).integers(0, 40, size=(steps, 13)),
        rates_S=np.linspace(0.01, 0.001, steps).astype(np.float32),
        loss=task.loss,
        clip_norm=0.3,
        weight_decay=0.05,
        check_every=1,
        patience=1,
        dropout_seed=0,
    )


def known(cells: tuple[int, ...], loss: Loss, seed: int) -> Known:
    task = random_task(cells, loss, seed)
    plan = plan_of(task, seed)
    single, double = (torch_training(task, dtype, plan) for dtype in (torch.float32, torch.float64))
    return Known(task, plan, single, double)


@pytest.fixture(
    scope="module",
    params=[((2,), "squared"), ((16,), "squared"), ((7, 5), "cross_entropy")],
    ids=["2-cells", "16-cells", "2-layers"],
)
def courses(request: pytest.FixtureRequest) -> list[Known]:
    cells, loss = request.param
    return [known(cells, loss, seed) for seed in SEEDS]


@pytest.mark.parametrize("kernel", SINGLE)
def test_single_training_stays_as_near_the_double_one_as_torchs_own(
    courses: list[Known], kernel: str
) -> None:
    own, torchs = (
        np.median([_distances(course, c.double) for c, course in pairs], axis=0)
        for pairs in (
            [(c, native_training(c.task, kernel, c.plan)) for c in courses],
            [(c, c.single) for c in courses],
        )
    )
    assert (torchs > 0).all()
    assert (own <= 10 * torchs).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("cells", [(3,), (8,), (4, 3), (2, 5, 3)])
def test_double_training_is_torchs(cells: tuple[int, ...], loss: Loss) -> None:
    task = random_task(cells, loss, anchored=loss == "absolute")
    plan = plan_of(task, 0, steps=100)
    expected, found = (
        torch_training(task, torch.float64, plan),
        native_training(task, "double", plan),
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def _distances(one: Course, other: Course) -> tuple[float, float]:
    losses, weights = (np.linalg.norm(a - b) for a, b in zip(one, other, strict=True))
    return float(losses), float(weights)
