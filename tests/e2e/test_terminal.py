"""Help, and the live bar on a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest

from hpo.cli import app
from hpo.screen import ProgressDisplay, wrap
from hpo.service.status import Progress
from hpo.spec.answer import TrialCounts
from hpo.spec.options import options

STUDY_COMMANDS = ("run", "submit", "check", "benchmark")
LIFE = ("pause", "resume", "stop", "cancel")
MODEL_COMMANDS = ("export", "predict")
COMMANDS = (
    *(*STUDY_COMMANDS, "work", "bound", "status", "answer", "report"),
    *(*LIFE, "delete", *MODEL_COMMANDS, "db"),
)
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
def terminal() -> Iterator[tuple[int, TextIO]]:
    """A pseudo-terminal of 80 columns: the reading end and the stream a program writes to."""
    import fcntl
    import struct
    import termios

    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
    os.close(reading)


def progress(ended: int) -> Progress:
    return Progress(
        state="running",
        benchmarked=True,
        trials=TrialCounts(complete=ended),
        running=1,
        waiting=1000 - ended,
        skipped=0,
        networks=ended * 12,
        best_score=0.31249,
        judging=False,
    )


def lines_on(screen: bytes) -> list[str]:
    """What a terminal shows after these bytes: cursor up, erase line, carriage return, line end."""
    import re

    lines, at = [""], 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", screen.decode()):
        if piece == "\n":
            at += 1
            lines += [""] * (at + 1 - len(lines))
        elif piece.startswith("\x1b["):
            if piece.endswith("A"):
                at -= int(piece[2:-1] or 1)
            elif piece == "\x1b[2K":
                lines[at] = ""
        elif piece != "\r":
            lines[at] += piece
    return lines


def drawn(reading: int, size: int = 1 << 16) -> bytes:
    os.set_blocking(reading, False)
    found = b""
    while True:
        try:
            found += os.read(reading, size)
        except BlockingIOError:
            return found


def test_the_bar_is_one_line_and_gone_at_the_end(
    terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("COLUMNS", raising=False)
    reading, stream = terminal
    display = ProgressDisplay(stream, 1000, finals=72)
    for ended in range(1, 500, 100):
        display.show(progress(ended))
        assert display.bar is not None
        display.bar.refresh()
    shown = drawn(reading)
    [line] = [line for line in lines_on(shown) if line.strip()]
    assert "401 of 1000 trials, 4,812 networks, " in line
    assert "best 0.3125, about " in line
    display.close()
    display.close()
    after = shown + drawn(reading)
    assert not any(line.strip() for line in lines_on(after))
    assert after.rfind(b"\x1b[?25h") > after.rfind(b"\x1b[?25l"), "the cursor is back"


def test_long_lines_hang_under_their_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    words = " ".join(["word"] * 12)
    for start, indent in (("Data        ", 12), ("  - ", 4)):
        first, *rest = wrap([start + words])
        assert first.startswith(start + "word")
        assert rest
        assert all(line[:indent].isspace() and line[indent] == "w" for line in rest)
        assert all(len(line) <= 40 for line in [first, *rest])
