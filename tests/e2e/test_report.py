"""The report, written by the real program and read as a browser's parser reads it."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.commands import Cli
from tests.e2e.conftest import ASKED, TINY, Answered

MOST_BYTES = 4_000_000
VOID = {"meta", "br", "link", "img", "input", "hr"}
FIGURES = {"size-curve", "fit-and-forecast", "test-span"}


class Page(HTMLParser):
    """The elements of a page with their attributes, its texts, and whether they are nested well."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def html(answered: Answered) -> str:
    answer = json.loads(answered("answer", "told", "--json").out)
    return Path(answer["report"]).read_text(encoding="utf-8")


def test_run_writes_the_report_and_says_where(answered: Answered) -> None:
    path = answered.csv.parent / "told-report.html"
    assert f"Report      {path}" in answered.printed
    assert path.stat().st_size < MOST_BYTES


def test_the_report_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert not page.all("script")
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "action"):
            target = attributes.get(name) or ""
            assert target.startswith("#") or not target, (tag, target)
    assert not re.search(r"@import|url\((?!#)", html)


def test_every_identifier_is_one_and_every_reference_is_met(html: str) -> None:
    page = Page(html)
    names = [a["id"] for _, a in page.elements if a.get("id")]
    assert len(names) == len(set(names))
    wanted = {a["xlink:href"] for _, a in page.elements if a.get("xlink:href")}
    wanted |= set(re.findall(r"url\((#[^)]+)\)", html))
    assert wanted <= {f"#{name}" for name in names}


def test_the_verdict_and_three_numbers_come_first(answered: Answered, html: str) -> None:
    answer = json.loads(answered("answer", "told", "--json").out)
    first = Page(html[: html.index("<main>")] + "</body></html>").text
    for score in (answer["score"], answer["test_score"]):
        assert f"{score:.4g}" in first
    assert f"{answer['weights']} weights" in first
    for reason in (*answer["reasons"], *answer["warnings"]):
        assert reason in Page(html).text


def test_every_figure_tells_those_who_do_not_see_it_what_it_shows(html: str) -> None:
    page = Page(html)
    assert {a["id"] for a in page.all("figure")} >= FIGURES
    drawn = [a for a in page.all("svg") if "figure" in (a.get("class") or "")]
    assert len(drawn) == 2 * len(page.all("figure")), "one for wide pages, one for phones"
    for attributes in drawn:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"] or "") > 30


def test_figures_wear_the_colours_of_the_page_so_that_it_can_be_dark(html: str) -> None:
    drawn = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert not re.search(r"(?:fill|stroke): #", drawn)
    for name in set(re.findall(r"var\((--[a-z]+)\)", html)):
        assert html.count(f"{name}: #") == 2, "a light and a dark one"


def test_a_name_with_a_dollar_is_no_formula(cli: Cli, sales_csv: Path) -> None:
    name = "cost $\\bad{$"
    sales_csv.write_text(sales_csv.read_text().replace("sales", name, 1))
    ended = cli("run", sales_csv, "--target", name, "--time", "month", *TINY, "--name", "dollar")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert name in Page((cli.folder / "dollar-report.html").read_text(encoding="utf-8")).text


def test_what_is_named_by_people_is_text_and_no_markup(cli: Cli, sales_csv: Path) -> None:
    evil = "<script>alert(1)</script>&\"'"
    ended = cli("run", sales_csv, *ASKED, *TINY, "--name", "evil", "--question", evil, "--quiet")
    assert ended.returncode == 0, ended.stderr
    html = (cli.folder / "evil-report.html").read_text(encoding="utf-8")
    assert not Page(html).all("script")
    assert evil in Page(html).text


def test_the_command_of_the_report_asks_the_same_again(answered: Answered, html: str) -> None:
    said = re.search(r"<code>(.*?)</code>", html, flags=re.DOTALL)
    assert said is not None
    words = shlex.split(Page(said.group(1)).text)
    assert words[:2] == ["hpo", "run"]
    out = answered.csv.parent / "again"
    again = Cli(folder=answered.csv.parent, storage=f"sqlite:///{out}.db")
    ended = again(*words[1:], "--out", out, "--json")
    assert ended.returncode == 0, ended.stderr
    first, second = json.loads(answered("answer", "told", "--json").out), json.loads(ended.stdout)
    for key in ("fingerprint", "cells", "score", "test_score", "reasons"):
        assert second[key] == first[key], key
    assert second["report"] == str(out / "told-report.html")


def test_figures_are_written_as_files_that_can_be_opened(
    answered: Answered, tmp_path: Path
) -> None:
    folder = tmp_path / "figures"
    ended = answered("report", "told", "--out", tmp_path, "--figures", folder, "--json")
    told = json.loads(ended.out)
    assert told["report"] == str(tmp_path / "told-report.html")
    assert sorted(told["figures"]) == sorted(map(str, folder.iterdir()))
    for path in map(Path, told["figures"]):
        begin = path.read_bytes()[:8]
        assert begin.startswith(b"\x89PNG" if path.suffix == ".png" else b"<?xml")


def test_the_same_study_is_the_same_page(answered: Answered, tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        assert answered("report", "told", "--out", tmp_path / name).code == 0
        pages.append((tmp_path / name / "told-report.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_study_without_a_verdict_has_no_report(cli: Cli, sales_csv: Path) -> None:
    assert cli("submit", sales_csv, *ASKED, "--name", "open").returncode == 0
    ended = cli("report", "open")
    assert ended.returncode == 2
    assert ended.stderr == (
        "hpo: the study 'open' is queued and has no verdict yet; see hpo status open\n"
    )


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_trained(
    cli: Cli, sales_csv: Path
) -> None:
    ended = cli("run", sales_csv, *ASKED, *TINY, "--out", sales_csv)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"hpo: --out {str(sales_csv)!r} is no folder that can be written to; name another one for"
        " the report\n"
    )
    assert not (cli.folder / "cli.db").exists()
