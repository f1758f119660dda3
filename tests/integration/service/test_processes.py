"""Real worker processes, really killed."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hpo.service import results, studies, trials
from hpo.service.status import progress
from hpo.spec.study import Study
from hpo.training.native_trainer import NativeTrainer
from tests.integration.service.stage import let_leases_expire, look, opened, submit, worker
from tests.unit.search.fake_trainer import tiny_study
from tests.waiting import eventually

WORKER = "hpo.service.worker"
START_S = 60.0
ENDLESS: dict[str, Any] = {
    "budget": {"trials": 1000},
    "training": {"max_steps": 200_000, "patience": 1_000_000},  # a second or more a network
}
IN_MID_TRIAL = "SELECT number, trial FROM hpo_slot WHERE state = 'taken' AND trial IS NOT NULL"


@contextmanager
def worker_process(
    url: str, *, study: Study, engine: str = "native", threads: int = 1
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m hpo.service.worker` on a submitted study; killed at the end if it still runs."""
    with opened(url) as database:
        submit(database, study, engine=engine)
    process = subprocess.Popen(
        [sys.executable, "-m", WORKER, f"--only={study.name}", f"--threads={threads}"],
        env=os.environ | {"HPO_STORAGE": url},
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def freeze_in_mid_trial(url: str, process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Halt the process while it works on a trial: the slot and the trial's number."""

    def halted() -> tuple[int, int] | None:
        if not look(url, IN_MID_TRIAL):
            return None
        process.send_signal(signal.SIGSTOP)
        found = look(url, IN_MID_TRIAL)
        if found:
            return found[0][0], found[0][1]
        process.send_signal(signal.SIGCONT)
        return None

    return eventually(halted, within_s=START_S) or (0, 0)


def test_a_trial_whose_worker_is_killed_is_finished_by_another_under_its_number(
    database_url: str,
) -> None:
    slow = tiny_study(budget={"trials": 2}, training={"max_steps": 200_000, "patience": 1_000_000})
    with worker_process(database_url, study=slow) as process:
        slot, trial = freeze_in_mid_trial(database_url, process)
        process.kill()
        process.wait()
    let_leases_expire(database_url)
    before = look(database_url, "SELECT trial, fold, seed, losses FROM hpo_network")
    with opened(database_url) as database:
        worker(database, NativeTrainer()).run()
        now = progress(database, "tiny")
        assert (now.state, now.trials.ended, now.running, now.waiting) == ("done", 2, 0, 0)
        stored = trials.all_trials(database, studies.find(database, "tiny").optuna_id)
        assert [t.number for t in stored] == list(range(2))
        assert sorted(t.user_attrs["facts"]["slot"] for t in stored) == list(range(1, 3))
        assert all(t.state.is_finished() for t in stored)
        assert now.networks == results.count_networks(database, "tiny")
    after = look(database_url, "SELECT trial, fold, seed, losses FROM hpo_network")
    keys = [row[:3] for row in after]
    assert len(set(keys)) == len(keys)
    assert set(before) <= set(after)
    assert look(database_url, "SELECT trial, token FROM hpo_slot WHERE number = :n", n=slot) == [
        (trial, 2)
    ]


def test_sigterm_gives_the_slot_back_and_ends_the_worker_within_seconds(
    database_url: str,
) -> None:
    with worker_process(database_url, study=tiny_study(**ENDLESS)) as process:
        eventually(lambda: look(database_url, IN_MID_TRIAL), within_s=START_S)
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert look(database_url, "SELECT state FROM hpo_slot WHERE number = 1") == [("open",)]
    assert look(database_url, "SELECT state FROM hpo_study") == [("running",)]
    assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_signals_that_follow_the_first_do_not_change_how_the_worker_ends(sqlite_url: str) -> None:
    more = itertools.cycle([signal.SIGINT, signal.SIGTERM])
    with worker_process(sqlite_url, study=tiny_study(**ENDLESS)) as process:
        eventually(lambda: look(sqlite_url, IN_MID_TRIAL), within_s=START_S)
        process.terminate()

        def has_ended() -> bool:
            process.send_signal(next(more))
            return process.poll() is not None

        eventually(has_ended, within_s=20)
        assert process.returncode == 0
    of_trials = "SELECT DISTINCT state FROM hpo_slot WHERE kind = 'trial' AND outcome IS NULL"
    assert look(sqlite_url, of_trials) == [("open",)]
    assert look(sqlite_url, "SELECT state FROM hpo_study") == [("running",)]
    assert look(sqlite_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_a_worker_whose_parent_dies_ends_by_itself(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(**ENDLESS), engine="native")
    supervise = (
        "import sys; from hpo.service.supervisor import Supervisor, WorkerOptions;"
        "Supervisor(sys.argv[1], WorkerOptions(only='tiny'), count=1); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", supervise, sqlite_url], stdin=subprocess.PIPE)
    try:
        eventually(lambda: look(sqlite_url, IN_MID_TRIAL), within_s=START_S)
    finally:
        parent.kill()
        parent.communicate()
    eventually(lambda: not look(sqlite_url, "SELECT * FROM hpo_worker"), within_s=10)
    assert not look(sqlite_url, IN_MID_TRIAL)


def test_a_worker_whose_parent_is_already_gone_does_nothing(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(**ENDLESS), engine="native")
    ended = run_worker(sqlite_url, "--only=tiny", f"--parent={2**22 + 1}")
    assert ended.returncode == 0
    assert "its parent is gone" in ended.stderr
    with opened(sqlite_url) as database:
        now = progress(database, "tiny")
        assert (now.trials.ended, now.running, now.waiting) == (0, 0, 1000)


def run_worker(
    url: str, *words: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`python -m hpo.service.worker WORDS`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", WORKER, *words],
        env={**os.environ, "HPO_STORAGE": url, **(env or {})},
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


def test_a_worker_without_a_database_ends_with_4(sqlite_url: str) -> None:
    ended = run_worker(sqlite_url, "--only=tiny")
    assert ended.returncode == 4
    [line] = ended.stderr.splitlines()
    assert "withdraws and takes no more work: there is no database here" in line
    assert ended.stdout == ""


def test_a_worker_whose_port_is_taken_says_so_and_ends_with_2(sqlite_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run_worker(sqlite_url, f"--metrics-port={port}")
    [line] = ended.stderr.splitlines()
    assert ended.returncode == 2
    assert f"metrics cannot be served on port {port}" in line


def test_a_worker_with_an_unknown_form_of_log_says_so_and_ends_with_2(sqlite_url: str) -> None:
    ended = run_worker(sqlite_url, env={"HPO_LOG": "xml"})
    assert ended.returncode == 2
    assert ended.stderr.startswith("worker: HPO_LOG='xml' is no form of a log")


def test_a_worker_of_an_unknown_study_ends_with_2(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
    ended = run_worker(sqlite_url, "--only=big")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no study 'big'" in ended.stderr


def test_a_worker_with_nothing_to_do_ends_and_says_so_as_json(sqlite_url: str) -> None:
    ended = run_worker(sqlite_url, "--idle-exit=0.2", env={"HPO_LOG": "json"})
    assert (ended.returncode, ended.stdout) == (0, "")
    told = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in told] == ["WorkerStarted", "WorkerEnded"]
    assert told[-1]["reason"] == "nothing left to do"
