"""Workers killed with -9 every second, and replaced: the budget is met exactly all the same."""

from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_trials_end_exactly_though_a_worker_of_eight_dies_each_second(
    database_url: str, tmp_path: Path
) -> None:
    import killed_workers

    ordeal = killed_workers.Ordeal(workers=8, trials=100, seed=0, longest_s=500.0)
    found = killed_workers.endure(killed_workers.Hpo(database_url, tmp_path, ordeal), ordeal)
    assert found["over"]
    assert found["kills"] >= 10
    assert (found["ended"], found["overshoot"], found["infeasible"]) == (100, 0, 0)
    assert (found["running"], found["recorded_twice"]) == (0, 0)
    assert (found["left_behind"], found["crashed"]) == (0, 0)
