"""A whole study by this project, and the forecasts of the networks that its answer recommends.

Shapes: O origins of the test span, H horizon.
"""

import tempfile
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rival_work import Found
from study_runs import run_here

import hpo
from hpo.data.metrics import losses
from hpo.data.prepare import truth
from hpo.data.question import Question
from hpo.handle import opened
from hpo.service.results import networks_of

Floats = NDArray[np.float64]


def search(question: Question, threads: int) -> tuple[Found, float]:
    """Run the study in this process; what it found, and the seconds from submission to verdict."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/study.db"
        began = perf_counter()
        answer = run_here(question, url, threads=threads)
        wall_s = perf_counter() - began
        forecast_OH = _forecast(question, url)
    _check(question, forecast_OH, answer.test_score)
    assert answer.cells is not None, "a network that was tested has cells"
    found = Found(
        trials=answer.trials.ended,
        cells=list(answer.cells),
        forecasts=forecast_OH.tolist(),
        made_by=f"hpo {hpo.__version__}, {answer.engine}, {threads} threads",
    )
    return found, wall_s


def _forecast(question: Question, url: str) -> Floats:
    """The mean forecast of the refits, float64 (O, H)."""
    test = question.prepared.test.number
    with opened(url) as database:
        recorded = networks_of(database, question.study.name)
    refits = [n for of_trial in recorded.values() for n in of_trial.values() if n.fold == test]
    forecasts = [n.forecasts_OH for n in refits if n.forecasts_OH is not None]
    if not forecasts:
        raise SystemExit(f"no network of {question.study.name} forecast its test span")
    forecast_OH: Floats = np.mean(forecasts, axis=0)
    return forecast_OH


def _check(question: Question, forecast_OH: Floats, told: float | None) -> None:
    """These are the forecasts that the answer's test score is about."""
    prepared, metric = question.prepared, question.study.task.metric
    test = prepared.test
    loss_O = losses(truth(prepared, test), forecast_OH, test.scale_O, metric)
    assert told is not None, "a test span that was forecast has a score"
    assert np.isclose(loss_O.mean(), told), f"{loss_O.mean()} where the answer tells {told}"
