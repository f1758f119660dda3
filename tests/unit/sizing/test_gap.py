"""The gap between validation and training error, and the moves of alpha that it asks for."""

from collections.abc import Sequence

import numpy as np
import pytest

from hpo.sizing.gap import Gap, Move, expected_ratio, gap_of, lowered, move, raised

WIDE = Gap(ratio=1.5, low=1.3, expected=1.1)
WIDE_OF_MANY_WEIGHTS = Gap(ratio=1.5, low=1.3, expected=None)
USUAL = Gap(ratio=1.2, low=0.9, expected=1.1)


def moved(
    gap: Gap | None,
    *,
    alpha: float = 2.0,
    smaller_is_worse: bool = False,
    at_the_bound: bool = False,
    least: float = 2.0,
    leaves: float = 10.0,
    tried: Sequence[float] = (),
) -> Move:
    return move(
        alpha,
        gap,
        smaller_is_worse=lambda: smaller_is_worse,
        at_the_bound=at_the_bound,
        least=least,
        most=10.0,
        leaves_a_network=lambda higher: higher <= leaves,
        tried=tried,
    )


@pytest.mark.parametrize("share", [0.5, 1 / 3, 0.2, 0.1])
def test_linear_networks_of_simulated_data_show_the_gap_that_is_expected(share: float) -> None:
    """Least squares on N = 200 samples of P inputs, tested on new inputs: 200 studies each."""
    rows, ratios = 200, []
    weights, rng = int(share * rows), np.random.default_rng(0)
    for _ in range(200):
        x_NP, new_NP = rng.normal(size=(2, rows, weights))
        y_N, new_y_N = rng.normal(size=(2, rows))
        line_P = np.linalg.lstsq(x_NP, y_N, rcond=None)[0]
        ratios.append(
            np.square(new_y_N - new_NP @ line_P).mean() / np.square(y_N - x_NP @ line_P).mean()
        )
    expected = expected_ratio(weights, rows, is_squared=True)
    assert expected == pytest.approx(np.mean(ratios), rel=0.05)


def test_no_gap_is_expected_of_more_weights_than_two_thirds_of_the_data() -> None:
    assert expected_ratio(66, 100, is_squared=False) is not None
    assert expected_ratio(67, 100, is_squared=False) is None


def ratios(valid: float, *, noise: float = 0.0, relative_se: float = 0.05) -> Gap | None:
    rng = np.random.default_rng(0)
    train_SF = np.full((3, 4), 0.2)
    valid_SF = 0.2 * valid * np.exp(noise * rng.normal(size=(3, 1))) * np.ones((3, 4))
    return gap_of(
        train_SF,
        valid_SF,
        weights=43,
        residuals_F=np.array([430] * 4),
        is_squared=False,
        relative_se=relative_se,
    )


def test_a_gap_is_the_ratio_of_errors_with_its_lower_limit() -> None:
    found = ratios(1.5)
    assert found is not None
    assert found.ratio == pytest.approx(1.5)
    assert found.expected == pytest.approx(430 / 387)
    assert found.low == pytest.approx(1.5 * np.exp(-1.645 * 0.05), rel=1e-4)
    assert found.is_wide


def test_chance_in_origins_and_seeds_makes_a_gap_uncertain() -> None:
    sure, of_few_origins, of_noisy_seeds = (
        ratios(1.3),
        ratios(1.3, relative_se=0.2),
        ratios(1.3, noise=1.0),
    )
    assert [gap is not None and gap.is_wide for gap in (sure, of_few_origins, of_noisy_seeds)] == [
        True,
        False,
        False,
    ]


def test_errors_of_zero_have_no_gap() -> None:
    assert ratios(0.0) is None


def test_a_gap_wider_than_expected_raises_alpha() -> None:
    assert moved(WIDE).alpha == 3.0
    assert moved(WIDE, smaller_is_worse=True).alpha == 3.0
    assert moved(USUAL).alpha is None


def test_with_too_many_weights_for_an_expectation_a_smaller_network_must_be_as_good() -> None:
    assert moved(WIDE_OF_MANY_WEIGHTS).alpha == 3.0
    stays = moved(WIDE_OF_MANY_WEIGHTS, smaller_is_worse=True)
    assert stays.alpha is None
    assert "no smaller network forecasts as well" in stays.reason


def test_alpha_rises_no_further_than_the_study_allows_or_leaves_a_network() -> None:
    assert "as high as it may rise (10)" in moved(WIDE, alpha=10.0).reason
    assert "at alpha 5 no network would be left" in moved(WIDE, alpha=3.0, leaves=3.0).reason


def test_at_the_bound_with_a_small_gap_alpha_falls_where_the_study_allows_it() -> None:
    assert moved(USUAL, at_the_bound=True, least=1.0).alpha == 1.0
    stays = moved(USUAL, at_the_bound=True)
    assert stays.alpha is None
    assert stays.reason.startswith("it is at the bound, yet it forecasts with 1.20 times")


def test_alpha_does_not_go_back_to_where_it_was() -> None:
    assert moved(USUAL, alpha=3.0, at_the_bound=True, least=1.0).alpha == 2.0
    assert moved(USUAL, alpha=3.0, at_the_bound=True, least=1.0, tried=[2.0]).alpha is None
    stays = moved(WIDE, tried=[3.0])
    assert stays.alpha is None
    assert stays.reason.endswith("alpha 3 was tried before")


def test_alpha_goes_through_1_2_3_5_7_in_every_decade() -> None:
    path = [0.1]
    while (higher := raised(path[-1], 100.0)) is not None:
        path.append(higher)
    assert path == [0.1, 0.2, 0.3, 0.5, 0.7, 1, 2, 3, 5, 7, 10, 20, 30, 50, 70, 100]
    back = [100.0]
    while (lower := lowered(back[-1], 0.1)) is not None:
        back.append(lower)
    assert back == path[::-1]
