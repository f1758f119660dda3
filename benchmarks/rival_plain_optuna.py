"""Optuna and nn.LSTM as a practitioner puts them together by hand: one split, early stopping.

Shapes: R rows, N windows, T steps, B windows in a batch, C cells, O origins, H horizon.
"""

from typing import Any

import optuna
import torch
from rival_work import Found, Work
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BATCH, PATIENCE = 32, 20  # windows, epochs


class Network(nn.Module):
    """From windows x_BT1 to outputs y_BH."""

    def __init__(self, layers: int, cells: int, horizon: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, cells, layers, batch_first=True)
        self.head = nn.Linear(cells, horizon)

    def forward(self, x_BT1: Tensor) -> Tensor:
        h_BTC, _ = self.lstm(x_BT1)
        y_BH: Tensor = self.head(h_BTC[:, -1])
        return y_BH


def search(work: Work) -> Found:
    """TPE until the time is over; the best trial's network, trained anew on all rows, forecasts."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(work.threads)
    values_R = torch.tensor(work.values)
    known_R = values_R[: work.training_rows]
    scaled_R = (values_R - known_R.mean()) / known_R.std()

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_int("layers", 1, 3)
        trial.suggest_int("cells", 2, 128, log=True)
        trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
        trial.suggest_categorical("lookback", work.lookbacks)
        return try_out(scaled_R, work, trial)

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=work.seed))
    study.optimize(objective, timeout=work.limit_s)
    best = study.best_trial
    training = Training(scaled_R, work, best.params, seed=work.seed, held_out=0)
    for _ in range(best.user_attrs["epochs"]):
        training.run_epoch()
    scaled_OH = training.forecast(scaled_R, work.origins)
    return Found(
        trials=len(study.trials),
        cells=[best.params["cells"]] * best.params["layers"],
        forecasts=(scaled_OH * known_R.std() + known_R.mean()).tolist(),
        made_by=f"optuna {optuna.__version__}, torch {torch.__version__}, {work.threads} threads",
    )


class Training:
    """A network in training on the windows before the last `held_out` training rows."""

    def __init__(
        self, scaled_R: Tensor, work: Work, params: dict[str, Any], *, seed: int, held_out: int
    ) -> None:
        torch.manual_seed(seed)
        self.lookback, self.horizon = params["lookback"], work.horizon
        known_R = scaled_R[: work.training_rows]
        self.network = Network(params["layers"], params["cells"], work.horizon)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=params["learning_rate"])
        dataset = TensorDataset(*self.windows(known_R[: len(known_R) - held_out]))
        self.loader = DataLoader(dataset, batch_size=BATCH, shuffle=True)
        self.judged = self.windows(known_R[-held_out - self.lookback :]) if held_out else None

    def windows(self, scaled_R: Tensor) -> tuple[Tensor, Tensor]:
        """x_NT1 and y_NH: every window and the values after it."""
        both_NS = scaled_R.unfold(0, self.lookback + self.horizon, 1)
        return both_NS[:, : self.lookback, None], both_NS[:, self.lookback :]

    def run_epoch(self) -> None:
        """One pass over the windows, shuffled."""
        loss_function = nn.L1Loss()
        for x_BT1, y_BH in self.loader:
            self.optimiser.zero_grad()
            loss_function(self.network(x_BT1), y_BH).backward()
            self.optimiser.step()

    @torch.no_grad()
    def error(self) -> float:
        """The mean absolute error on the rows held out."""
        assert self.judged is not None, "rows are held out"
        x_NT1, y_NH = self.judged
        return float(nn.functional.l1_loss(self.network(x_NT1), y_NH))

    @torch.no_grad()
    def forecast(self, scaled_R: Tensor, origins: list[int]) -> Tensor:
        """y_OH: the forecasts from these rows."""
        x_OT = torch.stack([scaled_R[o + 1 - self.lookback : o + 1] for o in origins])
        y_OH: Tensor = self.network(x_OT[:, :, None])
        return y_OH


def try_out(scaled_R: Tensor, work: Work, trial: optuna.Trial) -> float:
    """The lowest error on the validation rows; the trial remembers after how many epochs."""
    seed, held_out = work.seed + trial.number, work.validation_rows
    training = Training(scaled_R, work, trial.params, seed=seed, held_out=held_out)
    best, best_epoch = float("inf"), 1
    for epoch in range(1, work.most_epochs + 1):
        training.run_epoch()
        error = training.error()
        if error < best:
            best, best_epoch = error, epoch
        if epoch - best_epoch >= PATIENCE:
            break
    trial.set_user_attr("epochs", best_epoch)
    return best
