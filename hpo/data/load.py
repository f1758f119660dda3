"""A file or a frame becomes a pandas frame of the named columns, or one clear message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from hpo.data.columns import (
    MISSING,
    needed_columns,
    one_line,
    place,
    refuse_missing_columns,
    text_in_numbers,
)
from hpo.data.csv_file import read_csv, read_names
from hpo.errors import DataError
from hpo.spec.study import Data

LARGEST = 1e100  # beyond it squares leave the range of float64


def read_file(data: Data) -> pd.DataFrame:
    """The named columns of `data.source`, a CSV or Parquet file, one row per row of the file.

    Times stay as they are written; series names are a category; target and covariates are
    float64, NaN where missing. The index is the line of a CSV file or the row of a Parquet file.
    Raises DataError, naming file, line, column and value.
    """
    path = Path(data.source)
    _refuse_unreadable(path)
    try:
        if _is_parquet(path):
            return from_frame(_read_parquet(path, data), data)
        return from_frame(read_csv(path, data), data)
    except OSError as error:
        raise DataError(f"cannot read the data: {error.strerror}", where=data.source) from error


def column_names(source: Any) -> tuple[str, ...]:
    """The names of the columns of a file or a frame; none of what is neither.

    Raises DataError for a file that cannot be read.
    """
    if isinstance(source, str | Path):
        return _names_in_file(Path(source))
    if isinstance(source, pd.DataFrame):
        return tuple(str(name) for name in source.columns)
    try:
        return tuple(nw.from_native(source).collect_schema().names())
    except (TypeError, AttributeError):
        return ()


def _names_in_file(path: Path) -> tuple[str, ...]:
    _refuse_unreadable(path)
    if not _is_parquet(path):
        return read_names(path)
    with _reading_parquet(path), pa_parquet.ParquetFile(path) as file:
        return tuple(file.schema_arrow.names)


def unpacked_bytes(path: Path) -> int:
    """About the bytes of a Parquet file's columns in memory, by its own word; 0 for a CSV file.

    Raises DataError for a file that cannot be read.
    """
    _refuse_unreadable(path)
    if not _is_parquet(path):
        return 0
    with _reading_parquet(path), pa_parquet.ParquetFile(path) as file:
        about = file.metadata
        groups = [about.row_group(i).total_byte_size for i in range(about.num_row_groups)]
        cells = about.num_rows * about.num_columns
        return int(max(sum(groups), 8 * cells))  # in the file a run of equal values is short


def from_frame(frame: Any, data: Data) -> pd.DataFrame:
    """The named columns of a frame (pandas, or any that narwhals knows) as `read_file` gives them.

    Where no time is named, an index of dates or periods is kept: it tells the time.
    The caller's frame is never changed. Raises DataError as `read_file` does.
    """
    table = frame if isinstance(frame, pd.DataFrame) else _to_pandas(frame, data)
    table = table.reset_index() if _names_time_in_index(table, data) else table
    table = table.set_axis([str(c) for c in table.columns], axis="columns")
    refuse_missing_columns([str(c) for c in table.columns], data)
    columns: dict[str, Any] = {}
    if data.time:
        columns[data.time] = table[data.time].array
    if data.series:
        columns[data.series] = _series_names(table[data.series], data)
    for name in (data.target, *data.covariates):
        columns[name] = _numbers(table[name], data)
    rows = table.index.rename(None) if index_is_time(table, data) else _rows(table)
    return pd.DataFrame(columns, index=rows, copy=False)


def index_is_time(table: pd.DataFrame, data: Data) -> bool:
    """Whether the index tells the time: it holds dates or periods, and no time is named."""
    return not data.time and isinstance(table.index, pd.DatetimeIndex | pd.PeriodIndex)


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The frame as the bytes of a Parquet file; `from_parquet` is its inverse.

    Raises DataError for a column that mixes types.
    """
    try:
        table = pa.Table.from_pandas(frame)
    except pa.ArrowException as error:
        raise _mixed_types(frame, error) from error
    sink = pa.BufferOutputStream()
    pa_parquet.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def from_parquet(content: bytes) -> pd.DataFrame:
    """The frame that `to_parquet` turned into bytes."""
    table = pa_parquet.read_table(pa.BufferReader(content), use_threads=False)
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    return frame


def _mixed_types(frame: pd.DataFrame, error: Exception) -> DataError:
    """The refusal of the first column that cannot be written as Parquet."""
    for name in frame.columns:
        try:
            pa.Array.from_pandas(frame[name])
        except pa.ArrowException:
            types = sorted({type(value).__name__ for value in frame[name]})
            return DataError(
                f"column {name!r} cannot be stored: its values are of {len(types)} types "
                f"({', '.join(types[:4])})",
                remedy="give all its values the same type, for times for example by pd.to_datetime",
            )
    return DataError(f"the data cannot be stored: {one_line(error)}")


def _refuse_unreadable(path: Path) -> None:
    try:
        size_bytes = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"cannot read the data: {reason}",
            where=str(path),
            remedy="data.source must be a CSV or Parquet file",
        ) from error
    if path.is_dir():
        raise DataError("the data is a directory", where=str(path), remedy="name a file in it")
    if size_bytes == 0:
        raise DataError(
            "the data file is empty", where=str(path), remedy="it needs a header and rows"
        )


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix in (".parquet", ".pq") or file.read(4) == b"PAR1"


def _read_parquet(path: Path, data: Data) -> pd.DataFrame:
    with _reading_parquet(path):
        with pa_parquet.ParquetFile(path) as file:
            refuse_missing_columns(list(file.schema_arrow.names), data)
            table = file.read(columns=needed_columns(data), use_threads=False)
        frame = table.to_pandas(ignore_metadata=True, strings_to_categorical=True)
    assert isinstance(frame, pd.DataFrame)
    return frame


@contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot be read as Parquet: {one_line(error)}",
            where=str(path),
            remedy="write the file again, or give the data as CSV",
        ) from error


def _to_pandas(frame: Any, data: Data) -> pd.DataFrame:
    try:
        native = nw.from_native(frame)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        return eager.to_pandas()
    except (TypeError, ValueError, ImportError) as error:
        raise DataError(
            f"a {type(frame).__name__} is not a frame: {one_line(error)}",
            where=data.source,
            remedy="give a pandas, polars or pyarrow table, or the path of a file",
        ) from error


def _names_time_in_index(table: pd.DataFrame, data: Data) -> bool:
    return bool(data.time) and data.time not in table.columns and data.time in table.index.names


def _series_names(values: "pd.Series[Any]", data: Data) -> pd.Categorical:
    """The series of each row as a category of strings."""
    category = pd.Categorical(values)
    names = category.categories.astype(str)
    blank = np.append(np.asarray(names.str.strip() == "", dtype=bool), True)  # the last is -1's
    missing = np.flatnonzero(blank[category.codes])
    if missing.size:
        raise DataError(
            "the row names no series",
            where=place(data.source, data.series, _rows(values), int(missing[0])),
            remedy="name the series of every row, or leave data.series empty",
        )
    codes, unique = pd.factorize(names)
    return pd.Categorical.from_codes(codes[category.codes], categories=pd.Index(unique))


def _rows(values: "pd.DataFrame | pd.Series[Any]") -> pd.Index:
    is_file = isinstance(values.index, pd.RangeIndex) and values.index.name == "line"
    return values.index if is_file else pd.RangeIndex(len(values), name="row")


def _numbers(values: "pd.Series[Any]", data: Data) -> npt.NDArray[np.float64]:
    """The column as float64, NaN where missing; refuses text, dates and infinities."""
    column = str(values.name)
    if pd.api.types.is_numeric_dtype(values.dtype) and values.dtype.kind != "c":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        numbers = _parse_numbers(values, data)
    with np.errstate(invalid="ignore"):
        wrong = np.flatnonzero(np.abs(numbers) > LARGEST)
    if wrong.size:
        value = numbers[wrong[0]]
        size = "infinite" if np.isinf(value) else f"larger than {LARGEST:g}"
        raise DataError(
            f"the value {value:g} is {size}",
            where=place(data.source, column, _rows(values), int(wrong[0])),
            remedy="correct it, or leave it empty if it is missing",
        )
    return numbers


def _parse_numbers(values: "pd.Series[Any]", data: Data) -> npt.NDArray[np.float64]:
    given = values.astype(object)
    kept = given.isna() | given.map(lambda value: isinstance(value, bool | int | float))
    texts = given.where(kept, given.astype(str).str.strip())
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    missing = texts.isna() | texts.isin(MISSING)
    wrong = np.flatnonzero(np.isnan(numbers) & ~missing.to_numpy(dtype=bool))
    if wrong.size:
        at = int(wrong[0])
        where = place(data.source, str(values.name), _rows(values), at)
        raise text_in_numbers(given.iloc[at], where)
    return numbers
