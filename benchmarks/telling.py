"""How a benchmark tells what it found: as one object for programs, or as a table for people."""

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table


def tell(
    found: dict[str, Any], table: Callable[[], RenderableType], *, as_json: bool, narrowest: int = 0
) -> None:
    """Write to stdout; the table on at least `narrowest` columns."""
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        Console(width=max(Console().width, narrowest)).print(table())


def table_of(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    title: str,
    caption: str | None = None,
) -> Table:
    """The rows as people read them; `columns`: the key in a row by its header."""
    shown = Table(title=title, caption=caption, box=SIMPLE_HEAD)
    for header in columns:
        shown.add_column(header.strip(), justify="right")
    for row in rows:
        shown.add_row(*(cell(row[key]) for key in columns.values()))
    return shown


def cell(value: Any) -> str:
    """A value with three digits, nothing where there is no number."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3g}"
    return str(value)
