"""In a notebook a bar follows a study; elsewhere nothing is printed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.notebooks import Output, kinds, run_cells, text

RUN = (
    "import hpo\n"
    "tiny = dict(trials=2, folds=2, seeds=1, max_steps=20, layers=(1, 1), cells=(2, 4))\n"
    "asked = dict(source='sales.csv', target='sales', time='month', storage='sqlite:///a.db')\n"
)


@pytest.fixture
def shown(sales_csv: Path) -> list[list[Output]]:
    cells = (
        RUN,
        "answer = hpo.run(**asked, **tiny)",
        "hpo.run(**asked, **tiny, seed=1, progress=False).state",
        "study = hpo.open_study(answer.study, storage='sqlite:///a.db')\nstudy",
        "study.plot()",
    )
    return run_cells(cells, sales_csv.parent)


def test_a_bar_follows_a_study_and_needs_no_widgets(shown: list[list[Output]]) -> None:
    _, run, silent, card, figure = shown
    assert kinds(run) == [("text/html", "text/plain")], "one output, drawn anew; no warnings"
    assert text(run[0]).startswith("sales-")
    assert ": done; 2 trials, " in text(run[0])
    assert "<progress" not in run[0]["data"]["text/html"], "it has ended"
    assert [text(output) for output in silent] == ["'done'"]
    assert kinds(card) == [("text/html", "text/plain")]
    assert "2 trials" in card[0]["data"]["text/html"]
    assert kinds(figure) == [("image/png", "text/plain")], "though pyplot was not imported"
    assert figure[0]["metadata"]["image/png"]["width"] > 600


def test_a_script_prints_nothing(sales_csv: Path) -> None:
    script = f"{RUN}\nif __name__ == '__main__': hpo.run(**asked, **tiny)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=sales_csv.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("", "")
