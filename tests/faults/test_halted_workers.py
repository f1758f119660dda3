"""Workers that are stopped, drained or cut short: another carries on, with an equal result."""

import signal
import sqlite3
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.faults.fleet import END_S, NAME, START_S, Fleet, fleet, is_gone, study
from tests.waiting import eventually

LONG = study(max_steps=800_000, trials=1, seeds=1)  # two networks, each of some seconds


@pytest.mark.timeout(400)
def test_a_worker_that_slept_past_its_lease_records_nothing_of_it_and_lives_on(
    database_url: str, tmp_path: Path
) -> None:
    bound_slots = "SELECT number, trial FROM hpo_slot WHERE state = 'taken' AND trial IS NOT NULL"
    with fleet(database_url, tmp_path) as workers:
        workers.submit(LONG)
        sleeper = workers.start()
        [bound] = eventually(lambda: workers.look(bound_slots), within_s=START_S)
        eventually(lambda: is_halted_without_lock(workers, sleeper), within_s=START_S)
        assert workers.look(bound_slots) == [bound]  # one of its two networks is in training
        other = workers.start()
        taken_over = "SELECT number, trial FROM hpo_slot WHERE expiries > 0 AND state = 'ended'"
        eventually(lambda: workers.look(taken_over), within_s=END_S)
        sleeper.send_signal(signal.SIGCONT)
        workers.wait_for_end()
        assert (sleeper.returncode, other.returncode) == (0, 0)
        workers.assert_exact(1)
        assert workers.look(taken_over) == [bound]


@pytest.mark.timeout(400)
def test_a_drained_worker_leaves_its_training_to_another_that_ends_it_with_an_equal_result(
    database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "drained").mkdir()
    (tmp_path / "undisturbed").mkdir()
    with fleet(database_url, tmp_path / "drained") as workers:
        workers.submit(LONG)
        drained = workers.start()
        networks_so_far = "SELECT * FROM hpo_network"  # the next one is in training
        eventually(lambda: workers.look(networks_so_far), within_s=START_S)
        drained.terminate()
        _, said = drained.communicate(timeout=20)
        assert drained.returncode == 0, said
        assert workers.look("SELECT count(*) FROM hpo_slot WHERE state = 'taken'") == [(0,)]
        assert workers.look("SELECT count(*) FROM hpo_checkpoint") == [(1,)]
        workers.start()
        workers.wait_for_end()
        workers.assert_exact(1)
        networks = _networks(workers)
    url = f"sqlite:///{tmp_path / 'undisturbed.db'}"
    with fleet(url, tmp_path / "undisturbed") as workers:
        workers.submit(LONG)
        workers.start()
        workers.wait_for_end()
        assert _networks(workers) == networks


def is_halted_without_lock(workers: Fleet, process: subprocess.Popen[str]) -> bool:
    """Whether the process is now halted; not within a transaction, whose lock SQLite keeps."""
    process.send_signal(signal.SIGSTOP)
    if workers.url.startswith("sqlite") and not _can_write(workers.url.removeprefix("sqlite:///")):
        process.send_signal(signal.SIGCONT)
        return False
    return True


def _can_write(file: str) -> bool:
    connection = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def _networks(workers: Fleet) -> list[tuple[object, ...]]:
    """Every network with its errors to the last bit."""
    rows = workers.look(
        "SELECT trial, fold, seed, steps, losses, train_loss, watch_loss FROM hpo_network"
        " ORDER BY trial, fold, seed"
    )
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


@pytest.mark.timeout(300)
def test_a_training_process_that_is_killed_is_started_again_and_costs_no_trial(
    database_url: str, tmp_path: Path
) -> None:
    with fleet(database_url, tmp_path) as workers:
        workers.submit(LONG)
        worker = workers.start()
        workers.mid_trial()
        [child] = workers.descendants()
        child.kill()
        workers.wait_for_end()
        assert worker.returncode == 0
        workers.assert_exact(1)
        assert workers.look("SELECT count(*) FROM hpo_slot WHERE outcome = 'infeasible'") == [(0,)]


@pytest.mark.timeout(200)
def test_the_training_process_ends_with_its_killed_worker(sqlite_url: str, tmp_path: Path) -> None:
    with fleet(sqlite_url, tmp_path) as workers:
        workers.submit(LONG)
        worker = workers.start()
        workers.mid_trial()
        [child] = workers.descendants()
        worker.kill()
        worker.wait()
        eventually(is_gone(psutil.Process(child.pid)), within_s=10)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_every_worker_obeys_the_state_of_the_study(
    database_url: str, tmp_path: Path, verb: str
) -> None:
    at_work = "SELECT count(*) FROM hpo_slot WHERE state = 'taken'"
    ended = "SELECT count(*) FROM hpo_slot WHERE state = 'ended'"
    with fleet(database_url, tmp_path) as workers:
        workers.submit(study(trials=200, max_steps=2000))
        for _ in range(2):
            workers.start()
        workers.mid_trial()
        assert workers.cli(verb, NAME).returncode == 0
        eventually(lambda: workers.look(at_work) == [(0,)], within_s=START_S)
        if verb == "pause":
            done = workers.look(ended)
            assert done[0][0] < 202
            assert workers.cli("resume", NAME).returncode == 0
            eventually(lambda: workers.look(ended)[0][0] > done[0][0], within_s=START_S)
            assert workers.cli("stop", NAME).returncode == 0
            workers.wait_for_end()
            assert workers.answer()["state"] == "done"
        else:
            workers.wait_for_end()
            answered = workers.cli("answer", NAME)
            assert answered.returncode == 5
            assert "was cancelled" in answered.stderr
            running = "SELECT count(*) FROM trials WHERE state = 'RUNNING'"
            assert workers.look(running) == [(0,)]
