"""Submitted here, worked on there: the service as a user drives it."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

import hpo
from hpo.errors import StudyFailed, UsageError
from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY, hpo_in_process
from tests.waiting import eventually

ENDLESS = ("--trials", "3", "--engine", "torch", "--max-steps", "100000", "--patience", "100000")


def status_of(cli: Cli, name: str = "sales") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        hpo_in_process("status", name, "--json", "--storage", cli.storage).out
    )
    return found


def submit(cli: Cli, csv: Path, values: tuple[str, ...] = TINY) -> None:
    words = (*ASKED, *values, "--name", "sales", "--storage", cli.storage)
    ended = hpo_in_process("submit", csv, *words)
    assert (ended.code, ended.out) == (0, "sales\n"), ended.err


def test_a_study_is_submitted_paused_resumed_and_carried_out_by_workers_elsewhere(
    cli: Cli, sales_csv: Path
) -> None:
    submit(cli, sales_csv)
    sales_csv.unlink()  # small data travel with the study
    for verb, state in (("pause", "paused"), ("resume", "queued")):
        changed = hpo_in_process(verb, "sales", "--json", "--storage", cli.storage)
        assert json.loads(changed.out) == {"study": "sales", "state": state}
    ended = cli("work", "sales", "--workers", "2", "--threads", "1")
    assert ended.returncode == 0, ended.stderr
    assert status_of(cli)["state"] == "done"
    answer = hpo_in_process("answer", "sales", "--json", "--storage", cli.storage)
    assert sum(json.loads(answer.out)["trials"].values()) == 3


def test_workers_of_all_studies_end_when_there_is_nothing_to_do(cli: Cli) -> None:
    ended = cli("work", "--idle-exit", "0.1")
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_workers_asked_to_end_give_their_trial_back_with_what_they_trained(
    cli: Cli, sales_csv: Path, number: signal.Signals, code: int
) -> None:
    submit(cli, sales_csv, ENDLESS)
    running = cli.start("work", "sales")
    try:
        eventually(lambda: status_of(cli)["trials"]["running"], within_s=60)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == code, said
    assert "Traceback" not in said
    found = status_of(cli)
    assert (found["state"], found["workers"]) == ("running", [])
    assert (found["trials"]["running"], found["trials"]["waiting"]) == (0, 3)


def test_a_cancelled_study_ends_its_workers_and_has_no_answer(cli: Cli, sales_csv: Path) -> None:
    submit(cli, sales_csv, ENDLESS)
    running = cli.start("work", "sales")
    try:
        eventually(lambda: status_of(cli)["trials"]["running"], within_s=60)
        assert hpo_in_process("cancel", "sales", "--storage", cli.storage).code == 0
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 5, said
    assert "the study 'sales' was cancelled" in said
    assert status_of(cli)["state"] == "cancelled"
    ended = hpo_in_process("answer", "sales", "--storage", cli.storage)
    assert ended.code == 5
    assert "was cancelled" in ended.err
    again = hpo_in_process("stop", "sales", "--storage", cli.storage)
    assert again.code == 2
    assert "it has ended" in again.err


def test_the_same_from_python(sales_csv: Path, sqlite_url: str) -> None:
    study = hpo.api.submit(
        sales_csv, target="sales", time="month", storage=sqlite_url, name="sales", trials=2
    )
    assert study.status()["state"] == "queued"
    study.pause()
    assert study.status()["state"] == "paused"
    study.resume()
    study.cancel()
    with pytest.raises(UsageError, match="only a paused study"):
        study.resume()
    with pytest.raises(StudyFailed, match="was cancelled"):
        study.wait()
