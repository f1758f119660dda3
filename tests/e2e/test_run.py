"""`hpo run` and the commands around it, as a user drives them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hpo.spec.answer import Answer
from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY

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
BENCHMARKS = {"naive", "seasonal_naive", "drift", "auto_ets", "theta", "ridge"}


def object_in(text: str) -> dict[str, Any]:
    """The JSON object that is all of stdout."""
    assert text.count("\n") == 1
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_the_output_tells_data_bound_benchmarks_answer_and_place_in_this_order(
    answered: tuple[Cli, str],
) -> None:
    cli, told = answered
    places = [re.search(rf"^{section}\b", told, re.MULTILINE) for section in SECTIONS]
    assert None not in places
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts)
    assert cli.storage in told
    assert "hpo answer told" in told


def test_no_line_is_wider_than_the_terminal(answered: tuple[Cli, str]) -> None:
    cli, told = answered
    narrow = cli("answer", "told", env={"COLUMNS": "80"}).stdout
    for text, columns in ((told, 100), (narrow, 80)):
        wide = [line for line in text.splitlines() if len(line) > columns]
        assert all(cli.storage in line for line in wide), "only a URL is never broken"
    assert narrow.split() == told[told.index("\nANSWER") :].split()


def test_thin_evidence_is_said(answered: tuple[Cli, str]) -> None:
    cli, _ = answered
    warnings = " ".join(object_in(cli("answer", "told", "--json").stdout)["warnings"])
    assert "only 1 seed" in warnings
    assert "--seeds" in warnings


def test_the_answer_as_json_has_every_key(answered: tuple[Cli, str]) -> None:
    cli, _ = answered
    ended = cli("answer", "told", "--json")
    assert ended.returncode == 0
    assert ended.stderr == ""
    answer = object_in(ended.stdout)
    assert set(KEYS.split()) <= set(answer)
    assert answer["study"] == "told"
    assert answer["state"] == "done"
    assert len(answer["cells"]) == answer["layers"]
    assert sum(answer["trials"].values()) == 3
    assert set(answer["benchmarks"]) == set(answer["benchmarks_test"]) == BENCHMARKS
    assert {"rule", "samples", "inputs", "outputs", "alpha", "max_cells", "hit"} == set(
        answer["bound"]
    )
    assert Answer.model_validate(answer).model_dump(mode="json") == answer


def test_status_counts_the_trials(answered: tuple[Cli, str]) -> None:
    cli, _ = answered
    one = object_in(cli("status", "told", "--json").stdout)
    assert set(one) == {"study", "state", "trials", "budget", "best", "workers", "error"}
    assert one["state"] == "done"
    assert one["budget"] == 3
    assert one["trials"]["complete"] + one["trials"]["pruned"] == 3
    assert set(one["best"]) == {"layers", "cells", "score"}
    assert object_in(cli("status", "--json").stdout)["studies"] == [one]
    assert cli("status").stdout.startswith("told  done  3 of 3 trials (")


def test_the_same_command_again_prints_the_stored_answer(answered: tuple[Cli, str]) -> None:
    cli, told = answered
    before = cli("answer", "told", "--json").stdout
    again = cli("run", "sales.csv", *ASKED, *TINY, "--name", "told")
    assert again.returncode == 0
    assert "told: answered before" in again.stdout
    assert again.stdout[again.stdout.index("\nANSWER") :] == told[told.index("\nANSWER") :]
    assert cli("answer", "told", "--json").stdout == before


def test_a_changed_study_under_a_chosen_name_is_refused_with_the_difference(
    answered: tuple[Cli, str],
) -> None:
    cli, _ = answered
    ended = cli("run", "sales.csv", *ASKED, *TINY, "--name", "told", "--batch-size", "16")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "training.batch_size" in ended.stderr
    assert "16" in ended.stderr
    assert "32" in ended.stderr


def test_one_seed_and_one_worker_give_one_answer_on_both_databases(
    answered: tuple[Cli, str], postgres_url: str
) -> None:
    cli, _ = answered
    words = ("run", "sales.csv", *ASKED, *TINY, "--name", "told", "--json")
    ended = cli(*words, "--storage", postgres_url)
    assert ended.returncode == 0, ended.stderr
    on_postgres = object_in(ended.stdout)
    on_sqlite = object_in(cli("answer", "told", "--json").stdout)
    same = ("layers", "cells", "score", "score_se", "test_score", "benchmarks", "reasons", "steps")
    assert {k: on_postgres[k] for k in same} == {k: on_sqlite[k] for k in same}
    assert "ANSWER" not in ended.stderr
    assert "Benchmarks  MASE" in ended.stderr


def test_a_study_of_a_csv_is_named_by_its_stem_and_fingerprint(cli: Cli, sales_csv: Path) -> None:
    facts = object_in(cli("check", sales_csv, *ASKED, "--json").stdout)
    assert re.fullmatch(r"sales-[0-9a-f]{6}", facts["study"])
    other = object_in(cli("check", sales_csv, *ASKED, "--seed", "1", "--json").stdout)
    assert other["study"] != facts["study"]
    assert {"ok", "samples", "inputs", "outputs", "season", "folds", "origins", "bound"} <= set(
        facts
    )


def test_a_time_limit_ends_with_a_verdict_and_two_workers_share_the_study(
    cli: Cli, sales_csv: Path
) -> None:
    words = ("--trials", "900", "--folds", "2", "--seeds", "1", "--max-steps", "300")
    limits = ("--workers", "2", "--timeout", "4", "--name", "cut", "--quiet", "--json")
    ended = cli("run", sales_csv, *ASKED, *words, "--cells", "2:6", *limits)
    assert ended.returncode == 0, ended.stderr
    answer = object_in(ended.stdout)
    assert answer["state"] == "done"
    assert answer["layers"] is not None
    assert 0 < sum(answer["trials"].values()) < 900
    assert any("time limit" in warning for warning in answer["warnings"])
    assert ended.stderr == ""


def test_a_deleted_study_is_unknown_and_the_others_are_named(cli: Cli, sales_csv: Path) -> None:
    assert (
        cli("run", sales_csv, *ASKED, "--device", "mps", "--storage", cli.storage).returncode == 2
    )
    assert cli("status").returncode == 4
    limited = ("--trials", "1", "--folds", "2", "--seeds", "1", "--max-steps", "5", "--quiet")
    assert cli("run", sales_csv, *ASKED, *limited, "--name", "kept").returncode == 0
    unknown = cli("delete", "gone", "--json")
    assert unknown.returncode == 2
    assert "no study 'gone'" in unknown.stderr
    assert "kept" in unknown.stderr
    assert object_in(cli("delete", "kept", "--json").stdout) == {"deleted": "kept"}
    assert cli("answer", "kept").returncode == 2
    assert cli("status").stdout == "no studies yet\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status", "--storage", "sqlite:///gone.db"), 4),
        (("answer", "told", "--storage", "postgresql://ann:secret@127.0.0.1:1/hpo"), 4),
        (("status", "--storage", "nonsense"), 4),
        (("check", "gone.csv", "--target", "sales"), 3),
        (("check", "gone.toml"), 2),
        (("frobnicate",), 2),
        (("run", "sales.csv", "--target", "sales", "--device", "mps", "--quiet"), 2),
    ],
)
def test_every_refusal_is_one_line_on_stderr(
    answered: tuple[Cli, str], words: tuple[str, ...], code: int
) -> None:
    cli, _ = answered
    ended = cli(*words)
    assert ended.returncode == code
    assert ended.stdout == ""
    assert re.fullmatch(r"hpo: .+\n", ended.stderr)
    assert "secret" not in ended.stderr
