"""How long a look at a study of 1,000 trials takes: our poll, and optuna-dashboard's own.

`python benchmarks/dashboard.py` fills a study with made-up results in SQLite and in PostgreSQL and
asks both for it by turns, in this process and without a network; it prints a table, with `--json`
one object. `first_ms`: the first look of a process, which reads every trial; `later_ms`: the median
of those that follow, as an open page takes them every two seconds; `whole_ms`: of later looks that
ask for every trial again. optuna-dashboard does not look at the database more often than every ten
seconds; for a look that is up to date its memory is emptied before each (`ratio`: its `later_ms`
over ours).
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import postgres
from flask.testing import FlaskClient
from telling import table_of, tell

from hpo import api
from hpo.data.benchmarks import forecast_benchmarks
from hpo.data.question import Question, ask
from hpo.search.outcome import Completed
from hpo.service import results, trials
from hpo.service.claims import Settlement, settle
from hpo.service.database import Database, open_database
from hpo.service.studies import find
from hpo.service.tables import networks
from hpo.service.taking import take
from hpo.web.app import dashboard
from hpo.web.guard import Guard
from hpo.web.tokens import Tokens
from hpo.web.uploads import Uploads

NAME = "benchmark"
OURS, THEIRS = "hpo", "optuna-dashboard"
COLUMNS = {
    "database": "database",
    "": "contestant",
    "first ms": "first_ms",
    "later ms": "later_ms",
    "whole ms": "whole_ms",
    "ratio": "ratio",
}
Row = dict[str, Any]


def question_of(count: int) -> Question:
    """A study of so many trials on a wave."""
    frame = pd.DataFrame({"y": 10 + np.sin(np.arange(120) * np.pi / 2)})
    values = {
        "data.target": "y",
        "data.season": 4,
        "budget.trials": count,
        "search.sampler": "random",
        "training.device": "cpu",
        "bound.rule": "off",
    }
    return ask(frame, values, name=NAME)


def fill(database: Database, question: Question) -> None:
    """Trials with their networks, as workers write them; the last ones are left open."""
    api.submit_question(question, storage=database.url)
    [claim] = take(database, NAME, "filler")
    results.record_benchmarks(database, claim, forecast_benchmarks(question.prepared))
    settle(database, [Settlement(claim=claim, outcome="complete")], benchmark_warnings="[]")
    optuna_id, rng = find(database, NAME).optuna_id, np.random.default_rng(0)
    left = question.study.budget.trials - 4
    while left > 0:
        claims = take(database, NAME, "filler", most=min(left, 8))
        batch = trials.batch_of(database, optuna_id, claims, question.prepared)
        ended = [
            (claim, trial, Completed(float(rng.gamma(20, 0.05))))
            for claim, trial in zip(claims, batch.trials, strict=True)
        ]
        with database.transaction() as connection:
            connection.execute(
                networks.insert(), [row for _, t, _ in ended for row in _rows(t.number, question)]
            )
        trials.end(database, ended)
        left -= len(claims)


def _rows(trial: int, question: Question) -> list[Row]:
    asked = question.study.validation
    return [
        {"study": NAME, "trial": trial, "fold": fold, "seed": seed, "losses": bytes(96)}
        | {"steps": 100, "wall_s": 0.1, "engine": "native", "device": "cpu"}
        for fold in range(asked.folds)
        for seed in range(asked.seeds)
    ]


@contextmanager
def client_of(database: Database) -> Iterator[FlaskClient]:
    """One who asks a dashboard without tokens."""

    def refuse(_: Question) -> None:
        raise AssertionError

    with closing(Uploads()) as uploads:
        app = dashboard(database, Guard(Tokens({})), uploads, submit=refuse, tell_error=_tell)
        yield app.test_client()


def _tell(trace: str) -> None:
    sys.stderr.write(trace)


def look(client: FlaskClient, path: str) -> float:
    """Milliseconds until the answer is there."""
    began_s = time.perf_counter()
    answer = client.get(path)
    took_ms = 1000 * (time.perf_counter() - began_s)
    assert answer.status_code == 200, answer.text
    return took_ms


def measure(kind: str, url: str, *, count: int, looks: int) -> list[Row]:
    """Both contestants on one database, by turns."""
    question = question_of(count)
    with closing(open_database(url)) as database:
        fill(database, question)
        optuna_id = find(database, NAME).optuna_id
    ours = f"/studies/{NAME}/now"
    theirs = f"/api/studies/{optuna_id}"
    with _fresh(url) as (first, _), _fresh(url) as (second, forget):
        rows: list[Row] = [
            {"database": kind, "contestant": OURS, "first_ms": look(first, ours)},
            {"database": kind, "contestant": THEIRS, "first_ms": look(second, theirs)},
        ]
        timed: dict[str, list[float]] = {name: [] for name in (OURS, THEIRS, "ours", "theirs")}
        for _ in range(looks):
            timed[OURS].append(look(first, f"{ours}?since={count - 4}"))
            timed["ours"].append(look(first, ours))
            forget()
            timed[THEIRS].append(look(second, f"{theirs}?after={count - 4}"))
            timed["theirs"].append(look(second, theirs))
    for row, whole in zip(rows, ("ours", "theirs"), strict=True):
        row |= {"later_ms": median(timed[row["contestant"]]), "whole_ms": median(timed[whole])}
        row["ratio"] = row["later_ms"] / median(timed[OURS])
    return rows


@contextmanager
def _fresh(url: str) -> Iterator[tuple[FlaskClient, Callable[[], None]]]:
    """A dashboard that has read nothing yet, and what empties optuna-dashboard's memory."""
    with closing(open_database(url)) as database, client_of(database) as client:
        yield client, lambda: _forget(client)


def _forget(client: FlaskClient) -> None:
    for rule in client.application.view_functions.values():
        for cell in rule.__closure__ or ():
            made = getattr(cell.cell_contents, "_app", None)
            if made is not None:
                made._inmemory_cache.clear()


def main() -> int:
    """Measure as the command line says, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--quick", action="store_true", help="few trials and looks, SQLite alone")
    words = parser.parse_args()
    count, looks = (40, 2) if words.quick else (1000, 15)
    trials.quiet()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'hpo.db'}"
        rows = measure("SQLite", url, count=count, looks=looks)
    if not words.quick:
        with postgres.server() as server, postgres.database(server.url) as url:
            rows += measure("PostgreSQL", url, count=count, looks=looks)
    found = {"trials": count, "rows": rows}
    title = f"Milliseconds of a look at a study of {count:,} trials"
    tell(found, lambda: table_of(rows, COLUMNS, title=title), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
