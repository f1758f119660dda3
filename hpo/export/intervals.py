"""Prediction intervals from the errors that networks made on rows they had not seen.

Split conformal prediction (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, JASA 113): of n
absolute errors the k-th smallest, k = ceil((n + 1) level), covers a further error with at least
that probability where errors are exchangeable. For each step ahead of its own (Stankeviciute, Alaa
and van der Schaar 2021), on the scale that networks see: intervals then grow with the level where
the transform has a log, and with each series' own scale. Errors of neighbouring origins depend on
each other and the future may differ from the past, so exchangeability is an idealisation: what
intervals cover is measured, on each fold by the errors of the others and on the test span.

Shapes: O origins of one fold, N of all folds, H horizon.
"""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
from pydantic import Field

from hpo.data.folds import Fold
from hpo.data.forecast import scaled_errors
from hpo.data.prepare import Prepared
from hpo.spec.study import Part

Floats = npt.NDArray[np.float64]

LEVELS = range(1, 100)  # percent
DEFAULT_LEVEL = 80
FEWEST = 4  # errors; fewer allow no interval of 80 %


class Coverage(Part):
    """How much of the truth intervals of `level` percent held, as shares of 1.

    `folds`: of each fold by the errors of the other folds, all together; null for one fold. `test`:
    of the test span by the errors of the folds; `test_values` were to be held there.
    """

    level: int
    folds: float | None
    test: float | None
    test_values: int


class Intervals(Part):
    """Half the width of intervals, on the networks' scale, and what such intervals covered.

    `half_widths`: by level in percent, one for each step ahead. `errors`: how many of each step
    they rest on; the highest level is errors / (errors + 1).
    """

    errors: int = Field(ge=FEWEST)
    half_widths: dict[int, tuple[float, ...]] = Field(min_length=1)
    coverage: Coverage


def make_intervals(
    prepared: Prepared, forecasts: Mapping[int, Floats], test_OH: Floats | None
) -> Intervals | None:
    """Intervals of the forecasts (O x H, target's own scale) that were made of each fold's origins.

    `forecasts`: by the number of a fold; `test_OH`: of the test span, made by refits. None for
    fewer than 4 errors.
    """
    per_fold = [
        errors_of(prepared, fold, forecasts[fold.number])
        for fold in prepared.folds
        if fold.number in forecasts
    ]
    errors_NH = np.concatenate(per_fold) if per_fold else np.empty((0, 1))
    if len(errors_NH) < FEWEST or not np.isfinite(errors_NH).all():
        return None
    widths = {level: half_widths(errors_NH, level) for level in LEVELS}
    on_test = None if test_OH is None else errors_of(prepared, prepared.test, test_OH)
    return Intervals(
        errors=len(errors_NH),
        half_widths={n: tuple(w.tolist()) for n, w in widths.items() if w is not None},
        coverage=measure(per_fold, on_test, DEFAULT_LEVEL),
    )


def errors_of(prepared: Prepared, fold: Fold, forecasts_OH: Floats) -> Floats:
    """Absolute errors (O x H) on the scale of the fold's networks."""
    errors_OH: Floats = np.abs(scaled_errors(prepared, fold, forecasts_OH))
    return errors_OH


def half_widths(errors_NH: Floats, level: int) -> Floats | None:
    """For each step the k-th smallest error, k = ceil((n + 1) level); None where k is above n.

    >>> half_widths(np.array([[3.0], [1.0], [2.0], [4.0]]), 80)
    array([4.])
    >>> half_widths(np.array([[3.0], [1.0], [2.0], [4.0]]), 81) is None
    True
    """
    rank = ceil((len(errors_NH) + 1) * level / 100)
    if rank > len(errors_NH):
        return None
    widths_H: Floats = np.sort(errors_NH, axis=0)[rank - 1]
    return widths_H


def measure(per_fold: Sequence[Floats], on_test: Floats | None, level: int) -> Coverage:
    """What intervals of this level held of each fold, left out in turn, and of the test span."""
    held: list[npt.NDArray[np.bool_]] = []
    for left_out, errors_OH in enumerate(per_fold):
        others = [e for number, e in enumerate(per_fold) if number != left_out]
        widths_H = half_widths(np.concatenate(others), level) if others else None
        if widths_H is not None:
            held.append((errors_OH <= widths_H).ravel())
    widths_H = half_widths(np.concatenate(per_fold), level)
    of_test = on_test <= widths_H if on_test is not None and widths_H is not None else None
    return Coverage(
        level=level,
        folds=float(np.concatenate(held).mean()) if held else None,
        test=float(of_test.mean()) if of_test is not None else None,
        test_values=of_test.size if of_test is not None else 0,
    )
