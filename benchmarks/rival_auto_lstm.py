"""NeuralForecast's AutoLSTM with the search space that it comes with, and nothing shown."""

import logging
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import neuralforecast  # type: ignore[import-not-found]  # in an environment of its own
import numpy as np
import optuna
import pandas as pd
import torch
from neuralforecast.auto import AutoLSTM, OptunaOptions  # type: ignore[import-not-found]
from neuralforecast.losses.pytorch import MAE  # type: ignore[import-not-found]
from optuna.trial import TrialState
from peer_auto_lstm import QUIET
from rival_work import Found, Work

ENDLESS = 10_000  # samples


def search(work: Work) -> Found:
    """`NeuralForecast.cross_validation`: search, refit on all training rows, forecast them all."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    torch.set_num_threads(work.threads)
    forecaster = neuralforecast.NeuralForecast(models=[_automatic(work)], freq=1)
    forecast = forecaster.cross_validation(
        _frame(work),
        val_size=work.validation_rows,
        test_size=len(work.values) - work.training_rows,
        n_windows=None,
        step_size=1,
    )
    by_origin = {int(o): part["AutoLSTM"].tolist() for o, part in forecast.groupby("cutoff")}
    study: optuna.Study = forecaster.models[0].results
    best = study.best_params
    return Found(
        trials=len(study.trials),
        cells=[best["encoder_hidden_size"]] * best["encoder_n_layers"],
        forecasts=[by_origin[origin] for origin in work.origins],
        made_by=f"neuralforecast {neuralforecast.__version__}, torch {torch.__version__},"
        f" {work.threads} threads",
    )


def _frame(work: Work) -> pd.DataFrame:
    rows = len(work.values)
    return pd.DataFrame(
        {"unique_id": "series", "ds": np.arange(rows), "y": np.asarray(work.values, np.float32)}
    )


def _automatic(work: Work) -> Any:
    """A sample that diverges raises an exception: it is passed over, as `catch` asks for."""
    default = AutoLSTM.get_default_config(h=work.horizon, backend="optuna")
    return AutoLSTM(
        h=work.horizon,
        loss=MAE(),
        config=lambda trial: default(trial) | QUIET,
        search_alg=optuna.samplers.TPESampler(seed=work.seed),
        num_samples=ENDLESS,
        backend="optuna",
        callbacks=[_until(work.limit_s)],
        optuna_options=OptunaOptions(study_kwargs={"catch": (Exception,)}),
    )


def _until(limit_s: float) -> Callable[[optuna.Study, optuna.trial.FrozenTrial], None]:
    """Stops a study after that time, once a sample is complete: `time_budget` may end with none."""
    began = perf_counter()

    def stop(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:  # noqa: ARG001
        complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if complete and perf_counter() - began > limit_s:
            study.stop()

    return stop
