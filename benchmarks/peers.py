"""The same search done by this project, by a plain script and by AutoLSTM, one after another.

`python benchmarks/peers.py` prints a table; with `--json` one object instead. What the work is
stands in peer_work.py: the same series, windows, batch, steps, number of networks and learning
rates drawn, nobody stops early. The two peers run in an environment of their own, which the first
run installs under build/ (with the torch that is installed here); with `--here` nothing is
installed: the plain script runs beside this project and AutoLSTM is left out.

Counted: everything from the call of the search to the forecast of the test rows, Optuna, judging
and the last refit included. Not counted, but told: the time to import the libraries. Memory is the
peak of the contestant's process.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from peer_work import Work
from rich.table import Table
from telling import table_of, tell

FOLDER = Path(__file__).resolve().parent
ENVIRONMENT = FOLDER.parent / "build" / "peers-venv"
NEURALFORECAST = "neuralforecast==3.3.0"
CONTESTANTS = {
    "hpo": "peer_hpo",
    "plain_optuna": "peer_plain_optuna",
    "auto_lstm": "peer_auto_lstm",
}
NARROWEST = 100  # columns of the table
NOISE = 0.2
COLUMNS = {
    "cells": "cells",
    "contestant": "contestant",
    "networks": "networks",
    "seconds": "wall_s",
    "networks/min": "networks_per_minute",
    "hpo is x": "hpo_ratio",
    "MiB": "peak_mib",
    "import s": "import_s",
    "test MAE": "test_mae",
}
Row = dict[str, Any]


def series(rows: int, *, seed: int) -> list[float]:
    """A threshold autoregression on a wave, standardised: what is to be forecast.

    It is not linear, and its noise is known: no forecast has a mean absolute error below
    `floor_mae`.
    """
    return [float(value) for value in _standardised(rows, seed)[0]]


def floor_mae(rows: int, *, seed: int) -> float:
    """The mean absolute error of the best possible forecast: sqrt(2 / pi) standard deviations."""
    return float(NOISE * np.sqrt(2 / np.pi) / _standardised(rows, seed)[1])


def _standardised(rows: int, seed: int) -> tuple[np.ndarray, float]:
    noise_R = NOISE * np.random.default_rng(seed).standard_normal(rows)
    values_R = np.zeros(rows)
    for row in range(1, rows):
        before = values_R[row - 1]
        drift = 0.8 * before if before < 0 else -0.6 * before
        values_R[row] = drift + np.sin(2 * np.pi * row / 24) + noise_R[row]
    return (values_R - values_R.mean()) / values_R.std(), float(values_R.std())


def install_peers() -> Path:
    """The Python of the peers' environment, made first where it is missing.

    torch comes first and stays: neuralforecast alone would fetch gigabytes of CUDA packages.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / "installed").exists():
        torch = f"torch=={version('torch').partition('+')[0]}"
        pip = [str(python), "-m", "pip", "install", "-qq"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
            [*pip, torch],
            [*pip, torch, NEURALFORECAST, f"optuna=={version('optuna')}"],
        ):
            subprocess.run(command, check=True, stdout=sys.stderr)
        (ENVIRONMENT / "installed").touch()
    return python


def run(contestant: str, python: Path, work: Work, least_s: float) -> Row:
    """What one contestant found and what it cost, in a process of its own."""
    words = ("peer_run.py", CONTESTANTS[contestant])
    found = told_by(python, words, vars(work), str(least_s))
    return {"cells": work.cells, "contestant": contestant, **found}


def told_by(python: Path, words: Sequence[str], work: Row, *more: str) -> Row:
    """The object that a program of this folder prints last: PROGRAM MODULE, a file of work, more.

    In a process of its own, on the work's `threads`.
    """
    program, module = words
    with tempfile.TemporaryDirectory() as folder:
        task = Path(folder) / "work.json"
        task.write_text(json.dumps(work), encoding="utf-8")
        ended = subprocess.run(
            [python, FOLDER / program, module, task, *more],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(work["threads"])},
            capture_output=True,
            text=True,
            check=False,
        )
    if ended.returncode != 0:
        raise SystemExit(f"{module} failed:\n{ended.stderr}")
    found: Row = json.loads(ended.stdout.splitlines()[-1])
    return found


def compare(options: argparse.Namespace) -> list[Row]:
    """All contestants at all sizes; `hpo_ratio` is how many times faster this project is."""
    here = Path(sys.executable)
    peers = here if options.here else install_peers()
    names = [n for n in CONTESTANTS if not (options.here and n == "auto_lstm")]
    values = series(options.rows, seed=options.seed)
    rows: list[Row] = []
    for cells in options.cells:
        work = Work(
            values=values,
            lookback=options.lookback,
            cells=cells,
            batch=options.batch,
            max_steps=options.max_steps,
            trials=options.trials,
            validation=options.rows // 10,
            test=options.rows // 10,
            threads=options.threads,
            seed=options.seed,
        )
        found = [run(n, here if n == "hpo" else peers, work, options.least) for n in names]
        pace = found[0]["networks_per_minute"]
        rows += [row | {"hpo_ratio": pace / row["networks_per_minute"]} for row in found]
    return rows


def table(rows: Sequence[Row], options: argparse.Namespace, floor: float) -> Table:
    """The rows as people read them."""
    return table_of(
        rows,
        COLUMNS,
        title=f"{options.max_steps} steps of {options.batch} windows of {options.lookback} values,"
        f" {options.threads} threads",
        caption=f"no forecast of this series can have a mean absolute error below {floor:.3f}",
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="one size, few networks, few steps")
    parser.add_argument("--here", action="store_true", help="install nothing, leave AutoLSTM out")
    parser.add_argument("--cells", type=lambda word: [int(w) for w in word.split(",")])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--lookback", type=int, default=48)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, help="seconds: who is done sooner does it again")
    quick = {"cells": [4], "trials": 2, "max_steps": 20, "least": 0.0}
    usual = {"cells": [4, 8, 16], "trials": 20, "max_steps": 500, "least": 3.0}
    parser.set_defaults(**(quick if "--quick" in words else usual))
    return parser.parse_args(words)


def main() -> int:
    """Compare what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    rows, floor = compare(options), floor_mae(options.rows, seed=options.seed)
    tell(
        {"rows": rows, "floor_mae": floor},
        lambda: table(rows, options, floor),
        as_json=options.json,
        narrowest=NARROWEST,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
