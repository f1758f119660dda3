"""Rows become a panel: series on a regular grid, every number finite.

Shapes: R rows of all series one after another, F features (column 0 the target), S series.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.data import calendar
from hpo.data.columns import place
from hpo.data.load import from_frame
from hpo.errors import DataError
from hpo.spec.study import Data

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FEWEST_ROWS = 4
NAMES_SHOWN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Checked series, one after another.

    values_RF: float64, finite, column 0 the target, then the covariates that were kept.
    starts_S: int64 of length S+1, the first row of each series, and R at the end.
    names: of the series; ("",) for a single one. columns: of values_RF.
    times_R: datetime64[s], int64 or float64 (row numbers where there is no time column).
    frequency: as `calendar.frequency`; "" where none was found. season: steps, 1 if none.
    warnings: sentences on what was changed. fingerprint: SHA-256 (hex) of the content.
    """

    values_RF: Floats
    starts_S: Ints
    names: tuple[str, ...]
    times_R: npt.NDArray[Any]
    columns: tuple[str, ...]
    frequency: str
    season: int
    warnings: tuple[str, ...]
    fingerprint: str

    @property
    def lengths_S(self) -> Ints:
        """Rows of each series."""
        return np.diff(self.starts_S)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Rows on their way to a panel; values may still be missing (NaN)."""

    values_RF: Floats
    times_R: npt.NDArray[Any]
    starts_S: Ints
    names: tuple[str, ...]

    @property
    def series_R(self) -> Ints:
        return np.repeat(np.arange(len(self.names)), np.diff(self.starts_S))


def check(frame: pd.DataFrame, data: Data) -> Panel:
    """The panel of a frame: sorted, on a regular grid, missing values filled from the past.

    Changed with a warning: unsorted times are sorted; rows before all columns are known and
    rows after the last known target are dropped; missing values and gaps take the last known
    value, never a later one; constant covariates and series that are constant or never known
    are left out. The frame itself is not changed.
    Raises DataError for duplicate times, a constant target, a column without values, too few
    rows, and whatever `load.from_frame` refuses.
    """
    table = from_frame(frame, data)
    columns = (data.target, *data.covariates)
    if len(table) < FEWEST_ROWS:
        raise DataError(
            f"too few rows: {len(table)}",
            where=data.source,
            remedy=f"at least {FEWEST_ROWS} are needed to look at the data at all",
        )
    rows, unsorted = _sort(table, data)
    rows, trimmed = _trim(rows, columns, data)
    step, irregular = _find_step(rows, data)
    rows, gaps = _insert_gaps(rows, step)
    values_RF, filled = _fill(rows, columns, inserted=gaps.inserted)
    rows, constant_series = _drop_constant_series(replace(rows, values_RF=values_RF), data)
    rows, columns, constant = _drop_constant_covariates(rows, columns)
    found = (step.alias, step.season) if step else ("", 1)
    return Panel(
        values_RF=rows.values_RF,
        starts_S=rows.starts_S,
        names=rows.names,
        times_R=rows.times_R,
        columns=columns,
        frequency=found[0],
        season=data.season or found[1],
        warnings=(
            *unsorted,
            *trimmed,
            *irregular,
            *gaps.warnings,
            *filled,
            *constant_series,
            *constant,
        ),
        fingerprint=_fingerprint(rows, columns, found[0]),
    )


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = ", ".join(repr(n) for n in names[:NAMES_SHOWN])
    return f"{shown} and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else shown


def counted(count: int, noun: str) -> str:
    """A number with its noun: `counted(2, "row")` is "2 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _sort(table: pd.DataFrame, data: Data) -> tuple[_Rows, list[str]]:
    codes_R, names = _series_codes(table, data)
    if data.time:
        times_R = calendar.read_times(table[data.time], data.source)
        order_R = np.lexsort((times_R, codes_R))
    else:
        times_R = np.arange(len(table))
        order_R = np.argsort(codes_R, kind="stable")
    starts_S = np.concatenate(([0], np.cumsum(np.bincount(codes_R, minlength=len(names)))))
    warnings = _unsorted(np.argsort(codes_R, kind="stable"), order_R)
    times_R = times_R[order_R]
    if data.time:
        _refuse_duplicates(table, data, times_R, starts_S, order_R)
    else:
        times_R = times_R * 0 + _row_in_series(starts_S)
    columns = [table[c].to_numpy() for c in (data.target, *data.covariates)]
    values_RF = np.empty((len(table), len(columns)))
    for feature, column_R in enumerate(columns):
        values_RF[:, feature] = column_R[order_R]
    return _Rows(values_RF=values_RF, times_R=times_R, starts_S=starts_S, names=names), warnings


def _series_codes(table: pd.DataFrame, data: Data) -> tuple[Ints, tuple[str, ...]]:
    if not data.series:
        return np.zeros(len(table), dtype=np.int64), ("",)
    given = table[data.series].cat.remove_unused_categories()
    order = np.argsort(given.cat.categories.to_numpy(dtype=str), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[given.cat.codes.to_numpy()], tuple(given.cat.categories[order])


def _unsorted(by_series_R: Ints, order_R: Ints) -> list[str]:
    moved = int((by_series_R != order_R).sum())
    return [f"the times were not in order: {counted(moved, 'row')} moved"] if moved else []


def _row_in_series(starts_S: Ints) -> Ints:
    return np.arange(starts_S[-1]) - np.repeat(starts_S[:-1], np.diff(starts_S))


def _refuse_duplicates(
    table: pd.DataFrame, data: Data, times_R: npt.NDArray[Any], starts_S: Ints, order_R: Ints
) -> None:
    same = times_R[1:] == times_R[:-1]
    same[starts_S[1:-1] - 1] = False
    twice = np.flatnonzero(same)
    if not twice.size:
        return
    at = int(order_R[twice + 1].min())
    of = f" of series {table[data.series].iloc[at]!r}" if data.series else ""
    remedy = "keep one row for each time" if data.series else "keep one row for each time, or "
    raise DataError(
        f"the time {str(table[data.time].iloc[at])!r}{of} is there twice",
        where=place(data.source, data.time, table.index, at),
        remedy=remedy + ("" if data.series else "name the column of series in data.series"),
    )


def _trim(rows: _Rows, columns: Sequence[str], data: Data) -> tuple[_Rows, list[str]]:
    """Rows from where all columns are known to the last known target."""
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
    return _select(rows, keep_R), _trim_warnings(rows, first_S, last_S)


def _trim_warnings(rows: _Rows, first_S: Ints, last_S: Ints) -> list[str]:
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


def _select(rows: _Rows, keep_R: Bools) -> _Rows:
    """The rows that are kept, without series that have none left."""
    if keep_R.all():
        return rows
    kept_S = np.add.reduceat(keep_R.astype(np.int64), rows.starts_S[:-1])
    return _Rows(
        values_RF=rows.values_RF[keep_R],
        times_R=rows.times_R[keep_R],
        starts_S=np.concatenate(([0], np.cumsum(kept_S[kept_S > 0]))),
        names=tuple(n for n, count in zip(rows.names, kept_S, strict=True) if count),
    )


def _find_step(rows: _Rows, data: Data) -> tuple[calendar.Step | None, list[str]]:
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
class _Gaps:
    inserted: int
    warnings: tuple[str, ...]


def _insert_gaps(rows: _Rows, step: calendar.Step | None) -> tuple[_Rows, _Gaps]:
    """Rows for the steps that are missing, with NaN in every column."""
    position_R = calendar.positions(rows.times_R, rows.starts_S, step) if step else None
    if step is None or position_R is None:
        return rows, _Gaps(0, ())
    lengths_S = position_R[rows.starts_S[1:] - 1] + 1
    inserted = int(lengths_S.sum()) - len(position_R)
    if not inserted:
        return rows, _Gaps(0, ())
    starts_S = np.concatenate(([0], np.cumsum(lengths_S)))
    place_R = position_R + np.repeat(starts_S[:-1], np.diff(rows.starts_S))
    values = np.full((starts_S[-1], rows.values_RF.shape[1]), np.nan)
    values[place_R] = rows.values_RF
    first = np.repeat(rows.times_R[rows.starts_S[:-1]], lengths_S)
    times = calendar.times_at(first, _row_in_series(starts_S), step)
    times[place_R] = rows.times_R
    gap = int(np.flatnonzero(np.diff(place_R) > 1)[0])
    said = (
        f"{counted(inserted, 'row')} missing between the times (the first after "
        f"{_shown(rows.times_R[gap])}) inserted with the last known values"
    )
    grid = _Rows(values_RF=values, times_R=times, starts_S=starts_S, names=rows.names)
    return grid, _Gaps(inserted, (said,))


def _shown(time: Any) -> str:
    text = str(time)
    return text.removesuffix("T00:00:00")


def _fill(rows: _Rows, columns: Sequence[str], *, inserted: int) -> tuple[Floats, list[str]]:
    """Every missing value replaced by the last known one of its series (the first are known)."""
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


def _drop_constant_series(rows: _Rows, data: Data) -> tuple[_Rows, list[str]]:
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


def _drop_constant_covariates(
    rows: _Rows, columns: tuple[str, ...]
) -> tuple[_Rows, tuple[str, ...], list[str]]:
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


def _fingerprint(rows: _Rows, columns: tuple[str, ...], frequency: str) -> str:
    labels = [rows.names, columns, frequency, str(rows.times_R.dtype), rows.starts_S.tolist()]
    digest = hashlib.sha256(json.dumps(labels).encode())
    digest.update(np.ascontiguousarray(rows.times_R).view(np.uint8).data)
    digest.update(np.ascontiguousarray(rows.values_RF).view(np.uint8).data)
    return digest.hexdigest()
