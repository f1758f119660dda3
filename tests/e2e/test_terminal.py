"""Help, and what is drawn on a terminal."""

import os
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import TextIO

import pytest

from hpo.cli import app
from hpo.live.display import Display
from hpo.screen import wrap
from hpo.spec.options import options
from tests.commands import Cli
from tests.e2e.conftest import ASKED, Answered
from tests.terminals import COLOUR, Terminal
from tests.unit.live.snapshots import snapshot
from tests.waiting import eventually

STUDY_COMMANDS = ("run", "submit", "check", "benchmark")
LIFE = ("pause", "resume", "stop", "cancel")
MODEL_COMMANDS = ("export", "predict")
ALONE = ("work", "bound", "status", "answer", "report", "delete", "db", "dashboard")
COMMANDS = (*STUDY_COMMANDS, *ALONE, *LIFE, *MODEL_COMMANDS)
HEAVY = {"torch", "optuna", "pandas", "sqlalchemy", "statsforecast", "scipy", "pyarrow", "numpy"}
HELP = """
import sys
from hpo.cli import main
for words in {words!r}:
    print("::", words[0])
    assert main(words) == 0
print(":: modules", *{{m.partition(".")[0] for m in sys.modules}})
"""


@pytest.fixture(scope="module")
def help_of() -> dict[str, str]:
    """What `--help` prints for hpo ("--help") and each command, and the modules it took."""
    words = [["--help"], *([command, "--help"] for command in COMMANDS)]
    ended = subprocess.run(
        [sys.executable, "-c", HELP.format(words=words)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "100"},
    )
    parts = [part.partition("\n") for part in ended.stdout.split(":: ")[1:]]
    return {head.split()[0]: f"{head}\n{text}" for head, _, text in parts}


def test_help_needs_no_heavy_library(help_of: dict[str, str]) -> None:
    assert not HEAVY & set(help_of["modules"].split())


def test_help_names_every_command_and_option(help_of: dict[str, str]) -> None:
    for command in COMMANDS:
        assert f" {command} " in help_of["--help"]
        assert f"Usage: hpo {command} " in help_of[command]
    for leaf in options():
        for command in STUDY_COMMANDS:
            assert f"--{leaf.replace('_', '-')} " in help_of[command]
    assert 'default: ""' not in "".join(help_of.values())


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "hpo", "bound", "--samples", "10", "--json"]
    ended = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_every_command_is_tried_here() -> None:
    assert {name for name in app if not name.startswith("-")} == set(COMMANDS)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Terminal, TextIO]]:
    """A terminal of 80 columns and 30 rows, and the stream a program writes to it."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with (
        Terminal(80, 30) as terminal,
        os.fdopen(os.dup(terminal.writing), "w", encoding="utf-8") as stream,
    ):
        stream.write("what was there\n")
        stream.flush()
        yield terminal, stream


def test_a_view_is_drawn_in_its_place_and_leaves_nothing_behind(
    screen: tuple[Terminal, TextIO],
) -> None:
    terminal, stream = screen
    display = Display(stream)
    for ended in (4, 8, 12):
        display.show(snapshot(ended))
        assert terminal.lines[0] == "what was there"
        assert terminal.text.count("Trials ") == 1
    assert "12 of at most 60 trials (12 complete)" in terminal.text
    assert any(line.startswith("Sizes  ") for line in terminal.lines)
    assert COLOUR.search(terminal.fed)
    display.show(snapshot(12, sizes=[], trying=[]))
    assert terminal.lines[-1].startswith("Time  "), "a view of fewer lines covers the longer one"
    display.close()
    display.close()
    assert terminal.lines == ["what was there"]


@pytest.mark.parametrize("columns", [120, 80, 60, 40])
def test_no_line_of_a_view_is_broken_by_the_terminal(
    columns: int, screen: tuple[Terminal, TextIO]
) -> None:
    terminal, stream = screen
    terminal.resize(columns, 50)
    display = Display(stream)
    display.show(snapshot())
    assert len(terminal.lines) < 30
    assert max(map(len, terminal.lines)) < columns
    terminal.resize(60, 50)
    display.show(snapshot(16))
    assert "16 of at most 60 trials" in terminal.text
    assert terminal.text.count("Trials ") == 1
    display.close()
    assert terminal.lines == ["what was there"]


def test_a_view_is_cut_where_the_terminal_is_low(screen: tuple[Terminal, TextIO]) -> None:
    terminal, stream = screen
    terminal.resize(80, 6)
    display = Display(stream)
    for ended in range(4):
        display.show(snapshot(ended))
    assert len(terminal.lines) <= 6
    assert terminal.text.count("Study  ") == 1


def test_without_colours_a_view_has_no_colours(
    screen: tuple[Terminal, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal, stream = screen
    Display(stream).show(snapshot())
    assert "Sizes  " in terminal.text
    assert not COLOUR.search(terminal.fed)


def test_a_terminal_that_cannot_draw_gets_calm_lines(
    screen: tuple[Terminal, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal, stream = screen
    told_s = iter(range(0, 1000, 10))
    display = Display(stream, clock=lambda: float(next(told_s)))
    for ended in (4, 8):
        display.show(snapshot(ended))
    assert b"\x1b" not in terminal.fed
    assert any("4 of at most 60 trials" in line for line in terminal.lines)


def running(terminal: Terminal, cli: Cli, sales_csv: Path, **environment: str) -> Popen[bytes]:
    """A run of long trainings on this terminal, once its view is drawn."""
    budget = ("--trials", "4", "--folds", "2", "--seeds", "1", "--cells", "2:6")
    slow = ("--threads", "1", "--max-steps", "300000", "--patience", "1000000")
    words = cli.argv("run", sales_csv, *ASKED, *budget, *slow, "--storage", cli.storage)
    started = terminal.start(words, cwd=cli.folder, **environment)
    eventually(lambda: "Trying  " in terminal.text, within_s=60)
    return started


@pytest.mark.timeout(200)
def test_ctrl_c_takes_the_view_back_and_says_what_is_kept(cli: Cli, sales_csv: Path) -> None:
    with Terminal(80, 30) as terminal:
        run = running(terminal, cli, sales_csv)
        try:
            [named] = [line for line in terminal.lines if "a new study in" in line]
            study = named.split()[1].rstrip(":")
            with Terminal(100, 30) as other:
                words = cli.argv("status", study, "--watch", "--storage", cli.storage)
                watch = other.start(words, cwd=cli.folder)
                eventually(lambda: "Trying  " in other.text, within_s=60)
                assert "stage 2 of 4, search; 1 worker" in other.text
                other.press(b"\x03")
                assert watch.wait(30) == 130
                assert other.lines == ["hpo: no longer watched; what works on it goes on"]
            terminal.press(b"\x03")
            assert run.wait(30) == 130
        finally:
            run.kill()
        local_modes = termios.tcgetattr(terminal.reading)[3]
        assert not local_modes & termios.NOFLSH, "the terminal is as it was"
        said = terminal.text
        assert [word for word in ("Trying", "Networks", "Time  ") if word in said] == []
        assert re.search(
            r"Benchmarks  MASE: .*\n( .*\n)*hpo: .*: interrupted; [0-3] of 4 trials", said
        )


def test_json_and_watch_do_not_go_together(answered: Answered) -> None:
    ended = answered("status", "--watch", "--json")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "hpo: --json prints one object and ends; leave out it or --watch\n"


def test_to_watch_what_has_ended_is_to_be_told_so(answered: Answered) -> None:
    for words in (("status", "told", "--watch"), ("status", "--watch")):
        ended = answered(*words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("told  done  3 of 3 trials (")
    assert answered("status", "gone", "--watch").code == 2


def test_the_answer_stands_out_on_a_terminal_alone(answered: Answered) -> None:
    words = [sys.executable, "-m", "hpo", "answer", "told", "--storage", answered.storage]
    plain = answered("answer", "told").out
    assert "\x1b" not in plain
    for no_color, is_bold in (("", True), ("1", False)):
        with Terminal(100, 60) as terminal:
            assert terminal.start(words, NO_COLOR=no_color).wait(60) == 0
            assert terminal.text.split() == plain.split()
            assert bool(COLOUR.search(terminal.fed)) == is_bold


def test_long_lines_hang_under_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    words = " ".join(["word"] * 12)
    for start, indent in (("Data        ", 12), ("  - ", 4)):
        first, *rest = wrap([start + words])
        assert first.startswith(start + "word")
        assert rest
        assert all(line[:indent].isspace() and line[indent] == "w" for line in rest)
        assert all(len(line) <= 40 for line in [first, *rest])
