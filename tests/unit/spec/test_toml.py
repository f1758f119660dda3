"""A study file is read into a value, or refused with one clear line."""

from pathlib import Path

import pytest

from hpo.errors import SpecError
from hpo.spec.options import from_words
from hpo.spec.study import Study
from hpo.spec.toml import build_study, line_of, read_study

DATA = '[data]\nsource = "a.csv"\ntarget = "y"\n'
SMALL = {"data": {"source": "a.csv", "target": "y"}}


def written(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(folder: Path, text: str) -> str:
    """What is said about a file's text, with `FILE` for its path."""
    path = written(folder, text)
    with pytest.raises(SpecError) as caught:
        read_study(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_file_with_source_and_target_is_a_study_of_defaults(tmp_path: Path) -> None:
    study = read_study(written(tmp_path, DATA))
    assert study == Study.model_validate(
        {"data": {"source": str(tmp_path / "a.csv"), "target": "y"}}
    )


def test_every_key_can_be_written(tmp_path: Path) -> None:
    text = """
        name = "airline"
        question = "How many?"
        data = { source = "a.csv", target = "y", time = "t", series = "s", covariates = ["x", "z"] }
        task.lookback = [24, 12, 12]
        task.transform = "difference+log"
        space = { layers = [1, 2], learning_rate = 1, weight_decay = [1e-6, 1e-2] }
    """
    study = read_study(written(tmp_path, text))
    assert study.name == "airline"
    assert study.data.covariates == ("x", "z")
    assert study.task.lookback == (12, 24)
    assert study.task.transform == "log+difference"
    assert study.space.layers == (1, 2)
    assert study.space.learning_rate == 1.0
    assert study.space.weight_decay == (1e-6, 1e-2)


def test_the_source_is_relative_to_the_file(tmp_path: Path) -> None:
    text = '[data]\nsource = "../b.csv"\ntarget = "y"\n'
    assert read_study(written(tmp_path, text)).data.source == str(tmp_path.parent / "b.csv")


def test_an_absolute_source_stays(tmp_path: Path) -> None:
    source = str(tmp_path / "elsewhere" / "b.csv")
    text = f"[data]\nsource = '{source}'\ntarget = 'y'\n"
    assert read_study(written(tmp_path, text)).data.source == source


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, f"name = 'one'\n{DATA}[budget]\ntrials = 7\n")
    study = read_study(path, {"budget.trials": 9, "name": "two", "task.horizon": "12"})
    assert (study.budget.trials, study.name, study.task.horizon) == (9, "two", 12)


def test_an_override_mends_a_wrong_value_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, f"{DATA}[budget]\ntrials = 0\n")
    assert read_study(path, {"budget.trials": 9}).budget.trials == 9


BROKEN = {
    "a misspelt key": (
        DATA + "[budget]\ntrails = 3\n",
        "unknown key 'budget.trails'; the nearest right name is 'budget.trials' (FILE, line 5)",
    ),
    "a misspelt section": (
        DATA + "[budgets]\ntrials = 3\n",
        "unknown key 'budgets'; the nearest right name is 'budget' (FILE, line 4)",
    ),
    "a key in the wrong section": (
        DATA + "[task]\ntrials = 3\n",
        "unknown key 'task.trials'; the nearest right name is 'budget.trials' (FILE, line 5)",
    ),
    "a key before all sections": (
        "trials = 3\n" + DATA,
        "unknown key 'trials'; the nearest right name is 'budget.trials' (FILE, line 1)",
    ),
    "a misspelt key in the wrong section": (
        DATA + "[task]\ntrails = 3\n",
        "unknown key 'task.trails'; the nearest right name is 'budget.trials' (FILE, line 5)",
    ),
    "a hyphen in a key": (
        DATA + "[training]\nmax-steps = 3\n",
        "unknown key 'training.max-steps'; the nearest right name is 'training.max_steps'"
        " (FILE, line 5)",
    ),
    "a key without its unit": (
        DATA + "[budget]\ntimeout = 3\n",
        "unknown key 'budget.timeout'; the nearest right name is 'budget.trial_timeout_s'"
        " (FILE, line 5)",
    ),
    "a capital section": (
        DATA + "[Budget]\ntrials = 3\n",
        "unknown key 'Budget'; the nearest right name is 'budget' (FILE, line 4)",
    ),
    "a key like no other": (
        DATA + "[budget]\nzzz = 3\n",
        "unknown key 'budget.zzz'; the keys of [budget] are trials, trial_timeout_s (FILE, line 5)",
    ),
    "a section like no other": (
        DATA + "[zzz]\n",
        "unknown key 'zzz'; the keys and sections of a study are name, question, data, task, space,"
        " bound, training, budget, validation, search, verdict (FILE, line 4)",
    ),
    "a section in a section": (
        DATA + "[budget.zzz]\nx = 1\n",
        "unknown key 'budget.zzz'; the keys of [budget] are trials, trial_timeout_s (FILE, line 4)",
    ),
    "a dot in a quoted key": (
        DATA + '[budget]\n\n"trials.x" = 3\n',
        "unknown key 'budget.trials.x'; the nearest right name is 'budget.trials' (FILE, line 6)",
    ),
    "a value for a section": (
        "budget = 3\n" + DATA,
        "budget=3 must be a section, [budget], with the keys trials, trial_timeout_s"
        " (FILE, line 1)",
    ),
    "a list for a section": (
        DATA + "[[budget]]\ntrials = 3\n",
        "budget=[{trials = 3}] must be a section, [budget], with the keys trials, trial_timeout_s"
        " (FILE, line 4)",
    ),
    "text for the data": (
        'data = "a.csv"\n',
        "data='a.csv' must be a section, [data], with the keys source, target, time, series,"
        " covariates, season, test (FILE, line 1)",
    ),
    "an empty file": (
        "",
        "section [data] is missing; it names the file (source) and the column (target) (FILE)",
    ),
    "no target": (
        'name = "a"\n[data]\nsource = "a.csv"\n',
        "data.target is missing; it names the column to forecast (FILE, line 2)",
    ),
    "no source": (
        '[data]\ntarget = "y"\n',
        "data.source is missing; it names the CSV or Parquet file (FILE, line 1)",
    ),
    "an empty target": (
        '[data]\nsource = "a.csv"\ntarget = ""\n',
        "data.target='' must be text that is not empty (FILE, line 3)",
    ),
    "an empty source": (
        '[data]\nsource = ""\ntarget = "y"\n',
        "data.source='' must be text that is not empty (FILE, line 2)",
    ),
    "a NUL in the source": (
        '[data]\nsource = "a\\u0000"\ntarget = "y"\n',
        "data.source='a\\x00' must be the name of a file, without NUL characters (FILE, line 2)",
    ),
    "an empty covariate": (
        DATA + 'covariates = ["x", ""]\n',
        "data.covariates=['x', ''] must be a list, each text that is not empty (FILE, line 4)",
    ),
    "a covariate outside a list": (
        DATA + 'covariates = "x"\n',
        "data.covariates='x' must be a list, each text that is not empty (FILE, line 4)",
    ),
    "a column for two purposes": (
        DATA + 'covariates = ["x", "y"]\n',
        "data: column 'y' is named twice, by target and by covariates (FILE, line 1)",
    ),
    "a count of zero": (
        DATA + "[budget]\ntrials = 0\n",
        "budget.trials=0 must be at least 1 (FILE, line 5)",
    ),
    "a negative count": (
        DATA + "[budget]\ntrials = -3\n",
        "budget.trials=-3 must be at least 1 (FILE, line 5)",
    ),
    "a huge count": (
        DATA + "[budget]\ntrials = 99999999999999999999999\n",
        "budget.trials=99999999999999999999999 must be at most 1000000 (FILE, line 5)",
    ),
    "a huge horizon": (
        DATA + "[task]\nhorizon = 99999999999999999999999\n",
        "task.horizon=99999999999999999999999 must be at most 1000000000 (FILE, line 5)",
    ),
    "a fraction for a count": (
        DATA + "[budget]\ntrials = 3.5\n",
        "budget.trials=3.5 must be a whole number of at least 1 (FILE, line 5)",
    ),
    "text for a count": (
        DATA + '[budget]\ntrials = "many"\n',
        "budget.trials='many' must be a whole number of at least 1 (FILE, line 5)",
    ),
    "truth for a count": (
        DATA + "[budget]\ntrials = true\n",
        "budget.trials=true must be a whole number of at least 1 (FILE, line 5)",
    ),
    "a date for a count": (
        DATA + "[budget]\ntrials = 1979-05-27\n",
        "budget.trials=1979-05-27 must be a whole number of at least 1 (FILE, line 5)",
    ),
    "a table for a count": (
        DATA + "[budget.trials]\nmost = 3\n",
        "budget.trials={most = 3} must be a whole number of at least 1 (FILE, line 4)",
    ),
    "an inline table": (
        "budget = { trial_timeout_s = 3, trials = 0 }\n" + DATA,
        "budget.trials=0 must be at least 1 (FILE, line 1)",
    ),
    "a dotted key": (
        "\nbudget.trials = 0\n" + DATA,
        "budget.trials=0 must be at least 1 (FILE, line 2)",
    ),
    "a quoted key": (
        DATA + '["budget"]\n"trials" = 0\n',
        "budget.trials=0 must be at least 1 (FILE, line 5)",
    ),
    "an indented section with comments": (
        DATA + "# more\n[ budget ] # here\n\n  trials = 0 # none\n",
        "budget.trials=0 must be at least 1 (FILE, line 7)",
    ),
    "text that looks like the key": (
        'question = """\n[budget]\ntrials = 0\n"""\n' + DATA + "[budget]\ntrials = 0\n",
        "budget.trials=0 must be at least 1 (FILE, line 9)",
    ),
    "a share of one": (
        DATA + "[verdict]\ntolerance = 1\n",
        "verdict.tolerance=1 must be below 1 (FILE, line 5)",
    ),
    "not a number": (
        DATA + "[bound]\nalpha = nan\n",
        "bound.alpha=nan must be a finite number above 0 (FILE, line 5)",
    ),
    "infinity": (
        DATA + "[budget]\ntrial_timeout_s = inf\n",
        "budget.trial_timeout_s=inf must be a finite number above 0 (FILE, line 5)",
    ),
    "an alpha of zero": (
        DATA + "[bound]\nalpha = 0\n",
        "bound.alpha=0 must be above 0 (FILE, line 5)",
    ),
    "truth for a number": (
        DATA + "[bound]\nalpha = false\n",
        "bound.alpha=false must be a number above 0 (FILE, line 5)",
    ),
    "a choice that is none": (
        DATA + '[bound]\nrule = "Formula"\n',
        "bound.rule='Formula' must be 'formula', 'freedom', 'strict' or 'off' (FILE, line 5)",
    ),
    "a number for a choice": (
        DATA + "[task]\nmetric = 3\n",
        "task.metric=3 must be 'mase', 'rmse', 'mae' or 'smape' (FILE, line 5)",
    ),
    "one step twice": (
        DATA + '[task]\ntransform = "log+log"\n',
        "task.transform='log+log' must be auto, none, or some of log, deseasonalise, difference,"
        " each once, joined by + (FILE, line 5)",
    ),
    "a negative lookback": (
        DATA + "[task]\nlookback = -1\n",
        "task.lookback=-1 must be at least 0 (FILE, line 5)",
    ),
    "no lookbacks": (
        DATA + "[task]\nlookback = []\n",
        "task.lookback=[] must hold at least one lookback, or be 0 for the default (FILE, line 5)",
    ),
    "a zero among lookbacks": (
        DATA + "[task]\nlookback = [0, 12]\n",
        "task.lookback=[0, 12] must be a whole number of at least 0, or a list, each a whole number"
        " of at least 1 (FILE, line 5)",
    ),
    "one number for a pair": (
        DATA + "[space]\nlayers = 2\n",
        "space.layers=2 must be a pair [low, high], each a whole number of at least 1 and at most 8"
        " (FILE, line 5)",
    ),
    "half a pair": (
        DATA + "[space]\nlayers = [1]\n",
        "space.layers=[1] must be a pair [low, high], each a whole number of at least 1 and at most"
        " 8 (FILE, line 5)",
    ),
    "three for a pair": (
        DATA + "[space]\ncells = [1, 2, 3]\n",
        "space.cells=[1, 2, 3] must be a pair [low, high], each a whole number of at least 1 and at"
        " most 4096 (FILE, line 5)",
    ),
    "truth in a pair": (
        DATA + "[space]\nlayers = [true, 2]\n",
        "space.layers=[true, 2] must be a pair [low, high], each a whole number of at least 1 and"
        " at most 8 (FILE, line 5)",
    ),
    "a pair over many lines": (
        DATA + '[space]\ncells = [\n  5,\n  "x",\n]\n',
        "space.cells=[5, 'x'] must be a pair [low, high], each a whole number of at least 1 and at"
        " most 4096 (FILE, line 5)",
    ),
    "a falling pair": (
        DATA + "[space]\nlearning_rate = [0.1, 0.01]\n",
        "space.learning_rate=[0.1, 0.01] must go from low to high (FILE, line 5)",
    ),
    "a rate of neither kind": (
        DATA + "[space]\nlearning_rate = [0.0, nan]\n",
        "space.learning_rate=[0.0, nan] must be a finite number above 0, or a pair [low, high],"
        " each a finite number above 0 (FILE, line 5)",
    ),
    "a dropout of one": (
        DATA + "[space]\ndropout = 1.0\n",
        "space.dropout=1.0 must be below 1 (FILE, line 5)",
    ),
    "a name with a space": (
        'name = "my study"\n' + DATA,
        "name='my study' must be at most 100 letters, digits, dots, underscores and hyphens (no"
        " spaces), the first a letter or digit (FILE, line 1)",
    ),
    "a number for a name": ("name = 3\n" + DATA, "name=3 must be text (FILE, line 1)"),
    "a long value": (
        f"question = ['{'x' * 300}']\n" + DATA,
        f"question=['{'x' * 55}... must be text (FILE, line 1)",
    ),
    "an open bracket": (
        DATA + "[budget\n",
        "not valid TOML: Expected ']' at the end of a table declaration: '[budget' (FILE, line 4)",
    ),
    "text without quotes": (
        "name = airline\n" + DATA,
        "not valid TOML: Invalid value: 'name = airline' (FILE, line 1); text stands in quotes",
    ),
    "a key set twice": (
        DATA + "[budget]\ntrials = 3\ntrials = 4\n",
        "not valid TOML: Cannot overwrite a value: 'trials = 4' (FILE, line 6); each key is set"
        " once",
    ),
    "a section opened twice": (
        DATA + "[data]\n",
        "not valid TOML: Cannot declare ('data',) twice: '[data]' (FILE, line 4); each section is"
        " opened once",
    ),
    "text that does not end": (
        'name = """x\n',
        "not valid TOML: Unterminated string (at end of document) (FILE)",
    ),
    "a thousand brackets": (
        "name = " + "[" * 3000,
        "not valid TOML: nested too deeply (FILE)",
    ),
}


@pytest.mark.parametrize(("text", "said"), BROKEN.values(), ids=BROKEN)
def test_a_broken_study_is_refused_with_key_value_remedy_and_line(
    tmp_path: Path, text: str, said: str
) -> None:
    assert complaint(tmp_path, text) == said


@pytest.mark.parametrize("digits", ["9" * 400, "9" * 5000, "0x" + "f" * 9000])
def test_a_number_of_thousands_of_digits_is_refused_in_one_short_line(
    tmp_path: Path, digits: str
) -> None:
    for key in ("budget.trials", "bound.alpha", "space.cells", "name", "budget"):
        assert len(complaint(tmp_path, f"{key} = {digits}\n{DATA}")) < 300


def test_only_the_first_mistake_is_told(tmp_path: Path) -> None:
    found = complaint(tmp_path, DATA + "[budget]\ntrials = 0\nmore = 1\n")
    assert found == "budget.trials=0 must be at least 1 (FILE, line 5)"


def test_the_parts_of_a_message_are_data(tmp_path: Path) -> None:
    path = written(tmp_path, "name = airline\n" + DATA)
    with pytest.raises(SpecError) as caught:
        read_study(path)
    assert caught.value.problem == "not valid TOML: Invalid value: 'name = airline'"
    assert caught.value.where == f"{path}, line 1"
    assert caught.value.remedy == "text stands in quotes"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the study file: No such file") as caught:
        read_study(tmp_path / "none.toml")
    assert caught.value.where == str(tmp_path / "none.toml")


def test_a_folder_is_no_study_file(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the study file: Is a directory"):
        read_study(tmp_path)


def test_a_path_with_a_nul_is_no_study_file() -> None:
    with pytest.raises(SpecError, match="cannot read the study file: embedded null"):
        read_study(Path("a\0.toml"))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes("name = 'Zürich'".encode("latin-1"))
    with pytest.raises(SpecError, match="must be UTF-8 text"):
        read_study(path)


def test_a_file_over_a_megabyte_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="must be under 1 MB"):
        read_study(written(tmp_path, "#" * 1_000_001))


def test_a_mistake_below_the_thousandth_line_is_told_without_its_line(tmp_path: Path) -> None:
    found = complaint(tmp_path, DATA + "\n" * 1000 + "[budget]\ntrials = 0\n")
    assert found == "budget.trials=0 must be at least 1 (FILE)"


WRONG_WORDS = {
    "trials": ("many", "budget.trials='many' must be a whole number of at least 1 (--trials)"),
    "max_steps": ("0", "training.max_steps='0' must be at least 1 (--max-steps)"),
    "metric": ("mse", "task.metric='mse' must be 'mase', 'rmse', 'mae' or 'smape' (--metric)"),
    "layers": (
        "1-3",
        "space.layers='1-3' must be a pair LOW:HIGH, each a whole number of at least 1 and at most"
        " 8 (--layers)",
    ),
    "cells": ("9:2", "space.cells=['9', '2'] must go from low to high (--cells)"),
    "name": (
        "a b",
        "name='a b' must be at most 100 letters, digits, dots, underscores and hyphens (no spaces),"
        " the first a letter or digit (--name)",
    ),
}


@pytest.mark.parametrize(("leaf", "word", "said"), [(k, *v) for k, v in WRONG_WORDS.items()])
def test_a_wrong_option_is_named_as_it_is_typed(leaf: str, word: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_study(SMALL, from_words({leaf: word}))
    assert str(caught.value) == said


def test_a_wrong_keyword_is_named_as_python_writes_it() -> None:
    with pytest.raises(SpecError) as caught:
        build_study(SMALL, {"training.max_steps": 0})
    assert str(caught.value) == "training.max_steps=0 must be at least 1 (keyword max_steps)"


def test_the_mapping_that_is_given_stays_as_it_was() -> None:
    tree = {"data": {"source": "a.csv", "target": "y"}, "budget": {"trials": 3}}
    build_study(tree, {"budget.trials": 4, "data.time": "t"})
    assert tree == {"data": {"source": "a.csv", "target": "y"}, "budget": {"trials": 3}}


@pytest.mark.parametrize(
    ("key", "line"),
    [(("a",), 1), (("b", "x"), 3), (("b", "y"), 4), (("b", "z"), 8), (("c", "v"), 9), (("d",), 0)],
)
def test_a_key_stands_on_the_line_where_it_begins(key: tuple[str, ...], line: int) -> None:
    text = "a = 1\n[b]\nx = 1\ny = [\n 1,\n 2]\n\nz = 2\n[c.v]\n"
    assert line_of(key, text) == line


def test_windows_line_ends_count_as_one(tmp_path: Path) -> None:
    text = (DATA + "[budget]\ntrials = 0\n").replace("\n", "\r\n")
    path = tmp_path / "study.toml"
    path.write_bytes(text.encode())
    with pytest.raises(SpecError, match="line 5"):
        read_study(path)
