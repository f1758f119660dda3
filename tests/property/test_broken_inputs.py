"""What is broken ends with exit 2 or 3 and one line that says what, where and with which value."""

import contextlib
import io
import os
import string
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo.cli import main

ASKED = ("--target", "sales", "--time", "month")
HEADER = "month,sales"
ROWS = tuple(f"{2000 + i // 12}-{i % 12 + 1:02d}-01,{100 + i * i % 17}.5" for i in range(48))
LINES = (HEADER, *ROWS)
STUDY = """\
name = "sales"
[data]
source = "good.csv"
target = "sales"
time = "month"
[task]
horizon = 1
[budget]
trials = 3
"""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def run(*words: str | Path) -> Ended:
    """`hpo WORDS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return Ended(code, out.getvalue(), err.getvalue())


def refusal(ended: Ended, code: int) -> str:
    """The one line that a refused command writes, without its `hpo: `."""
    assert ended.code == code, ended
    assert ended.out == ""
    assert ended.err.startswith("hpo: ")
    assert ended.err.endswith("\n")
    assert ended.err.count("\n") == 1, ended.err
    assert len(ended.err.splitlines()) == 1, "a character in it breaks the line"
    assert len(ended.err) < 700
    return ended.err.removeprefix("hpo: ").rstrip("\n")


def with_line(number: int, text: str) -> str:
    """The good file with one line (the header is 1) replaced."""
    lines = list(LINES)
    lines[number - 1] = text
    return "\n".join(lines) + "\n"


GOOD = "\n".join(LINES) + "\n"
SEPARATED = GOOD.replace(",", "~")
EUROPEAN = GOOD.replace(",", ";").replace(".5", ",5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with good.csv in it, and the place from which the commands run."""
    made = tmp_path_factory.mktemp("broken")
    (made / "good.csv").write_text(GOOD, encoding="utf-8")
    before = Path.cwd()
    os.chdir(made)
    yield made
    os.chdir(before)


BROKEN_CSV = {
    "short row": (with_line(11, "2000-10-01"), ["1 fields", "has 2", "line 11"]),
    "long row": (with_line(11, "2000-10-01,1,234"), ["3 fields", "has 2", "line 11"]),
    "text": (with_line(11, "2000-10-01,many"), ["'many' is not a number", "line 11", "'sales'"]),
    "thousands": (with_line(11, '2000-10-01,"1,234"'), ["'1,234'", "line 11", "thousands"]),
    "decimal comma": (EUROPEAN, ["100,5'", "line 2", "point"]),
    "infinity": (with_line(11, "2000-10-01,inf"), ["inf is infinite", "line 11", "'sales'"]),
    "beyond float64": (with_line(11, "2000-10-01,1e400"), ["infinite", "line 11", "'sales'"]),
    "huge": (with_line(11, "2000-10-01,-1e300"), ["-1e+300", "line 11", "'sales'"]),
    "no date": (with_line(11, "someday,3"), ["'someday' is not a date", "line 11", "'month'"]),
    "month 13": (with_line(11, "2000-13-01,3"), ["'2000-13-01'", "line 11", "2024-01-31"]),
    "other form of date": (with_line(11, "10/11/2000,3"), ["'10/11/2000'", "line 11"]),
    "missing time": (with_line(11, ",3"), ["time is missing", "line 11", "'month'"]),
    "duplicate time": (with_line(12, LINES[10]), ["'2000-10-01'", "twice", "line 12"]),
    "open quote": (with_line(11, '"2000-10-01,3'), ["fields", "line"]),
    "constant": ("month,sales\n" + "".join(f"20{i:02d},5\n" for i in range(30)), ["always 5"]),
    "no values": ("month,sales\n" + "".join(f"20{i:02d},NA\n" for i in range(30)), ["no values"]),
    "two rows": ("\n".join(LINES[:3]), ["too few rows: 2", "at least"]),
    "ten rows": ("\n".join(LINES[:11]), ["too few rows: 10", "folds"]),
    "header only": (HEADER + "\n", ["no rows"]),
    "empty": ("", ["empty"]),
    "blank lines": ("\n\n\n", ["no rows"]),
    "no header": ("\n".join(ROWS), ["no column 'month'", "100.5"]),
    "column missing": (GOOD.replace("sales", "sale"), ["no column 'sales'", "'sale'"]),
    "column twice": ("month,sales,sales\n" + ",1,2\n".join(r[:10] for r in ROWS), ["2 times"]),
    "other separator": (SEPARATED, ["no column 'month'"]),
}


@pytest.mark.parametrize("name", BROKEN_CSV)
def test_a_broken_csv_is_refused_with_its_place_and_value(folder: Path, name: str) -> None:
    content, fragments = BROKEN_CSV[name]
    path = folder / "broken.csv"
    path.write_text(content, encoding="utf-8")
    said = refusal(run("check", path, *ASKED), 3)
    assert "broken.csv" in said or "too few rows" in said
    for fragment in fragments:
        assert fragment in said


BROKEN_BYTES = {
    "utf-16": (GOOD.encode("utf-16"), "not UTF-8"),
    "latin-1": (with_line(11, "2000-10-01,é").encode("latin-1"), "line 11"),
    "latin-1 header": (GOOD.replace("month", "mönth").encode("latin-1"), "line 1"),
    "binary": (bytes(range(256)) * 20, "not a text file"),
    "nul": (GOOD.replace("2000-10", "20\0-10").encode(), "line 11"),
}


@pytest.mark.parametrize("name", BROKEN_BYTES)
def test_bytes_that_are_no_text_are_refused(folder: Path, name: str) -> None:
    content, fragment = BROKEN_BYTES[name]
    path = folder / "bytes.csv"
    path.write_bytes(content)
    assert fragment in refusal(run("check", path, *ASKED), 3)


def test_a_column_that_is_spelled_otherwise_is_named(folder: Path) -> None:
    said = refusal(run("check", folder / "good.csv", "--target", "Sales"), 3)
    assert "no column 'Sales'" in said
    assert "did you mean 'sales'?" in said


def test_a_file_that_is_not_there_and_a_directory_are_refused(folder: Path) -> None:
    assert "No such file" in refusal(run("check", folder / "gone.csv", *ASKED), 3)
    (folder / "directory.csv").mkdir()
    assert "directory" in refusal(run("check", folder / "directory.csv", *ASKED), 3)


def test_a_panel_of_series_with_one_row_each_is_refused(folder: Path) -> None:
    path = folder / "panel.csv"
    rows = [f"{row},shop{i}" for i, row in enumerate(ROWS)]
    path.write_text("\n".join(["month,sales,shop", *rows]), encoding="utf-8")
    assert "every series" in refusal(run("check", path, *ASKED, "--series", "shop"), 3)


def test_a_broken_parquet_file_is_refused(folder: Path) -> None:
    path = folder / "data.parquet"
    frame = pd.read_csv(folder / "good.csv")
    frame.to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read as Parquet" in refusal(run("check", path, *ASKED), 3)
    frame.assign(sales="x").to_parquet(path)
    said = refusal(run("check", path, *ASKED), 3)
    assert "'x' is not a number" in said
    assert "row 0 counted from 0, column 'sales'" in said
    frame.assign(month=True).to_parquet(path)
    assert "'True' is not a date" in refusal(run("check", path, *ASKED), 3)


GOOD_SPELLINGS = {
    "byte order mark": "\ufeff" + GOOD,
    "windows line ends": GOOD.replace("\n", "\r\n"),
    "quoted": "\n".join(",".join(f'"{field}"' for field in line.split(",")) for line in LINES),
    "semicolons": GOOD.replace(",", ";"),
    "time zone": GOOD.replace("-01,", "-01T00:00:00+02:00,"),
    "blank line at the end": GOOD + "\n",
}


@pytest.mark.parametrize("name", GOOD_SPELLINGS)
def test_another_spelling_of_the_same_csv_is_no_mistake(folder: Path, name: str) -> None:
    path = folder / "spelled.csv"
    path.write_text(GOOD_SPELLINGS[name], encoding="utf-8", newline="")
    ended = run("check", path, *ASKED)
    assert ended.code == 0, ended
    assert ended.err == ""
    assert ended.out.startswith("Data        48 rows, season of 12\n")


WRONG_OPTIONS = {
    "--trials 0": (2, "trials='0' must be at least 1"),
    "--trials abc": (2, "trials='abc' must be a whole number"),
    "--trials 1.5": (2, "trials='1.5' must be a whole number"),
    "--trials=": (2, "trials='' must be a whole number"),
    "--layers 3:1": (2, "'3', '1'] must go from low to high"),
    "--layers x": (2, "layers='x' must be a pair LOW:HIGH"),
    "--layers 1:2:3": (2, "must be a pair LOW:HIGH"),
    "--cells 0": (2, "at least 1"),
    "--alpha -1": (2, "alpha='-1' must be above 0"),
    "--alpha nan": (2, "alpha='nan' must be a number above 0"),
    "--alpha 1e9": (2, "the bound leaves no network"),
    "--sampler foo": (2, "'ladder', 'tpe', 'gp', 'random' or 'grid'"),
    "--device tpu": (2, "'auto', 'cpu', 'cuda' or 'mps'"),
    "--metric mape": (2, "metric='mape'"),
    "--transform logg": (2, "transform='logg'"),
    "--learning-rate 1e-1:1e-4": (2, "low to high"),
    "--dropout 2": (2, "dropout='2' must be below 1"),
    "--horizon 1000": (3, "too few rows: 48"),
    "--lookback 1000": (3, "too few rows: 48"),
    "--folds 50": (3, "validation.folds (50)"),
    "--test 47": (3, "data.test (47)"),
    "--covariates gone": (3, "no column 'gone'"),
    "--covariates sales": (2, "'sales' is named twice"),
    "--time other": (2, "--time is given twice"),
    "--name a/b": (2, "name='a/b' must be"),
    "--name": (2, "--name needs a value"),
    "--trails 1": (2, "did you mean --trials?"),
    "--unknown 1": (2, "unknown option --unknown; see hpo check --help"),
    "extra": (2, "one word too many: 'extra'"),
    "--json=maybe": (2, "--json 'maybe' must be true or false"),
}


@pytest.mark.parametrize("words", WRONG_OPTIONS)
def test_a_wrong_option_is_named_with_its_value_and_the_right_ones(
    folder: Path, words: str
) -> None:
    code, fragment = WRONG_OPTIONS[words]
    assert fragment in refusal(run("check", folder / "good.csv", *ASKED, *words.split()), code)


WRONG_WORDS = {
    "check": "SOURCE is missing",
    "check good.csv": "give --target COLUMN",
    "check data.xls --target a": "cannot tell what 'data.xls' is",
    "check gone.toml": "No such file",
    "check good.csv --target sales --time sales": "'sales' is named twice",
    "chekc good.csv": "did you mean 'check'?",
    "bound": "--samples is missing",
    "bound --samples x": "--samples 'x' must be a whole number",
    "bound --samples 10 --alpha 0": "alpha=0.0",
    "run good.csv --target sales --timeout -1 --quiet": "--timeout",
    "run good.csv --target sales --workers 0 --quiet": "workers=0 must be at least 1",
    "run good.csv --target sales --threads x": "--threads 'x' must be a whole number",
}


@pytest.mark.parametrize("words", WRONG_WORDS)
def test_wrong_words_are_answered_with_the_right_ones(folder: Path, words: str) -> None:
    assert (folder / "good.csv").exists()
    assert WRONG_WORDS[words] in refusal(run(*words.split()), 2)


BROKEN_TOML = {
    "open quote": (STUDY.replace('"sales"', '"sales', 1), ["not valid TOML", "line 1"]),
    "unknown key": (STUDY.replace("trials", "trails"), ["'budget.trails'", "'budget.trials'"]),
    "unknown section": (STUDY.replace("[budget]", "[budgets]"), ["'budgets'", "'budget'"]),
    "wrong type": (STUDY.replace("= 3", '= "x"'), ["trials='x'", "line 9", "whole number"]),
    "out of range": (STUDY.replace("horizon = 1", "horizon = -4"), ["horizon=-4", "line 7"]),
    "truth": (STUDY.replace("= 3", "= true"), ["trials=true", "line 9"]),
    "no target": (STUDY.replace('target = "sales"\n', ""), ["data.target is missing"]),
    "no data": ('name = "x"\n', ["[data] is missing"]),
    "empty": ("", ["[data] is missing"]),
    "key twice": (STUDY + "trials = 4\n", ["not valid TOML", "line 10"]),
    "name": (STUDY.replace('"sales"', '"a b"', 1), ["'a b'", "no spaces", "line 1"]),
}


@pytest.mark.parametrize("name", BROKEN_TOML)
def test_a_broken_study_is_refused_with_key_and_line(folder: Path, name: str) -> None:
    content, fragments = BROKEN_TOML[name]
    (folder / "broken.toml").write_text(content, encoding="utf-8")
    said = refusal(run("check", folder / "broken.toml"), 2)
    assert "broken.toml" in said
    for fragment in fragments:
        assert fragment in said


WORD = st.text(string.ascii_letters, min_size=2, max_size=12).filter(
    lambda word: word.lower() not in {"na", "nan", "null", "none", "inf", "infinity"}
)
AT = st.integers(2, len(LINES))
CUT = st.integers(0, 12)
BROKEN_TABLES = st.one_of(
    st.builds(lambda at, word: with_line(at, f"{LINES[at - 1][:10]},{word}"), AT, WORD),
    st.builds(lambda at, word: with_line(at, f"{word},3"), AT, WORD),
    st.builds(lambda at, word: with_line(at, f"{LINES[at - 1]},{word}"), AT, WORD),
    st.builds(lambda at: with_line(at, LINES[at - 1][:10]), AT),
    st.builds(lambda at: with_line(at, LINES[at - 1].replace(",", "|")), AT),
    st.builds(lambda at: "\n".join([*LINES, LINES[at - 1]]), AT),
    st.builds(lambda at, sign: with_line(at, f"{LINES[at - 1][:10]},{sign}inf"), AT, st.just("-")),
    st.builds(lambda rows: "\n".join(LINES[: rows + 1]), CUT),
    st.builds(lambda name: GOOD.replace("sales", name), WORD.filter(lambda w: w != "sales")),
    st.builds(lambda value: HEADER + "".join(f"\n{r[:10]},{value}" for r in ROWS), st.integers()),
)


@pytest.fixture(scope="module")
def scratch(folder: Path) -> Path:
    """A file name for hypothesis to write to, again and again."""
    return folder / "scratch"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(table=BROKEN_TABLES)
def test_every_broken_table_is_refused_in_one_line(scratch: Path, table: str) -> None:
    path = scratch.with_suffix(".csv")
    path.write_text(table, encoding="utf-8")
    refusal(run("check", path, *ASKED), 3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".csv", ".parquet"]))
def test_every_file_of_noise_is_refused_in_one_line(
    scratch: Path, content: bytes, suffix: str
) -> None:
    path = scratch.with_suffix(suffix)
    path.write_bytes(content)
    refusal(run("check", path, *ASKED), 3)


def _wrong_value(value: str) -> str:
    return STUDY.replace("trials = 3", f"trials = {value}")


WRONG_NUMBERS = st.one_of(
    st.integers(max_value=0).map(str),
    st.floats().filter(lambda x: not x.is_integer()).map(repr),
    WORD.map(repr),
    st.sampled_from(["true", "[1, 2]", "{a = 1}", "1979-05-27", "''", "10000000"]),
)
BROKEN_STUDIES = st.one_of(
    WRONG_NUMBERS.map(_wrong_value),
    WORD.map(lambda key: f"{STUDY}{key}zz = 1\n"),
    WORD.map(lambda section: f"{STUDY}[{section}zz]\n"),
    st.integers(0, len(STUDY) - 1).map(lambda at: f"{STUDY[:at]}\0{STUDY[at:]}"),
    st.integers(0, STUDY.index("target")).map(lambda at: STUDY[:at]),
    st.text(max_size=200),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(study=BROKEN_STUDIES)
def test_every_broken_study_is_refused_in_one_line(scratch: Path, study: str) -> None:
    path = scratch.with_suffix(".toml")
    path.write_text(study, encoding="utf-8")
    refusal(run("check", path), 2)
