"""The verdict on series whose truth is known, with budgets small enough for every test run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hpo

POINTS = 800
TRIALS = 5


def white_noise() -> np.ndarray:
    return np.random.default_rng(1).standard_normal(POINTS)


def random_walk() -> np.ndarray:
    return np.random.default_rng(2).standard_normal(POINTS).cumsum()


def mackey_glass(points: int, *, lag: int = 17, step: float = 0.1) -> np.ndarray:
    """dx/dt = 0.2 x(t - lag) / (1 + x(t - lag)^10) - 0.1 x (Mackey and Glass 1977)."""
    per_unit = round(1 / step)
    path = [1.2] * (lag * per_unit + 1)
    for _ in range((points + 500) * per_unit):
        past, now = path[-lag * per_unit - 1], path[-1]
        path.append(now + step * (0.2 * past / (1 + past**10) - 0.1 * now))
    return np.array(path[::per_unit][-points:])


@pytest.mark.parametrize("series", [white_noise, random_walk])
def test_no_lstm_is_justified_where_there_is_nothing_to_learn(
    series: Callable[[], np.ndarray], tmp_path: Path
) -> None:
    frame = pd.DataFrame({"y": series()})
    storage = f"sqlite:///{tmp_path / 'hpo.db'}"
    answer = hpo.run(
        frame,
        target="y",
        storage=storage,
        workers=2,
        trials=TRIALS,
        max_steps=200,
        layers=[1, 2],
        cells=[2, 16],
        seeds=2,
    )
    assert answer.lstm_justified is False
    assert answer.trials.ended == TRIALS


def test_an_lstm_is_justified_where_a_linear_model_cannot_follow(tmp_path: Path) -> None:
    frame = pd.DataFrame({"y": mackey_glass(1_500)})
    answer = hpo.run(
        frame,
        target="y",
        storage=f"sqlite:///{tmp_path / 'hpo.db'}",
        workers=2,
        trials=TRIALS,
        layers=[1, 1],
        cells=[12, 24],
        learning_rate=[1e-2, 4e-2],
        max_steps=1_000,
        folds=3,
        seeds=2,
        horizon=3,
    )
    assert answer.best_benchmark == "ridge"
    assert answer.lstm_justified is True
    assert answer.test_score is not None
    assert answer.test_score < answer.benchmarks_test["ridge"]
