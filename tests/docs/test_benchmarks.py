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
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROMISED_OF_A_ROW = {
    *("cells", "layers", "inputs", "steps", "batch"),
    *("native_ms", "torch_ms", "ratio", "gflops"),
}


def run(*words: str) -> str:
    """The standard output of a Python program of the repository.

    It runs in the benchmarks' folder, whose modules it can import: `python -m` and `python -c`
    would take the checkout's hpo in the root for the installed one.
    """
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=BENCHMARKS,
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
    return json.loads(run(f"{name}.py", "--json", "--quick", *words))


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


def test_rivals_get_the_time_of_a_study_and_are_scored_at_its_test_origins(tmp_path: Path) -> None:
    words = ("--here", "--folder", str(tmp_path), "--threads", "1")
    found = benchmark("rivals", *words)
    rows = found["rows"]
    assert [row["series"] for row in rows] == ["airline", "airline", "lynx", "lynx"]
    for hpo, plain in (rows[:2], rows[2:]):
        assert (hpo["contestant"], plain["contestant"]) == ("hpo", "plain_optuna")
        assert plain["limit_s"] == hpo["wall_s"] > 0
        assert plain["test_origins"] == hpo["test_origins"] > 0
        assert plain["trials"] >= 1
        assert plain["ratio"] == pytest.approx(hpo["test_mase"] / plain["test_mase"])
    (against,) = found["summary"]
    assert against["ratio"] ** 2 == pytest.approx(rows[1]["ratio"] * rows[3]["ratio"])
    assert against["by_origins"][0] < against["by_origins"][1]
    assert benchmark("rivals", *words) == found  # what was done is kept


def test_ratios_of_errors_are_what_their_formula_says() -> None:
    assert run("-m", "doctest", "error_ratios.py") == ""


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


def test_a_look_at_a_study_is_timed_beside_optuna_dashboards() -> None:
    found = benchmark("dashboard")
    hpo, theirs = found["rows"]
    assert (hpo["contestant"], theirs["contestant"]) == ("hpo", "optuna-dashboard")
    assert theirs["ratio"] == pytest.approx(theirs["later_ms"] / hpo["later_ms"])
    assert all(row[name] > 0 for row in found["rows"] for name in ("first_ms", "whole_ms"))


def test_a_summary_of_workers_can_be_reckoned_by_hand() -> None:
    words = "import service; print(service.summary([dict(began_at=1.0, statements=30, commits=4,"
    words += " training_s=3.0, claims_s=[0.1], waits_s=[0.5, 0.5], ended_at=[3.0, 5.0])]))"
    found = ast.literal_eval(run("-c", words))
    assert (found["trials"], found["trials_per_s"], found["statements"]) == (2, 0.5, 15)
    assert (found["commits"], found["idle_percent"], found["wait_p99_ms"]) == (2, 25, 500)


def test_answers_about_generated_series_are_judged_on_fresh_samples(tmp_path: Path) -> None:
    words = ("--folder", str(tmp_path), "--threads", "1")
    found = benchmark("truth", *words)
    kinds = {row["kind"] for row in found["rows"]}
    assert kinds == {"teacher", "setar", "white_noise", "ar2"}
    for row in found["rows"]:
        if "truth_cells" in row:
            assert row["best_error"] > 0
            assert row["truth_gain"] == pytest.approx(1 - row["best_error"] / row["ridge_error"])
            assert row["truth_weights"] in (43, 117, 361)  # one layer of 2, 4, 8 cells
    assert found["summary"]["teachers"] == 1
    again = benchmark("truth", *words)  # what was done is kept
    assert again == found


def test_searches_replay_a_landscape_that_was_trained_once(tmp_path: Path) -> None:
    words = ("--folder", str(tmp_path), "--threads", "1")
    found = benchmark("landscapes", *words)
    assert {row["series"] for row in found["rows"]} == {"lynx", "airline"}
    assert [row["policy"] for row in found["summary"]] == ["ladder", "tpe 6"]
    assert found["summary"][0]["against_ladder"] == 1.0
    assert all(row["cost"] > 0 for row in found["rows"])
    assert benchmark("landscapes", *words) == found


def test_margins_and_candidates_are_compared_on_hidden_folds(tmp_path: Path) -> None:
    found = benchmark("hidden_folds", "--folder", str(tmp_path), "--threads", "1")
    assert {row["fold"] for row in found["rows"]} == {0, 1, 2, 3}
    for candidates in ("ladder", "ladder and widths", "grid"):
        of_set = [row for row in found["rows"] if row["candidates"] == candidates]
        for fold in range(4):  # the further behind a network may be, the smaller is the smallest
            weights = [row["weights"] for row in of_set if row["fold"] == fold]
            assert weights == sorted(weights, reverse=True)


def test_answers_are_compared_over_the_chance_of_the_search(tmp_path: Path) -> None:
    found = benchmark("steadiness", "--folder", str(tmp_path))
    assert [(row["series"], row["seeds"]) for row in found["rows"]] == [("gdp", 1), ("gdp", 2)]
    assert all(len(row["answers"]) == 2 and row["size_spread"] >= 1 for row in found["rows"])
    assert found["summary"][0]["test_ratio"] == 1.0
    assert benchmark("steadiness", "--folder", str(tmp_path)) == found


def test_the_alpha_rule_is_put_to_the_test_on_landscapes(tmp_path: Path) -> None:
    words = ("--folder", str(tmp_path / "landscapes"), "--truth", str(tmp_path), "--threads", "1")
    found = benchmark("alpha_rule", *words)
    assert len(found["summary"]) == 18  # three readings, six alphas
    for rule in ("formula", "freedom", "strict"):
        of_rule = [row for row in found["summary"] if row["rule"] == rule]
        saved = [row["saved"] for row in of_rule]
        assert saved == sorted(saved)  # a higher alpha leaves fewer networks
        assert all(0 <= row["inside"] <= 1 for row in of_rule)


def test_larger_networks_are_started_in_three_ways(tmp_path: Path) -> None:
    found = benchmark("grown_starts", "--folder", str(tmp_path), "--threads", "1")
    assert [row["start"] for row in found["summary"]] == ["fresh", "copied", "unheard"]
    assert found["summary"][0]["error_ratio"] == found["summary"][0]["steps_ratio"] == 1.0


def test_oil_and_gdp_are_compared_size_by_size(tmp_path: Path) -> None:
    found = benchmark("oil_and_gdp", "--folder", str(tmp_path), "--threads", "1")
    assert {row["series"] for row in found["rows"]} == {"gdp", "oil"}
    assert all(row["share"] > 0 for row in found["rows"])
    assert [row["se"] for row in found["rows"]].count(0) == 2  # the best size of each series


@pytest.mark.timeout(LONGEST_S)
def test_the_figures_of_the_evidence_are_drawn(tmp_path: Path) -> None:
    words = ("--out", str(tmp_path), "--folder", str(tmp_path / "build"))
    files = benchmark("method_figures", *words)["rows"]
    assert [Path(file).name for file in files] == ["teachers.svg", "searches.svg", "alpha-rule.svg"]
    assert all("<svg" in Path(file).read_text(encoding="utf-8") for file in files)


def test_a_network_that_is_grown_forecasts_as_before() -> None:
    assert run("-m", "doctest", "grown_starts.py") == ""


def test_the_work_of_a_step_is_what_its_formula_says() -> None:
    assert run("-m", "doctest", "step_work.py") == ""


def test_one_network_is_recommended_for_the_m3_panel_and_told_beside_others(tmp_path: Path) -> None:
    found = benchmark("m3", "--folder", str(tmp_path), "--threads", "1")
    assert [row["horizon"] for row in found["rows"]] == [1, 18]
    for row in found["rows"]:
        assert row["series"] == 40
        assert row["answer"]["state"] == "done"
        assert {"Naive2", "Theta", "ETS"} == row["computed"].keys() <= row["published"].keys()
        for score in (row["ours"], row["alone"], *row["computed"].values()):
            assert 0 < score["mase"] < 3
            assert 0 < score["smape"] < 40
    assert benchmark("m3", "--folder", str(tmp_path)) == found


def test_the_errors_of_the_m3_references_are_those_that_are_published() -> None:
    words = "from m3_references import *; from m3_series import m3_series as s;"
    words += "scores = [score_of(s(), [naive2(y, h) for y in s()]) for h in (1, 18)];"
    words += "print(len(s()), *(round(e, 2) for x in scores for e in (x.smape, x.mase)))"
    found = run("-c", words).split()
    assert int(found[0]) == 1045
    published = [8.58, 0.56, 12.77, 1.05]
    assert [float(word) for word in found[1:]] == pytest.approx(published, abs=0.02)


def test_choices_of_the_preprocessing_are_compared_on_single_series_and_panels(
    tmp_path: Path,
) -> None:
    found = benchmark("preprocessing", "--folder", str(tmp_path))
    assert {row["choice"] for row in found["rows"]} == {"scale", "anchor"}
    never = next(row for row in found["rows"] if row["alternative"] == "never")
    assert never["choice"] == "anchor"
    assert never["single_ratio"] > 1
    assert never["panel_ratio"] > 1


def test_intervals_are_measured_on_folds_and_test_spans() -> None:
    found = benchmark("intervals", "--threads", "1")
    [row] = found["rows"]
    assert (row["study"], row["horizon"], row["test_values"]) == ("airline", 1, 15)
    for share in ("folds", "folds_forward", "test"):
        assert 0 < row[share] <= 1
        assert found["mean"][share] == found["pooled"][share] == pytest.approx(row[share])
