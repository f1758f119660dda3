"""The bound's closed forms agree with brute force, and a projection never breaks the bound."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hpo.sizing.bound import Limit, fits, largest_equal_cells, max_cells, parameters, project

RULES = ("formula", "freedom", "strict")
alphas = st.integers(1, 200).map(lambda tenths: tenths / 10)
limits = st.builds(
    Limit,
    rule=st.sampled_from(RULES),
    samples=st.integers(0, 3_000),
    inputs=st.integers(1, 6),
    outputs=st.integers(1, 24),
    alpha=alphas,
)
stacks = st.lists(st.integers(1, 300), min_size=1, max_size=4)


def weighed(cells: list[int], limit: Limit) -> tuple[Fraction, Fraction]:
    """What the rule counts in the network, and how much of it it allows, from the text."""
    alpha = Fraction(str(limit.alpha))
    freedom = limit.samples * (limit.inputs + limit.outputs)
    match limit.rule:
        case "formula":
            return Fraction(sum(cells)), limit.samples / (alpha * (limit.inputs + limit.outputs))
        case "freedom":
            return Fraction(parameters(cells, limit.inputs, limit.outputs)), freedom / alpha
        case _:
            return Fraction(parameters(cells, limit.inputs, limit.outputs)), limit.samples / alpha


@given(cells=stacks, limit=limits)
def test_a_network_fits_where_the_rule_says_so_in_exact_arithmetic(
    cells: list[int], limit: Limit
) -> None:
    used, allowed = weighed(cells, limit)

    assert fits(cells, limit) == (used <= allowed)


@given(layers=st.integers(1, 8), limit=limits)
def test_one_cell_more_than_the_largest_does_not_fit(layers: int, limit: Limit) -> None:
    largest = largest_equal_cells(layers, limit)

    assert largest is None or fits([largest] * layers, limit)
    assert not fits([(largest or 0) + 1] * layers, limit)


@given(layers=st.integers(1, 8), limit=limits, higher=alphas)
def test_the_bound_never_rises_with_alpha(layers: int, limit: Limit, higher: float) -> None:
    strict = Limit(
        rule=limit.rule,
        samples=limit.samples,
        inputs=limit.inputs,
        outputs=limit.outputs,
        alpha=max(limit.alpha, higher),
    )

    assert (largest_equal_cells(layers, strict) or 0) <= (largest_equal_cells(layers, limit) or 0)


@given(samples=st.integers(1, 3_000), ten=st.integers(10, 99))
def test_ten_times_the_alpha_leaves_fewer_cells(samples: int, ten: int) -> None:
    fewer = max_cells(samples * 20, inputs=1, outputs=1, alpha=float(ten))

    assert fewer < max_cells(samples * 20, inputs=1, outputs=1, alpha=ten / 10)


@given(cells=stacks, limit=limits, fewest=st.integers(1, 5))
def test_a_projection_fits_and_keeps_the_fewest_cells(
    cells: list[int], limit: Limit, fewest: int
) -> None:
    projected = project(cells, limit, fewest=fewest)

    if projected is None:
        assert not fits([fewest], limit)
    else:
        assert fits(projected, limit)
        assert min(projected) >= fewest
        assert all(p <= max(c, fewest) for p, c in zip(projected, cells, strict=False))


@given(cells=stacks, limit=limits)
def test_a_projection_leaves_alone_what_fits(cells: list[int], limit: Limit) -> None:
    if fits(cells, limit):
        assert project(cells, limit, fewest=1) == tuple(cells)


@given(layers=st.integers(1, 4), limit=limits, fewest=st.integers(1, 5))
def test_equal_layers_that_are_too_wide_become_the_largest_equal_ones(
    layers: int, limit: Limit, fewest: int
) -> None:
    largest = largest_equal_cells(layers, limit)
    projected = project([5_000] * layers, limit, fewest=fewest)

    if largest is not None and fewest <= largest < 5_000:
        assert projected == (largest,) * layers
    elif projected is not None and largest is not None and largest >= 5_000:
        assert projected == (5_000,) * layers
    else:
        assert projected is None or len(projected) < layers


@given(cells=stacks, limit=limits, fewest=st.integers(1, 5))
def test_a_projection_of_a_projection_changes_nothing(
    cells: list[int], limit: Limit, fewest: int
) -> None:
    once = project(cells, limit, fewest=fewest)

    assert once is None or project(once, limit, fewest=fewest) == once


@given(cells=stacks, limit=limits, fewest=st.integers(1, 5))
def test_no_wider_cut_of_the_same_layers_would_have_fitted(
    cells: list[int], limit: Limit, fewest: int
) -> None:
    projected = project(cells, limit, fewest=fewest)
    asked = [max(c, fewest) for c in cells[: len(projected or ())]]
    if projected is None or list(projected) == asked:
        return
    widest = max(asked)
    wider = [
        [max(fewest, c * to // widest) for c in asked]
        for to in range(max(projected) + 1, widest + 1)
    ]

    assert not any(fits(cut, limit) for cut in wider)
