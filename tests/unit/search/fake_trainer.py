"""A small prepared study, and a trainer that trains nothing and does as it is told."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hpo.data.checking import check
from hpo.data.prepare import Prepared, prepare
from hpo.spec.study import Study
from hpo.training.state import TrainingState
from hpo.training.trainer import (
    Check,
    Examples,
    Loss,
    OnCheck,
    Plan,
    Predictor,
    Shape,
    Stopped,
    Trained,
    Weights,
)

Merged = dict[str, dict[str, Any]]
TINY: Merged = {
    "data": {"source": "frame", "target": "y", "season": 4},
    "training": {"max_steps": 40, "device": "cpu"},
    "budget": {"trials": 6},
    "validation": {"folds": 2, "seeds": 1},
    "search": {"sampler": "tpe"},  # which spends its whole budget
}


def tiny_study(name: str = "tiny", **sections: dict[str, Any]) -> Study:
    """A study of six small trials; `sections` add to its values."""
    tree = {key: TINY.get(key, {}) | sections.get(key, {}) for key in {*TINY, *sections}}
    return Study.model_validate(tree | {"name": name})


def tiny_frame(rows: int = 80, seed: int = 0) -> pd.DataFrame:
    """A noisy wave in column y."""
    step_R = np.arange(rows)
    noise_R = np.random.default_rng(seed).normal(scale=0.2, size=rows)
    return pd.DataFrame({"y": 10 + np.sin(np.pi * step_R / 2) + noise_R})


def tiny_prepared(*, rows: int = 80, **sections: dict[str, Any]) -> Prepared:
    """`tiny_study` met with `tiny_frame`."""
    study = tiny_study("tiny", **sections)
    return prepare(study, check(tiny_frame(rows), study.data))


class FakeTrainer:
    """Fulfils `Trainer` at once: every forecast is `forecast`; `before` may raise; counts calls."""

    name = "fake"
    device = "cpu"

    def __init__(
        self, *, before: Callable[[Shape], None] = lambda _: None, forecast: float = 0.0
    ) -> None:
        self.before, self.forecast = before, forecast
        self.trained: list[Shape] = []

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Examples,  # noqa: ARG002
        plan: Plan,
        watch: Examples | None,  # noqa: ARG002
        on_check: OnCheck,
        *,
        state: TrainingState | None = None,
    ) -> Trained:
        """Call `before`, check once, give the weights back."""
        self.before(shape)
        if not on_check(1, 1.0):
            raise Stopped(state)
        self.trained.append(shape)
        check_ = Check(step=len(plan.order_SB), train_loss=1.0, watch_loss=1.0)
        return Trained(weights=weights, steps=check_.step, checks=(check_,))

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:  # noqa: ARG002
        """Always `forecast`."""

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.full((len(x_BTF), shape.outputs), self.forecast, dtype=np.float32)

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
