"""The work done by NeuralForecast's AutoLSTM, with all that can be fixed fixed, and nothing shown.

The network is the same: one LSTM layer and, with `decoder_layers=1`, a linear head. Windows are
drawn at random for every step, as AutoLSTM does it.
"""

import logging
import warnings
from typing import Any

import neuralforecast  # type: ignore[import-not-found]  # in an environment of its own
import numpy as np
import optuna
import pandas as pd
import torch
from neuralforecast.auto import AutoLSTM  # type: ignore[import-not-found]
from neuralforecast.losses.pytorch import MAE  # type: ignore[import-not-found]
from peer_work import HIGHEST_RATE, LOWEST_RATE, Found, Work

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


def search(work: Work) -> Found:
    """`NeuralForecast.cross_validation`: search, refit, one-step forecasts of the test rows."""
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(work.threads)
    auto = AutoLSTM(
        h=1,
        loss=MAE(),
        config=lambda trial: _configuration(work, trial),
        search_alg=optuna.samplers.RandomSampler(seed=work.seed),
        num_samples=work.trials,
        backend="optuna",
    )
    rows = len(work.values)
    frame = pd.DataFrame(
        {"unique_id": "series", "ds": np.arange(rows), "y": np.asarray(work.values, np.float32)}
    )
    forecaster = neuralforecast.NeuralForecast(models=[auto], freq=1)
    forecast = forecaster.cross_validation(
        frame, val_size=work.validation, test_size=work.test, n_windows=None, step_size=1
    )
    study: optuna.Study = forecaster.models[0].results
    return Found(
        networks=work.trials + 1,
        validation_mae=study.best_value,
        test_mae=float((forecast["AutoLSTM"] - forecast["y"]).abs().mean()),
        learning_rate=study.best_params["learning_rate"],
        made_by=f"neuralforecast {neuralforecast.__version__}, torch {torch.__version__},"
        f" {work.threads} threads",
    )


def _configuration(work: Work, trial: optuna.Trial) -> dict[str, Any]:
    return {
        "learning_rate": trial.suggest_float("learning_rate", LOWEST_RATE, HIGHEST_RATE, log=True),
        "input_size": work.lookback,
        "inference_input_size": work.lookback,
        "encoder_n_layers": 1,
        "encoder_hidden_size": work.cells,
        "decoder_layers": 1,
        "max_steps": work.max_steps,
        "val_check_steps": work.max_steps,
        "batch_size": 1,
        "windows_batch_size": work.batch,
        "scaler_type": "identity",
        "random_seed": work.seed,
        "accelerator": "cpu",
        **QUIET,
    }
