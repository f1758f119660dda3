"""A score that is asked for is answered by the smallest network that reaches it."""

import numpy as np
import pytest

from hpo.sizing.race import Entrant
from hpo.sizing.target import Mark, in_words, marks


def entrant(trial: int, cells: tuple[int, ...], loss: float) -> Entrant:
    losses_SO = np.full((3, 5), loss)
    return Entrant(trial=trial, cells=cells, weights=10 * sum(cells), losses_SO=losses_SO)


SEARCHED = [
    entrant(0, (2,), 1.0),
    entrant(1, (3,), 0.86),
    entrant(2, (3,), 0.95),
    entrant(3, (11,), 0.79),
    entrant(4, (4, 4), 0.82),
]


def reached(target: float, raced: list[Entrant] | None = None) -> tuple[Mark, Mark, Mark]:
    return marks(target, SEARCHED, raced or [], metric="mase")


def test_the_smallest_network_within_the_target_is_found_with_marks_beside_it() -> None:
    easy, target, hard = reached(0.8)

    assert (easy.target, easy.cells) == (0.88, (3,))
    assert (target.target, target.cells) == (0.8, (11,))
    assert target.score == pytest.approx(0.79)
    assert (hard.target, hard.cells, hard.score) == (0.72, None, None)


def test_fresh_seeds_count_where_a_network_has_them() -> None:
    _, lucky, _ = reached(0.87)
    _, target, _ = reached(0.87, [entrant(1, (3,), 0.91), entrant(4, (4, 4), 0.84)])

    assert (lucky.cells, lucky.is_fresh) == ((3,), False)
    assert (target.cells, target.is_fresh) == ((4, 4), True)
    assert target.score == pytest.approx(0.84)


def test_a_score_is_on_the_scale_of_the_target() -> None:
    _, target, _ = marks(3.0, [entrant(0, (2,), 9.0)], [], metric="rmse")

    assert (target.cells, target.score) == ((2,), 3.0)


def test_a_network_without_finite_errors_reaches_nothing() -> None:
    _, target, _ = marks(3.0, [entrant(0, (2,), np.nan)], [], metric="mae")

    assert target.cells is None


def test_what_is_reached_and_what_is_not_is_one_sentence() -> None:
    raced = [entrant(1, (3,), 0.86), entrant(3, (11,), 0.79)]

    assert in_words(reached(0.8, raced), metric="mase") == (
        "For MASE 0.88, 1 layer of 3 cells is enough; for 0.8, 1 layer of 11 cells; "
        "no network of this study reaches 0.72."
    )


def test_a_target_beyond_all_networks_is_called_so() -> None:
    assert in_words(reached(0.5), metric="mase") == (
        "No network of this study reaches MASE 0.55 or 0.5 or 0.45."
    )
