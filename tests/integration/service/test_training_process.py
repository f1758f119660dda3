"""The process that trains: it obeys, it is watched, and it ends with its worker."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import psutil
import pytest

from hpo.errors import DataError, UsageError
from hpo.fitting.pool import Job, Saved
from hpo.search.outcome import NetworkRecord
from hpo.service import training_process as module
from hpo.service.executor import Asked, Broken, ExecutorDied, InProcess, Made
from hpo.service.study_data import StudyData
from hpo.service.training_process import TrainingProcess
from hpo.spec.candidate import Candidate
from hpo.training.trainer import Stopped
from tests.integration.service.stage import asked_of
from tests.unit.search.fake_trainer import tiny_prepared, tiny_study
from tests.waiting import eventually

ENDLESS: dict[str, Any] = {"training": {"max_steps": 50_000, "patience": 100_000}}
PREPARED = tiny_prepared()
MANY = 2.0**40


def job(seed: int = 0, cells: int = 2, **values: Any) -> Job:
    candidate = Candidate(
        cells=(cells,),
        learning_rate=0.01,
        weight_decay=0.0,
        dropout=0.0,
        lookback=PREPARED.lookbacks[-1],
    )
    return Job(trial=0, fold=0, candidate=candidate, seed=seed, **values)


@contextmanager
def process_of(asked: Asked, *, memory_bytes: float = MANY) -> Iterator[TrainingProcess]:
    """A training process that has taken the study up."""
    process = TrainingProcess(threads=1, memory_bytes=memory_bytes)
    try:
        process.begin(asked)
        yield process
    finally:
        process.close()


@pytest.fixture(scope="module")
def endless() -> Iterator[TrainingProcess]:
    """A process whose trainings take longer than any test."""
    with process_of(
        asked_of(tiny_study(training={"max_steps": 100_000, "patience": 1_000_000}))
    ) as process:
        yield process


def train(
    process: TrainingProcess | InProcess,
    jobs: list[Job],
    *,
    go_on: Callable[[], bool] = lambda: True,
) -> tuple[dict[Job, Made], dict[Job, Saved]]:
    """What came of the jobs, and what was kept of those that were halted (Stopped is caught)."""
    made: dict[Job, Made] = {}
    saved: dict[Job, Saved] = {}
    try:
        process.train(jobs, go_on=go_on, on_made=made.update, on_saved=saved.__setitem__)
    except Stopped:
        assert len(made) < len(jobs)
    return made, saved


def is_training(process: TrainingProcess) -> Callable[[], bool]:
    """Whether the process has used half a second of processor time since now."""
    watched = psutil.Process(process.pid)

    def busy_s() -> float:
        times = watched.cpu_times()
        return float(times.user + times.system)

    began_s = busy_s()
    return lambda: busy_s() - began_s > 0.5


def refuse_after(fact: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: not fact()


def test_a_study_is_trained_in_another_process_as_in_this_one() -> None:
    asked = asked_of(tiny_study())
    here = InProcess(threads=1)
    prepared = here.begin(asked).prepared
    jobs = [job(seed) for seed in range(3)]
    with process_of(asked) as process:
        assert process.pid != os.getpid()
        found, _ = train(process, jobs)
        errors = process.forecast(lambda: True)
    expected, _ = train(here, jobs)
    assert prepared.study.name == "tiny"
    assert losses(found) == losses(expected)
    assert len(losses(found)) == 3
    assert {"naive", "ridge"} <= set(errors.losses)
    here.close()


def losses(made: Mapping[Job, Made]) -> dict[Job, bytes]:
    return {j: m.losses_O.tobytes() for j, m in made.items() if isinstance(m, NetworkRecord)}


def test_asked_to_stop_it_halts_and_hands_its_states_over(
    endless: TrainingProcess,
) -> None:
    pid, began = endless.pid, is_training(endless)
    made, saved = train(endless, [job(0), job(1)], go_on=refuse_after(began))
    assert made == {}
    assert list(saved) == [job(0)], "one thread: the second was not begun"
    assert saved[job(0)].wall_s > 0
    assert endless.pid == pid, "it lives on"
    half = job(0, saved=saved[job(0)])
    _, further = train(endless, [half], go_on=refuse_after(is_training(endless)))
    assert further[job(0)].wall_s > saved[job(0)].wall_s


def test_what_go_on_raises_comes_through_and_the_process_is_free_for_others(
    endless: TrainingProcess,
) -> None:
    pid, began = endless.pid, is_training(endless)

    class Lost(Exception):
        pass

    def lose() -> bool:
        if began():
            raise Lost
        return True

    with pytest.raises(Lost):
        train(endless, [job()], go_on=lose)
    assert endless.pid == pid
    assert train(endless, [], go_on=lambda: True) == ({}, {})


def test_a_killed_process_is_told_by_its_signal_and_can_be_used_again(
    endless: TrainingProcess,
) -> None:
    pid, began = endless.pid, is_training(endless)

    def kill_it() -> bool:
        if began():
            os.kill(pid, signal.SIGKILL)
        return True

    with pytest.raises(ExecutorDied, match="SIGKILL") as caught:
        train(endless, [job()], go_on=kill_it)
    assert not caught.value.is_over_limit
    train(endless, [])
    assert endless.pid != pid
    _, saved = train(endless, [job()], go_on=refuse_after(is_training(endless)))
    assert list(saved) == [job()]


def test_a_training_that_takes_too_much_memory_ends_the_process_and_is_guilty(
    endless: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endless, "_memory_bytes", 2.0**20)
    with pytest.raises(ExecutorDied, match="GiB of memory, more than the") as caught:
        train(endless, [job()])
    assert caught.value.is_over_limit
    monkeypatch.undo()
    assert train(endless, []) == ({}, {}), "usable again"


def test_a_training_that_hangs_past_its_time_ends_the_process_and_is_guilty(
    endless: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OVERDUE_S", -100.0)
    with pytest.raises(ExecutorDied, match=r"budget\.trial_timeout_s = 50") as caught:
        train(endless, [job(limit_s=50.0)])
    assert caught.value.is_over_limit


def test_a_process_that_is_halted_by_force_is_ended_when_it_must_stop(
    endless: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HALT_S", 0.5)
    train(endless, [])
    pid, began = endless.pid, is_training(endless)

    def freeze_and_stop() -> bool:
        if began():
            os.kill(pid, signal.SIGSTOP)
            return False
        return True

    assert train(endless, [job()], go_on=freeze_and_stop) == ({}, {})
    assert not psutil.pid_exists(pid)


def test_a_process_that_says_nothing_any_more_is_ended_and_no_trial_is_guilty_of_it(
    endless: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(endless, [])  # a new process is silent for longer while it loads torch
    monkeypatch.setattr(module, "MOST_SILENT_TICKS", 15)
    pid, began = endless.pid, is_training(endless)

    def freeze() -> bool:
        if began():
            os.kill(pid, signal.SIGSTOP)
        return True

    with pytest.raises(ExecutorDied, match="did not answer") as caught:
        train(endless, [job()], go_on=freeze)
    assert not caught.value.is_over_limit


def test_an_error_in_the_process_comes_with_its_traceback_and_the_process_lives_on(
    endless: TrainingProcess,
) -> None:
    train(endless, [])
    pid = endless.pid
    with pytest.raises(Broken, match="KeyError: 99") as caught:
        endless.train(
            [Job(trial=0, fold=99, candidate=job().candidate, seed=0)],
            go_on=lambda: True,
            on_made=lambda _: None,
            on_saved=lambda *_: None,
        )
    assert caught.value.trace.startswith("Traceback")
    assert "pool.py" in caught.value.trace
    assert not caught.value.is_local
    assert endless.pid == pid


def test_what_it_cannot_begin_is_refused_with_the_reason(endless: TrainingProcess) -> None:
    asked = asked_of(tiny_study())
    other = Asked(asked.spec, asked.engine, asked.data, "another fingerprint")
    with pytest.raises(DataError, match="not those that were submitted"):
        endless.begin(other)
    device = tiny_study(training={"device": "mps"})
    with pytest.raises(UsageError, match="'mps' is not on this machine"):
        endless.begin(asked_of(device))
    endless.begin(asked_of(tiny_study(training={"max_steps": 100_000, "patience": 1_000_000})))


LARGE = replace(asked_of(tiny_study()), data=StudyData(parquet=bytes(20 * 2**20)))


@pytest.fixture
def deaf() -> Iterator[TrainingProcess]:
    """A process that was halted by force before it has read any order."""
    process = TrainingProcess(threads=1)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield process
    finally:
        process.close()


@pytest.mark.timeout(30)
def test_a_process_that_reads_no_order_is_ended_when_it_must_stop(
    deaf: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HALT_S", 0.5)
    pid, asked = deaf.pid, count()
    with pytest.raises(Stopped):
        deaf.begin(LARGE, go_on=refuse_after(lambda: next(asked) == 3))
    assert not psutil.pid_exists(pid)


@pytest.mark.timeout(30)
def test_a_process_that_reads_no_order_in_time_is_ended_and_the_machine_is_to_blame(
    deaf: TrainingProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BEGIN_TICKS", 3)
    pid = deaf.pid
    with pytest.raises(ExecutorDied, match="were not read within") as caught:
        deaf.begin(LARGE)
    assert caught.value.is_local
    assert not psutil.pid_exists(pid)


def test_it_ends_with_the_process_that_started_it() -> None:
    code = (
        "import signal; from hpo.service.training_process import TrainingProcess;"
        "print(TrainingProcess(threads=1).pid, flush=True); signal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
    finally:
        parent.kill()
        parent.communicate()
    eventually(lambda: has_ended(child), within_s=30)


def has_ended(process: psutil.Process) -> bool:
    """Whether it is gone; a zombie is one that its new parent has not yet looked after."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
