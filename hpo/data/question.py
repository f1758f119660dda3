"""A question that can be put to workers: a study with its data read, checked and made ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.data.long_frame import long_columns, said_of
from hpo.errors import SpecError
from hpo.spec.study import Study, study_name
from hpo.spec.toml import build_study, read_study

if TYPE_CHECKING:
    import pandas as pd

    from hpo.data.prepare import Prepared

DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
FRAME = "frame"


@dataclass(frozen=True)
class Question:
    """A study with its data read, checked and made ready: nothing is trained or stored yet."""

    study: Study
    frame: "pd.DataFrame"
    prepared: "Prepared"
    notes: tuple[str, ...] = ()  # on what was asked


def ask(source: Any, overrides: Mapping[str, Any] | None = None, *, name: str = "") -> Question:
    """Read and check a study: a TOML file, a CSV or Parquet file, a Study, or a frame.

    `overrides` are values by dotted key. `name` wins over the file's. In a file or frame with the
    columns `unique_id`, `ds` and `y` these are the series, time and target unless others are named.
    Raises SpecError, DataError.
    """
    from hpo.data.checking import check
    from hpo.data.load import from_frame, read_file
    from hpo.data.prepare import prepare

    named = {"name": name} if name else {}
    given = {**(overrides or {}), **named}
    taken = _taken_by_name(source, given)
    study, stem = _study_of(source, {**given, **taken})
    in_memory = study.data.source == FRAME and not isinstance(source, str | Path | Study)
    frame = from_frame(source, study.data) if in_memory else read_file(study.data)
    panel = check(frame, study.data)
    if not study.name:
        derived = study_name(stem, _combined(study.fingerprint(), panel.fingerprint))
        study = study.model_copy(update={"name": derived})
    return Question(study, frame, prepare(study, panel), said_of(taken))


def _taken_by_name(source: Any, given: Mapping[str, Any]) -> dict[str, str]:
    """The columns of data alone that need no naming (see `long_frame`); none of a study's."""
    from hpo.data.load import column_names

    if isinstance(source, Study):
        return {}
    if isinstance(source, str | Path) and Path(source).suffix.lower() not in DATA_SUFFIXES:
        return {}
    return long_columns(column_names(source), given)


def _study_of(source: Any, overrides: dict[str, Any]) -> tuple[Study, str]:
    if isinstance(source, Study):
        return build_study(source.model_dump(mode="json"), overrides), Path(source.data.source).stem
    if not isinstance(source, str | Path):
        return build_study({"data": {"source": FRAME}}, overrides), FRAME
    path = Path(source)
    if path.suffix.lower() == ".toml":
        return read_study(path, overrides), path.stem
    if path.suffix.lower() not in DATA_SUFFIXES:
        raise SpecError(
            f"cannot tell what {str(path)!r} is",
            remedy=f"give a study (.toml) or data ({', '.join(DATA_SUFFIXES)})",
        )
    if "data.target" not in overrides:
        raise SpecError(
            "the column to forecast is not named", where=str(path), remedy="give --target COLUMN"
        )
    return build_study({"data": {"source": str(path.resolve())}}, overrides), path.stem


def _combined(*fingerprints: str) -> str:
    import hashlib

    return hashlib.sha256("".join(fingerprints).encode()).hexdigest()


def describe(question: Question) -> dict[str, Any]:
    """What `hpo check` tells: samples, inputs, outputs, season, folds, origins, bound, warnings."""
    from hpo.sizing.bound import UNBOUNDED, largest_equal_cells

    prepared = question.prepared
    limit = prepared.limit
    most = {str(n): largest_equal_cells(n, limit) for n in (1, 2, 3)}
    return {
        "ok": True,
        "study": question.study.name,
        "rows": len(prepared.panel.values_RF),
        "series": len(prepared.panel.names),
        "samples": limit.samples,
        "inputs": limit.inputs,
        "outputs": limit.outputs,
        "season": prepared.season,
        "lookback": list(prepared.lookbacks),
        "strategy": prepared.strategy,
        "transform": prepared.transform_steps,
        "folds": len(prepared.folds),
        "origins": [len(fold.origins_O) for fold in prepared.folds],
        "test_origins": len(prepared.test.origins_O),
        "bound": {
            "rule": limit.rule,
            "alpha": limit.alpha,
            "cells": {n: None if c == UNBOUNDED else c for n, c in most.items()},
        },
        "warnings": [*question.notes, *prepared.warnings],
    }


def benchmark_scores(question: Question) -> dict[str, Any]:
    """The classical forecasts' scores over the folds' origins and on the test span."""
    import numpy as np

    from hpo.data.benchmarks import forecast_benchmarks
    from hpo.sizing.metric import finite_scores

    metric = question.study.task.metric
    report = forecast_benchmarks(question.prepared)
    on_folds = {n: np.concatenate(per_fold[:-1]).mean() for n, per_fold in report.losses.items()}
    on_test = {n: per_fold[-1].mean() for n, per_fold in report.losses.items()}
    scores, scores_test = finite_scores(on_folds, metric), finite_scores(on_test, metric)
    return {
        "study": question.study.name,
        "metric": metric,
        "benchmarks": scores,
        "benchmarks_test": scores_test,
        "best_benchmark": min(scores, key=lambda n: scores[n]),
        "warnings": [*question.notes, *question.prepared.warnings, *report.warnings],
    }
