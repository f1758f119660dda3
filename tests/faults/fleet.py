"""Real workers of a real study: submitted, started, watched from outside, and never left behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from wave_study import Wave

from tests.commands import Cli
from tests.integration.service.databases import look
from tests.waiting import eventually

START_S = 60.0
END_S = 240.0
NAME = "faulty"
IN_A_TRIAL = "SELECT number FROM hpo_slot WHERE state = 'taken' AND kind = 'trial'"


def study(*, name: str = NAME, trials: int = 12, **values: Any) -> Wave:
    """A study of trials of some tenths of a second, or as long as `max_steps` makes them."""
    return Wave(name=name, trials=trials, **values)


@dataclass
class Fleet:
    """Worker processes of this project on one database."""

    url: str
    folder: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def cli(self) -> Cli:
        """The command line on the fleet's database."""
        return Cli(folder=self.folder, storage=self.url)

    def submit(self, study: Wave) -> None:
        """Write a study to the database."""
        ended = self.cli("submit", study.write(self.folder))
        assert ended.returncode == 0, ended.stderr

    def start(self, *, only: str = NAME, quiet: bool = True) -> subprocess.Popen[str]:
        """One more worker."""
        words = ["-m", "hpo.service.worker", f"--only={only}", f"--parent={os.getpid()}"]
        process = subprocess.Popen(
            [sys.executable, *words, *["--quiet"] * quiet],
            env=os.environ | {"HPO_STORAGE": self.url, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def wait_for_end(self) -> None:
        """Until every worker has ended by itself, as it should."""
        for process in self.processes:
            _, said = process.communicate(timeout=END_S)
            assert process.returncode in (0, -signal.SIGKILL), said

    def look(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database as they are now."""
        return look(self.url, query, **values)

    def mid_trial(self) -> None:
        """As soon as a worker works on a trial."""
        eventually(lambda: self.look(IN_A_TRIAL), within_s=START_S)

    def answer(self, name: str = NAME) -> dict[str, Any]:
        """The study's answer, which must be there."""
        ended = self.cli("answer", name, "--json")
        assert ended.returncode == 0, ended.stderr
        found: dict[str, Any] = json.loads(ended.stdout)
        return found

    def assert_exact(self, trials: int, name: str = NAME) -> None:
        """The study is done, its budget met exactly, nothing runs and nothing is there twice."""
        status = json.loads(self.cli("status", name, "--json").stdout)
        counts = status["trials"]
        assert (status["state"], status["error"]) == ("done", None)
        assert (counts["complete"] + counts["pruned"] + counts["infeasible"]) == trials
        assert (counts["running"], counts["waiting"], counts["failed"]) == (0, 0, 0)
        keys = self.look("SELECT study, trial, fold, seed FROM hpo_network")
        assert len(keys) == len(set(keys))
        running = "SELECT count(*) FROM trials WHERE state = 'RUNNING'"
        assert self.look(running) == [(0,)]
        assert self.look("SELECT count(*) FROM hpo_checkpoint") == [(0,)]

    def descendants(self) -> list[psutil.Process]:
        """The training processes of the workers."""
        found = []
        for process in self.processes:
            with suppress(psutil.NoSuchProcess):
                found += psutil.Process(process.pid).children(recursive=True)
        return found

    def kill(self) -> None:
        """End all that is left."""
        left = self.descendants()
        for process in self.processes:
            process.kill()
            process.communicate()
        for child in left:
            with suppress(psutil.NoSuchProcess):
                child.kill()


@contextmanager
def fleet(url: str, folder: Path) -> Iterator[Fleet]:
    """A fleet of which nothing is left at the end."""
    found = Fleet(url, folder)
    try:
        yield found
    finally:
        found.kill()


def is_gone(process: psutil.Process) -> Callable[[], bool]:
    """Whether a process has ended."""
    return lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
