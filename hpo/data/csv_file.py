"""A CSV file is read fast, and line by line where it is broken to say what is wrong."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from hpo.data.columns import (
    MISSING,
    needed_columns,
    one_line,
    refuse_missing_columns,
    text_in_numbers,
)
from hpo.errors import DataError
from hpo.spec.study import Data

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class _Header:
    """The columns of a CSV file, what separates them, and the lines they take."""

    names: tuple[str, ...]
    delimiter: str
    lines: int


def read_csv(path: Path, data: Data) -> pd.DataFrame:
    """The named columns of a UTF-8 CSV file with a header, separated by , ; tab or |.

    The index is the line of each row. Raises DataError naming file, line, column and value.
    """
    header = _read_header(path, needed_columns(data))
    refuse_missing_columns(header.names, data)
    try:
        table = pa_csv.read_csv(path, **_csv_options(header, data))
        columns = [table[c] for c in table.column_names]
        frame = pa.table([_compact(c) for c in columns], names=table.column_names).to_pandas()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise _diagnose(path, header, data, one_line(error)) from error
    assert isinstance(frame, pd.DataFrame)
    if frame.empty:
        raise _no_rows(path)
    first = header.lines + 1
    return frame.set_axis(pd.RangeIndex(first, first + len(frame), name="line"), axis="index")


def read_names(path: Path) -> tuple[str, ...]:
    """The names in a CSV file's header. Raises DataError as `read_csv` does."""
    return _read_header(path, ()).names


def _compact(column: Any) -> Any:
    """Texts that repeat, as codes into their dictionary: a tenth of the memory."""
    if not pa.types.is_string(column.type):
        return column
    encoded = column.dictionary_encode()
    distinct = len(encoded.chunk(0).dictionary) if encoded.num_chunks else 0
    return encoded if 2 * distinct < len(column) else column


def _csv_options(header: _Header, data: Data) -> dict[str, Any]:
    texts = {c: pa.string() for c in (data.time, data.series) if c}
    numbers = {c: pa.float64() for c in (data.target, *data.covariates)}
    unique = [c if c not in header.names[:i] else f"{c}\0{i}" for i, c in enumerate(header.names)]
    return {
        "read_options": pa_csv.ReadOptions(
            use_threads=False, skip_rows=header.lines, column_names=unique
        ),
        "parse_options": pa_csv.ParseOptions(delimiter=header.delimiter, newlines_in_values=True),
        "convert_options": pa_csv.ConvertOptions(
            include_columns=needed_columns(data),
            column_types={**texts, **numbers},
            null_values=list(MISSING),
            strings_can_be_null=False,
        ),
    }


def _read_header(path: Path, needed: Sequence[str]) -> _Header:
    """The header under the delimiter that finds most needed columns, then most columns."""
    readings: list[tuple[int, int, _Header]] = []
    for delimiter in DELIMITERS:
        for line, fields in _records(path, delimiter):
            names = tuple(f.strip() for f in fields)
            found = len(set(needed) & set(names))
            readings.append((found, len(names), _Header(names, delimiter, line)))
            break
    if not readings:
        raise _no_rows(path)
    header = max(readings, key=lambda reading: reading[:2])[2]
    if any(_is_undecodable(name) for name in header.names):
        raise _bad_encoding(path, header.lines)
    if any(not name.isprintable() for name in header.names):
        raise DataError(
            "not a text file: its first line holds control characters",
            where=str(path),
            remedy="give a CSV file (UTF-8) or a Parquet file (.parquet)",
        )
    return header


def _records(path: Path, delimiter: str, start: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Every record that is not blank, with the line it ends on; bad bytes as surrogates."""
    text = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    with text as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for fields in reader:
                if fields and reader.line_num > start:
                    yield reader.line_num, fields
        except csv.Error as error:
            raise DataError(
                f"cannot be read as CSV: {error}", where=f"{path}, line {reader.line_num}"
            ) from error


def _diagnose(path: Path, header: _Header, data: Data, message: str) -> DataError:
    """What is wrong with a CSV file that the fast reader refused, found line by line."""
    last = None
    for line, fields in _records(path, header.delimiter, start=header.lines):
        problem = _wrong_record(path, header, data, line, fields, message)
        if problem:
            return problem
        last = line
    if last is None:
        return _no_rows(path)
    return DataError(f"cannot be read as CSV: {message}", where=str(path))


def _wrong_record(
    path: Path, header: _Header, data: Data, line: int, fields: list[str], message: str
) -> DataError | None:
    where = f"{path}, line {line}"
    if len(fields) != len(header.names):
        return DataError(
            f"the row has {len(fields)} fields where the header has {len(header.names)}",
            where=where,
            remedy="give every row the same columns, or quote fields that hold "
            f"{header.delimiter!r}",
        )
    record = dict(zip(reversed(header.names), reversed(fields), strict=True))
    if any(_is_undecodable(record[c]) for c in needed_columns(data)):
        return _bad_encoding(path, line)
    refused = re.search(r"invalid value '(.*)'$", message)
    for column in (data.target, *data.covariates):
        value = record[column].strip()
        if (refused and value == refused[1].strip()) or not _is_number(value):
            return text_in_numbers(value, f"{where}, column {column!r}")
    return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in MISSING
    return True


def _is_undecodable(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _bad_encoding(path: Path, line: int) -> DataError:
    return DataError(
        "the file is not UTF-8 text", where=f"{path}, line {line}", remedy="save it as UTF-8"
    )


def _no_rows(path: Path) -> DataError:
    return DataError(
        "the file has no rows", where=str(path), remedy="it needs a header and rows of data"
    )
