"""The Python face: launch, wait, answer."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import hpo
from hpo import events
from hpo.errors import SpecError, UnknownStudy
from hpo.service.supervisor import WorkerOptions

TINY: dict[str, Any] = {
    "trials": 2,
    "folds": 2,
    "seeds": 1,
    "max_steps": 20,
    "cells": (2, 4),
    "layers": (1, 1),
}


@pytest.fixture
def frame(sales_csv: Path) -> pd.DataFrame:
    return pd.read_csv(sales_csv)


def test_run_answers_for_a_frame(frame: pd.DataFrame, sqlite_url: str) -> None:
    before = frame.copy()
    answer = hpo.run(frame, target="sales", time="month", storage=sqlite_url, name="in-py", **TINY)
    assert isinstance(answer, hpo.Answer)
    assert answer.state == "done"
    assert answer.layers == 1
    assert answer.cells is not None
    assert 2 <= answer.cells[0] <= 4
    assert answer.trials.ended == 2
    assert answer.reasons
    pd.testing.assert_frame_equal(frame, before)
    again = hpo.run(
        pa.Table.from_pandas(frame),
        target="sales",
        time="month",
        storage=sqlite_url,
        name="in-py",
        **TINY,
    )
    assert again == answer, "the same numbers in another kind of frame are the same study"


def test_a_launched_study_is_followed_and_deleted(sales_csv: Path, sqlite_url: str) -> None:
    asked = {
        "data": {"source": str(sales_csv), "target": "sales", "time": "month"},
        "budget": {"trials": 500},
    }
    study = hpo.launch(hpo.Study.model_validate(asked), storage=sqlite_url)
    assert study.name.startswith("sales-")
    assert study.status()["budget"] == 500
    assert study.answer().state in ("queued", "running")
    assert study.answer().layers is None
    study.delete()
    with pytest.raises(UnknownStudy, match=study.name):
        study.status()


def test_a_handle_shows_no_password() -> None:
    study = hpo.StudyHandle("sales", "postgresql://ann:secret@db.example/hpo", None)
    assert repr(study) == "StudyHandle('sales', storage='postgresql://ann:***@db.example/hpo')"


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"trails": 3}, "unknown keyword 'trails'; the nearest is 'trials'"),
        ({"trials": 0}, "budget.trials=0 must be at least 1"),
        ({"workers": 0}, "workers=0 must be at least 1"),
        ({"threads": -1}, "threads=-1 must be at least 0"),
        ({"engine": "native", "device": "mps"}, "the native engine trains on the processor"),
    ],
)
def test_wrong_keywords_are_refused(
    frame: pd.DataFrame, sqlite_url: str, keywords: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError) as refused:
        hpo.launch(frame, target="sales", storage=sqlite_url, **keywords)
    assert said in str(refused.value)


class NoWorkers:
    """Takes the place of the supervisor: what it was asked to start."""

    started: tuple[int, int]

    def __init__(self, _url: str, options: WorkerOptions, *, count: int, **_: Any) -> None:
        type(self).started = (count, options.threads)

    def stop(self) -> None:
        """There is nothing to stop."""


@pytest.mark.parametrize(
    ("workers", "threads", "each"), [(1, 0, 6), (2, 0, 3), (4, 0, 1), (9, 0, 1), (2, 5, 5)]
)
def test_workers_share_the_cores_unless_told_otherwise(
    frame: pd.DataFrame,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    threads: int,
    each: int,
) -> None:
    monkeypatch.setattr("hpo.service.supervisor.Supervisor", NoWorkers)
    monkeypatch.setattr("hpo.service.machine._cores", lambda: 6)
    hpo.launch(frame, target="sales", storage=sqlite_url, workers=workers, threads=threads)
    assert NoWorkers.started == (workers, each)


@pytest.mark.parametrize(
    ("engine", "is_there", "told"),
    [("auto", False, 2), ("auto", True, 0), ("native", False, 2), ("torch", False, 0)],
)
def test_who_starts_a_study_is_told_that_the_native_engine_is_missing(
    frame: pd.DataFrame,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    is_there: bool,
    told: int,
) -> None:
    monkeypatch.setattr("hpo.service.supervisor.Supervisor", NoWorkers)
    monkeypatch.setattr("hpo.training.engine.native_is_available", lambda: is_there)
    heard: list[events.Event] = []
    for _ in range(2):  # also when it goes on
        hpo.launch(frame, target="sales", storage=sqlite_url, engine=engine, on_event=heard.append)
    missing = [event for event in heard if isinstance(event, events.NativeEngineMissing)]
    assert len(missing) == told
    assert all("C compiler" in events.sentence(event) for event in missing)


def test_what_is_no_frame_is_refused(sqlite_url: str) -> None:
    with pytest.raises(hpo.errors.DataError, match="not a frame"):
        hpo.launch(np.arange(9), target="sales", storage=sqlite_url)


def test_importing_hpo_imports_no_library() -> None:
    code = "import sys, hpo; print(*{m.partition('.')[0] for m in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "torch", "optuna", "pydantic", "sqlalchemy", "cyclopts", "rich"}
    assert not heavy & set(ended.stdout.split())
