"""The commands about a model that is taken away: export, predict; hpo.cli loads them by name."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from hpo.cli import Json, Name, Storage, print_json, say
from hpo.errors import UsageError
from hpo.spec.telling import headline
from hpo.spec.words import counted, size_in_words

if TYPE_CHECKING:
    import pandas as pd

    from hpo.export.model import Model

Folder = Annotated[str, Parameter(help="a new folder for the model")]
ModelFolder = Annotated[str, Parameter(help="a folder that hpo export wrote")]
Rows = Annotated[str, Parameter(help="a CSV or Parquet file of recent rows")]
Onnx = Annotated[
    bool,
    Parameter(
        help="the networks as ONNX too (pip install hpo[onnx])", negative="", show_default=False
    ),
]
Out = Annotated[
    str,
    Parameter(help="CSV file to write; left out: to stdout", metavar="FILE", show_default=False),
]
Level = Annotated[
    str, Parameter(help="percent that an interval holds, such as 80 or 80,95", metavar="PERCENT")
]


def export(
    name: Name, folder: Folder, /, *, onnx: Onnx = False, storage: Storage = "", json: Json = False
) -> int:
    """Refit the recommended network on all rows and write it to a folder to take away."""
    from hpo import api
    from hpo.export.model import load

    path = api.open_study(name, storage=storage).export(folder, onnx=onnx)
    model = load(path)
    if json:
        print_json(_facts(model, path))
    else:
        say(_lines(model, folder))
    return 0


def predict(
    folder: ModelFolder,
    source: Rows,
    /,
    *,
    out: Out = "",
    level: Level = "80",
    json: Json = False,
) -> int:
    """Forecast from recent rows with a model that hpo export wrote; needs no database."""
    from hpo.export.model import load

    levels = _levels(level)
    forecast = load(folder).predict_file(source, level=levels)
    if out:
        _write(forecast, out)
    if json:
        print_json({"out": out or None, **_as_json(forecast)})
        return 0
    say([f"Warning     {w}" for w in forecast.attrs["warnings"]], stream=sys.stderr)
    if out:
        say([f"{counted(len(forecast), 'row')} of forecasts in {out}"])
    else:
        sys.stdout.write(forecast.to_csv(index=False))
    return 0


def _levels(words: str) -> tuple[int, ...]:
    parts = [part.strip() for part in words.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise UsageError(f"--level {words!r} is no level", remedy="give percent, as 80 or 80,95")
    return tuple(int(part) for part in parts)


def _write(forecast: "pd.DataFrame", out: str) -> None:
    try:
        forecast.to_csv(out, index=False)
    except OSError as error:
        raise UsageError(f"cannot write {out!r}: {error.strerror or error}") from error


def _as_json(forecast: "pd.DataFrame") -> dict[str, Any]:
    """The forecast as records, with times in ISO 8601."""
    import json

    records = json.loads(forecast.to_json(orient="records", date_format="iso", double_precision=15))
    return {"warnings": forecast.attrs["warnings"], "forecast": records}


def _facts(model: "Model", path: Path) -> dict[str, Any]:
    signature = model.signature
    return {
        "study": model.study.name,
        "model": str(path),
        "files": sorted(file.name for file in path.iterdir()),
        "bytes": sum(file.stat().st_size for file in path.iterdir()),
        "networks": len(signature.seeds),
        "cells": list(signature.cells),
        "steps": signature.steps,
        "coverage": model.coverage.model_dump(mode="json") if model.coverage else None,
        "warnings": list(model.warnings),
    }


def _lines(model: "Model", folder: str) -> list[str]:
    from hpo.export.card import coverage_in_words

    signature, answer = model.signature, model.answer
    networks = f"{counted(len(signature.seeds), 'network')} of {size_in_words(signature.cells)}"
    lines = [
        f"Model       {folder}: {networks}, trained on all rows for"
        f" {counted(signature.steps, 'step')}"
    ]
    if model.coverage:
        said = coverage_in_words(model.coverage).removeprefix("Intervals ").rstrip(".")
        lines.append(f"Intervals   {said}")
    if answer.lstm_justified is False:
        lines.append(f"Mind        {headline(answer)}")
    lines += [f"Warning     {warning}" for warning in model.warnings]
    return [*lines, f"Use         hpo predict {folder} FILE.csv --out forecast.csv"]
