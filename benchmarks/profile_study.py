"""Where a study's time goes: how much of it is training, and what is the rest.

`python benchmarks/profile_study.py` runs studies/oil.toml by one worker in this process and prints
a table; with `--json` one object instead. Time runs from the first claim to the last settlement;
`engine_share` is the share of threads x that time that is spent inside calls of the engine (train,
predict, loss).
"""

import argparse
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from sqlalchemy.engine.default import DefaultDialect
from study_runs import run_here
from telling import tell
from time_shares import MAIN, TimeShares, replace_everywhere

from hpo.data.benchmarks import forecast_benchmarks
from hpo.data.question import ask
from hpo.fitting.fit import fit_network
from hpo.fitting.pool import Pool
from hpo.handle import opened
from hpo.search.objective import run_trials
from hpo.search.suggestion import suggest_together
from hpo.service import claims, conclusion, registry, results, studies, taking, trials
from hpo.training.native_trainer import NativeTrainer
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Predictor

ROOT = Path(__file__).resolve().parents[1]
ENGINE, FITTING, WAITING = "engine", "windows, forecasts and errors", "waiting for training"
SQL, STORAGE = "SQL", "around SQL (SQLAlchemy, Optuna)"
QUICK = {
    "budget.trials": 2,
    "training.max_steps": 20,
    "validation.folds": 2,
    "validation.seeds": 2,
    "space.layers": [1, 1],
    "space.cells": [2, 4],
}
Found = dict[str, Any]


def watch(shares: TimeShares) -> None:
    """Wrap all that is told apart, and let the clock run from claim to settlement."""
    for trainer in (NativeTrainer, TorchTrainer):
        _watch_trainer(shares, trainer)
    shares.wrap_everywhere(fit_network, FITTING)
    shares.wrap_everywhere(forecast_benchmarks, "benchmarks' forecasts")
    shares.wrap_everywhere(suggest_together, "suggestion")
    shares.wrap_everywhere(run_trials, "pruning and scores")
    shares.wrap_everywhere(conclusion.conclude, "verdict")
    shares.wrap_method(Pool, "run", WAITING)
    for name in ("do_begin", "do_execute", "do_executemany", "do_commit", "do_rollback"):
        shares.wrap_method(DefaultDialect, name, SQL)
    _start_and_mark(shares)
    for module in (claims, registry, results, studies, taking, trials):
        for function in _functions(module):
            shares.wrap_everywhere(function, STORAGE)


def _watch_trainer(shares: TimeShares, trainer: Any) -> None:
    make_predictor = trainer.predictor

    def timed_predictor(*args: Any, **kwargs: Any) -> Predictor:
        with shares.spent_on(ENGINE):
            return shares.wrap(make_predictor(*args, **kwargs), ENGINE)

    trainer.predictor = timed_predictor
    shares.wrap_method(trainer, "train", ENGINE)
    shares.wrap_method(trainer, "loss", ENGINE)


def _start_and_mark(shares: TimeShares) -> None:
    take, end = taking.take, trials.end

    def start_and_take(*args: Any, **kwargs: Any) -> list[claims.Claim]:
        shares.start()
        return take(*args, **kwargs)

    def end_and_mark(*args: Any, **kwargs: Any) -> list[claims.Settlement]:
        settlements = end(*args, **kwargs)
        shares.mark()
        return settlements

    for function, by in ((take, start_and_take), (end, end_and_mark)):
        by.__module__ = function.__module__
        replace_everywhere(function, by)


def _functions(module: ModuleType) -> list[Callable[..., Any]]:
    """The module's own public functions that run when they are called."""
    return [
        function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.isgeneratorfunction(inspect.unwrap(function))
    ]


def run_study(source: str, overrides: dict[str, Any], threads: int) -> Found:
    """Run the study by one worker in this process, with a database of its own."""
    question = ask(source, overrides)
    study, shares = question.study, TimeShares()
    watch(shares)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/profile.db"
        run_here(question, url, threads=threads)
        with opened(url, create=False) as database:
            networks = results.count_networks(database, study.name)
    return {
        "study": study.name,
        "threads": threads,
        "trials": study.budget.trials,
        "networks": networks,
        "networks_per_minute": 60 * networks / shares.window_s,
        **account(shares, threads),
    }


def account(shares: TimeShares, threads: int) -> Found:
    """What the clock has counted, as the table's numbers."""
    by_kind: dict[str, dict[str, float]] = {}
    for (kind, activity), spent_s in shares.counted.seconds.items():
        by_kind.setdefault(kind, {})[activity] = spent_s
    engine_s = sum(seconds.get(ENGINE, 0.0) for seconds in by_kind.values())
    main = by_kind.setdefault(MAIN, {})
    main["rest"] = shares.window_s - sum(main.values())
    if training := by_kind.get("training"):
        training["idle"] = threads * shares.window_s - sum(training.values())
    return {
        "window_s": shares.window_s,
        "engine_s": engine_s,
        "engine_share": engine_s / (threads * shares.window_s),
        "seconds": by_kind,
        "statements": shares.counted.calls[SQL],
    }


def table(found: Found) -> Table:
    """Who spent how many seconds on what."""
    shown = Table(
        title=f"{found['study']}: {found['engine_share']:.1%} of {found['threads']} threads x"
        f" {found['window_s']:.1f} s inside the engine",
        caption=f"{found['trials']} trials, {found['networks']} networks"
        f" ({found['networks_per_minute']:.0f} a minute), {found['statements']} database calls",
        box=SIMPLE_HEAD,
    )
    shown.add_column("thread")
    shown.add_column("spent on")
    shown.add_column("seconds", justify="right")
    shown.add_column("of the time", justify="right")
    for kind, seconds in found["seconds"].items():
        whole_s = found["window_s"] * (found["threads"] if kind == "training" else 1)
        for activity, spent_s in sorted(seconds.items(), key=lambda item: -item[1]):
            shown.add_row(kind, activity, f"{spent_s:.2f}", f"{spent_s / whole_s:.1%}")
    return shown


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", nargs="?", help="a study's TOML file")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="airline with 2 trials of 20 steps")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--cells", help="LOW:HIGH")
    parser.add_argument("--engine", choices=("auto", "native", "torch"))
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(words)


def overrides_of(options: argparse.Namespace) -> dict[str, Any]:
    """A study's values by dotted key, as the command line gives them."""
    given = {
        "budget.trials": options.trials,
        "training.max_steps": options.max_steps,
        "training.engine": options.engine,
        "space.cells": options.cells and [int(word) for word in options.cells.split(":")],
    }
    quick = QUICK if options.quick else {}
    whole_budget = {"search.sampler": "tpe"}  # the ladder ends where nothing pays
    said = {key: value for key, value in given.items() if value is not None}
    return {**whole_budget, **quick, **said}


def main() -> int:
    """Profile the study that the command line names and print what was found."""
    options = parse(sys.argv[1:])
    usual = ROOT / "studies" / ("airline.toml" if options.quick else "oil.toml")
    found = run_study(options.source or str(usual), overrides_of(options), options.threads)
    tell(found, lambda: table(found), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
