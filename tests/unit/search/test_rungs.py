"""The ladder as parameters of trials, and the phases of a search."""

import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.data.prepare import Prepared
from hpo.search.known import Known
from hpo.search.objective import origins_of
from hpo.search.phases import PHASE_TRIALS, at_the_bound, standing
from hpo.search.rungs import climb_on, ladder_of, params_of, rung_of, tuned_values
from hpo.search.space import Params, distributions, to_candidate
from hpo.search.suggestion import SearchEnded, suggest_together
from hpo.sizing.ladder import Rung
from tests.unit.search.fake_trainer import tiny_prepared


def prepared_for(
    sampler: str = "ladder", *, rows: int = 200, **sections: dict[str, object]
) -> Prepared:
    return tiny_prepared(rows=rows, search={"sampler": sampler}, **sections)


def trial(prepared: Prepared, params: Params, number: int) -> FrozenTrial:
    made = create_trial(
        state=TrialState.COMPLETE,
        value=1.0,
        params=params,
        distributions=distributions(prepared),
    )
    made.number = number
    return made


def known(prepared: Prepared, level: float, *, gap: float = 1.0, seed: int = 0) -> Known:
    """Networks of this score that forecast with `gap` times their training error."""
    seeds, folds = prepared.study.validation.seeds, len(prepared.folds)
    origins = origins_of(prepared.folds, 1).fold_O.size
    noise = np.random.default_rng(seed).normal(0, 0.01, (seeds, origins))
    return Known(
        losses_SO=level + noise,
        train_SF=np.full((seeds, folds), level),
        valid_SF=np.full((seeds, folds), gap * level),
    )


def searched(
    prepared: Prepared, levels: Mapping[int, float], *, gap: float = 1.0
) -> tuple[list[FrozenTrial], dict[int, Known]]:
    """Every trial of a ladder that ends, of networks whose score is that of their cells."""
    trials: list[FrozenTrial] = []
    shown: dict[int, Known] = {}
    while True:
        now_at = standing(prepared, trials, shown)
        try:
            wanted = suggest_together(now_at.prepared, trials, [len(trials)], climb=now_at.climb)
        except SearchEnded:
            return trials, shown
        for params in wanted:
            cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
            level = levels[max(c for c in levels if c <= sum(cells))]
            shown[len(trials)] = known(prepared, level, gap=gap)
            trials.append(trial(prepared, params, len(trials)))


def test_rates_of_learning_stand_half_a_decade_apart() -> None:
    rates = tuned_values(prepared_for())["learning_rate"]
    assert rates == pytest.approx([1e-3, 10**-2.5, 1e-2, 10**-1.5, 1e-1])
    fixed = prepared_for(space={"learning_rate": 0.02})
    assert tuned_values(fixed) == {"learning_rate": [0.02]}


def test_what_else_is_searched_is_tuned_too() -> None:
    prepared = prepared_for(
        space={"weight_decay": [1e-4, 1e-2], "dropout": [0.0, 0.4]}, task={"lookback": [4, 8]}
    )
    values = tuned_values(prepared)
    assert list(values) == ["learning_rate", "weight_decay", "dropout", "lookback"]
    assert values["weight_decay"] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert values["dropout"] == pytest.approx([0.0, 0.2, 0.4])
    assert values["lookback"] == [4, 8]
    assert ladder_of(prepared).start == (2, 1, 1, 1)


@pytest.mark.parametrize("cells", [(2,), (8, 4), (3, 3, 3)])
def test_a_rung_is_found_again_in_its_trial(cells: tuple[int, ...]) -> None:
    prepared = prepared_for()
    params = params_of(Rung(cells, (1,)), prepared)
    assert params.keys() == distributions(prepared).keys()
    assert rung_of(params, prepared) == Rung(cells, (1,))
    assert rung_of(params | {"learning_rate": 0.0123}, prepared) is None


def test_the_search_climbs_to_the_cells_that_pay_and_ends() -> None:
    prepared = prepared_for()
    trials, shown = searched(prepared, {2: 1.0, 4: 0.8, 8: 0.6})
    climb = climb_on(prepared, trials, shown)
    assert climb.has_ended
    assert climb.top.cells == (8,)
    sizes = [to_candidate(t.params, prepared.study, prepared.lookbacks).cells for t in trials]
    assert sizes[:4] == [(2,), (3,), (3,), (3,)]
    assert len(trials) < 25


def test_a_trial_that_could_not_be_trained_is_not_climbed_to() -> None:
    prepared = prepared_for()
    trials, shown = searched(prepared, {2: 1.0, 4: 0.8})
    lost = next(t.number for t in trials if t.params["cells_1"] == 4 and t.params["layers"] == 1)
    climb = climb_on(prepared, trials, {n: k for n, k in shown.items() if n != lost})
    assert climb.top.cells != (4,)


def test_what_others_have_running_is_not_suggested_again() -> None:
    prepared = prepared_for()
    climb = standing(prepared, [], {}).climb
    first = suggest_together(prepared, [], [0, 1], climb=climb)
    running = [trial(prepared, params, number) for number, params in enumerate(first)]
    then = suggest_together(prepared, [], [2, 3], climb=climb, running=running)
    assert not [params for params in then if params in first]


def test_more_workers_than_rungs_are_given_trials_by_tpe() -> None:
    prepared = prepared_for()
    many = suggest_together(prepared, [], list(range(8)), climb=standing(prepared, [], {}).climb)
    assert len(many) == 8
    assert all(params.keys() == distributions(prepared).keys() for params in many)


def test_a_wide_gap_at_the_top_raises_alpha_and_cuts_the_space() -> None:
    prepared = prepared_for(bound={"rule": "strict"})
    trials, shown = searched(prepared, {2: 1.0}, gap=3.0)
    found = standing(prepared, trials, shown, is_over=True)
    alphas = [phase.alpha for phase in found.path]
    assert alphas[0] == 2.0
    assert alphas == sorted(alphas)
    assert len(alphas) > 1
    assert found.prepared.limit.alpha == alphas[-1]
    assert all("times its training error" in phase.reason for phase in found.path)
    assert found.path[-1].bound is not None
    assert found.path[0].bound is not None
    assert found.path[-1].bound < found.path[0].bound


def test_without_a_gap_alpha_stays_where_it_is() -> None:
    prepared = prepared_for()
    trials, shown = searched(prepared, {2: 1.0, 4: 0.8})
    found = standing(prepared, trials, shown, is_over=True)
    assert [phase.alpha for phase in found.path] == [2.0]
    assert found.path[0].cells == (4,)


def test_at_the_bound_alpha_falls_where_the_study_allows_it_and_the_ladder_goes_on() -> None:
    levels = {cells: 1.0 / cells for cells in range(2, 129)}
    bound = {"rule": "strict", "alpha_min": 0.5}
    prepared = prepared_for(bound=bound, space={"layers": [1, 1]})
    trials, shown = searched(prepared, levels)
    found = standing(prepared, trials, shown, is_over=True)
    assert [phase.alpha for phase in found.path] == [2.0, 1.0, 0.7, 0.5]
    tops = [sum(phase.cells) for phase in found.path]
    assert tops == sorted(tops)
    assert tops[-1] > tops[0]


def test_other_samplers_end_a_phase_with_every_twelfth_trial() -> None:
    prepared = prepared_for("random", rows=1000, bound={"rule": "strict"})
    trials: list[FrozenTrial] = []
    shown: dict[int, Known] = {}
    alphas = []
    for number in range(3 * PHASE_TRIALS):
        now_at = standing(prepared, trials, shown)
        alphas.append(now_at.prepared.limit.alpha)
        [params] = suggest_together(now_at.prepared, trials, [number])
        trials.append(trial(prepared, params, number))
        shown[number] = known(prepared, 1.0, gap=3.0)
    assert alphas == [2.0] * 12 + [3.0] * 12 + [5.0] * 12
    at_end = standing(prepared, trials, shown, is_over=True)
    assert [phase.alpha for phase in at_end.path] == [2.0, 3.0, 5.0]
    assert at_end.path[-1].reason.endswith("alpha rises to 7, but the search has ended")
    assert at_end.prepared.limit.alpha == 5.0  # nothing was tried at 7


def test_a_phase_waits_for_its_trials_and_ends_with_the_search() -> None:
    prepared = prepared_for("random")
    params = suggest_together(prepared, [], list(range(PHASE_TRIALS)))
    trials = [trial(prepared, p, n) for n, p in enumerate(params)]
    shown = {n: known(prepared, 1.0 + n, seed=n) for n in range(PHASE_TRIALS)}
    assert standing(prepared, trials[:-1], shown).path == ()
    assert len(standing(prepared, trials[:-1], shown, is_over=True).path) == 1
    assert len(standing(prepared, trials, shown).path) == 1
    assert len(standing(prepared, trials, shown, is_over=True).path) == 1


def test_a_bound_that_is_off_has_no_alpha_to_move() -> None:
    prepared = prepared_for(bound={"rule": "off"})
    trials, shown = searched(prepared, {2: 1.0}, gap=3.0)
    found = standing(prepared, trials, shown, is_over=True)
    assert found.prepared.limit.alpha == 2.0
    assert found.path == ()
    assert math.isfinite(prepared.limit.alpha)
    assert not at_the_bound((64,), prepared.limit)


def test_what_a_phase_decided_stays_decided_whatever_comes_later() -> None:
    for seed in range(5):
        prepared = tiny_prepared(rows=60, search={"sampler": "random", "seed": seed})
        trials: list[FrozenTrial] = []
        shown: dict[int, Known] = {}
        told: list[list[str]] = []
        for number in range(3 * PHASE_TRIALS):
            now_at = standing(prepared, trials, shown)
            told.append([phase.reason for phase in now_at.path])
            [params] = suggest_together(now_at.prepared, trials, [number])
            trials.append(trial(prepared, params, number))
            shown[number] = known(prepared, 1.0 + 0.02 * (number % 5), gap=1.5, seed=number)
        for earlier, later in pairwise(told):
            assert later[: len(earlier)] == earlier


@pytest.mark.parametrize("value", [5e-4, 0.003, 0.02, 0.05])
def test_a_pair_of_equal_values_is_one_value(value: float) -> None:
    prepared = prepared_for(space={"weight_decay": [value, value]})
    assert tuned_values(prepared)["weight_decay"] == [value]
    trials, _ = searched(prepared, {2: 1.0})
    assert len(trials) < 20


def test_rates_that_all_diverge_are_left_for_lower_ones() -> None:
    prepared = prepared_for(space={"learning_rate": [1e-5, 10.0]})
    trials: list[FrozenTrial] = []
    shown: dict[int, Known] = {}
    while True:
        climb = climb_on(prepared, trials, shown)
        if climb.has_ended:
            break
        for rung in climb.wanted:
            params = params_of(rung, prepared)
            if params["learning_rate"] < 2e-3:
                shown[len(trials)] = known(prepared, 1.0, seed=len(trials))
            trials.append(trial(prepared, params, len(trials)))
    assert len(shown) > 3
    assert tuned_values(prepared)["learning_rate"][climb.top.setting[0]] < 2e-3
