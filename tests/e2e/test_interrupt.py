"""Ctrl-C keeps what was trained, and the same command goes on."""

import json
import re
import signal
from pathlib import Path

from tests.commands import Cli
from tests.e2e.conftest import ASKED
from tests.waiting import eventually

TRIALS = 6


def test_an_interrupted_study_goes_on_and_its_total_of_trials_is_exact(
    cli: Cli, sales_csv: Path
) -> None:
    slow = ("--folds", "2", "--seeds", "1", "--max-steps", "900", "--patience", "1000")
    words = ("run", sales_csv, *ASKED, *slow, "--trials", str(TRIALS), "--cells", "2:6")

    def ended_trials() -> int:
        found = cli("status", "--json")
        studies = json.loads(found.stdout)["studies"] if found.returncode == 0 else []
        trials = studies[0]["trials"] if studies else {}
        return sum(trials.get(k, 0) for k in ("complete", "pruned", "infeasible", "failed"))

    running = cli.start(*words)
    try:
        assert eventually(ended_trials, within_s=60) < TRIALS
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == 130
    last = said.splitlines()[-1]
    kept = re.search(rf"interrupted; (\d) of {TRIALS} trials and \d+ networks are kept", last)
    assert kept, said
    assert "Traceback" not in said
    assert ended_trials() == int(kept[1]) < TRIALS

    again = cli(*words)
    assert again.returncode == 0, again.stderr
    assert f"goes on in {cli.storage}, {kept[1]} of {TRIALS} trials have ended" in " ".join(
        again.stdout.split()
    )
    assert ended_trials() == TRIALS
