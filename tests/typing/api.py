"""The public face as users type it: checked by mypy, never run."""

from pathlib import Path
from typing import Any, assert_type

import pandas as pd
from matplotlib.figure import Figure

import hpo


def from_a_frame(frame: pd.DataFrame) -> None:
    assert_type(hpo.check(frame, target="sales", horizon=12), dict[str, Any])
    assert_type(hpo.run(frame, target="sales", trials=30, timeout_s=60.0), hpo.Answer)
    assert_type(hpo.run("m3.csv", horizon=18, progress=False, storage="sqlite:///a.db"), hpo.Answer)


def from_a_study(study: hpo.Study) -> None:
    assert_type(hpo.launch(study, workers=2, threads=1), hpo.StudyHandle)
    assert_type(hpo.launch(Path("airline.toml"), storage="sqlite:///a.db"), hpo.StudyHandle)
    assert_type(hpo.submit(study), hpo.StudyHandle)
    assert_type(hpo.open_study(study.name), hpo.StudyHandle)
    assert_type(hpo.work(study.name, workers=4, idle_exit_s=60.0), int)
    assert_type(study.task.horizon, int)
    hpo.run()  # type: ignore[call-arg]
    hpo.launch(study, workers="two")  # type: ignore[arg-type]


def of_a_handle(study: hpo.StudyHandle) -> None:
    assert_type(study.name, str)
    assert_type(study.status(), dict[str, Any])
    assert_type(study.wait(timeout_s=60.0, progress=False), hpo.Answer)
    assert_type(study.answer(), hpo.Answer)
    assert_type(study.report("out"), Path)
    assert_type(study.figures(Path("out")), list[Path])
    assert_type(study.plot("test-span"), Figure)
    assert_type(study.answer_frame(), pd.DataFrame)
    assert_type(study.trials_frame(), pd.DataFrame)
    assert_type(study.export("model", onnx=True), Path)
    study.pause()
    study.resume()
    study.stop()
    study.cancel()
    study.close()
    study.delete()
    study.wait(60.0)  # type: ignore[call-arg]


def of_an_answer(answer: hpo.Answer) -> None:
    assert_type(answer.layers, int | None)
    assert_type(answer.cells, tuple[int, ...] | None)
    assert_type(answer.lstm_justified, bool | None)
    assert_type(answer.benchmarks, dict[str, float])
    assert_type(answer.reasons, tuple[str, ...])
    answer.layers = 2  # type: ignore[misc]


def of_a_model(frame: pd.DataFrame) -> None:
    model = hpo.load("model")
    assert_type(model, hpo.Model)
    assert_type(model.predict(frame, level=[50, 80]), pd.DataFrame)
    assert_type(model.answer, hpo.Answer)


def of_a_forecaster(frame: pd.DataFrame) -> None:
    forecaster = hpo.LSTMForecaster(layers="auto", cells=(2, 16), horizon=12, trials=30)
    assert_type(forecaster.fit(frame), hpo.LSTMForecaster)
    assert_type(forecaster.predict(level=80), pd.DataFrame)
    assert_type(forecaster.get_params(), dict[str, Any])
    assert_type(forecaster.set_params(horizon=6), hpo.LSTMForecaster)
    assert_type(forecaster.answer_, hpo.Answer)
    assert_type(forecaster.study_, hpo.StudyHandle)
    assert_type(forecaster.model_, hpo.Model)
    assert_type((forecaster.layers_, forecaster.cells_), tuple[int, tuple[int, ...]])
    hpo.LSTMForecaster(cells="large")  # type: ignore[arg-type]
