"""A frame is checked and becomes a panel: sorted, on a regular grid, every number finite.

Shapes: R rows of all series one after another, F features (column 0 the target), S series.
"""

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.data import calendar
from hpo.data.columns import place
from hpo.data.load import from_frame, index_is_time
from hpo.data.panel import Panel
from hpo.data.repair import (
    Rows,
    drop_constant_covariates,
    drop_constant_series,
    fill,
    find_step,
    insert_gaps,
    row_in_series,
    trim,
)
from hpo.errors import DataError
from hpo.spec.study import Data
from hpo.spec.words import counted

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

FEWEST_ROWS = 4


def check(frame: pd.DataFrame, data: Data) -> Panel:
    """The panel of a frame: sorted, on a regular grid, missing values filled from the past.

    Changed with a warning: unsorted times are sorted; rows before all columns are known and
    rows after the last known target are dropped; missing values and gaps take the last known
    value, never a later one; constant covariates and series that are constant or never known
    are left out. The frame itself is not changed.
    Raises DataError for duplicate times, a constant target, a column without values, too few
    rows, and whatever `load.from_frame` refuses.
    """
    rows, data, changed = rows_in_order(frame, data, fewest=FEWEST_ROWS)
    columns = (data.target, *data.covariates)
    step, irregular = find_step(rows, data)
    rows, gaps = insert_gaps(rows, step)
    values_RF, filled = fill(rows, columns, inserted=gaps.inserted)
    rows, still = drop_constant_series(replace(rows, values_RF=values_RF), data)
    rows, columns, constant = drop_constant_covariates(rows, columns)
    alias, season = (step.alias, step.season) if step else ("", 1)
    return Panel(
        values_RF=rows.values_RF,
        known_R=rows.known_R,
        starts_S=rows.starts_S,
        names=rows.names,
        times_R=rows.times_R,
        columns=columns,
        frequency=alias,
        season=data.season or season,
        warnings=(*changed, *irregular, *gaps.warnings, *filled, *still, *constant),
        fingerprint=_fingerprint(rows, columns, alias),
    )


def rows_in_order(
    frame: pd.DataFrame, data: Data, *, fewest: int
) -> tuple[Rows, Data, tuple[str, ...]]:
    """Series after series, each sorted and from where all columns are known to its last target.

    Beside the rows: the data, with a name for times that stand in the index; sentences on what was
    changed. Raises DataError as `check` does.
    """
    table, data = _with_time_of_index(from_frame(frame, data), data)
    _refuse_too_few(table, data, fewest)
    rows, unsorted = _sort(table, data)
    rows, trimmed = trim(rows, (data.target, *data.covariates), data)
    return rows, data, (*unsorted, *trimmed)


def _with_time_of_index(table: pd.DataFrame, data: Data) -> tuple[pd.DataFrame, Data]:
    """An index that tells the time as one more column, and the data that names it."""
    if not index_is_time(table, data):
        return table, data
    name = "index"
    while name in table.columns:
        name += "_"
    rows = pd.RangeIndex(len(table), name="row")
    table = table.assign(**{name: table.index.array}).set_axis(rows, axis="index")
    return table, data.model_copy(update={"time": name})


def _refuse_too_few(table: pd.DataFrame, data: Data, fewest: int) -> None:
    if len(table) < fewest:
        raise DataError(
            f"too few rows: {len(table)}",
            where=data.source,
            remedy=f"at least {fewest} are needed to look at the data at all",
        )


def _sort(table: pd.DataFrame, data: Data) -> tuple[Rows, list[str]]:
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
        times_R = times_R * 0 + row_in_series(starts_S)
    columns = [table[c].to_numpy() for c in (data.target, *data.covariates)]
    values_RF = np.empty((len(table), len(columns)))
    for feature, column_R in enumerate(columns):
        values_RF[:, feature] = column_R[order_R]
    rows = Rows(
        values_RF=values_RF,
        known_R=~np.isnan(values_RF[:, 0]),
        times_R=times_R,
        starts_S=starts_S,
        names=names,
    )
    return rows, warnings


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


def _fingerprint(rows: Rows, columns: tuple[str, ...], frequency: str) -> str:
    labels = [rows.names, columns, frequency, str(rows.times_R.dtype), rows.starts_S.tolist()]
    digest = hashlib.sha256(json.dumps(labels).encode())
    digest.update(np.ascontiguousarray(rows.times_R).view(np.uint8).data)
    digest.update(np.ascontiguousarray(rows.values_RF).view(np.uint8).data)
    if not rows.known_R.all():
        digest.update(np.packbits(rows.known_R).data)
    return digest.hexdigest()
