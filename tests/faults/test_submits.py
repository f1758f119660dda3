"""Two that submit one name at the same moment: one wins, the other is told."""

import json
import subprocess
from pathlib import Path

from tests.faults.fleet import NAME, Fleet, study


def test_of_two_submits_of_one_name_one_wins_and_the_other_is_told(
    database_url: str, tmp_path: Path
) -> None:
    writer = Fleet(database_url, tmp_path)
    writer.submit(study(name="first"))  # the database is there, and so are the data
    running = []
    for trials in (11, 13):
        file = study(trials=trials).write(tmp_path, f"{trials}.toml")
        running.append(writer.cli.start("submit", file))
    said = [process.communicate(timeout=60) for process in running]
    codes = [process.returncode for process in running]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    assert said[winner][0] == f"{NAME}\n"
    assert "exists with other values: budget.trials" in said[loser][1]
    assert "choose another --name" in said[loser][1]
    status = writer.cli("status", NAME, "--json")
    assert json.loads(status.stdout)["budget"] == (11, 13)[winner]
    slots = "SELECT count(*) FROM hpo_slot WHERE study = :name"
    assert writer.look(slots, name=NAME) == [((11, 13)[winner] + 2,)]


def test_the_same_study_submitted_twice_at_one_moment_is_one_study(
    database_url: str, tmp_path: Path
) -> None:
    writer = Fleet(database_url, tmp_path)
    writer.submit(study(name="first"))
    file = study().write(tmp_path)
    running: list[subprocess.Popen[str]] = [writer.cli.start("submit", file) for _ in range(3)]
    said = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sum("a new study" in error for _, error in said) == 1
    assert sum("goes on" in error for _, error in said) == 2
