"""Suggestions: repeatable, and at home with every outcome."""

import math

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.data.prepare import Prepared
from hpo.search.space import Params, distributions, to_candidate
from hpo.search.suggestion import suggest_together
from hpo.training.device import use_threads
from tests.unit.search.fake_trainer import tiny_prepared

SAMPLERS = ["tpe", "gp", "random", "grid"]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    use_threads(1)


def prepared_for(sampler: str, seed: int = 0) -> Prepared:
    return tiny_prepared(search={"sampler": sampler, "seed": seed})


def trial(prepared: Prepared, params: Params, number: int) -> FrozenTrial:
    """Every fifth infeasible, every seventh pruned, the others better the fewer cells they have."""
    cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
    made = create_trial(
        state=TrialState.COMPLETE,
        value=math.inf if number % 5 == 4 else sum(cells) + 0.01 * number,
        params=params,
        distributions=distributions(prepared),
        system_attrs={"constraints:infeasible": 1.0} if number % 5 == 4 else {},
    )
    if number % 7 == 6:
        made.state, made.values = TrialState.PRUNED, None
    made.number = number
    return made


def history(count: int) -> list[FrozenTrial]:
    """Trials at random places."""
    prepared = prepared_for("random")
    return [
        trial(prepared, suggest_together(prepared, [], [number])[0], number)
        for number in range(count)
    ]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_history_and_number_give_the_same_parameters(sampler: str) -> None:
    prepared = prepared_for(sampler)
    known = history(16)
    once, again = (suggest_together(prepared, known, [16])[0] for _ in range(2))
    assert once == again


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_another_number_or_seed_gives_other_parameters(sampler: str) -> None:
    prepared = prepared_for(sampler)
    known = history(3)
    found = suggest_together(prepared, known, [3])[0]
    assert found != suggest_together(prepared, known, [4])[0]
    assert found != suggest_together(prepared_for(sampler, seed=1), known, [3])[0]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_first_two_are_one_layer_of_two_and_of_three_cells(sampler: str) -> None:
    prepared = prepared_for(sampler)
    found = [suggest_together(prepared, [], [number])[0] for number in (0, 1)]
    assert [(p["layers"], p["cells_1"]) for p in found] == [(1, 2), (1, 3)]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_history_of_infeasible_trials_only_is_no_obstacle(sampler: str) -> None:
    prepared = prepared_for(sampler)
    params = suggest_together(prepared, [], [0])[0]
    assert suggest_together(prepared, [trial(prepared, params, 4)] * 12, [12])[0]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_history_with_running_trials_is_no_obstacle(sampler: str) -> None:
    prepared = prepared_for(sampler)
    known = history(12)
    known[-1].state, known[-1].values = TrialState.RUNNING, None
    known[-1].datetime_complete = None
    assert suggest_together(prepared, known, [12])[0]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_history_is_left_as_it_is(sampler: str) -> None:
    prepared = prepared_for(sampler)
    known = history(12)
    before = [str(t) for t in known]
    suggest_together(prepared, known, [12])
    assert [str(t) for t in known] == before


def test_the_grid_goes_through_every_size_before_it_repeats_one() -> None:
    prepared = prepared_for("grid")
    found = [suggest_together(prepared, [], [number])[0] for number in range(2, 26)]
    assert len({(p["layers"], p["cells_1"]) for p in found}) > 12


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_trials_suggested_together_are_repeated_from_those_before_them(sampler: str) -> None:
    prepared, known = prepared_for(sampler), history(14)
    together = suggest_together(prepared, known, [14, 15, 16])
    assert together[0] == suggest_together(prepared, known, [14])[0]
    assert suggest_together(prepared, known, [14, 15]) == together[:2]
    assert len({str(params) for params in together}) == 3


def test_tpe_takes_trials_that_were_suggested_together_into_account() -> None:
    prepared, known, numbers = prepared_for("tpe"), history(14), range(14, 22)
    alone = [suggest_together(prepared, known, [number])[0] for number in numbers]
    assert suggest_together(prepared, known, numbers) != alone


def test_a_batch_may_begin_with_first_guesses_and_go_on_with_the_sampler() -> None:
    prepared = prepared_for("tpe")
    found = suggest_together(prepared, [], [0, 1, 2, 3])
    assert found[:2] == [
        suggest_together(prepared, [], [0])[0],
        suggest_together(prepared, [], [1])[0],
    ]
    assert suggest_together(prepared, [], [2, 3]) == found[2:]
