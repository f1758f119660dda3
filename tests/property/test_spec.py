"""What holds for every study and every text that claims to be one."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.errors import SpecError
from hpo.spec.options import as_words, from_words
from hpo.spec.study import Study
from hpo.spec.toml import build_study, read_study
from hpo.spec.wording import known_keys

columns = st.lists(st.text(min_size=1, max_size=5), min_size=4, max_size=7, unique=True)
steps = st.integers(0, 10**9)
rates = st.floats(1e-300, 1e300)


def rising(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(numbers, numbers).map(sorted)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A right study as nested mappings, every key of it drawn."""
    target, time, series, *covariates = draw(columns)
    shares = st.floats(0, 1, exclude_max=True)
    return {
        "name": draw(st.from_regex(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})?", fullmatch=True)),
        "question": draw(st.text()),
        "data": {
            "source": draw(
                st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
            ),
            "target": target,
            "time": draw(st.sampled_from(["", time])),
            "series": draw(st.sampled_from(["", series])),
            "covariates": covariates,
            "season": draw(steps),
            "test": draw(steps),
        },
        "task": {
            "horizon": draw(st.integers(1, 10**9)),
            "lookback": draw(steps | st.lists(st.integers(1, 10**9), min_size=1)),
            "strategy": draw(st.sampled_from(["auto", "direct", "recursive"])),
            "transform": draw(st.sampled_from(["auto", "none", "difference+log"])),
            "metric": draw(st.sampled_from(["mase", "rmse", "mae", "smape"])),
        },
        "space": {
            "layers": draw(rising(st.integers(1, 8))),
            "cells": draw(rising(st.integers(1, 4096))),
            "learning_rate": draw(rates | rising(rates)),
            "weight_decay": draw(st.just(0) | rates | rising(rates)),
            "dropout": draw(shares | rising(shares)),
        },
        "bound": {
            "rule": draw(st.sampled_from(["formula", "freedom", "strict", "off"])),
            "alpha": draw(rates),
            "alpha_max": draw(rates),
            "alpha_min": draw(rates),
        },
        "budget": {"trials": draw(st.integers(1, 10**6)), "trial_timeout_s": draw(rates)},
        "search": {"seed": draw(st.integers(0, 2**32 - 1))},
        "verdict": {"tolerance": draw(shares), "target_score": draw(st.just(0) | rates)},
    }


@given(trees())
def test_a_study_comes_back_from_its_json(tree: dict[str, Any]) -> None:
    study = build_study(tree)
    for back in (
        Study.model_validate_json(study.model_dump_json()),
        Study.model_validate(json.loads(json.dumps(study.model_dump(mode="json")))),
        build_study({}, study.flat()),
    ):
        assert back == study
        assert back.fingerprint() == study.fingerprint()
        assert back.differences(study) == []


@given(trees(), trees())
def test_studies_differ_exactly_when_their_fingerprints_do(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    here, there = build_study(one), build_study(other)
    assert bool(here.differences(there)) == (here.fingerprint() != there.fingerprint())


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "study.toml"


def refusal(file: Path, text: bytes) -> SpecError | None:
    """Why this study file is refused; None if it is not."""
    file.write_bytes(text)
    try:
        read_study(file)
    except SpecError as error:
        return error
    return None


def is_one_short_line(error: SpecError, file: Path) -> bool:
    said = str(error)
    return str(file) in said and len(said.splitlines()) == 1 and len(said) < 500 + len(str(file))


@given(text=st.binary() | st.text().map(str.encode))
def test_any_text_is_read_or_refused(file: Path, text: bytes) -> None:
    error = refusal(file, text)
    assert error is None or is_one_short_line(error, file)


whole = st.sampled_from(
    [
        *("0", "1", "-1", "2.5", "-0.0", "1e400", "nan", "inf", "-inf", "true", "false", "''"),
        *("'x'", "1979-05-27", "07:32:00", "[]", "[1]", "[1, 2]", "[2, 1]", "[1, 2, 3]", "{}"),
        *("['a', 'b']", "[[1], [2]]", "[1.5, 2.5]", "[nan, 1]", "{a = 1}", "9" * 20),
        *("0x" + "f" * 20, '"\\u0000"'),
    ]
)
torn = st.sampled_from(["[", "{", "}", "'", '"""', "[1,", "", "#"])
keys = st.sampled_from([*known_keys(), *(key.rpartition(".")[2] for key in known_keys())])
lines = st.one_of(
    st.tuples(keys, whole | torn).map(" = ".join),
    keys.map("[{}]".format),
    keys.map("[[{}]]".format),
    st.text("abc.='\"[]{}\n#\\ \t", max_size=12),
)


@given(text=st.lists(lines, max_size=12).map("\n".join))
@settings(max_examples=300)
def test_any_jumble_of_keys_and_values_is_read_or_refused(file: Path, text: str) -> None:
    error = refusal(file, text.encode())
    assert error is None or is_one_short_line(error, file)


decided = [key for key in known_keys() if "." in key and not key.startswith("data.")]


@given(key=st.sampled_from(decided), value=whole, before=st.integers(0, 9))
def test_a_wrong_value_is_refused_by_the_number_of_its_line(
    file: Path, key: str, value: str, before: int
) -> None:
    text = "#\n" * before + f"{key} = {value}\n[data]\nsource = 'a.csv'\ntarget = 'y'\n"
    error = refusal(file, text.encode())
    assert error is None or error.where == f"{file}, line {before + 1}"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(known_keys()), values, max_size=4))
def test_any_python_values_are_taken_or_refused(overrides: dict[str, Any]) -> None:
    said = ""
    try:
        study = build_study({"data": {"source": "a.csv", "target": "y"}}, overrides)
        assert Study.model_validate_json(study.model_dump_json()) == study
    except SpecError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1


WORDY = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)


@given(trees(), st.lists(WORDY, min_size=5, max_size=7, unique=True))
def test_the_options_of_a_study_ask_for_this_study(tree: dict[str, Any], names: list[str]) -> None:
    target, time, series, *covariates = names
    tree["data"] |= {"target": target, "time": time, "series": series, "covariates": covariates}
    if tree["task"]["lookback"] != 0 and isinstance(tree["task"]["lookback"], list):
        tree["task"]["lookback"] += [1, 2]  # a list of one is that one, in words
    study = build_study(tree)
    words = as_words(study)
    typed = {
        name.removeprefix("--").replace("-", "_"): value
        for name, value in zip(words[::2], words[1::2], strict=True)
    }
    source = {"data": {"source": study.data.source}}
    assert build_study(source, from_words(typed)) == study
