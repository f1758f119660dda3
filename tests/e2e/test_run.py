"""`hpo run` and the commands around it, as a user drives them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hpo.spec.answer import Answer
from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY, Answered, hpo_in_process

SECTIONS = (
    *("Data", "Windows", "Judged on", "Bound", "Study", "Benchmarks", "ANSWER", "Size"),
    *("On folds", "On test", "Effort", "Why", "Keep in mind", "Stored", "Read again"),
)
KEYS = """
study state task layers cells cells_tied layers_probability learning_rate weight_decay dropout
lookback horizon strategy steps transform alpha bound weights degrees_of_freedom metric score
score_se test_score test_se test_origins benchmarks benchmarks_test best_benchmark lstm_justified
reasons warnings trials networks wall_s device engine seed fingerprint versions model report storage
"""
CHECKED = "ok samples inputs outputs season folds origins bound warnings"
BOUND = {"rule", "samples", "inputs", "outputs", "alpha", "max_cells", "hit"}
BENCHMARKS = {"naive", "seasonal_naive", "drift", "auto_ets", "theta", "ridge"}


def object_in(text: str) -> dict[str, Any]:
    """The JSON object that is all of stdout."""
    assert text.count("\n") == 1
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def test_the_output_tells_data_bound_benchmarks_answer_and_place_in_this_order(
    answered: Answered,
) -> None:
    places = [re.search(rf"^{s}\b", answered.printed, re.MULTILINE) for s in SECTIONS]
    starts = [place.start() for place in places if place]
    assert len(starts) == len(SECTIONS)
    assert starts == sorted(starts)
    assert answered.storage in answered.printed
    assert "hpo answer told" in answered.printed


def test_no_line_is_wider_than_the_terminal(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = answered.printed
    monkeypatch.setenv("COLUMNS", "80")
    narrow = answered("answer", "told").out
    for text, width in ((printed, 100), (narrow, 80)):
        wide = [line for line in text.splitlines() if len(line) > width]
        assert all(answered.storage in line for line in wide), "only a URL is never broken"
    assert narrow.split() == printed[printed.index("\nANSWER") :].split()


def test_thin_evidence_is_said(answered: Answered) -> None:
    warnings = " ".join(object_in(answered("answer", "told", "--json").out)["warnings"])
    assert "only 1 seed" in warnings
    assert "--seeds" in warnings


def test_the_answer_as_json_has_every_key(answered: Answered) -> None:
    ended = answered("answer", "told", "--json")
    assert (ended.code, ended.err) == (0, "")
    answer = object_in(ended.out)
    assert set(KEYS.split()) <= set(answer)
    assert (answer["study"], answer["state"]) == ("told", "done")
    assert len(answer["cells"]) == answer["layers"]
    assert sum(answer["trials"].values()) == 3
    assert set(answer["benchmarks"]) == set(answer["benchmarks_test"]) == BENCHMARKS
    assert set(answer["bound"]) == BOUND
    assert Answer.model_validate(answer).model_dump(mode="json") == answer


def test_status_counts_the_trials(answered: Answered) -> None:
    one = object_in(answered("status", "told", "--json").out)
    assert set(one) == {"study", "state", "trials", "budget", "best", "workers", "error"}
    assert (one["state"], one["budget"]) == ("done", 3)
    assert one["trials"]["complete"] + one["trials"]["pruned"] == 3
    assert set(one["best"]) == {"layers", "cells", "score"}
    assert object_in(answered("status", "--json").out)["studies"] == [one]
    assert answered("status").out.startswith("told  done  3 of 3 trials (")


def test_the_same_command_again_prints_the_stored_answer(answered: Answered) -> None:
    before = answered("answer", "told", "--json").out
    words = (*ASKED, *TINY, "--name", "told", "--out", answered.csv.parent)
    again = answered("run", answered.csv, *words)
    assert again.code == 0
    assert "told: answered before" in again.out
    verdict = answered.printed[answered.printed.index("\nANSWER") :]
    assert again.out.endswith(verdict)
    assert answered("answer", "told", "--json").out == before


def test_a_changed_study_under_a_chosen_name_is_refused_with_the_difference(
    answered: Answered,
) -> None:
    changed = (*ASKED, *TINY, "--name", "told", "--batch-size", "16", "--quiet")
    ended = answered("run", answered.csv, *changed)
    assert ended.code == 2
    assert re.fullmatch(r"hpo: .*training.batch_size: 16 here, 32 there.*\n", ended.err)


def test_one_seed_and_one_worker_give_one_answer_on_both_databases(
    answered: Answered, cli: Cli, postgres_url: str
) -> None:
    words = ("run", answered.csv, *ASKED, *TINY, "--name", "told", "--json")
    ended = cli(*words, "--storage", postgres_url)
    assert ended.returncode == 0, ended.stderr
    on_postgres = object_in(ended.stdout)
    on_sqlite = object_in(answered("answer", "told", "--json").out)
    same = ("layers", "cells", "score", "score_se", "test_score", "benchmarks", "reasons", "steps")
    assert {k: on_postgres[k] for k in same} == {k: on_sqlite[k] for k in same}
    assert "ANSWER" not in ended.stderr
    assert "Benchmarks  MASE" in ended.stderr


def test_a_study_of_a_csv_is_named_by_its_stem_and_fingerprint(sales_csv: Path) -> None:
    facts = object_in(hpo_in_process("check", sales_csv, *ASKED, "--json").out)
    assert re.fullmatch(r"sales-[0-9a-f]{6}", facts["study"])
    assert set(CHECKED.split()) <= set(facts)
    other = object_in(hpo_in_process("check", sales_csv, *ASKED, "--seed", "1", "--json").out)
    assert other["study"] != facts["study"]


def test_a_deleted_study_is_unknown(answered: Answered, tmp_path: Path) -> None:
    copy = answered.copy_to(tmp_path)
    unknown = copy("delete", "gone", "--json")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no study 'gone'" in unknown.err
    assert "told" in unknown.err, "the studies that are there are named"
    assert object_in(copy("delete", "told", "--json").out) == {"deleted": "told"}
    assert copy("answer", "told").code == 2
    assert copy("status").out == "no studies yet\n"


def test_an_unknown_device_is_refused_before_a_study_is_stored(cli: Cli, sales_csv: Path) -> None:
    ended = cli("run", sales_csv, *ASKED, "--device", "mps", "--quiet")
    assert ended.returncode == 2
    assert "'mps' is not on this machine" in ended.stderr
    assert hpo_in_process("status", "--storage", cli.storage).code == 4


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status", "--storage", "sqlite:///gone.db"), 4),
        (("answer", "told", "--storage", "postgresql://ann:secret@127.0.0.1:1/hpo"), 4),
        (("status", "--storage", "nonsense"), 4),
        (("check", "gone.csv", "--target", "sales"), 3),
        (("check", "sales.csv", "--target", "month"), 3),
        (("check", "gone.toml"), 2),
        (("frobnicate",), 2),
    ],
)
def test_every_refusal_of_a_process_is_one_line_on_stderr(
    cli: Cli, sales_csv: Path, words: tuple[str, ...], code: int
) -> None:
    assert sales_csv.exists()
    ended = cli(*words)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert re.fullmatch(r"hpo: .+\n", ended.stderr)
    assert "secret" not in ended.stderr


def test_a_time_limit_before_the_first_trial_still_ends_with_a_verdict(
    cli: Cli, sales_csv: Path
) -> None:
    ended = cli("run", sales_csv.name, *ASKED, *TINY, "--timeout", "0.01", "--json")
    assert ended.returncode == 0, ended.stderr
    answer = object_in(ended.stdout)
    assert sum(answer["trials"].values()) == 1
    assert any("time limit" in warning for warning in answer["warnings"])
