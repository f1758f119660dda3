"""The reasons of a verdict are sentences that an analyst understands, with the numbers in them."""

import numpy as np

from hpo.sizing.gain import Gain
from hpo.sizing.race import Entrant, Race
from hpo.sizing.reasons import Contest, explain


def contest(
    scores: list[float], chosen: int, *, value: float, low: float, tolerance: float = 0.0
) -> Contest:
    """A race of 3, 12 and 20 cells whose paired differences have a standard error of 0.006."""
    cells = [(3,), (12,), (5, 4)][: len(scores)]
    shifts_BE = np.zeros((2, len(scores)))
    shifts_BE[:, 0] = 0.006, -0.006
    scores_E = np.array(scores)
    race = Race(
        entrants=[
            Entrant(trial=i, cells=c, weights=100 * (i + 1), losses_SO=np.zeros((3, 1)))
            for i, c in enumerate(cells)
        ],
        scores_E=scores_E,
        seed_var_E=np.zeros(len(scores)),
        scores_BE=scores_E + shifts_BE,
    )
    return Contest(
        race=race,
        tied_E=race.tied_with(race.best, tolerance),
        chosen=chosen,
        gain=Gain(benchmark="theta", benchmark_score=0.4, value=value, se=0.005, low=low),
        metric="mase",
        tolerance=tolerance,
    )


def test_a_smaller_network_that_is_as_good_is_explained_by_the_difference() -> None:
    size, _ = explain(contest([0.312, 0.309, 0.4], chosen=0, value=0.1, low=0.05))

    assert size == (
        "1 layer of 3 cells is as good as the best of 3 finalists (1 layer of 12 cells): "
        "MASE 0.312 against 0.309, a difference of 0.003 that is within its standard error of "
        "0.006."
    )


def test_a_tie_by_tolerance_says_so() -> None:
    size, _ = explain(contest([0.33, 0.309, 0.4], chosen=0, value=0.1, low=0.05, tolerance=0.1))

    assert size.endswith("a difference of 0.021 that is within the tolerance of 10 % of the score.")


def test_a_network_that_is_needed_is_explained_by_the_next_smaller_one() -> None:
    size, _ = explain(contest([0.35, 0.309, 0.4], chosen=1, value=0.1, low=0.05))

    assert size == (
        "1 layer of 12 cells is the best of 3 finalists (MASE 0.309), and no smaller one is as "
        "good: 1 layer of 3 cells has 0.350, worse by 0.041 ± 0.006."
    )


def test_the_smallest_and_best_needs_no_comparison() -> None:
    size, _ = explain(contest([0.3, 0.35, 0.4], chosen=0, value=0.1, low=0.05))

    assert size == "1 layer of 3 cells is the smallest and best of 3 finalists: MASE 0.300."


def test_a_lone_finalist_is_called_so() -> None:
    size, _ = explain(contest([0.3], chosen=0, value=0.1, low=0.05))

    assert size == "1 layer of 3 cells is the only finalist: MASE 0.300."


def test_a_gain_above_its_limit_justifies_the_lstm_in_words() -> None:
    _, use = explain(contest([0.3], chosen=0, value=0.1, low=0.05, tolerance=0.02))

    assert use == (
        "The LSTM beats the best benchmark (Theta) by 25.0 % ± 1.2 %: even the lower limit of this "
        "gain (95 % confidence), 12.5 %, is above the tolerance of 2 %."
    )


def test_a_gain_that_may_be_luck_is_not_called_certain() -> None:
    _, use = explain(contest([0.3], chosen=0, value=0.01, low=-0.004))

    assert use == (
        "It is not certain that the LSTM beats the best benchmark (Theta): it gains 2.5 % ± 1.2 %, "
        "and the lower limit of this gain (95 % confidence), -1.0 %, is not above zero."
    )


def test_a_chosen_network_may_lose_where_a_larger_one_wins() -> None:
    none, some = (
        explain(contest(scores, chosen=0, value=-0.012, low=-0.02))[1]
        for scores in ([0.412, 0.41, 0.5], [0.412, 0.39, 0.5])
    )

    assert none == "No LSTM beats the best benchmark (Theta): MASE 0.412 against 0.400."
    assert some == "This LSTM does not beat the best benchmark (Theta): MASE 0.412 against 0.400."
