"""A study cannot exist wrongly, and knows what decides its answer."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from hpo.spec.study import Study, study_name


def a_study(**parts: Any) -> Study:
    return Study.model_validate({"data": {"source": "a.csv", "target": "y"}, **parts})


def leaves() -> Iterator[tuple[str, str]]:
    for section, field in Study.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from ((section, leaf) for leaf in kind.model_fields)


@pytest.mark.parametrize("name", ["a", "7", "airline", "A-b_c.d", "x" * 100, ""])
def test_a_plain_word_is_a_name(name: str) -> None:
    assert a_study(name=name).name == name


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "-a", ".a", "_a", "é", "a\n", "\n", " ", "x" * 101, "a\x00", "a:b"]
)
def test_what_is_no_plain_word_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError, match="letters, digits"):
        a_study(name=name)


def test_a_study_cannot_be_changed() -> None:
    study = a_study()
    with pytest.raises(ValidationError, match="frozen"):
        study.budget.trials = 3  # type: ignore[misc]


@pytest.mark.parametrize(("section", "leaf"), [*leaves()])
@pytest.mark.parametrize("truth", [True, False])
def test_truth_is_no_value_of_any_key(section: str, leaf: str, truth: bool) -> None:
    for value in (truth, [truth, truth]):
        with pytest.raises(ValidationError, match="no values of a study"):
            a_study(**{section: {"source": "a.csv", "target": "y", leaf: value}})


@pytest.mark.parametrize(
    ("section", "leaf"),
    [
        ("space", "learning_rate"),
        ("space", "weight_decay"),
        ("space", "dropout"),
        ("bound", "alpha"),
        ("bound", "alpha_min"),
        ("bound", "alpha_max"),
        ("budget", "trial_timeout_s"),
        ("verdict", "tolerance"),
        ("verdict", "target_score"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1.0, "", "x", None])
def test_a_number_is_finite_and_not_negative(section: str, leaf: str, value: object) -> None:
    with pytest.raises(ValidationError):
        a_study(**{section: {leaf: value}})


@pytest.mark.parametrize("leaf", ["layers", "cells", "learning_rate", "weight_decay", "dropout"])
@pytest.mark.parametrize("value", [[], [0.5], [1, 1, 1], [0.9, 0.1], ["a", "b"], [[1, 1]], {}])
def test_a_range_is_a_rising_pair(leaf: str, value: object) -> None:
    with pytest.raises(ValidationError):
        a_study(space={leaf: value})


def test_a_range_may_be_one_point() -> None:
    space = a_study(space={"layers": [2, 2], "cells": [5, 5], "dropout": [0.1, 0.1]}).space
    assert (space.layers, space.cells, space.dropout) == ((2, 2), (5, 5), (0.1, 0.1))


def test_lookbacks_are_sorted_and_each_is_searched_once() -> None:
    assert a_study(task={"lookback": [24, 6, 24]}).task.lookback == (6, 24)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("log", "log"),
        ("difference+log", "log+difference"),
        ("difference+deseasonalise+log", "log+deseasonalise+difference"),
    ],
)
def test_transforms_are_kept_in_the_order_they_are_done(asked: str, kept: str) -> None:
    assert a_study(task={"transform": asked}).task.transform == kept


@pytest.mark.parametrize("asked", ["", "+", "log+", "auto+log", "none+log", "sqrt", "LOG"])
def test_an_unknown_transform_is_refused(asked: str) -> None:
    with pytest.raises(ValidationError, match="auto, none"):
        a_study(task={"transform": asked})


@pytest.mark.parametrize(
    "parts",
    [
        {"question": "why \ud800?"},
        {"data": {"source": "a\udc80.csv", "target": "y"}},  # a file's name in another encoding
        {"data": {"source": "a.csv", "target": "y\udfff"}},
    ],
)
def test_text_that_no_database_takes_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be text in UTF-8"):
        a_study(**parts)


def test_the_fingerprint_does_not_see_name_question_and_place_of_the_data() -> None:
    moved = a_study(
        name="other", question="Why?", data={"source": "/elsewhere/b.csv", "target": "y"}
    )
    assert moved.fingerprint() == a_study().fingerprint()


CHANGES = {
    ("data", "target"): "z",
    ("data", "time"): "t",
    ("data", "series"): "s",
    ("data", "covariates"): ["x"],
    ("data", "season"): 12,
    ("data", "test"): 12,
    ("task", "horizon"): 2,
    ("task", "lookback"): 12,
    ("task", "strategy"): "direct",
    ("task", "transform"): "log",
    ("task", "metric"): "mae",
    ("space", "layers"): [1, 2],
    ("space", "cells"): [2, 64],
    ("space", "learning_rate"): 0.01,
    ("space", "weight_decay"): 0.1,
    ("space", "dropout"): 0.1,
    ("bound", "rule"): "strict",
    ("bound", "alpha"): 3.0,
    ("bound", "alpha_max"): 9.0,
    ("bound", "alpha_min"): 1.0,
    ("training", "max_steps"): 3,
    ("training", "batch_size"): 3,
    ("training", "patience"): 3,
    ("training", "engine"): "torch",
    ("training", "device"): "cpu",
    ("budget", "trials"): 3,
    ("budget", "trial_timeout_s"): 3.0,
    ("validation", "folds"): 3,
    ("validation", "seeds"): 2,
    ("search", "sampler"): "gp",
    ("search", "seed"): 1,
    ("verdict", "tolerance"): 0.1,
    ("verdict", "target_score"): 0.1,
}


def changed(section: str, leaf: str) -> Study:
    tree = a_study().model_dump(mode="json")
    tree[section][leaf] = CHANGES[section, leaf]
    return Study.model_validate(tree)


def test_every_key_that_can_be_changed_is_tried_below() -> None:
    fixed = {("data", "source"), ("task", "kind")}
    assert {*leaves()} == {*CHANGES} | fixed


@pytest.mark.parametrize(("section", "leaf"), [*CHANGES])
def test_every_value_that_decides_the_answer_is_in_the_fingerprint(section: str, leaf: str) -> None:
    assert changed(section, leaf).fingerprint() != a_study().fingerprint()


@pytest.mark.parametrize(("section", "leaf"), [*CHANGES])
def test_a_difference_names_the_key_and_both_values(section: str, leaf: str) -> None:
    here, there = a_study(), changed(section, leaf)
    key = f"{section}.{leaf}"
    said = f"{key}: {here.flat()[key]!r} here, {there.flat()[key]!r} there"
    assert here.differences(there) == [said]


def test_studies_that_ask_the_same_do_not_differ() -> None:
    other = a_study(name="other", question="Why?", data={"source": "b.csv", "target": "y"})
    assert a_study().differences(other) == []


@given(st.text(max_size=200), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_name_made_from_a_file_is_always_a_name(stem: str, fingerprint: str) -> None:
    name = study_name(stem, fingerprint)
    assert a_study(name=name).name == name
    assert name.endswith(f"-{fingerprint[:6]}")


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("airline", "airline-abcdef"),
        ("my sales (2)", "my-sales-2-abcdef"),
        ("..", "study-abcdef"),
        ("銷售", "study-abcdef"),
        ("x" * 300, "x" * 80 + "-abcdef"),
    ],
)
def test_a_name_made_from_a_file_resembles_it(stem: str, name: str) -> None:
    assert study_name(stem, "abcdef0123") == name
