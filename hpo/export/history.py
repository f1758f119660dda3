"""The recent rows that a forecast goes on from, checked against what the model was trained on.

Shapes: R rows of all series one after another, F features (column 0 the target), S series.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo.data import calendar
from hpo.data.calendar import Step, Times, in_words
from hpo.data.checking import rows_in_order
from hpo.data.repair import Rows, fill, insert_gaps
from hpo.errors import DataError
from hpo.export.signature import Signature
from hpo.spec.study import Data
from hpo.spec.words import counted, listed

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Rows of series that the model knows, on the grid of its training rows.

    index_S: each series' place among the model's; phase_S: whole steps from its first training row
    to its first row here (negative where that is earlier). times_R: None where rows have no times.
    warnings: sentences on what was changed or supposed.
    """

    rows: Rows
    index_S: Ints
    phase_S: Ints
    times_R: Times | None
    warnings: tuple[str, ...]


def read_history(frame: Any, signature: Signature, data: Data) -> History:
    """The rows of a frame as a model of this signature needs them.

    Missing values and rows take the last known value, rows after a series' last known target are
    left out, unsorted times are sorted, each with a warning. Raises DataError for series that the
    model does not know, times that do not go on with its calendar, fewer rows than its lookback,
    and whatever `data.checking.check` refuses of a column.
    """
    rows, named, warnings = rows_in_order(frame, data, fewest=1)
    index_S = _known_series(rows, signature, data)
    _refuse_other_times(signature, data, has_times=bool(named.time))
    rows = _with_dates_of_training(rows, signature, named)
    step = signature.calendar.step
    if step:
        _refuse_other_frequency(rows, step, named)
    rows, gaps = insert_gaps(rows, step)
    values_RF, filled = fill(rows, (data.target, *data.covariates), inserted=gaps.inserted)
    _refuse_short(rows, signature, data)
    phase_S, supposed = _phases(rows, signature, index_S, step, named)
    return History(
        rows=replace(rows, values_RF=values_RF),
        index_S=index_S,
        phase_S=phase_S,
        times_R=rows.times_R if named.time else None,
        warnings=(*warnings, *gaps.warnings, *filled, *supposed),
    )


def _known_series(rows: Rows, signature: Signature, data: Data) -> Ints:
    place = {name: i for i, name in enumerate(signature.names)}
    unknown = [name for name in rows.names if name not in place]
    if unknown:
        raise DataError(
            f"{len(unknown)} series that the model does not know: {listed(unknown)}",
            where=data.source,
            remedy=f"it was trained on {listed(signature.names)}; leave the others out, or run the"
            " study again with them",
        )
    return np.array([place[name] for name in rows.names], dtype=np.int64)


def _refuse_other_times(signature: Signature, data: Data, *, has_times: bool) -> None:
    if bool(signature.calendar.kind) == has_times:
        return
    raise DataError(
        "the model was trained on rows "
        + ("with dates in the frame's index" if not has_times else "without times"),
        where=data.source,
        remedy="give a frame with an index of dates"
        if not has_times
        else "give a frame whose index holds no dates",
    )


def _with_dates_of_training(rows: Rows, signature: Signature, data: Data) -> Rows:
    """The rows with times of the same kind as the training rows'."""
    kind = signature.calendar.kind
    if not kind:
        return rows
    if (rows.times_R.dtype.kind == "M") != (kind == "datetime64[s]"):
        kinds = ("dates", "numbers") if kind == "datetime64[s]" else ("numbers", "dates")
        raise DataError(
            f"the times of column {data.time!r} are {kinds[1]}, the training data's {kinds[0]}",
            where=data.source,
            remedy="write them in the form of the training data",
        )
    return rows if kind == "int64" else replace(rows, times_R=rows.times_R.astype(kind))


def _refuse_other_frequency(rows: Rows, step: Step, data: Data) -> None:
    """Most rows must be one step of the training data apart."""
    position_R = calendar.positions(rows.times_R, rows.starts_S, step)
    first_R = np.repeat(rows.starts_S[:-1], np.diff(rows.starts_S))
    within = first_R[1:] == first_R[:-1]
    if position_R is not None:
        apart = np.diff(position_R)[within]
        if not apart.size or (apart == 1).mean() >= calendar.DOMINANT:
            return
    found = calendar.find_step(rows.times_R, rows.starts_S)
    here = f"every {in_words(found)}" if found else "at no regular step"
    raise DataError(
        f"the times of column {data.time!r} come {here}, the training data's"
        f" every {in_words(step)}",
        where=data.source,
        remedy="give rows at the distance of the training data",
    )


def _refuse_short(rows: Rows, signature: Signature, data: Data) -> None:
    short = {
        name: int(count)
        for name, count in zip(rows.names, np.diff(rows.starts_S), strict=True)
        if count < signature.lookback
    }
    if not short:
        return
    name, count = next(iter(short.items()))
    of = f" of series {name!r}" if name else ""
    more = f" (and {len(short) - 1} more series)" if len(short) > 1 else ""
    raise DataError(
        f"too few rows: {count}{of}{more}, where the model looks back {signature.lookback}",
        where=data.source,
        remedy=f"give the last {counted(signature.lookback, 'row')} of every series, or more",
    )


def _phases(
    rows: Rows, signature: Signature, index_S: Ints, step: Step | None, data: Data
) -> tuple[Ints, list[str]]:
    """How far each series' first row is from its first training row, and what was supposed."""
    firsts_S = rows.times_R[rows.starts_S[:-1]]
    if "deseasonalise" not in signature.transform:
        return np.zeros(len(index_S), dtype=np.int64), []
    if step is None:
        said = (
            "without times at a regular step the first row of each series is taken to be in the"
            " phase of the season that the first training row was in: give all rows from that one"
            " on, or begin whole seasons"
            f" ({counted(signature.season, 'row')} each) after it"
        )
        return np.zeros(len(index_S), dtype=np.int64), [said]
    found = calendar.steps_between(signature.calendar.firsts_S[index_S], firsts_S, step)
    if found is None:
        raise DataError(
            f"the times of column {data.time!r} lie between those of the training data, which"
            f" come every {in_words(step)} from {signature.calendar.firsts[0]}",
            where=data.source,
            remedy="give rows at the times that the training data goes on with",
        )
    return found, []
