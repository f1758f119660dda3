"""A PostgreSQL that is stopped in mid-study, or cuts connections: nothing is lost."""

import random
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.fleet import START_S, fleet, study
from tests.integration.service.conftest import Postgres
from tests.waiting import eventually

AWAY_S = 20.0
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < 0.5
"""


@pytest.mark.timeout(400)
def test_a_server_that_is_away_for_20_seconds_costs_nothing(
    postgres15: Postgres, tmp_path: Path
) -> None:
    with fleet(postgres15.url, tmp_path) as workers:
        workers.submit(study(trials=24, max_steps=2500))
        for _ in range(2):
            workers.start(quiet=False)
        workers.mid_trial()
        postgres15.stop("fast")
        time.sleep(AWAY_S)  # the length of the outage is the point
        postgres15.start()
        workers.wait_for_end()
        workers.assert_exact(24)


@pytest.mark.timeout(400)
def test_connections_that_are_cut_at_random_cost_nothing(
    postgres15: Postgres, tmp_path: Path
) -> None:
    with fleet(postgres15.url, tmp_path) as workers:
        workers.submit(study(trials=240, max_steps=1500))  # enough of them, however fast they are
        processes = [workers.start() for _ in range(3)]
        workers.mid_trial()
        cuts, chance = 0, random.Random(0)
        while cuts < 20 and any(process.poll() is None for process in processes):
            with psycopg.connect(postgres15.url) as administrator:
                cuts += len(administrator.execute(CUT).fetchall())
            try:
                processes[0].wait(chance.uniform(0.05, 0.4))
            except subprocess.TimeoutExpired:
                continue
        workers.wait_for_end()
        assert cuts >= 20
        workers.assert_exact(240)


@pytest.mark.timeout(200)
def test_a_worker_that_is_told_to_end_does_not_wait_for_a_server_that_is_away(
    postgres15: Postgres, tmp_path: Path
) -> None:
    with fleet(postgres15.url, tmp_path) as workers:
        workers.submit(study(trials=24, max_steps=2500))
        worker = workers.start(quiet=False)
        workers.mid_trial()
        postgres15.stop("immediate")
        heard: list[str] = []

        def says_it_is_away() -> bool:
            assert worker.stderr is not None
            heard.append(worker.stderr.readline())
            return "the database is away" in heard[-1]

        eventually(says_it_is_away, within_s=START_S)
        worker.terminate()
        assert worker.wait(timeout=20) == 4
        assert not any("Traceback" in line for line in (*heard, *(worker.stderr or ())))
