"""The supervisor starts worker processes, replaces those that were killed, and stops all."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hpo import events
from hpo.service import supervisor as module
from hpo.service.supervisor import SOON_S, Supervisor, WorkerOptions
from tests.integration.service.stage import look, opened, submit
from tests.integration.service.test_processes import ENDLESS, IN_MID_TRIAL, START_S
from tests.unit.search.fake_trainer import tiny_study
from tests.waiting import eventually


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def supervised(url: str, *, count: int = 1, clock: Clock | None = None) -> Iterator[Supervisor]:
    """A supervisor of workers that are stopped at the end."""
    options = WorkerOptions(only="tiny", quiet=True)
    made = Supervisor(url, options, count=count, clock=clock or Clock())
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


def kill(supervisor: Supervisor, place: int = 0) -> None:
    supervisor.processes[place].kill()
    supervisor.processes[place].wait()


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of workers, processes that wait for a signal."""
    start: Any = subprocess.Popen

    def wait_for_ever(_: list[str], **named: Any) -> Any:
        return start([sys.executable, "-c", "import signal; signal.pause()"], **named)

    monkeypatch.setattr(subprocess, "Popen", wait_for_ever)


def test_a_killed_worker_is_replaced_by_one_that_works_and_all_are_stopped(
    sqlite_url: str,
) -> None:
    heard: list[events.Event] = []
    with opened(sqlite_url) as database:
        submit(database, tiny_study(**ENDLESS), engine="native")
    supervisor = Supervisor(
        sqlite_url, WorkerOptions(only="tiny", quiet=True), count=1, hear=heard.append
    )
    try:
        [first] = supervisor.processes
        kill(supervisor)
        assert supervisor.watch()
        [second] = supervisor.processes
        assert second.pid != first.pid
        eventually(lambda: look(sqlite_url, IN_MID_TRIAL), within_s=START_S)
    finally:
        supervisor.stop()
    assert heard == [events.WorkerReplaced(0, -9)]
    assert (second.returncode, supervisor.exit_code) == (0, 0)
    assert not supervisor.watch()
    assert not look(sqlite_url, IN_MID_TRIAL)


@pytest.mark.usefixtures("idle")
def test_a_place_where_five_in_a_row_died_at_once_is_given_up_and_no_other() -> None:
    with supervised("sqlite:///none.db", count=2) as supervisor:
        for _ in range(4):
            kill(supervisor, 1)
            assert supervisor.watch()
            assert supervisor.processes[1].poll() is None
        kill(supervisor, 1)
        assert supervisor.watch(), "the other place lives"
        assert supervisor.processes[1].poll() == -9
        kill(supervisor, 0)
        assert supervisor.watch()
        assert supervisor.processes[0].poll() is None
        assert supervisor.exit_code == 1


@pytest.mark.usefixtures("idle")
def test_a_worker_that_lived_for_a_while_is_always_replaced() -> None:
    clock = Clock()
    with supervised("sqlite:///none.db", clock=clock) as supervisor:
        for _ in range(10):
            clock.now_s += SOON_S
            kill(supervisor)
            assert supervisor.watch()
        replaced = []
        for _ in range(5):
            kill(supervisor)
            replaced.append(supervisor.watch())
        assert replaced == [True] * 4 + [False]


def test_a_worker_told_to_end_while_it_starts_has_not_failed(sqlite_url: str) -> None:
    with supervised(sqlite_url) as supervisor:
        supervisor.stop()
        assert supervisor.exit_code == 0


def test_what_ended_by_itself_is_not_replaced_and_its_code_is_told(sqlite_url: str) -> None:
    with supervised(sqlite_url) as supervisor:
        assert supervisor.processes[0].wait(START_S) == 4, "there is no database"
        assert not supervisor.watch()
        assert supervisor.exit_code == 4


@pytest.mark.usefixtures("idle")
def test_a_worker_that_does_not_end_within_the_grace_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)
    monkeypatch.setattr(module, "LAST_WORD_S", 0.0)
    with supervised("sqlite:///none.db") as supervisor:
        [deaf] = supervisor.processes
        monkeypatch.setattr(deaf, "terminate", lambda: None)
        supervisor.stop()
        assert deaf.returncode == -9


def test_a_worker_is_told_all_its_options_and_a_port_of_its_own() -> None:
    options = WorkerOptions(
        only="tiny", threads=3, idle_exit_s=5, memory_gb=1.5, metrics_port=9100, quiet=True
    )
    words = options.words(2)
    assert {"--only=tiny", "--threads=3", "--idle-exit=5", "--memory-gb=1.5", "--quiet"} <= set(
        words
    )
    assert "--metrics-port=9102" in words
    assert "--metrics-port=0" in WorkerOptions().words(2)
    assert "--quiet" not in WorkerOptions().words(0)
