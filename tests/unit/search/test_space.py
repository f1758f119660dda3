"""The space: parameters with fixed limits, networks inside the bound."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.search.space import distributions, first_guesses, into_bound, to_candidate
from hpo.sizing.bound import fits
from hpo.spec.candidate import Candidate
from tests.unit.search.fake_trainer import tiny_prepared


def test_the_parameters_are_layers_all_cells_and_the_learning_rate() -> None:
    assert distributions(tiny_prepared()) == {
        "layers": IntDistribution(1, 3),
        "cells_1": IntDistribution(2, 128, log=True),
        "cells_2": IntDistribution(2, 128, log=True),
        "cells_3": IntDistribution(2, 128, log=True),
        "learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
    }


def test_pairs_and_lists_are_searched_and_single_values_are_not() -> None:
    prepared = tiny_prepared(
        space={"weight_decay": (1e-6, 1e-2), "dropout": (0.0, 0.5), "learning_rate": 0.01},
        task={"lookback": [4, 6]},
    )
    found = distributions(prepared)
    assert found["weight_decay"] == FloatDistribution(1e-6, 1e-2, log=True)
    assert found["dropout"] == FloatDistribution(0.0, 0.5)
    assert found["learning_rate"] == FloatDistribution(0.01, 0.01, log=True)
    assert found["lookback"] == CategoricalDistribution((4, 6))


def test_the_first_layers_of_the_cells_count_and_fixed_values_are_the_studys() -> None:
    prepared = tiny_prepared(space={"weight_decay": 0.25, "dropout": 0.5})
    params = {"layers": 2, "cells_1": 5, "cells_2": 4, "cells_3": 99, "learning_rate": 0.01}
    assert to_candidate(params, prepared.study, (4, 6)) == Candidate(
        cells=(5, 4), learning_rate=0.01, weight_decay=0.25, dropout=0.5, lookback=6
    )


def test_parameters_outside_the_bound_are_shrunk_and_those_inside_are_left() -> None:
    prepared = tiny_prepared()
    small = {"layers": 2, "cells_1": 3, "cells_2": 2, "cells_3": 99, "learning_rate": 0.01}
    assert into_bound(small, prepared) == small
    large = small | {"cells_1": 128, "cells_2": 64}
    shrunk = into_bound(large, prepared)
    assert shrunk["cells_3"] == 99
    assert 2 * shrunk["cells_2"] in (shrunk["cells_1"], shrunk["cells_1"] - 1)
    assert fits((shrunk["cells_1"], shrunk["cells_2"]), prepared.limit)
    assert not fits((shrunk["cells_1"] + 2, shrunk["cells_2"] + 1), prepared.limit)


def test_a_study_begins_with_one_layer_of_two_and_of_three_cells() -> None:
    prepared = tiny_prepared()
    guesses = [to_candidate(g, prepared.study, prepared.lookbacks) for g in first_guesses(prepared)]
    assert [guess.cells for guess in guesses] == [(2,), (3,)]
    assert guesses[0].learning_rate == pytest.approx(1e-2)  # the middle of 1e-3 and 1e-1


@pytest.mark.parametrize(
    ("space", "cells"),
    [
        ({"cells": (1, 2)}, [(2,)]),
        ({"cells": (4, 8)}, [(4,)]),
        ({"layers": (2, 3)}, [(2, 2), (3, 3)]),
    ],
)
def test_first_guesses_stay_in_the_space(
    space: dict[str, Any], cells: list[tuple[int, ...]]
) -> None:
    prepared = tiny_prepared(space=space)
    found = [to_candidate(g, prepared.study, prepared.lookbacks) for g in first_guesses(prepared)]
    assert [candidate.cells for candidate in found] == cells


def test_a_network_is_not_cut_below_the_spaces_fewest_layers() -> None:
    prepared = tiny_prepared(space={"layers": (2, 3), "cells": (2, 8)}, bound={"alpha": 7.0})
    assert fits((2, 2), prepared.limit)
    assert not fits((2, 2, 2), prepared.limit)
    large = {"layers": 3, "cells_1": 8, "cells_2": 8, "cells_3": 8, "learning_rate": 0.01}
    assert into_bound(large, prepared) == large | {"layers": 2, "cells_1": 2, "cells_2": 2}
