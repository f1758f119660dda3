"""The work done by a plain script: Optuna, nn.LSTM and a DataLoader, as a practitioner writes it.

Shapes: R rows, N windows, T steps, B windows in a batch, C cells.
"""

import optuna
import torch
from peer_work import HIGHEST_RATE, LOWEST_RATE, Found, Work
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Network(nn.Module):
    """From windows x_BT1 to outputs y_B1."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, cells, batch_first=True)
        self.head = nn.Linear(cells, 1)

    def forward(self, x_BT1: Tensor) -> Tensor:
        h_BTC, _ = self.lstm(x_BT1)
        y_B1: Tensor = self.head(h_BTC[:, -1])
        return y_B1


def search(work: Work) -> Found:
    """Draw, train and judge all networks, one after another; refit the best."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(work.threads)
    values_R = torch.tensor(work.values)
    judged = len(values_R) - work.test - work.validation

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", LOWEST_RATE, HIGHEST_RATE, log=True)
        network = train(values_R[:judged], rate, work, seed=trial.number)
        return error(network, values_R[judged - work.lookback : -work.test], work)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=work.seed))
    study.optimize(objective, n_trials=work.trials)
    rate = study.best_params["learning_rate"]
    network = train(values_R[: -work.test], rate, work, seed=work.trials)
    return Found(
        networks=work.trials + 1,
        validation_mae=study.best_value,
        test_mae=error(network, values_R[-work.test - work.lookback :], work),
        learning_rate=rate,
        made_by=f"optuna {optuna.__version__}, torch {torch.__version__}, {work.threads} threads",
    )


def windows(values_R: Tensor, lookback: int) -> tuple[Tensor, Tensor]:
    """x_NT1 and y_N1: every window and the value after it."""
    return values_R[:-1].unfold(0, lookback, 1)[:, :, None], values_R[lookback:, None]


def train(values_R: Tensor, rate: float, work: Work, *, seed: int) -> Network:
    """A network after `max_steps` steps on shuffled passes over the windows."""
    torch.manual_seed(seed)
    dataset = TensorDataset(*windows(values_R, work.lookback))
    loader = DataLoader(dataset, batch_size=work.batch, shuffle=True, drop_last=True)
    network = Network(work.cells)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    loss_function = nn.L1Loss()
    step = 0
    while step < work.max_steps:
        for x_BT1, y_B1 in loader:
            optimiser.zero_grad()
            loss_function(network(x_BT1), y_B1).backward()
            optimiser.step()
            step += 1
            if step == work.max_steps:
                break
    return network


def error(network: Network, values_R: Tensor, work: Work) -> float:
    """The mean absolute error of one-step forecasts of all rows after the first `lookback`."""
    x_NT1, y_N1 = windows(values_R, work.lookback)
    network.eval()
    with torch.no_grad():
        return float(nn.functional.l1_loss(network(x_NT1), y_N1))
