"""No trial of any sampler under any rule has a network over the bound or outside the space."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, create_trial

from hpo.data.prepare import Prepared
from hpo.search.space import distributions, into_bound, to_candidate
from hpo.search.suggestion import suggest_together
from hpo.sizing.bound import fits
from hpo.training.device import use_threads
from tests.unit.search.fake_trainer import tiny_prepared

TRIALS = 200
RULES: dict[str, dict[str, Any]] = {
    "formula": {"alpha": 2.0},
    "formula, small": {"rule": "formula", "alpha": 8.0},
    "freedom": {"rule": "freedom", "alpha": 1.0},
    "strict": {"rule": "strict", "alpha": 0.2},
    "strict, small": {"rule": "strict", "alpha": 0.7},
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    use_threads(1)


def prepared_under(rule: str, sampler: str, layers: tuple[int, int]) -> Prepared:
    return tiny_prepared(
        bound=RULES[rule],
        search={"sampler": sampler},
        space={"layers": layers, "dropout": (0.0, 0.3)},
        task={"lookback": [4, 6]},
    )


def trials(prepared: Prepared, count: int) -> list[FrozenTrial]:
    """A study of `count` trials whose scores favour large networks; every ninth is infeasible."""
    found: list[FrozenTrial] = []
    looks_back = prepared.study.search.sampler in ("tpe", "gp")
    for number in range(count):
        [params] = suggest_together(prepared, found if looks_back else [], [number])
        cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
        made = create_trial(
            value=math.inf if number % 9 == 8 else 1 / sum(cells),
            params=params,
            distributions=distributions(prepared),  # refuses what is outside
            system_attrs={"constraints:infeasible": 1.0} if number % 9 == 8 else {},
        )
        made.number = number
        found.append(made)
    return found


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    ("sampler", "layers", "count"),
    [
        ("tpe", (1, 3), 40),
        ("random", (2, 3), TRIALS),
        ("grid", (2, 3), TRIALS),
        ("gp", (2, 3), 13),  # the last three from a model
    ],
)
def test_every_trial_is_inside_the_bound_and_the_space(
    rule: str, sampler: str, layers: tuple[int, int], count: int
) -> None:
    prepared = prepared_under(rule, sampler, layers)
    found = trials(prepared, count)
    assert len(found) == count
    for trial in found:
        cells = to_candidate(trial.params, prepared.study, prepared.lookbacks).cells
        assert fits(cells, prepared.limit), f"trial {trial.number}: {cells}"
        assert min(cells) >= prepared.study.space.cells[0]
    assert {str(t.distributions) for t in found} == {str(distributions(prepared))}


def test_two_hundred_trials_of_tpe_are_inside_the_bound() -> None:
    prepared = prepared_under("strict", "tpe", (1, 3))
    cells = [
        to_candidate(trial.params, prepared.study, prepared.lookbacks).cells
        for trial in trials(prepared, TRIALS)
    ]
    assert all(fits(c, prepared.limit) for c in cells)
    assert any(not fits((c[0] + 1, *c[1:]), prepared.limit) for c in cells)  # the bound is felt


@given(
    layers=st.integers(1, 3),
    cells=st.tuples(*[st.integers(2, 128)] * 3),
    rule=st.sampled_from(list(RULES)),
)
@settings(deadline=None)
def test_any_parameters_are_projected_once_and_for_all(
    layers: int, cells: tuple[int, int, int], rule: str
) -> None:
    prepared = PREPARED[rule]
    asked = {"layers": layers, "learning_rate": 0.01, "dropout": 0.0, "lookback": 4}
    asked |= {f"cells_{n}": c for n, c in enumerate(cells, start=1)}
    found = into_bound(asked, prepared)
    kept = to_candidate(found, prepared.study, prepared.lookbacks).cells
    assert fits(kept, prepared.limit)
    assert into_bound(found, prepared) == found
    assert np.all(np.array(kept) <= np.array(cells[: len(kept)]))


PREPARED = {rule: prepared_under(rule, "tpe", (1, 3)) for rule in RULES}
