"""Prediction intervals hold what they promise where errors are exchangeable."""

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.data.prepare import truth
from hpo.export.intervals import errors_of, half_widths, make_intervals, measure
from tests.unit.export.models import case, months

PLAIN = case(months(), task={"transform": "none"})
LOGGED = case(months(), task={"transform": "log+deseasonalise+difference"})


def test_a_further_error_is_held_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(0)
    for count in (9, 40):
        held = [
            np.abs(rng.standard_t(3)) <= _width(np.abs(rng.standard_t(3, (count, 1))))
            for _ in range(4000)
        ]
        assert np.mean(held) == pytest.approx(np.ceil((count + 1) * 0.8) / (count + 1), abs=0.02)


def _width(errors_N1: NDArray[np.float64]) -> float:
    widths_H = half_widths(errors_N1, 80)
    assert widths_H is not None
    return float(widths_H[0])


def test_each_step_ahead_has_a_width_of_its_own() -> None:
    errors_NH = np.abs(np.random.default_rng(0).normal(size=(50, 3))) * [1, 10, 100]
    widths_H = half_widths(errors_NH, 80)
    assert widths_H is not None
    assert (np.diff(np.log10(widths_H)) > 0.7).all()


def test_errors_are_counted_on_the_scale_of_the_networks() -> None:
    prepared, fold = PLAIN.prepared, PLAIN.prepared.folds[0]
    scale = prepared.transform_of(fold).scale_SF[0, 0]
    errors_OH = errors_of(prepared, fold, truth(prepared, fold) + 3.0)
    np.testing.assert_allclose(errors_OH, 3.0 / scale)
    prepared, fold = LOGGED.prepared, LOGGED.prepared.folds[0]
    scale = prepared.transform_of(fold).scale_SF[0, 0]
    errors_OH = errors_of(prepared, fold, truth(prepared, fold) * 1.1)
    np.testing.assert_allclose(errors_OH, np.log(1.1) / scale)


def test_a_fold_is_tried_by_the_errors_of_the_others() -> None:
    small, large = np.full((20, 1), 1.0), np.full((20, 1), 2.0)
    found = measure([small, large], np.concatenate([small, large, 3 * small, large]), 80)
    assert found.folds == 0.5, "the small ones by the large, not the large by the small"
    assert (found.test, found.test_values) == (0.75, 80)


def test_too_few_errors_make_no_intervals() -> None:
    prepared, first = PLAIN.prepared, PLAIN.prepared.folds[0]
    assert make_intervals(prepared, {}, None) is None
    exact = {first.number: truth(prepared, first)}
    made = make_intervals(prepared, exact, None)
    assert made is not None
    assert made.errors == len(first.origins_O)
    assert (made.coverage.folds, made.coverage.test) == (None, None)
    assert max(made.half_widths) == int(100 * made.errors / (made.errors + 1))
    broken = {first.number: np.full_like(truth(prepared, first), np.inf)}
    assert make_intervals(prepared, broken, None) is None
