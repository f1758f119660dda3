"""Rows are repaired, step by step, until they are regular and finite; each step says what it did.

Shapes: R rows of all series one after another, F features (column 0 the target), S series.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.data import calendar
from hpo.errors import DataError
from hpo.spec.study import Data
from hpo.spec.words import counted, listed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows on their way to a panel; values may still be missing (NaN).

    known_R: whether the row's target was in the data, rather than filled.
    """

    values_RF: Floats
    known_R: Bools
    times_R: npt.NDArray[Any]
    starts_S: Ints
    names: tuple[str, ...]

    @property
    def series_R(self) -> Ints:
        return np.repeat(np.arange(len(self.names)), np.diff(self.starts_S))


def row_in_series(starts_S: Ints) -> Ints:
    """0, 1, 2, ... in each series (int64, R)."""
    return np.arange(starts_S[-1]) - np.repeat(starts_S[:-1], np.diff(starts_S))


def trim(rows: Rows, columns: Sequence[str], data: Data) -> tuple[Rows, list[str]]:
    """Rows from where all columns have been known to the last known target.

    Raises DataError for a column without values, or if no row is left.
    """
    known_RF = ~np.isnan(rows.values_RF)
    for column, known_R in zip(columns, known_RF.T, strict=True):
        if not known_R.any():
            raise DataError(
                f"column {column!r} has no values",
                where=data.source,
                remedy="name another column, or drop it from the covariates",
            )
    count = len(rows.values_RF)
    index_R, begins_S = np.arange(count), rows.starts_S[:-1]
    firsts = [np.minimum.reduceat(np.where(k, index_R, count), begins_S) for k in known_RF.T]
    first_S = np.maximum.reduce(firsts)
    last_S = np.maximum.reduceat(np.where(known_RF[:, 0], index_R, -1), begins_S)
    lengths_S = np.diff(rows.starts_S)
    keep_R = (index_R >= np.repeat(first_S, lengths_S)) & (index_R <= np.repeat(last_S, lengths_S))
    if not keep_R.any():
        raise DataError("no row has a value in every column", where=data.source)
    begun = _with_first_rows_known(rows, known_RF, np.minimum(first_S, last_S))
    return _select(begun, keep_R), _trim_warnings(rows, first_S, last_S)


def _with_first_rows_known(rows: Rows, known_RF: Bools, first_S: Ints) -> Rows:
    """The first row that is kept of each series takes what was known before it."""
    values_RF = rows.values_RF.copy()
    index_R = np.arange(len(values_RF))
    first_S = first_S[first_S >= 0]
    for feature, known_R in enumerate(known_RF.T):
        last_R = np.maximum.accumulate(np.where(known_R, index_R, 0))
        values_RF[first_S, feature] = values_RF[last_R[first_S], feature]
    return replace(rows, values_RF=values_RF)


def _trim_warnings(rows: Rows, first_S: Ints, last_S: Ints) -> list[str]:
    never_S = first_S > last_S
    early = int((first_S - rows.starts_S[:-1])[~never_S].sum())
    late = int((rows.starts_S[1:] - 1 - last_S)[~never_S].sum())
    lost = [n for n, never in zip(rows.names, never_S, strict=True) if never]
    warnings = []
    if early:
        warnings.append(f"{counted(early, 'row')} before all columns are known dropped")
    if late:
        warnings.append(f"{counted(late, 'row')} after the last known target dropped")
    if lost:
        warnings.append(f"{len(lost)} series without values left out: {listed(lost)}")
    return warnings


def _select(rows: Rows, keep_R: Bools) -> Rows:
    """The rows that are kept, without series that have none left."""
    if keep_R.all():
        return rows
    kept_S = np.add.reduceat(keep_R.astype(np.int64), rows.starts_S[:-1])
    return Rows(
        values_RF=rows.values_RF[keep_R],
        known_R=rows.known_R[keep_R],
        times_R=rows.times_R[keep_R],
        starts_S=np.concatenate(([0], np.cumsum(kept_S[kept_S > 0]))),
        names=tuple(n for n, count in zip(rows.names, kept_S, strict=True) if count),
    )


def find_step(rows: Rows, data: Data) -> tuple[calendar.Step | None, list[str]]:
    """The step of the times, if the rows lie on it and no more than half of them are missing."""
    if not data.time or len(rows.times_R) == len(rows.names):
        return None, []
    step = calendar.find_step(rows.times_R, rows.starts_S)
    position_R = calendar.positions(rows.times_R, rows.starts_S, step) if step else None
    if position_R is not None and _grid_rows(position_R, rows.starts_S) <= 2 * len(position_R):
        return step, []
    return None, [
        f"the times of column {data.time!r} have no dominant step: "
        "rows are taken as equally spaced, no season is assumed"
    ]


def _grid_rows(position_R: Ints, starts_S: Ints) -> int:
    return int((position_R[starts_S[1:] - 1] + 1).sum())


@dataclass(frozen=True)
class Gaps:
    """How many rows were inserted, and the sentence that says so."""

    inserted: int
    warnings: tuple[str, ...]


def insert_gaps(rows: Rows, step: calendar.Step | None) -> tuple[Rows, Gaps]:
    """Rows for the steps that are missing, with NaN in every column."""
    position_R = calendar.positions(rows.times_R, rows.starts_S, step) if step else None
    if step is None or position_R is None:
        return rows, Gaps(0, ())
    lengths_S = position_R[rows.starts_S[1:] - 1] + 1
    inserted = int(lengths_S.sum()) - len(position_R)
    if not inserted:
        return rows, Gaps(0, ())
    starts_S = np.concatenate(([0], np.cumsum(lengths_S)))
    place_R = position_R + np.repeat(starts_S[:-1], np.diff(rows.starts_S))
    values = np.full((starts_S[-1], rows.values_RF.shape[1]), np.nan)
    values[place_R] = rows.values_RF
    known = np.zeros(starts_S[-1], dtype=np.bool_)
    known[place_R] = rows.known_R
    first = np.repeat(rows.times_R[rows.starts_S[:-1]], lengths_S)
    times = calendar.times_at(first, row_in_series(starts_S), step)
    times[place_R] = rows.times_R
    gap = int(np.flatnonzero(np.diff(place_R) > 1)[0])
    said = (
        f"{counted(inserted, 'row')} missing between the times (the first after "
        f"{_shown(rows.times_R[gap])}) inserted with the last known values"
    )
    grid = replace(rows, values_RF=values, known_R=known, times_R=times, starts_S=starts_S)
    return grid, Gaps(inserted, (said,))


def _shown(time: Any) -> str:
    text = str(time)
    return text.removesuffix("T00:00:00")


def fill(rows: Rows, columns: Sequence[str], *, inserted: int) -> tuple[Floats, list[str]]:
    """Every missing value replaced by the last known one of its series (the first are known).

    `inserted` rows were never in the file and are not counted in the warnings.
    """
    values_RF = rows.values_RF.copy()
    index_R = np.arange(len(values_RF))
    warnings = []
    for feature, column in enumerate(columns):
        known_R = ~np.isnan(values_RF[:, feature])
        missing = int((~known_R).sum()) - inserted
        if missing:
            warnings.append(
                f"{counted(missing, 'missing value')} in column {column!r} "
                "filled with the last known value"
            )
        last_R = np.maximum.accumulate(np.where(known_R, index_R, 0))
        values_RF[:, feature] = values_RF[last_R, feature]
    return values_RF, warnings


def _is_constant(column_R: Floats, starts_S: Ints) -> Bools:
    lowest_S = np.minimum.reduceat(column_R, starts_S[:-1])
    constant: Bools = lowest_S == np.maximum.reduceat(column_R, starts_S[:-1])
    return constant


def drop_constant_series(rows: Rows, data: Data) -> tuple[Rows, list[str]]:
    """The series whose target changes. Raises DataError where none does."""
    constant_S = _is_constant(rows.values_RF[:, 0], rows.starts_S)
    if constant_S.all():
        value = rows.values_RF[0, 0]
        each = f"always {value:g}" if len(rows.names) == 1 else "constant in every series"
        raise DataError(
            f"the target {data.target!r} is {each}",
            where=data.source,
            remedy="there is nothing to forecast; name another column as the target",
        )
    lost = [n for n, constant in zip(rows.names, constant_S, strict=True) if constant]
    if not lost:
        return rows, []
    kept = _select(rows, ~constant_S[rows.series_R])
    return kept, [f"{len(lost)} series with a constant target left out: {listed(lost)}"]


def drop_constant_covariates(
    rows: Rows, columns: tuple[str, ...]
) -> tuple[Rows, tuple[str, ...], list[str]]:
    """The columns that change within at least one series; the target stays."""
    dropped = [
        feature
        for feature in range(1, len(columns))
        if _is_constant(rows.values_RF[:, feature], rows.starts_S).all()
    ]
    if not dropped:
        return rows, columns, []
    kept = [f for f in range(len(columns)) if f not in dropped]
    names = listed([columns[f] for f in dropped])
    rows = replace(rows, values_RF=np.ascontiguousarray(rows.values_RF[:, kept]))
    said = f"covariates that never change (within a series) dropped: {names}"
    return rows, tuple(columns[f] for f in kept), [said]
