"""Notebooks, run as their readers run them: in a kernel of this environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

Output = dict[str, Any]


def run_notebook(notebook: NotebookNode, folder: Path) -> list[list[Output]]:
    """The outputs of each cell, run in this folder. Raises CellExecutionError where one fails."""
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=100, kernel_name="python3", resources=where)
    client.execute()
    return outputs_of(notebook)


def run_cells(cells: Sequence[str], folder: Path) -> list[list[Output]]:
    """The outputs of each of these cells."""
    made = [new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    return run_notebook(new_notebook(cells=made), folder)  # type: ignore[no-untyped-call]


def outputs_of(notebook: NotebookNode) -> list[list[Output]]:
    """The outputs of each cell that holds code."""
    return [list(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]


def kinds(outputs: Sequence[Output]) -> list[tuple[str, ...]]:
    """What each output is: its MIME types, or the stream it was written to."""
    return [tuple(sorted(o.get("data", {}))) or (o.get("name", ""),) for o in outputs]


def text(output: Output) -> str:
    """An output as plain text."""
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))
