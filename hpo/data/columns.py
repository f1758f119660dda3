"""The columns a study names, and how an error says where one of their values stands."""

import difflib
from collections.abc import Sequence

import pandas as pd

from hpo.errors import DataError
from hpo.spec.study import Data

MISSING = (
    "", ".", "?", "-", "NA", "N/A", "n/a", "#N/A", "#NA", "NaN", "nan", "-nan", "-NaN",
    "NULL", "null", "None", "none", " ", "  ", "   ", "    ",
)  # fmt: skip


def needed_columns(data: Data) -> list[str]:
    """Every column the study names: time and series (if any), target, covariates."""
    return [c for c in (data.time, data.series, data.target, *data.covariates) if c]


def place(source: str, column: str, rows: pd.Index, position: int) -> str:
    """Where a value stands, in the words of an error.

    >>> place("a.csv", "sales", pd.RangeIndex(2, 9, name="line"), 0)
    "a.csv, line 2, column 'sales'"
    >>> place("", "sales", pd.RangeIndex(9, name="row"), 3)
    "row 3 counted from 0, column 'sales'"
    """
    in_file = rows.name == "line"
    row = f"line {rows[position]}" if in_file else f"row {rows[position]} counted from 0"
    return ", ".join(part for part in (source, row, f"column {column!r}") if part)


def refuse_missing_columns(names: Sequence[str], data: Data) -> None:
    """Refuses names that lack, or repeat, a needed column; proposes the nearest name."""
    for column in needed_columns(data):
        if list(names).count(column) > 1:
            raise DataError(
                f"column {column!r} is there {list(names).count(column)} times",
                where=data.source,
                remedy="give each column its own name",
            )
        if column not in names:
            near = difflib.get_close_matches(column, names, n=1, cutoff=0.5)
            near = near or [n for n in names if n.casefold() == column.casefold()]
            listed = ", ".join(repr(n) for n in names[:20]) or "none"
            remedy = f"did you mean {near[0]!r}?" if near else f"the columns are {listed}"
            raise DataError(f"there is no column {column!r}", where=data.source, remedy=remedy)


def text_in_numbers(value: object, where: str) -> DataError:
    """The refusal of a value that is no number."""
    shown = str(value)[:60]
    return DataError(
        f"{shown!r} is not a number",
        where=where,
        remedy="correct it, leave it empty if it is missing, or name another column "
        "(decimals with a point, no separator of thousands)",
    )


def one_line(error: Exception) -> str:
    """A library's message on one line, shortened."""
    return " ".join(str(error).split())[:200]
