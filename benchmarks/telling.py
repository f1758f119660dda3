"""How a benchmark tells what it found: as one object for programs, or as a table for people."""

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table


def tell(
    found: dict[str, Any], table: Callable[[], Table], *, as_json: bool, narrowest: int = 0
) -> None:
    """Write to stdout; the table on at least `narrowest` columns."""
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        Console(width=max(Console().width, narrowest)).print(table())
