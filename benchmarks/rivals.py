"""Real series forecast by this project, by a plain script and by AutoLSTM: whose error is smaller?

`python benchmarks/rivals.py` runs every study of one series under studies/ whole, as
`hpo run` does, and then gives each rival the time that this took, on as many threads: a script with
Optuna and nn.LSTM (rival_plain_optuna.py), and NeuralForecast's AutoLSTM with its own search space
(rival_auto_lstm.py). A trial that has begun is ended, and the refit of the best is extra: rivals
may take longer, `seconds` tells. All forecast the test span from the same origins, without
refitting in between. MASE is this project's; what it delivers is the mean forecast of its refits.
The rivals' imports are not counted.

Below 1, this project's errors are smaller. The last table has the geometric mean over series with
90 % intervals: of blocks of origins drawn within the series, and of series drawn.

What was done is kept in build/rivals and not done again, unless `--again`; `--set KEY=VALUE`
changes a value of the studies, `--tag` names what comes of it. AutoLSTM needs an environment of its
own (see peers.py); with `--here` nothing is installed and AutoLSTM is left out.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import rival_hpo
from error_ratios import compare
from kept import Kept
from peers import install_peers, told_by
from rich.console import Console, Group
from rich.progress import track
from rival_contest import METRIC, Contest, Row
from rival_work import Work
from telling import table_of, tell

from hpo.data.prepare import Prepared
from hpo.data.question import Question, ask

FOLDER = Path(__file__).resolve().parent
STUDIES = FOLDER.parent / "studies"
PANELS = ("employment",)
RIVALS = {"plain_optuna": "rival_plain_optuna", "auto_lstm": "rival_auto_lstm"}
VALIDATION_SHARE = 0.2  # of the training rows
MOST_EPOCHS = 200
QUICK_STUDY = {"budget.trials": 3, "training.max_steps": 100, "validation.folds": 2}
QUICK_SERIES = ("airline", "lynx")
QUICK_EPOCHS = 2
NARROWEST = 110  # columns of the tables
COLUMNS = {
    "series": "series",
    "contestant": "contestant",
    "seconds": "wall_s",
    "trials": "trials",
    "cells": "size",
    "test MASE": "test_mase",
    "hpo / it": "ratio",
}
SHORT = {
    "against": "rival",
    "series": "series",
    "ratio": "ratio",
    "by origins": "origins_90",
    "by series": "series_90",
    "worst": "worst",
    "worse by > 10 %": "much_worse_share",
    "better": "better",
}


def hold(series: str, options: argparse.Namespace, kept: Kept) -> Contest:
    """Let all contestants forecast a series, this project first: the rivals get its time."""
    question = ask(str(STUDIES / f"{series}.toml"), options.values)
    contest = Contest(series, question)
    ours = kept.get(f"{series}.hpo.{options.tag}", lambda: _run_hpo(question, options))
    contest.found["hpo"] = ours
    work = work_of(question, ours["wall_s"], options)
    for rival in options.rivals:
        contest.found[rival] = kept.get(
            f"{series}.{rival}.{options.tag}", partial(run, rival, work)
        )
    return contest


def _run_hpo(question: Question, options: argparse.Namespace) -> Row:
    found, wall_s = rival_hpo.search(question, options.threads)
    return vars(found) | {"wall_s": wall_s}


def work_of(question: Question, limit_s: float, options: argparse.Namespace) -> Work:
    """The same forecasts for the rivals; they do not get more than the values."""
    prepared = question.prepared
    _refuse_more_than_values(prepared)
    test, horizon = prepared.test, question.study.task.horizon
    training_rows = int(test.train_ends_S[0])
    return Work(
        values=prepared.panel.values_RF[:, 0].tolist(),
        training_rows=training_rows,
        validation_rows=max(horizon, ceil(VALIDATION_SHARE * training_rows)),
        origins=test.origins_O.tolist(),
        horizon=horizon,
        lookbacks=list(prepared.lookbacks),
        limit_s=limit_s,
        most_epochs=options.epochs,
        threads=options.threads,
        seed=options.seed,
    )


def _refuse_more_than_values(prepared: Prepared) -> None:
    if len(prepared.panel.names) > 1 or prepared.panel.values_RF.shape[1] > 1:
        raise SystemExit(f"{prepared.study.name}: the rivals know one series, without covariates")


def run(rival: str, work: Work) -> Row:
    """What a rival found, in a process of its own."""
    python = install_peers() if rival == "auto_lstm" else Path(sys.executable)
    found = told_by(python, ("rival_run.py", RIVALS[rival]), vars(work))
    return found | {"limit_s": work.limit_s}


def summary(contests: Sequence[Contest], rivals: Sequence[str], seed: int) -> list[Row]:
    """This project against each rival, over all series."""
    found = {
        rival: compare([c.pair(rival) for c in contests], rng=np.random.default_rng(seed))
        for rival in rivals
    }
    return [{"rival": r, **vars(c), "better": c.is_better} for r, c in found.items()]


def tables(rows: Sequence[Row], short: Sequence[Row]) -> Group:
    """One line a series and contestant, and one a rival."""
    shown = [row | {"size": "x".join(map(str, row["cells"]))} for row in rows]
    return Group(
        table_of(shown, COLUMNS, title="forecasts of the test span"),
        table_of(
            [_in_words(row) for row in short], SHORT, title="this project's error over the rival's"
        ),
    )


def _in_words(row: Row) -> Row:
    return row | {
        "origins_90": "{:.3f} to {:.3f}".format(*row["by_origins"]),
        "series_90": "{:.3f} to {:.3f}".format(*row["by_series"]),
        "worst": f"{row['worst_ratio']:.2f} {row['worst_series']}",
        "better": "yes" if row["better"] else "no",
    }


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", help="names of studies/*.toml; all but panels")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two short series, tiny searches")
    parser.add_argument("--here", action="store_true", help="install nothing, leave AutoLSTM out")
    parser.add_argument("--rivals", default=",".join(RIVALS), help="only these, A,B")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tag", default="default", help="a name for what `--set` changes")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=FOLDER.parent / "build" / "rivals")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=0, help="of the rivals and of the intervals")
    options = parser.parse_args(words)
    asked = options.rivals.split(",")
    options.rivals = [r for r in RIVALS if r in asked and not (options.here and r == "auto_lstm")]
    options.values = {"task.metric": METRIC} | dict(word.split("=", 1) for word in options.set)
    options.epochs = QUICK_EPOCHS if options.quick else MOST_EPOCHS
    if options.quick:
        options.values |= QUICK_STUDY
        options.folder = options.folder / "quick"
    options.series = options.series or (QUICK_SERIES if options.quick else single_series())
    return options


def single_series() -> list[str]:
    """The names of all studies but those of panels."""
    return [name for p in sorted(STUDIES.glob("*.toml")) if (name := p.stem) not in PANELS]


def main() -> int:
    """Hold the contests that the command line asks for and print them."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    aside = Console(stderr=True)
    watched = track(options.series, console=aside, transient=True, disable=options.json)
    contests = [hold(name, options, kept) for name in watched]
    rows = [row for contest in contests for row in contest.rows()]
    short = summary(contests, options.rivals, options.seed)
    told = {"rows": rows, "summary": short}
    tell(told, lambda: tables(rows, short), as_json=options.json, narrowest=NARROWEST)
    return 0


if __name__ == "__main__":
    sys.exit(main())
