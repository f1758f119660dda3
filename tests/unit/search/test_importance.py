"""Importance says which of learning rate, cells and layers set the best trials apart."""

import numpy as np
import optuna
import pytest

from hpo.search.importance import FEWEST_TRIALS, importance
from hpo.spec.candidate import Candidate

optuna.logging.set_verbosity(optuna.logging.ERROR)


def trials(count: int = 60, *, by: str = "learning_rate") -> list[tuple[Candidate, float]]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        cells = tuple(int(c) for c in rng.integers(2, 20, size=rng.integers(1, 4)))
        rate = float(10 ** rng.uniform(-3, -1))
        scores = {
            "learning_rate": abs(np.log10(rate) + 2),
            "cells": abs(np.log(sum(cells)) - np.log(12)),
            "layers": float(len(cells)),
        }
        candidate = Candidate(cells=cells, learning_rate=rate, lookback=12)
        found.append((candidate, float(scores[by] + 0.01 * rng.random())))
    return found


@pytest.mark.parametrize("cause", ["learning_rate", "cells", "layers"])
def test_what_decides_the_score_is_the_most_important(cause: str) -> None:
    found = importance(trials(by=cause))
    assert found is not None
    assert max(found, key=lambda name: found[name]) == cause
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert list(found) == ["learning_rate", "cells", "layers"]


def test_few_trials_tell_nothing() -> None:
    assert importance(trials(FEWEST_TRIALS - 1)) is None
    assert importance(trials(FEWEST_TRIALS)) is not None


def test_what_never_varied_has_no_importance() -> None:
    same_layers = [(c.model_copy(update={"cells": (sum(c.cells),)}), s) for c, s in trials()]
    found = importance(same_layers)
    assert found is not None
    assert found["layers"] == 0
    one = Candidate(cells=(3,), learning_rate=0.01, lookback=12)
    assert importance([(one, float(n)) for n in range(20)]) is None


def test_the_same_trials_have_the_same_importance() -> None:
    assert importance(trials()) == importance(trials())


def test_trials_that_are_all_as_good_tell_nothing() -> None:
    assert importance([(candidate, 1.0) for candidate, _ in trials(20)]) is None
