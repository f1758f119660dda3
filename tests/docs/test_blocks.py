"""What README and the documentation show is run, or at least understood, by what they describe."""

import ast
import doctest
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo.cli import app
from hpo.live.view import view
from hpo.spec.toml import build_study
from tests.docs.pages import BLOCKS, PAGES, ROOT, Block, Page
from tests.unit.live.snapshots import Clock, seen, snapshot

LONGEST_S = 100
AIRLINE_CSV = "studies/data/airline.csv --target passengers --time month"
MARKS = re.compile(r"not run: .+|exits \d+|(in )?file: [\w./-]+|transcript: hpo .+|drawn: .+|")
TRANSCRIPT = "transcript: "
ASKED = ("Data", "Windows", "Judged on", "Bound", "Study", "Benchmarks")
READ_ELSEWHERE = {"text", "csv", "sql", "pycon"}  # sql: test_runbook; text is what bash printed
OTHERS = {
    *(
        "cd",
        "cp",
        "echo",
        "mkdir",
        "head",
        "cat",
        "git",
        "python",
        "pip",
        "source",
        "export",
        "read",
    ),
    *("sqlite3", "sed", "jq", "kubectl", "sbatch", "srun", "curl", "openssl", "caddy", "."),
}
COMPOSE = {"exec", "stop", "up", "run", "build", "logs", "ps"}
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hpo").rglob("*.py"))
DEPLOYED = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")

BASH = [(page, block) for page, block in BLOCKS if block.kind == "bash"]
TRANSCRIPTS = [block for _, block in BLOCKS if block.mark.startswith(TRANSCRIPT)]
COMMANDS = sorted({shlex.join(w) for _, block in BASH for w in block.commands})
PAGES_THAT_RUN = [page for page in PAGES if any(block.is_run for block in page.blocks)]
GUIDES = [page for page in PAGES if not page.is_history]


def of_kind(kind: str) -> list[Any]:
    """Every block of a kind, as parameters of a test."""
    found = [(page, block) for page, block in BLOCKS if block.kind == kind]
    return [pytest.param(b, id=f"{p.name}-{number}") for number, (p, b) in enumerate(found)]


def understand(words: list[str]) -> None:
    """Fail unless `hpo WORDS` is a command with these options."""
    _, _, rest = app.parse_args(words, exit_on_error=False, print_error=False)[:3]
    assert not rest


def hpo_words(words: list[str]) -> list[str] | None:
    """The words for hpo in a command, also behind what starts it: srun, docker compose."""
    if words[:2] == ["docker", "compose"]:
        return words[words.index("worker") + 1 :] if "run" in words else None
    at = [number for number, word in enumerate(words) if Path(word).name == "hpo"]
    return words[at[0] + 1 :] if at else None


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str) -> None:
    words = shlex.split(command)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]) and len(words) > 1:
        del words[0]  # variables of this command alone
    said = hpo_words(words)
    if said is not None:
        understand(said)
    elif words[0] == "make":
        assert all(re.search(rf"^{word}:", MAKEFILE, re.MULTILINE) for word in words[1:])
    elif words[:2] == ["docker", "compose"]:
        assert words[2] in COMPOSE
        assert {word.partition("=")[0] for word in words} & SERVICES.keys()
    else:
        assert words[0] in OTHERS


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_command_and_option_in_the_text_is_one(page: Page) -> None:
    for said in page.inline:
        words = shlex.split(said) if said.startswith("hpo ") else []
        if words and words[1][0] != "-":
            command = words[1].rstrip(",")
            assert command in app or command == "COMMAND", said
        if said.startswith(("hpo ", "--")):
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", said)) <= OPTIONS, said


def every_option() -> Iterator[str]:
    """The long options of all commands."""
    apps = [app[name] for name in app if not name.startswith("-")]
    apps += [group[name] for group in apps for name in group if not name.startswith("-")]
    for command in (one for one in apps if one.default_command):
        for argument in command.assemble_argument_collection():
            yield from (name for name in argument.names if name.startswith("--"))


OPTIONS = {*every_option(), "--help", "--version"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the studies, and a database in which what pages ask most is answered."""
    folder = tmp_path_factory.mktemp("checkout") / "hpo"
    shutil.copytree(ROOT / "studies", folder / "studies")
    for words in ("studies/airline.toml", f"{AIRLINE_CSV} --name passengers"):
        run(Block("", "bash", f"hpo run {words} --quiet"), folder, environment(folder))
    return folder


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: page.name)
def test_the_blocks_of_a_page_do_what_it_says(page: Page, checkout: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkout, tmp_path / "hpo"))
    around = environment(folder)
    for block, after in pairwise([*page.blocks, Block("", "", "")]):
        if block.file:
            (folder / block.file).write_text(block.text, encoding="utf-8")
        if block.found_in:
            assert_alike(block.text, (folder / block.found_in).read_text(encoding="utf-8"))
        if block.is_run:
            assert_printed(after, run(block, folder, around))


def environment(folder: Path) -> dict[str, str]:
    """The environment of a shell in a checkout that is installed: `hpo` is a command."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    for name, words in (("hpo", "-m hpo"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HPO_")}
    return clean | {"COLUMNS": "100", "PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1"}


def run(block: Block, folder: Path, around: dict[str, str]) -> str:
    """What the block prints, errors among it, when it is run as a user would."""
    words = ["bash", "-euo", "pipefail", "-c", block.text]
    if block.kind == "python":
        (folder / "block.py").write_text(block.text, encoding="utf-8")
        words = ["python", "block.py"]
    ended = subprocess.run(
        words,
        cwd=folder,
        env=around,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert ended.returncode == block.exit_code, f"{block.text}\n{ended.stdout}"
    return ended.stdout


def assert_printed(after: Block, printed: str) -> None:
    """What stands right after a block that is run is what it printed."""
    if after.kind in ("text", "csv") and not after.mark:
        same = doctest.OutputChecker().check_output(after.text, printed, doctest.ELLIPSIS)
        assert same, f"{after.text}is shown, but it is\n{printed}"
    if after.kind == "json" and not after.mark:
        assert_shown(json.loads(after.text), json.loads(printed))


def assert_alike(shown: str, found: str) -> None:
    """Two CSV files have the same lines, but for numbers, which differ by a fifth at most."""
    lines, others = shown.splitlines(), found.splitlines()
    assert len(lines) == len(others)
    for line, other in zip(lines, others, strict=True):
        for field, there in zip(line.split(","), other.split(","), strict=True):
            if re.fullmatch(r"-?[\d.]+", field):
                assert float(there) == pytest.approx(float(field), rel=0.2)
            else:
                assert there == field


def assert_shown(shown: Any, printed: Any) -> None:
    """Objects have the keys that are shown, and the values; an empty object stands for any."""
    if isinstance(shown, dict) and shown:
        assert shown.keys() == printed.keys()
        for key, value in shown.items():
            assert_shown(value, printed[key])
    elif shown != {}:
        assert shown == printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_mark_is_known(page: Page) -> None:
    for block in page.blocks:
        assert MARKS.fullmatch(block.mark), block.mark
        assert block.kind in READ_ELSEWHERE | {"bash", "python", "toml", "json", "yaml"}, block.kind


@pytest.mark.parametrize("block", TRANSCRIPTS, ids=lambda block: block.mark)
def test_a_transcript_is_that_of_a_real_command(block: Block, checkout: Path) -> None:
    words = shlex.split(block.mark.removeprefix(TRANSCRIPT))
    understand(words[1:])
    answer = run(Block("", "bash", "hpo answer airline"), checkout, environment(checkout))
    shown, printed = labels(block.text), labels(answer)
    assert shown[-len(printed) :] == printed
    assert set(ASKED) <= set(shown)
    assert all(len(line) <= 100 for line in block.text.splitlines())


def labels(text: str) -> list[str]:
    """The words before the lines of an answer, such as Size and On test."""
    return re.findall(r"^([A-Z]\w*(?: \w+)?)(?:  |$)", text, re.MULTILINE)


def test_the_live_view_is_drawn_as_it_stands_here() -> None:
    [block] = [block for _, block in BLOCKS if block.mark.startswith("drawn: ")]
    pace = seen(Clock(), 4, 8, 12, 16, every_s=3.0)
    drawn = view(snapshot(16), pace, columns=80, rows=24)
    assert block.text == "".join(f"{line}\n" for line in drawn)


@pytest.mark.parametrize("block", of_kind("toml"))
def test_a_study_shown_is_a_valid_study(block: Block) -> None:
    shown = tomllib.loads(block.text)
    build_study({"data": {"source": "sales.csv", "target": "sales"}} | shown)


@pytest.mark.parametrize("block", of_kind("python"))
def test_python_shown_is_python(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", of_kind("json"))
def test_json_shown_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of_kind("yaml"))
def test_containers_shown_run_commands_of_hpo(block: Block) -> None:
    documents = list(yaml.safe_load_all(block.text))
    for container in containers_in(documents):
        understand(container["args"])
    assert documents


def containers_in(found: Any) -> Iterator[dict[str, Any]]:
    """Every container of manifests for Kubernetes."""
    if isinstance(found, dict):
        yield from found.get("containers", [])
        found = list(found.values())
    if isinstance(found, list):
        for inner in found:
            yield from containers_in(inner)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_variable_is_read_by_the_code_or_by_the_compose_file(page: Page) -> None:
    for name in set(re.findall(r"\bHPO_[A-Z_]+\b", page.text)):
        assert f'"{name}"' in CODE or name in DEPLOYED, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_there(page: Page) -> None:
    text = re.sub(r"```.*?^ *```", "", page.text, flags=re.DOTALL | re.MULTILINE)
    for target in set(re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text)):
        assert (page.path.parent / target).exists(), target
