"""A study as frames of pandas: its competitors, its trials."""

import pandas as pd

from hpo.service import studies
from hpo.service.competitors import LSTM, competitors_of
from hpo.service.database import Database
from hpo.service.shown import shown_trials

TRIAL_COLUMNS = {
    "number": "int64",
    "state": "object",
    "layers": "int64",
    "cells": "object",
    "cells_total": "int64",
    "weights": "int64",
    "learning_rate": "float64",
    "weight_decay": "float64",
    "dropout": "float64",
    "lookback": "Int64",
    "alpha": "float64",
    "score": "float64",
    "reason": "object",
    "worker": "object",
}
COMPETITOR_COLUMNS = {
    "competitor": "object",
    "cells": "object",
    "weights": "Int64",
    "score": "float64",
    "score_se": "float64",
    "ratio": "float64",
    "test_score": "float64",
    "test_se": "float64",
    "test_ratio": "float64",
}


def trials_frame(database: Database, name: str) -> pd.DataFrame:
    """One row per trial, with the columns that `StudyHandle.trials_frame` tells."""
    stored = studies.find(database, name)
    of_all = stored.answer.lookback if stored.answer else None
    rows = [
        {
            **{column: getattr(trial, column, None) for column in TRIAL_COLUMNS},
            "state": trial.ending,
            "cells_total": trial.cells_in_all,
            "lookback": trial.lookback or of_all,
        }
        for trial in shown_trials(database, stored)
    ]
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS)).astype(TRIAL_COLUMNS)
    frame.attrs.update(study=name, state=stored.state, metric=stored.spec.task.metric)
    return frame


def answer_frame(database: Database, name: str) -> pd.DataFrame:
    """One row per competitor, with the columns that `StudyHandle.answer_frame` tells."""
    answer, competitors = competitors_of(database, name)
    best = answer.benchmarks.get(answer.best_benchmark or "")
    best_test = answer.benchmarks_test.get(answer.best_benchmark or "")
    rows = [
        {
            "competitor": one.name,
            "cells": answer.cells if one.name == LSTM else None,
            "weights": answer.weights if one.name == LSTM else None,
            "score": one.score,
            "score_se": one.score_se,
            "ratio": _ratio(one.score, best),
            "test_score": one.test_score,
            "test_se": one.test_se,
            "test_ratio": _ratio(one.test_score, best_test),
        }
        for one in competitors
    ]
    frame = pd.DataFrame(rows, columns=list(COMPETITOR_COLUMNS)).astype(COMPETITOR_COLUMNS)
    frame.attrs.update(study=name, state=answer.state, metric=answer.metric)
    return frame


def _ratio(score: float | None, best: float | None) -> float | None:
    return score / best if score is not None and best else None
