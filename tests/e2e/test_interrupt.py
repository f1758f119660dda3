"""Ctrl-C keeps what was trained, and the same command goes on, to its end or to a time limit."""

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Cli
from tests.e2e.conftest import ASKED, hpo_in_process
from tests.waiting import eventually

TRIALS = 8  # two batches
LONG = ("--max-steps", "60000", "--patience", "100000")
SLOW = ("--threads", "1", "--folds", "2", "--seeds", "1", *LONG)
ENDINGS = ("complete", "pruned", "infeasible", "failed")


def ended_trials(storage: str) -> int:
    """How many trials of the only study have ended; 0 before there is a study."""
    found = hpo_in_process("status", "--json", "--storage", storage)
    studies: list[dict[str, Any]] = json.loads(found.out)["studies"] if found.code == 0 else []
    return sum(study["trials"][ending] for study in studies for ending in ENDINGS)


@pytest.mark.timeout(300)
def test_an_interrupted_study_goes_on_and_its_total_of_trials_is_exact(
    cli: Cli, sales_csv: Path
) -> None:
    words = ("run", sales_csv, *ASKED, *SLOW, "--trials", str(TRIALS), "--cells", "2:6")
    running = cli.start(*words)
    try:
        assert eventually(lambda: ended_trials(cli.storage), within_s=60) < TRIALS
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    assert "Traceback" not in said
    kept = re.search(rf"interrupted; (\d) of {TRIALS} trials and \d+ networks are kept", said)
    assert kept, said
    assert ended_trials(cli.storage) == int(kept[1]) < TRIALS
    assert f"{TRIALS} trials" in said.splitlines()[-1], "it is the last thing said"

    shutil.copy(cli.folder / "cli.db", cli.folder / "limited.db")
    again = cli(*words, timeout_s=200)
    assert again.returncode == 0, again.stderr
    went_on = f"goes on in {cli.storage}, {kept[1]} of {TRIALS} trials have ended"
    assert went_on in " ".join(again.stdout.split())
    assert ended_trials(cli.storage) == TRIALS
    time_limit_gives_a_verdict_on_what_there_is(cli, words, fewest=int(kept[1]))


def time_limit_gives_a_verdict_on_what_there_is(
    cli: Cli, words: tuple[str | Path, ...], *, fewest: int
) -> None:
    limits = ("--workers", "2", "--timeout", "0.01", "--json", "--quiet")
    ended = cli(
        *words, *limits, "--storage", f"sqlite:///{cli.folder / 'limited.db'}", timeout_s=200
    )
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["state"], ended.stderr) == ("done", "")
    assert answer["layers"] is not None
    assert fewest <= sum(answer["trials"].values()) < TRIALS
    assert any("time limit" in warning for warning in answer["warnings"])
