"""What it costs to share a study: trials a second, statements, commits, latency, idle trainers.

`python benchmarks/service.py` runs 1 to 32 workers of this project and of plain Optuna on SQLite
and PostgreSQL, with trials of zero and of one second; with `--json` one object instead of a table.
Both have the same sampler and trials that sleep instead of training, half as long to half as long
again: equal ones would have all workers wait for one another in step, as no trainings do. Plain
Optuna runs `optimize` with MaxTrialsCallback and, to be faster, without heartbeats. Workers are
started before the clock; the verdict is left out.

A claim is what gives a worker its next work: this project's transaction, for up to four trials, or
plain Optuna's `ask`, for one. A wait is the time from the end of one work to the next training,
suggestion included. The database's CPU is known of PostgreSQL alone: SQLite's is the workers' own.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plain_optuna
import postgres
from rich.console import Console
from rich.progress import track
from rich.table import Table
from service_child import TRAINING_S
from telling import cell, table_of, tell

from hpo import api
from hpo.data.benchmarks import forecast_benchmarks
from hpo.data.question import ask
from hpo.handle import opened
from hpo.service import results
from hpo.service.claims import Settlement, settle
from hpo.service.taking import take

FOLDER = Path(__file__).resolve().parent
NETWORKS = 2  # of a trial of this project: two folds, one seed
NAME = "service"
COLUMNS = {
    "database": "database",
    "trial s": "training_s",
    "workers": "workers",
    "": "contestant",
    "trials/s": "trials_per_s",
    "hpo is x": "ratio",
    "statements": "statements",
    "commits": "commits",
    "claim p50 ms": "claim_p50_ms",
    "p99": "claim_p99_ms",
    "wait p50 ms": "wait_p50_ms",
    "p99 ": "wait_p99_ms",
    "db CPU ms": "database_cpu_ms",
    "idle %": "idle_percent",
}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """So many workers share so many trials of so many seconds."""

    workers: int
    trials: int
    training_s: float


Start = Callable[[str, Case], list[subprocess.Popen[str]]]
STUDY = {
    "data.target": "y",
    "data.season": 4,
    "validation.folds": NETWORKS,
    "validation.seeds": 1,
    "training.device": "cpu",
    "search.sampler": "tpe",  # which spends its whole budget
}


def start_hpo(url: str, case: Case) -> list[subprocess.Popen[str]]:
    """Submit a study, make its benchmarks, start this project's workers."""
    frame = pd.DataFrame({"y": 10 + np.sin(np.arange(80) * np.pi / 2)})
    question = ask(frame, STUDY | {"budget.trials": case.trials}, name=NAME)
    api.submit_question(question, storage=url)
    with opened(url) as database:
        [claim] = take(database, NAME, "benchmark")
        results.record_benchmarks(database, claim, forecast_benchmarks(question.prepared))
        settle(database, [Settlement(claim=claim, outcome="complete")], benchmark_warnings="[]")
    words = [sys.executable, str(FOLDER / "service_worker.py"), NAME, str(case.trials)]
    each = {"HPO_STORAGE": url, TRAINING_S: str(case.training_s / NETWORKS)}
    return [_start(words, each) for _ in range(case.workers)]


def start_plain_optuna(url: str, case: Case) -> list[subprocess.Popen[str]]:
    """Make a study and start workers of plain Optuna."""
    tasks = [
        plain_optuna.Task(
            storage=url, trials=case.trials, training_s=case.training_s, seed=place, beats=False
        )
        for place in range(case.workers)
    ]
    plain_optuna.create(tasks[0])
    return [_start(task.words, {}) for task in tasks]


CONTESTANTS = {"hpo": start_hpo, "plain Optuna": start_plain_optuna}


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def measure(start: Start, url: str, case: Case, server: postgres.Server | None) -> Row:
    """Let the workers begin at one moment; what they counted together, and the database's CPU."""
    workers = start(url, case)
    try:
        for worker in workers:
            if _line(worker) != "ready":
                raise SystemExit(f"a worker did not start: {worker.args!r}")
        spent_s = server.cpu_s() if server else 0.0
        for worker in workers:
            _tell_to_begin(worker)
        counts = [json.loads(_line(worker)) for worker in workers]
        spent_s = server.cpu_s() - spent_s if server else float("nan")
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    found = summary(counts) | {"database_cpu_ms": 1e3 * spent_s / _trials(counts)}
    return found if case.training_s else found | {"idle_percent": float("nan")}


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def _tell_to_begin(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def _trials(counts: Sequence[Row]) -> int:
    return sum(len(each["ended_at"]) for each in counts)


def summary(counts: Sequence[Row]) -> Row:
    """Of all workers together, from the first beginning to the last end of a trial."""
    trials = _trials(counts)
    began_at = min(each["began_at"] for each in counts)
    wall_s = max(at for each in counts for at in each["ended_at"]) - began_at
    at_work = [each for each in counts if each["ended_at"]]
    present_s = sum(max(each["ended_at"]) - each["began_at"] for each in at_work)
    trained_s = sum(each["training_s"] for each in at_work)
    claims_ms = 1e3 * np.concatenate([each["claims_s"] for each in counts])
    waits_ms = 1e3 * np.concatenate([each["waits_s"] for each in counts])
    return {
        "trials": trials,
        "trials_per_s": trials / wall_s,
        "statements": sum(each["statements"] for each in counts) / trials,
        "commits": sum(each["commits"] for each in counts) / trials,
        "claim_p50_ms": float(np.percentile(claims_ms, 50)),
        "claim_p99_ms": float(np.percentile(claims_ms, 99)),
        "wait_p50_ms": float(np.percentile(waits_ms, 50)),
        "wait_p99_ms": float(np.percentile(waits_ms, 99)),
        "idle_percent": 100 * (1 - trained_s / present_s),
    }


def compare(kind: str, case: Case, server: postgres.Server | None) -> list[Row]:
    """Both contestants, one after another; `ratio` is how many times faster this project is."""
    rows = []
    for name, start in CONTESTANTS.items():
        with _database(kind, server) as url:
            found = measure(start, url, case, server if kind == "PostgreSQL" else None)
        case_of_row = {"database": kind, "contestant": name, **asdict(case)}
        rows.append({**case_of_row, **found})
    pace = rows[0]["trials_per_s"]
    return [row | {"ratio": pace / row["trials_per_s"]} for row in rows]


@contextmanager
def _database(kind: str, server: postgres.Server | None) -> Iterator[str]:
    if kind == "PostgreSQL":
        assert server is not None
        with postgres.database(server.url) as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/study.db"


def cases(options: argparse.Namespace) -> list[tuple[str, Case]]:
    """Every kind of database with every number of workers and every length of a trial."""

    def trials(workers: int, training_s: float) -> int:
        return 16 * workers if training_s else max(options.trials, 8 * workers)

    return [
        (kind, Case(workers=workers, training_s=training_s, trials=trials(workers, training_s)))
        for kind in options.databases
        for training_s in options.seconds
        for workers in options.workers
    ]


def table(rows: Sequence[Row]) -> Table:
    """The rows as people read them."""
    title = "trials that sleep; statements, commits and the database's CPU of one trial"
    return table_of(rows, COLUMNS, title=title)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two workers, few trials of 0 s")
    parser.add_argument("--workers", type=lambda word: [int(w) for w in word.split(",")])
    parser.add_argument("--seconds", type=lambda word: [float(w) for w in word.split(",")])
    parser.add_argument("--trials", type=int, help="of zero seconds; at least 8 a worker")
    parser.add_argument(
        "--databases", type=lambda word: word.split(","), default=["PostgreSQL", "SQLite"]
    )
    quick = {"workers": [2], "seconds": [0.0], "trials": 16}
    usual = {"workers": [1, 2, 4, 8, 16, 32], "seconds": [0.0, 1.0], "trials": 200}
    parser.set_defaults(**(quick if "--quick" in words else usual))
    return parser.parse_args(words)


def main() -> int:
    """Measure what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave nothing behind
    plain_optuna.quiet()
    rows: list[Row] = []
    with ExitStack() as stack:
        asked = "PostgreSQL" in options.databases
        server = stack.enter_context(postgres.server()) if asked else None
        aside = Console(stderr=True)
        watched = track(cases(options), console=aside, transient=True, disable=options.json)
        for kind, case in watched:
            rows += compare(kind, case, server)
    told = [{k: None if cell(v) == "" else v for k, v in row.items()} for row in rows]
    tell({"rows": told}, lambda: table(rows), as_json=options.json, narrowest=170)
    return 0


if __name__ == "__main__":
    sys.exit(main())
