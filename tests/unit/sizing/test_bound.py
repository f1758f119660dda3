"""The alpha rule gives the numbers that one computes by hand, and refuses what has no meaning."""

import pytest

from hpo.errors import SpecError
from hpo.sizing.bound import (
    UNBOUNDED,
    Limit,
    fits,
    largest_equal_cells,
    max_cells,
    parameters,
    project,
    table,
)


def a_limit(rule: str = "strict", samples: int = 1_000, alpha: float = 2.0) -> Limit:
    return Limit(rule=rule, samples=samples, inputs=1, outputs=1, alpha=alpha)


def test_the_table_holds_the_numbers_of_the_design() -> None:
    assert table(1_000, inputs=1, outputs=1, alpha=2) == {
        "rules": {
            "formula": {"1": 250, "2": 125, "3": 83},
            "freedom": {"1": 14, "2": 8, "3": 6},
            "strict": {"1": 9, "2": 5, "3": 4},
        },
        "degrees_of_freedom": 2_000,
    }


def test_the_table_is_null_where_no_network_fits() -> None:
    rules = table(10, inputs=1, outputs=1, alpha=10)["rules"]

    assert rules == {rule: dict.fromkeys("123") for rule in ("formula", "freedom", "strict")}


def test_weights_of_unequal_layers_are_counted_layer_by_layer() -> None:
    first, second, head = 4 * 8 * (3 + 8 + 2), 4 * 5 * (8 + 5 + 2), (5 + 1) * 12

    assert parameters([8, 5], inputs=3, outputs=12) == first + second + head


def test_a_decimal_alpha_loses_no_cell_to_binary_rounding() -> None:
    assert int(9 / (0.1 * 3)) == 29
    assert max_cells(9, inputs=1, outputs=2, alpha=0.1) == 30


def test_the_formula_counts_the_cells_of_all_layers_together() -> None:
    formula = a_limit("formula", samples=48)

    assert fits([6, 6], formula)
    assert not fits([7, 6], formula)


def test_without_a_rule_everything_fits_as_it_is() -> None:
    off = a_limit("off", samples=0)

    assert project([4_096, 4_096], off, fewest=2) == (4_096, 4_096)
    assert largest_equal_cells(8, off) == UNBOUNDED


def test_a_network_that_fits_is_not_made_smaller() -> None:
    assert project([9], a_limit(), fewest=2) == (9,)


def test_too_large_a_network_is_cut_in_proportion() -> None:
    assert project([100, 50], a_limit("formula", samples=400), fewest=2) == (67, 33)


def test_the_top_layers_go_when_all_cannot_have_the_fewest_cells() -> None:
    assert project([30, 20, 10], a_limit(samples=200), fewest=2) == (2, 2)
    assert project([30, 20, 10], a_limit(samples=100), fewest=2) == (2,)
    assert project([30, 20, 10], a_limit(samples=80), fewest=2) is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": float("inf")}, "alpha=inf"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"samples": -1}, "samples=-1"),
        ({"inputs": 0}, "inputs=0"),
        ({"outputs": 0}, "outputs=0"),
    ],
)
def test_numbers_without_meaning_are_refused_by_name(wrong: dict[str, float], named: str) -> None:
    numbers = {"samples": 10, "inputs": 1, "outputs": 1, "alpha": 2.0, **wrong}

    with pytest.raises(SpecError, match=named):
        table(**numbers)  # type: ignore[arg-type]


def test_an_unknown_rule_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match="formula, freedom, strict, off"):
        a_limit("loose")
