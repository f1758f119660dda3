"""The answer has the keys that others build on, and no value stands in for one not known."""

import json

import pytest
from pydantic import ValidationError

from hpo.spec.answer import Answer, TargetReached, TrialCounts

KEYS = """
study state task trial layers cells cells_tied layers_probability learning_rate weight_decay
dropout lookback horizon strategy steps transform alpha bound weights degrees_of_freedom
alpha_path gap ladder effective_parameters metric score score_se score_corrected
detectable_difference test_score
test_se test_origins benchmarks benchmarks_test best_benchmark best_benchmark_corrected
lstm_justified target_score importance reasons warnings trials networks wall_s device engine seed
fingerprint versions model report storage
""".split()  # noqa: SIM905


def an_open_answer() -> Answer:
    return Answer(
        study="airline",
        state="running",
        task={"kind": "forecast"},
        horizon=1,
        alpha=2.0,
        metric="mase",
        seed=0,
        fingerprint="0" * 64,
    )


def test_the_answer_has_exactly_the_keys_of_its_contract() -> None:
    assert list(an_open_answer().model_dump()) == KEYS


def test_what_is_not_known_is_null() -> None:
    found = json.loads(an_open_answer().model_dump_json())
    for key in ("layers", "cells", "score", "test_score", "lstm_justified", "model", "report"):
        assert found[key] is None


def test_an_answer_comes_back_from_its_json() -> None:
    target = TargetReached(target=0.9, cells=(3,), score=0.88, layers=1, fresh_seeds=True)
    answer = an_open_answer().model_copy(
        update={
            "cells": (8, 4),
            "cells_tied": (2, 12),
            "benchmarks": {"naive": 1.0},
            "target_score": target,
            "importance": {"learning_rate": 0.5, "cells": 0.5, "layers": 0.0},
        }
    )
    assert Answer.model_validate_json(answer.model_dump_json()) == answer


def test_the_answer_of_an_older_hpo_is_read_with_what_it_did_not_know_as_null() -> None:
    tree = json.loads(an_open_answer().model_dump_json())
    later = "effective_parameters score_corrected detectable_difference best_benchmark_corrected"
    for key in (*later.split(), "target_score", "importance"):
        assert tree.pop(key) is None
    assert Answer.model_validate_json(json.dumps(tree)) == an_open_answer()


def test_two_answers_share_no_mapping() -> None:
    one, other = an_open_answer(), an_open_answer()
    assert one.benchmarks is not other.benchmarks


def test_an_answer_has_no_other_keys() -> None:
    tree = {**an_open_answer().model_dump(), "extra": 1}
    with pytest.raises(ValidationError, match="extra"):
        Answer.model_validate(tree)


def test_ended_trials_are_of_four_kinds() -> None:
    assert TrialCounts(complete=1, pruned=20, infeasible=300, failed=4000).ended == 4321
