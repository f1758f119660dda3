"""The programs in benchmarks/ run and give what is promised of them; how fast, no test asks."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LONGEST_S = 300  # on a machine that has much else to do
ROOT = Path(__file__).parents[2]
PROMISED_OF_A_ROW = {
    *("cells", "layers", "inputs", "steps", "batch"),
    *("native_ms", "torch_ms", "ratio", "gflops"),
}


def run(*words: str) -> str:
    """The standard output of a Python program of the repository."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def benchmark(name: str, *words: str) -> Any:
    """The one object that a benchmark prints on stdout."""
    return json.loads(run(f"benchmarks/{name}.py", "--json", "--quick", *words))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_engine_benchmark_gives_one_row_for_each_case(threads: int) -> None:
    grid = ("--cells", "2,4", "--layers", "2", "--inputs", "1", "--steps", "6", "--batch", "8")
    found = benchmark("engine", *grid, "--threads", str(threads))
    assert [(row["cells"], row["layers"]) for row in found["rows"]] == [(2, 2), (4, 2)]
    assert found["gemm_gflops"] > 0
    for row in found["rows"]:
        assert row.keys() >= PROMISED_OF_A_ROW
        assert row["torch_ms"] > 0
        assert row["auto_ratio"] == pytest.approx(row["torch_ms"] / row["auto_ms"])
        if row["native_ms"] is not None:
            assert row["ratio"] == pytest.approx(row["torch_ms"] / row["native_ms"])


def test_the_contestants_do_the_same_work_and_tell_what_it_cost() -> None:
    found = benchmark("peers", "--here", "--trials", "2", "--threads", "1")
    hpo, plain = found["rows"]
    assert (hpo["contestant"], plain["contestant"]) == ("hpo", "plain_optuna")
    assert hpo["networks"] == plain["networks"] == 3
    assert plain["hpo_ratio"] == pytest.approx(
        hpo["networks_per_minute"] / plain["networks_per_minute"]
    )
    for row in (hpo, plain):
        assert row["test_mae"] > found["floor_mae"] / 2
        assert row["peak_mib"] >= row["imported_mib"] > 0


def test_a_profile_tells_the_time_inside_the_engine_from_the_rest() -> None:
    found = benchmark("profile_study", "--threads", "1")
    assert 0 < found["engine_share"] < 1
    assert found["networks"] > 0
    assert found["statements"] > 0
    assert found["seconds"]["training"]["engine"] == pytest.approx(found["engine_s"], rel=0.5)
    assert found["seconds"]["main"]["SQL"] > 0
    assert found["seconds"]["main"]["suggestion"] > 0
    for seconds in found["seconds"].values():  # nothing is counted twice: no rest is negative
        assert min(seconds.values()) > -1e-3


def test_a_study_runs_with_every_number_of_trials_at_once() -> None:
    rows = benchmark("trials_at_once", "--threads", "1")["rows"]
    assert [row["at_once"] for row in rows] == [1, 2, 4, 8]
    assert len({row["score"] for row in rows}) == 1  # both trials are fixed first guesses


@pytest.mark.timeout(LONGEST_S)
def test_killed_workers_cost_this_project_nothing_and_plain_optuna_is_told_beside_it() -> None:
    hpo, plain = benchmark("killed_workers", "--databases", "SQLite")["rows"]
    assert (hpo["contestant"], plain["contestant"]) == ("hpo", "plain Optuna")
    assert hpo["over"]
    assert hpo["kills"] > 0
    assert hpo["ended"] == hpo["complete"] + hpo["pruned"] + hpo["infeasible"] == 6
    kept = ("running", "overshoot", "recorded_twice", "crashed", "left_behind")
    assert {name: hpo[name] for name in kept} == dict.fromkeys(kept, 0)
    assert hpo["networks"] >= 6
    assert plain["ended"] == 6 + plain["overshoot"] >= 6
    assert plain["left_behind"] == 0


def test_the_service_benchmark_counts_the_same_of_both_contestants() -> None:
    hpo, plain = benchmark("service", "--databases", "PostgreSQL", "--seconds", "0.2")["rows"]
    assert (hpo["contestant"], plain["contestant"]) == ("hpo", "plain Optuna")
    assert hpo["trials"] == 32 <= plain["trials"]
    assert plain["ratio"] == pytest.approx(hpo["trials_per_s"] / plain["trials_per_s"])
    for row in (hpo, plain):
        assert row["statements"] > row["commits"] > 0
        assert row["database_cpu_ms"] > 0
        assert 0 < row["claim_p50_ms"] <= row["claim_p99_ms"]
        assert 0 < row["wait_p50_ms"] <= row["wait_p99_ms"]
        assert 0 < row["idle_percent"] < 100
        assert row["trials_per_s"] < row["workers"] / row["training_s"]


def test_a_summary_of_workers_can_be_reckoned_by_hand() -> None:
    words = "import service; print(service.summary([dict(began_at=1.0, statements=30, commits=4,"
    words += " training_s=3.0, claims_s=[0.1], waits_s=[0.5, 0.5], ended_at=[3.0, 5.0])]))"
    found = ast.literal_eval(run("-c", f"import sys; sys.path.insert(0, 'benchmarks'); {words}"))
    assert (found["trials"], found["trials_per_s"], found["statements"]) == (2, 0.5, 15)
    assert (found["commits"], found["idle_percent"], found["wait_p99_ms"]) == (2, 25, 500)


def test_the_work_of_a_step_is_what_its_formula_says() -> None:
    assert run("-m", "doctest", "benchmarks/step_work.py") == ""
