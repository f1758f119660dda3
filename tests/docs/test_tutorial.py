"""The tutorial runs, and what is stored in it is what it shows.

After a change: `jupyter execute --inplace docs/tutorial.ipynb`.
"""

import copy
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.notebooks import Output, kinds, outputs_of, run_notebook, text

ROOT = Path(__file__).parents[2]
DATA = Path("studies/data/airline.csv")
HEADLINE = re.compile(r"<p [^>]*font-size: 1\.15em[^>]*>([^<]+)</p>")


@pytest.fixture(scope="module")
def stored() -> NotebookNode:
    return nbformat.read(ROOT / "docs" / "tutorial.ipynb", as_version=4)  # type: ignore[no-untyped-call,no-any-return]


@pytest.fixture(scope="module")
def again(stored: NotebookNode, tmp_path_factory: pytest.TempPathFactory) -> list[list[Output]]:
    """What the tutorial shows when it is run now, in a folder like that of the checkout."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / DATA).parent.mkdir(parents=True)
    shutil.copy(ROOT / DATA, folder / DATA)
    (folder / "docs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HPO_STORAGE", raising=False)
        return run_notebook(copy.deepcopy(stored), folder / "docs")


def headline(outputs: list[list[Output]]) -> str:
    pages = [
        o["data"]["text/html"] for out in outputs for o in out if "text/html" in o.get("data", {})
    ]
    [found] = [said for page in pages if (said := HEADLINE.search(page))]
    return found[1]


def test_it_shows_what_it_says_it_shows(stored: NotebookNode, again: list[list[Output]]) -> None:
    assert [kinds(o) for o in again] == [kinds(o) for o in outputs_of(stored)]
    shown = [kind for out in again for one in kinds(out) for kind in one]
    assert shown.count("image/png") == 3
    assert "stderr" not in shown
    assert "error" not in {o["output_type"] for out in again for o in out}


def test_its_verdict_is_the_one_that_is_stored(
    stored: NotebookNode, again: list[list[Output]]
) -> None:
    assert headline(again) == headline(outputs_of(stored))
    facts = [text(o) for o in again[1] + again[2]]
    assert facts == [text(o) for cell in outputs_of(stored)[1:3] for o in cell]


def test_it_stores_no_place_on_the_machine_that_ran_it(stored: NotebookNode) -> None:
    said = " ".join(text(o) for out in outputs_of(stored) for o in out)
    assert not re.search(r"/(home|tmp|root|work|Users)/", said)
