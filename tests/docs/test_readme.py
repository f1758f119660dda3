"""What the README says is run, or at least understood, by the program it describes."""

import re
import shlex
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from hpo.cli import app
from hpo.live.view import view
from hpo.spec.toml import build_study
from tests.commands import Cli
from tests.e2e.conftest import hpo_in_process
from tests.unit.live.snapshots import Clock, seen, snapshot

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- (?P<mark>[^>]*) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
TRANSCRIPT = "transcript: "
IN_ORDER = "run in order"
SECTIONS = ("Data", "Windows", "Judged on", "Bound", "Benchmarks", "ANSWER", "On test", "Stored")


@dataclass(frozen=True)
class Block:
    """One fenced block and the comment right before it."""

    mark: str
    kind: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command, without comments."""
        return [w for line in self.text.splitlines() if (w := shlex.split(line, comments=True))]

    @property
    def is_run(self) -> bool:
        return not self.mark.startswith("not run: ") and self.mark != IN_ORDER


BLOCKS = [Block(m["mark"] or "", m["kind"], m["text"]) for m in BLOCK.finditer(README)]
BASH = [block for block in BLOCKS if block.kind == "bash"]
STORIES = [block for block in BASH if block.mark == IN_ORDER]
FILES = {block.mark: block.text for block in BLOCKS if block.mark.endswith(".csv")}
TRANSCRIPTS = [block for block in BLOCKS if block.mark.startswith(TRANSCRIPT)]
HPO = [words for block in BASH for words in block.commands if Path(words[0]).name == "hpo"]
MAKE = [words for block in BASH for words in block.commands if words[0] == "make"]
PRINTED = [
    (block.commands[-1], after.text)
    for block, after in pairwise(BLOCKS)
    if block.kind == "bash" and block.is_run and after.kind == "text" and not after.mark
]


def test_every_command_is_hpo_or_make() -> None:
    every = [words for block in BASH for words in block.commands]
    assert len(every) == len(HPO) + len(MAKE) > 5


@pytest.mark.parametrize("words", HPO, ids=" ".join)
def test_every_hpo_command_is_understood(words: list[str]) -> None:
    command, bound, _ = app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert command.__name__ == words[1]
    assert bound.arguments


@pytest.mark.parametrize("words", MAKE, ids=" ".join)
def test_every_make_target_is_there(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE)


@pytest.mark.parametrize(("words", "printed"), PRINTED, ids=lambda value: " ".join(value[:3]))
def test_a_command_prints_what_stands_below_it(
    words: list[str], printed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "100")
    ended = hpo_in_process(*words[1:])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == printed


@pytest.mark.parametrize("block", STORIES, ids=lambda block: block.commands[-1][1])
def test_commands_that_follow_each_other_leave_the_files_that_are_shown(
    block: Block, cli: Cli
) -> None:
    (cli.folder / "studies").symlink_to(ROOT / "studies")
    for words in block.commands:
        ended = cli(*words[1:])
        assert (ended.returncode, ended.stderr) == (0, ""), words
    shown = [name for name in FILES if name in block.text]
    assert shown, "a story ends with a file"
    for name in shown:
        lines, found = FILES[name].splitlines(), (cli.folder / name).read_text().splitlines()
        assert found[0] == lines[0]
        assert len(found) == len(lines)
        for line, expected in zip(found[1:], lines[1:], strict=True):
            (time, *numbers), (expected_time, *others) = line.split(","), expected.split(",")
            assert time == expected_time
            assert [float(n) for n in numbers] == pytest.approx([float(n) for n in others], rel=0.2)


def test_every_command_that_is_run_shows_its_output() -> None:
    run = [w for b in BASH if b.is_run for w in b.commands if w[0] != "make"]
    assert run == [words for words, _ in PRINTED] != []


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.mark)
def test_a_transcript_is_that_of_a_real_command(block: Block) -> None:
    words = shlex.split(block.mark.removeprefix(TRANSCRIPT))
    app.parse_args(words[1:], exit_on_error=False, print_error=False)
    assert (ROOT / words[2]).is_file()
    starts = [block.text.find(f"\n{section} ") for section in SECTIONS[1:]]
    assert block.text.startswith("Data ") or "\nData " in block.text
    assert -1 not in starts
    assert starts == sorted(starts)
    assert all(len(line) <= 100 for line in block.text.splitlines())


def test_the_live_view_is_drawn_as_it_stands_here() -> None:
    [block] = [block for block in BLOCKS if block.mark.startswith("drawn: ")]
    pace = seen(Clock(), 4, 8, 12, 16, every_s=3.0)
    drawn = view(snapshot(16), pace, columns=80, rows=24)
    assert block.text == "".join(f"{line}\n" for line in drawn)


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind == "toml"], ids=lambda block: block.text[:20]
)
def test_a_study_shown_is_a_valid_study(block: Block) -> None:
    assert build_study(tomllib.loads(block.text)).data.target


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.kind == "python"])
def test_python_shown_is_python(block: Block) -> None:
    compile(block.text, "README.md", "exec")


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_every_link_leads_to_a_file(path: str) -> None:
    assert (ROOT / path).exists()
