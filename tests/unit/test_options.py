"""Every value of a study has an option on the command line and a keyword in Python."""

from collections import Counter
from typing import Any

import pytest
from cyclopts import CycloptsError

from hpo import cli, study_commands
from hpo.errors import SpecError
from hpo.spec.options import from_keywords, from_words, options
from hpo.spec.study import Study
from hpo.spec.toml import build_study
from hpo.spec.wording import known_keys

SECTIONS = {key.split(".")[0] for key in known_keys() if "." in key}
LEAVES = [key for key in known_keys() if key not in SECTIONS and key != "data.source"]
SMALL = {"data": {"source": "a.csv", "target": "y"}}

TYPED: dict[str, tuple[str, Any]] = {
    "name": ("gdp", "gdp"),
    "question": ("Is oil harder?", "Is oil harder?"),
    "target": ("sales", "sales"),
    "time": ("month", "month"),
    "series": ("shop", "shop"),
    "covariates": ("a, b", ["a", "b"]),
    "season": ("12", 12),
    "test": ("24", 24),
    "kind": ("forecast", "forecast"),
    "horizon": ("12", 12),
    "lookback": ("12,24", [12, 24]),
    "strategy": ("direct", "direct"),
    "transform": ("log+difference", "log+difference"),
    "metric": ("mae", "mae"),
    "layers": ("1:2", [1, 2]),
    "cells": ("8", [8, 8]),
    "learning_rate": ("1e-4:1e-1", [1e-4, 1e-1]),
    "weight_decay": ("1e-3", 1e-3),
    "dropout": ("0:0.5", [0.0, 0.5]),
    "rule": ("strict", "strict"),
    "alpha": ("5", 5.0),
    "alpha_max": ("20", 20.0),
    "alpha_min": ("1", 1.0),
    "max_steps": ("300", 300),
    "batch_size": ("16", 16),
    "patience": ("5", 5),
    "engine": ("torch", "torch"),
    "device": ("cpu", "cpu"),
    "trials": ("9", 9),
    "trial_timeout_s": ("60", 60.0),
    "folds": ("2", 2),
    "seeds": ("1", 1),
    "sampler": ("random", "random"),
    "seed": ("7", 7),
    "tolerance": ("0.02", 0.02),
    "target_score": ("0.5", 0.5),
}


def parsed(*words: str) -> dict[str, str]:
    """The options of a study that `hpo WORDS` was given, as typed."""
    _, bound, _ = cli.app.parse_args(words, exit_on_error=False, print_error=False)
    return {leaf: word for leaf, word in vars(bound.arguments["options"]).items() if word}


def test_no_two_keys_share_their_last_part() -> None:
    assert Counter(key.rpartition(".")[2] for key in LEAVES).most_common(1)[0][1] == 1


def test_every_key_but_the_source_has_an_option_that_says_what_it_is() -> None:
    assert [option.key for option in options().values()] == LEAVES
    for leaf, option in options().items():
        assert len(option.help) > 10, leaf
        assert option.help != option.key.replace(".", " ")


def test_every_option_is_tried_below() -> None:
    assert list(TYPED) == list(options())


@pytest.mark.parametrize("command", ["run", "check", "benchmark"])
@pytest.mark.parametrize("leaf", list(TYPED))
def test_an_option_is_its_keys_name_with_dashes(command: str, leaf: str) -> None:
    word, value = TYPED[leaf]
    typed = parsed(command, "a.csv", f"--{leaf.replace('_', '-')}", word)
    assert typed == {leaf: word}
    assert build_study(SMALL, from_words(typed)).flat()[options()[leaf].key] == value


@pytest.mark.parametrize("leaf", list(TYPED))
def test_a_keyword_is_its_keys_name(leaf: str) -> None:
    _, value = TYPED[leaf]
    study = build_study(SMALL, from_keywords({leaf: value}))
    assert study.flat()[options()[leaf].key] == value


@pytest.mark.parametrize("leaf", [leaf for leaf in TYPED if options()[leaf].default])
def test_a_default_is_told_as_it_would_be_typed(leaf: str) -> None:
    default = Study.model_validate(SMALL)
    assert build_study(SMALL, from_words({leaf: options()[leaf].default})) == default


def test_options_in_any_number_and_order_come_together() -> None:
    typed = parsed("run", "--trials", "9", "a.csv", "--workers", "2", "--cells=2:64", "--quiet")
    assert typed == {"trials": "9", "cells": "2:64"}


def test_no_covariates_can_be_typed() -> None:
    tree = {"data": {"source": "a.csv", "target": "y", "covariates": ["x"]}}
    assert build_study(tree, from_words({"covariates": ""})).data.covariates == ()


def test_a_value_may_begin_with_a_minus() -> None:
    with pytest.raises(SpecError, match=r"search.seed='-1' must be at least 0 \(--seed\)"):
        build_study(SMALL, from_words(parsed("check", "a.csv", "--seed", "-1")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "a.csv", "--trails", "9"], "trials"),
        (["check", "a.csv", "--trials"], "--trials"),
        (["check"], "SOURCE"),
        (["run", "a.csv", "--workers", "many"], "--workers"),
        (["chek", "a.csv"], "check"),
        (["check", "a.csv", "b.csv"], "b.csv"),
    ],
)
def test_wrong_words_end_with_two_and_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CycloptsError):
        cli.app.parse_args(words, exit_on_error=False, print_error=False)
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err


@pytest.mark.parametrize("error", [SpecError("no", remedy="yes"), KeyboardInterrupt()])
def test_an_error_is_one_line_with_its_exit_code(
    error: BaseException, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(study_commands, "_ask", fail)
    code = cli.main(["check", "a.csv"])
    said = capsys.readouterr().err
    assert (code, said) in [(2, "hpo: no; yes\n"), (130, "hpo: interrupted\n")]


def test_an_unknown_keyword_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        from_keywords({"trails": 9})
    assert str(caught.value) == "unknown keyword 'trails'; the nearest is 'trials'"


def test_a_keyword_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(SpecError, match="'zzz'; there are name, question, target, time"):
        from_keywords({"zzz": 9})


def test_the_source_is_no_option() -> None:
    assert "source" not in options()
    with pytest.raises(SpecError, match="unknown keyword 'source'"):
        from_keywords({"source": "a.csv"})


@pytest.mark.parametrize("name", ["run", "check", "benchmark"])
def test_a_command_that_is_loaded_late_is_listed_with_its_own_words(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = getattr(study_commands, name).__doc__
    assert cli.main(["--help"]) == 0
    listed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"{name} {said}" in listed
