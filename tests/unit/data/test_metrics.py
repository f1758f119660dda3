"""Errors are counted as by hand."""

import numpy as np
import pytest

from hpo.data.metrics import losses
from hpo.sizing.metric import score

TRUTH = np.array([[10.0, 20.0], [0.0, 5.0]])
GUESS = np.array([[13.0, 16.0], [0.0, 5.0]])
SCALE = np.array([2.0, 4.0])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("mae", [3.5, 0.0]),
        ("mase", [1.75, 0.0]),
        ("rmse", [12.5, 0.0]),
        ("smape", [(600 / 23 + 800 / 36) / 2, 0.0]),
    ],
)
def test_a_loss_is_the_mean_over_the_steps_of_an_origin(metric: str, expected: list[float]) -> None:
    assert losses(TRUTH, GUESS, SCALE, metric) == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["mae", "mase", "rmse", "smape"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_forecast_that_is_not_finite_has_an_infinite_loss(metric: str, wrong: float) -> None:
    guess = GUESS.copy()
    guess[0, 1] = wrong
    found = losses(TRUTH, guess, SCALE, metric)
    assert found[0] == np.inf
    assert found[1] == 0


def test_only_the_root_mean_squared_error_takes_a_root() -> None:
    assert score(np.array([4.0, 9.0]), "rmse").tolist() == [2, 3]
    assert score(4.0, "rmse") == 2.0
    assert score(4.0, "mase") == 4.0


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown metric"):
        losses(TRUTH, GUESS, SCALE, "mape")
