"""The site is built without a warning, loads nothing from elsewhere, and tells all there is."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import hpo
from hpo import errors
from hpo.cli import app
from hpo.spec.answer import Answer
from hpo.spec.options import options
from tests.docs.pages import ROOT

LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
ELSEWHERE = re.compile(r"^(?:https?:)?//")
IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')]+)""")


class Loads(HTMLParser):
    """What a page loads when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [given.get(LOADING.get(tag, "")) or "", *(given.get("srcset") or "").split()]
        if "mermaid" in (given.get("class") or ""):
            self.found.append("https://unpkg.com/mermaid")  # fetched by the theme's script


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.mktemp("site")
    words = ["build", "--strict", "--config-file", ROOT / "mkdocs.yml", "--site-dir", folder]
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", *map(str, words)],
        cwd=folder,  # not the root, where the checkout's hpo would stand for the installed one
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "WARNING" not in ended.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages, styles = list(site.rglob("*.html")), list(site.rglob("*.css"))
    assert len(pages) > 20
    assert styles
    for path in pages:
        text = path.read_text(encoding="utf-8")
        loads = Loads(text).found + IN_STYLES.findall(text)
        assert not [load for load in loads if ELSEWHERE.match(load)], path
    for path in styles:
        assert not IN_STYLES.findall(path.read_text(encoding="utf-8")), path


def test_every_place_for_what_the_code_tells_is_filled(site: Path) -> None:
    for path in site.rglob("*.html"):
        assert "from the code:" not in path.read_text(encoding="utf-8"), path


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/commands.html")
    commands = [name for name in app if not name.startswith("-")]
    assert len(commands) > 10
    assert [name for name in commands if f'id="hpo-{name}"' not in text] == []


def test_every_value_of_a_study_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/study.html")
    for leaf, option in options().items():
        assert f"<code>{option.key.rpartition('.')[2]}</code>" in text
        assert f"<code>--{leaf.replace('_', '-')}</code>" in text


def test_every_key_of_the_answer_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/json.html")
    assert [key for key in Answer.model_fields if f"<code>{key}</code>" not in text] == []


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/python.html")
    assert [name for name in hpo.__all__ if f'id="{name.lower()}"' not in text] == []
    methods = [name for name in vars(hpo.StudyHandle) if not name.startswith("_")]
    assert [name for name in methods if f">{name}()" not in text] == []


def test_every_exit_code_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/exit-codes.html")
    named = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    kinds = [kind for kind in named if issubclass(kind, errors.HpoError)]
    assert [k for k in kinds if f"<td>{k.exit_code}</td>\n<td><code>{k.__name__}" not in text] == []


def test_every_variable_that_the_code_reads_is_in_the_reference(site: Path) -> None:
    text = page(site, "reference/environment.html")
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "hpo").rglob("*.py"))
    read = set(re.findall(r'"(HPO_[A-Z_]+)"', code))
    assert {name for name in read if f"<code>{name}</code>" not in text} == set()
