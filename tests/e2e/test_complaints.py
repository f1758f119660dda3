"""What is printed when something is wrong: one line, what and where, and the way out."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Cli
from tests.e2e.conftest import Answered, hpo_in_process
from tests.terminals import Terminal

FILES = {
    "empty.csv": "",
    "header.csv": "month,sales\n",
    "short.csv": "month,sales\n2010-01,1\n2010-02,2\n",
    "words.csv": "month,sales\n2010-01,1\n2010-02,lots\n",
    "twice.csv": "month,sales\n" + "".join(f"2010-0{m},1\n" for m in (1, 2, 3, 4, 4, 5)),
    "none.parquet": "month,sales\n",
    "broken.toml": 'name = "x\n',
    "key.toml": '[data]\nsource = "sales.csv"\ntarget = "sales"\n[task]\nhorizn = 3\n',
    "nodata.toml": '[data]\nsource = "gone.csv"\ntarget = "sales"\n',
}
SALES = "check sales.csv --target sales"
COMPLAINTS = [
    # words of the command line
    ("runn", 2, "unknown command 'runn'; did you mean 'run'?"),
    ("frobnicate", 2, "unknown command 'frobnicate'; see hpo --help"),
    ("db frob", 2, "unknown command 'frob'; see hpo db --help"),
    ("run", 2, "SOURCE is missing; see hpo run --help"),
    (f"{SALES} --metrc mae", 2, "unknown option --metrc; did you mean --metric?"),
    (f"{SALES} more", 2, "one word too many: 'more'; see hpo check --help"),
    (f"{SALES} --target", 2, "--target needs a value; see hpo check --help"),
    (f"{SALES} --target y", 2, "--target is given twice; see hpo check --help"),
    ("run sales.csv --workers two", 2, "--workers 'two' must be a whole number; see hpo run"),
    ("run sales.csv --timeout -3", 2, "--timeout -3.0 must be at least 0; see hpo run --help"),
    ("status --watch --json", 2, "--json prints one object and ends; leave out it or --watch"),
    ("db prune --older 3y", 2, "--older '3y' is no age; give a whole number of m, h, d or w"),
    # values of a study
    ("check sales.csv", 2, "the column to forecast is not named (sales.csv); give --target COLUMN"),
    (f"{SALES} --trials 0", 2, "budget.trials='0' must be at least 1 (--trials)"),
    (f"{SALES} --trials many", 2, "budget.trials='many' must be a whole number of at least 1"),
    (f"{SALES} --layers 3:1", 2, "space.layers=['3', '1'] must go from low to high (--layers)"),
    (f"{SALES} --metric mape", 2, "task.metric='mape' must be 'mase', 'rmse', 'mae' or 'smape'"),
    (f"{SALES} --name a/b", 2, "name='a/b' must be at most 100 letters, digits, dots,"),
    ("check gone.toml", 2, "cannot read the study file: No such file or directory (gone.toml)"),
    ("check broken.toml", 2, "not valid TOML: "),
    ("check key.toml", 2, "unknown key 'task.horizn'; the nearest right name is 'task.horizon'"),
    ("check .", 2, "cannot tell what '.' is; give a study (.toml) or data (.csv, "),
    # data
    ("check gone.csv --target y", 3, "cannot read the data: No such file or directory ("),
    ("check nodata.toml", 3, "cannot read the data: No such file or directory ("),
    ("check sales.csv --target y", 3, "there is no column 'y' ("),
    (f"{SALES} --time date", 3, "there is no column 'date' ("),
    ("check sales.csv --target month", 3, "'2010-01' is not a number ("),
    ("check empty.csv --target y", 3, "the data file is empty ("),
    ("check header.csv --target sales", 3, "the file has no rows ("),
    ("check short.csv --target sales", 3, "too few rows: 2 ("),
    ("check words.csv --target sales", 3, "'lots' is not a number ("),
    ("check twice.csv --target sales --time month", 3, "the time '2010-04' is there twice ("),
    ("check none.parquet --target sales", 3, "cannot be read as Parquet: "),
    (f"{SALES} --horizon 60", 3, "too few rows: 72, where 349 are needed; give more rows, or a"),
    # databases and studies
    ("status --storage nonsense", 4, "'nonsense' is not a database URL; write sqlite:///FILE.db"),
    ("status --storage mysql://h/d", 4, "databases of kind 'mysql' are not supported; use SQLite"),
    ("status --storage sqlite:///gone.db", 4, "there is no database here (gone.db); start with"),
    ("status --storage sqlite:///sales.csv", 4, "the file is not a sound SQLite database: "),
    (
        "submit sales.csv --target sales --storage sqlite:///no/folder.db",
        4,
        "the file cannot be opened or made: ",
    ),
    ("status --storage postgresql://a:secret@127.0.0.1:1/d", 4, "the server cannot be reached: "),
]
OF_STUDIES = [
    ("answer gone", 2, "no study 'gone' ("),
    ("status gone --watch", 2, "no study 'gone' ("),
    ("work gone", 2, "no study 'gone' ("),
    ("pause told", 2, "told is done and cannot become paused; it has ended"),
    ("resume told", 2, "told is done; only a paused study can be resumed"),
]
LONGEST = 400  # characters: what a person reads before asking a neighbour


@pytest.fixture
def folder(sales_csv: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with sales.csv and files that are wrong, in which the test runs."""
    for name, text in FILES.items():
        (sales_csv.parent / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(sales_csv.parent)
    monkeypatch.delenv("HPO_STORAGE", raising=False)
    return sales_csv.parent


@pytest.mark.parametrize(("words", "code", "said"), COMPLAINTS, ids=[c[0] for c in COMPLAINTS])
def test_what_is_wrong_is_told_in_one_line(folder: Path, words: str, code: int, said: str) -> None:
    ended = hpo_in_process(*words.split())
    assert ended.code == code
    assert ended.err.startswith(f"hpo: {said}")
    assert re.fullmatch(r".+\n", ended.err), "one line"
    assert len(ended.err) - len(str(folder)) < LONGEST
    assert "secret" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(("words", "code", "said"), OF_STUDIES, ids=[c[0] for c in OF_STUDIES])
def test_what_cannot_be_done_to_a_study_is_told_in_one_line(
    answered: Answered, words: str, code: int, said: str
) -> None:
    ended = answered(*words.split())
    assert (ended.code, ended.out) == (code, "")
    assert re.fullmatch(rf"hpo: {re.escape(said)}.*\n", ended.err)


def test_a_full_disk_is_no_traceback() -> None:
    for more in ((), ("--json",)):
        words = [sys.executable, "-m", "hpo", "bound", "--samples", "10", *more]
        with Path("/dev/full").open("w") as full:
            ended = subprocess.run(
                words, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        said = "hpo: cannot write: No space left on device; make room, then try again\n"
        assert (ended.returncode, ended.stderr) == (1, said)


def test_an_output_that_cannot_show_a_sign_gets_another(answered: Answered) -> None:
    words = [sys.executable, "-m", "hpo", "answer", "told", "--storage", answered.storage]
    environment = Cli(folder=Path(), storage="").environment({"PYTHONIOENCODING": "ascii"})
    ended = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, encoding="ascii"
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"On folds +MASE [\d.]+ \? [\d.]+;", ended.stdout)


def test_on_a_terminal_a_long_complaint_is_broken_at_words(cli: Cli) -> None:
    with Terminal(60, 24) as terminal:
        assert terminal.start(cli.argv("status", "--storage", "nonsense")).wait(60) == 4
        assert len(terminal.lines) > 2
        assert all(len(line) <= 60 for line in terminal.lines)
        assert " ".join(terminal.text.split()).endswith("(@ as %40, / as %2F)")
