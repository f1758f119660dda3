"""The training process of the workers of benchmarks/service.py: every training is a sleep."""

import os
import random
import time
from functools import partial
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from hpo.service import child
from hpo.service.executor import InProcess
from hpo.training.state import TrainingState
from hpo.training.trainer import (
    Check,
    Examples,
    Loss,
    OnCheck,
    Plan,
    Predictor,
    Shape,
    Trained,
    Weights,
)

TRAINING_S = "SERVICE_TRAINING_S"  # in the environment: of each network


class Sleeper:
    """Fulfils `Trainer`: sleeps, gives the weights back, forecasts zeros."""

    name, device = "sleep", "cpu"

    def __init__(self, training_s: float) -> None:
        self._training_s = training_s

    def train(
        self,
        shape: Shape,  # noqa: ARG002
        weights: Weights,
        samples: Examples,  # noqa: ARG002
        plan: Plan,
        watch: Examples | None,  # noqa: ARG002
        on_check: OnCheck,  # noqa: ARG002
        *,
        state: TrainingState | None = None,  # noqa: ARG002
    ) -> Trained:
        """Sleep, and give the weights back."""
        time.sleep(random.uniform(0.5, 1.5) * self._training_s)
        check = Check(step=len(plan.order_SB), train_loss=1.0, watch_loss=1.0)
        return Trained(weights=weights, steps=check.step, checks=(check,))

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:  # noqa: ARG002
        """Zeros."""

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.zeros((len(x_BTF), shape.outputs), dtype=np.float32)

        return predict

    def loss(
        self,
        shape: Shape,  # noqa: ARG002
        weights: Weights,  # noqa: ARG002
        samples: Examples,  # noqa: ARG002
        loss: Loss,  # noqa: ARG002
    ) -> float:
        """Always 1."""
        return 1.0


def main() -> None:
    """Be the child of a worker, with sleepers for trainers."""
    sleeper = Sleeper(float(os.environ[TRAINING_S]))
    with patch.object(child, "InProcess", partial(InProcess, trainer_for=lambda _shape: sleeper)):
        child.main()


if __name__ == "__main__":
    main()
