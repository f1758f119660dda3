"""Samples that do not fit their values cannot exist."""

from typing import Any

import numpy as np
import pytest

from hpo.training.trainer import Samples

VALUES_RF = np.zeros((10, 2), dtype=np.float32)


def samples(**changes: Any) -> Samples:
    given: dict[str, Any] = {
        "values_RF": VALUES_RF,
        "starts_N": np.array([0, 6]),
        "lookback": 3,
        "outputs": 1,
        "anchored": False,
    }
    return Samples(**{**given, **changes})


def test_a_window_may_end_with_the_last_row() -> None:
    assert samples(starts_N=np.array([6])).starts_N[-1] + 3 + 1 == len(VALUES_RF)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"starts_N": np.array([7])}, "reach to row 11 of 10"),
        ({"lookback": 4}, "reach to row 11 of 10"),
        ({"outputs": 2}, "reach to row 11 of 10"),
        ({"starts_N": np.array([-1])}, "windows begin at row -1"),
        ({"starts_N": np.array([], dtype=np.int64)}, "at least one window"),
        ({"starts_N": np.array([[0]])}, "at least one window"),
        ({"values_RF": VALUES_RF[:, 0]}, r"not float32 of shape \(10,\)"),
        ({"values_RF": VALUES_RF.astype(np.float64)}, r"not float64 of shape \(10, 2\)"),
        ({"lookback": 0}, "no window has 0 steps and 1 outputs"),
        ({"outputs": 0}, "no window has 3 steps and 0 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        samples(**changes)
