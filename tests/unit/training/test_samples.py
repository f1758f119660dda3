"""Samples that do not fit their values, and shapes and plans of no network, cannot exist."""

from typing import Any

import numpy as np
import pytest

from hpo.training.trainer import Plan, Samples, Sequences, Shape

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
        (
            {"starts_N": np.array([2**63 - 1])},
            r"reach to row 9223372036854775811 of 10 \(window 0\)",
        ),
        ({"starts_N": np.array([0], dtype=np.int32)}, "starts_N must be int64, not int32"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        samples(**changes)


def sequences(**changes: Any) -> Sequences:
    given: dict[str, Any] = {
        "values_RF": VALUES_RF,
        "starts_N": np.array([0, 6]),
        "lengths_N": np.array([7, 4]),
        "labels_N": np.array([1, 0]),
        "classes": 2,
    }
    return Sequences(**{**given, **changes})


def test_a_sequence_may_end_with_the_last_row() -> None:
    assert (sequences().starts_N + sequences().lengths_N).max() == len(VALUES_RF)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values_RF": VALUES_RF[:, 0]}, r"not float32 of shape \(10,\)"),
        ({"starts_N": np.array([-1, 0])}, "begin at row -1, not at 0 or later"),
        ({"starts_N": np.array([], dtype=np.int64)}, "starts_N must name at least one window"),
        ({"starts_N": np.array([0, 7])}, r"reach to row 11 of 10 \(window 1\)"),
        ({"starts_N": np.array([2**63 - 1, 0])}, "reach to row 9223372036854775814 of 10"),
        ({"lengths_N": np.array([11, 4])}, r"reach to row 11 of 10 \(window 0\)"),
        ({"lengths_N": np.array([7, 0])}, "has 0 steps; lengths_N must be at least 1"),
        ({"lengths_N": np.array([7])}, "lengths_N has 1 entries, starts_N 2"),
        ({"lengths_N": np.array([7.0, 4.0])}, "lengths_N must be int64, not float64"),
        ({"labels_N": np.array([0, 1, 1])}, "labels_N has 3 entries, starts_N 2"),
        ({"labels_N": np.array([0, 2])}, r"labels_N holds 0 \.\. 2, not only 0 \.\. 1"),
        ({"labels_N": np.array([-1, 1])}, r"labels_N holds -1 \.\. 1, not only 0 \.\. 1"),
        ({"classes": 1, "labels_N": np.array([0, 0])}, "classes=1 must be at least 2"),
    ],
)
def test_sequences_that_do_not_fit_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sequences(**changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": 0}, "inputs=0, outputs=1 must both be at least 1"),
        ({"outputs": 0}, "inputs=1, outputs=0 must both be at least 1"),
        ({"cells": ()}, r"cells=\(\) must name at least one layer"),
        ({"cells": (2, 0)}, r"cells=\(2, 0\) must name at least one layer of 1 cell or more"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout=-0.1 must be at least 0 and below 1"),
        ({"dropout": np.nan}, "dropout=nan must be at least 0 and below 1"),
    ],
)
def test_a_shape_of_no_network_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Shape(**{"inputs": 1, "outputs": 1, "cells": (2,), **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"order_SB": np.zeros((0, 4), dtype=np.int64)}, r"not int64 of shape \(0, 4\)"),
        ({"order_SB": np.zeros((3, 0), dtype=np.int64)}, r"not int64 of shape \(3, 0\)"),
        ({"order_SB": np.zeros(3, dtype=np.int64)}, r"not int64 of shape \(3,\)"),
        (
            {"order_SB": np.zeros((3, 4))},
            r"order_SB must be int64, .* not float64 of shape \(3, 4\)",
        ),
        ({"rates_S": np.ones(2, dtype=np.float32)}, r"3 steps, not float32 of shape \(2,\)"),
        ({"rates_S": np.ones(3)}, r"rates_S must be float32, 3 steps, not float64"),
        ({"check_every": 0}, "check_every=0, patience=1 must both be at least 1"),
        ({"patience": 0}, "check_every=1, patience=0 must both be at least 1"),
        ({"clip_norm": 0.0}, "clip_norm=0.0, weight_decay=0.0 must be above 0 and at least 0"),
        ({"clip_norm": np.nan}, "clip_norm=nan"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be above 0 and at least 0"),
    ],
)
def test_a_plan_of_no_training_is_refused(changes: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {
        "order_SB": np.zeros((3, 4), dtype=np.int64),
        "rates_S": np.ones(3, dtype=np.float32),
        "loss": "absolute",
        "clip_norm": 1.0,
        "weight_decay": 0.0,
        "check_every": 1,
        "patience": 1,
        "dropout_seed": 0,
    }
    assert Plan(**given).patience == 1
    with pytest.raises(ValueError, match=said):
        Plan(**{**given, **changes})
