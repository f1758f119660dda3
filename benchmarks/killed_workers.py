"""Workers killed with -9, one every second, and replaced: what becomes of the study.

`python benchmarks/killed_workers.py` puts this project and plain Optuna through it, on SQLite and
on PostgreSQL, one after another; with `--json` one object instead of a table. Plain Optuna's worker
is plain_optuna.py: heartbeats, failed trials queued again, MaxTrialsCallback; its trials sleep as
long as this project's train. Each is killed until its study is over: this project's when it has its
verdict, plain Optuna's when its budget is spent, so that its last workers may end in peace.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import plain_optuna
import postgres
import psutil
import sqlalchemy as sa
from rich.table import Table
from telling import table_of, tell
from wave_study import Wave

MARK = "KILLED_WORKERS_RUN"  # in the environment of every process of a run, however deep
PAUSE_S = 0.2
PEACE_S = 20.0  # in which processes end by themselves once their study is over
NAME = "killed"
CONTESTANTS = ("hpo", "plain Optuna")
COLUMNS = {
    "database": "database",
    "workers of": "contestant",
    "kills": "kills",
    "ended": "ended",
    "complete": "complete",
    "pruned": "pruned",
    "infeasible": "infeasible",
    "left running": "running",
    "overshoot": "overshoot",
    "networks": "networks",
    "recorded twice": "recorded_twice",
    "workers crashed": "crashed",
    "processes left": "left_behind",
    "seconds": "wall_s",
}
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ordeal:
    """How many workers, how large a budget; how often one is killed, how many, and for how long."""

    workers: int
    trials: int
    seed: int
    every_s: float = 1.0
    most_kills: int | None = None
    longest_s: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What the database holds when all is over."""

    complete: int
    pruned: int
    infeasible: int
    running: int
    networks: int
    recorded_twice: int

    @property
    def ended(self) -> int:
        """Trials that count against the budget."""
        return self.complete + self.pruned + self.infeasible


class Contestant(Protocol):
    """Who does the work: commands that are kept running until a study is over."""

    @property
    def commands(self) -> list[list[str]]:
        """The processes to start; one that ends before the study is over is started again."""

    def submit(self) -> None:
        """Write the study to the database."""

    def is_worker(self, words: Sequence[str]) -> bool:
        """Whether a process with this command line may be killed."""

    def is_over(self) -> bool:
        """Whether there is nothing left to do."""

    def tally(self) -> Tally:
        """What became of the study."""


@dataclass(frozen=True)
class Hpo:
    """This project, by its command line; `folder` is for the study and its data."""

    url: str
    folder: Path
    ordeal: Ordeal

    @property
    def commands(self) -> list[list[str]]:
        return [[*self._hpo("work", NAME), "--workers", str(self.ordeal.workers)]]

    def _hpo(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "hpo", *words, "--storage", self.url]

    def submit(self) -> None:
        wave = Wave(name=NAME, trials=self.ordeal.trials, seed=self.ordeal.seed)
        study = wave.write(self.folder)
        ended = subprocess.run(
            self._hpo("submit", str(study)), capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise SystemExit(f"the study cannot be submitted: {ended.stderr}")

    def is_worker(self, words: Sequence[str]) -> bool:
        return "hpo.service.worker" in words

    def is_over(self) -> bool:
        [(state,)] = self._look("SELECT state FROM hpo_study")
        return state in ("done", "failed", "cancelled")

    def tally(self) -> Tally:
        outcomes = "SELECT outcome, count(*) FROM hpo_slot WHERE kind = 'trial' GROUP BY outcome"
        ended = dict(self._look(outcomes))
        known = "SELECT count(*) FROM hpo_network WHERE trial IN (SELECT trial FROM hpo_slot)"
        same = "SELECT DISTINCT trial, fold, seed FROM hpo_network"
        [(networks,)] = self._look("SELECT count(*) FROM hpo_network")
        [(of_a_slot,)] = self._look(known)
        again = networks - len(self._look(same))
        [(running,)] = self._look("SELECT count(*) FROM trials WHERE state = 'RUNNING'")
        return Tally(
            complete=ended.get("complete", 0),
            pruned=ended.get("pruned", 0),
            infeasible=ended.get("infeasible", 0),
            running=running,
            networks=networks,
            recorded_twice=again + networks - of_a_slot,  # the latter: of a trial made twice
        )

    def _look(self, query: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(
            self.url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool
        )
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]


@dataclass(frozen=True)
class PlainOptuna:
    """Optuna as its documentation advises; no worker is started again once the budget is spent."""

    url: str
    ordeal: Ordeal
    training_s: float = 0.3

    def _task(self, seed: int) -> plain_optuna.Task:
        return plain_optuna.Task(
            storage=self.url, trials=self.ordeal.trials, training_s=self.training_s, seed=seed
        )

    @property
    def commands(self) -> list[list[str]]:
        return [self._task(self.ordeal.seed + place).words for place in range(self.ordeal.workers)]

    def submit(self) -> None:
        plain_optuna.create(self._task(0))

    def is_worker(self, words: Sequence[str]) -> bool:
        return plain_optuna.__file__ in words

    def is_over(self) -> bool:
        return plain_optuna.trials_of(self._task(0)).complete >= self.ordeal.trials

    def tally(self) -> Tally:
        found = plain_optuna.trials_of(self._task(0))
        return Tally(
            complete=found.complete,
            pruned=0,
            infeasible=0,
            running=found.running,
            networks=found.networks,
            recorded_twice=found.recorded_twice,
        )


@dataclass
class Fleet:
    """Processes that are started again when they end; all that descends from them is known."""

    commands: list[list[str]]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    crashed: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start every command."""
        self.processes = [self._start(words) for words in self.commands]

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            env=os.environ | {MARK: self.mark, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def replace_ended(self) -> None:
        """Start again what has ended; what no one killed and ended with an error has crashed."""
        for place, process in enumerate(self.processes):
            if process.poll() is not None:
                self.crashed += process.returncode > 0
                self.processes[place] = self._start(self.commands[place])

    def wait(self, longest_s: float) -> None:
        """Until all have ended by themselves, descendants too, or the time is over."""
        deadline = monotonic() + longest_s
        while self.members() and monotonic() < deadline:
            time.sleep(PAUSE_S)
        self.crashed += sum((process.poll() or 0) > 0 for process in self.processes)

    def members(self) -> list[psutil.Process]:
        """Every live process that descends from the commands."""
        for process in self.processes:
            process.poll()  # a dead child is no process left behind
        return [process for process in psutil.process_iter() if self._is_member(process)]

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark
        except psutil.Error:  # it has ended, or is another user's
            return False

    def kill(self) -> int:
        """End all that is left; how many there were."""
        left = self.members()
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for child in self.processes:
            child.wait()
        return len(left)


def endure(contestant: Contestant, ordeal: Ordeal) -> Row:
    """Submit the study, kill and replace workers until it is over; what is left."""
    contestant.submit()
    fleet, started, kills = Fleet(contestant.commands), monotonic(), 0
    chance = random.Random(ordeal.seed)
    try:
        fleet.start()
        while not (over := contestant.is_over()) and monotonic() < started + ordeal.longest_s:
            fleet.replace_ended()
            is_due = monotonic() > started + (kills + 1) * ordeal.every_s
            if is_due and kills != ordeal.most_kills:
                kills += kill_one(fleet, contestant, chance)
            time.sleep(PAUSE_S)
        wall_s = monotonic() - started
        fleet.wait(PEACE_S)
    finally:
        left_behind = fleet.kill()
    tally = contestant.tally()
    return asdict(tally) | {
        "ended": tally.ended,
        "overshoot": tally.ended - ordeal.trials,
        "over": over,
        "kills": kills,
        "crashed": fleet.crashed,
        "left_behind": left_behind,
        "wall_s": wall_s,
    }


def kill_one(fleet: Fleet, contestant: Contestant, chance: random.Random) -> int:
    """Kill a random worker with -9; 0 where there is none."""
    workers = []
    for process in fleet.members():
        with suppress(psutil.NoSuchProcess):
            if contestant.is_worker(process.cmdline()):
                workers.append(process)
    if not workers:
        return 0
    with suppress(psutil.NoSuchProcess):
        chance.choice(sorted(workers, key=lambda process: process.pid)).kill()
    return 1


def compare(ordeal: Ordeal, databases: Sequence[str]) -> list[Row]:
    """Both contestants on these kinds of database, each with a new one."""
    rows: list[Row] = []
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server()) if "PostgreSQL" in databases else None
        for kind in databases:
            for name in CONTESTANTS:
                with _database(server) if kind == "PostgreSQL" else _file() as url:
                    found = _endure(name, url, ordeal)
                rows.append({"database": kind, "contestant": name, **found})
    return rows


def _endure(name: str, url: str, ordeal: Ordeal) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        plain = name == "plain Optuna"
        return endure(PlainOptuna(url, ordeal) if plain else Hpo(url, Path(folder), ordeal), ordeal)


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/study.db"


@contextmanager
def _database(server: postgres.Server | None) -> Iterator[str]:
    assert server is not None
    with postgres.database(server.url) as url:
        yield url


def table(rows: Sequence[Row], ordeal: Ordeal) -> Table:
    """The rows as people read them."""
    title = (
        f"{ordeal.workers} workers, one killed every {ordeal.every_s:g} s, a budget of"
        f" {ordeal.trials} trials"
    )
    return table_of(rows, COLUMNS, title=title)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two workers, few trials, few kills")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--trials", type=int)
    parser.add_argument("--every", type=float, help="seconds from one kill to the next")
    parser.add_argument("--kills", type=int, help="how many at most")
    parser.add_argument("--longest", type=float, default=600.0, help="seconds until it is given up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--databases", type=lambda word: word.split(","), default=["SQLite", "PostgreSQL"]
    )
    quick = {"workers": 2, "trials": 6, "every": 1.0, "kills": 1}
    usual = {"workers": 8, "trials": 100, "every": 1.0}
    parser.set_defaults(**(quick if "--quick" in words else usual))
    return parser.parse_args(words)


def main() -> int:
    """Put both through what the command line asks for and print what became of them."""
    options = parse(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave nothing behind
    plain_optuna.quiet()
    ordeal = Ordeal(
        workers=options.workers,
        trials=options.trials,
        seed=options.seed,
        every_s=options.every,
        most_kills=options.kills,
        longest_s=options.longest,
    )
    rows = compare(ordeal, options.databases)
    found = {"rows": rows, "ordeal": asdict(ordeal)}
    tell(found, lambda: table(rows, ordeal), as_json=options.json, narrowest=170)
    return 0


if __name__ == "__main__":
    sys.exit(main())
