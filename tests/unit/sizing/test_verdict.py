"""The verdict picks the smallest network that is as good as the best, and says how sure it is."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from hpo.errors import DataError, StudyFailed
from hpo.sizing.resampling import Floats, Origins
from hpo.sizing.verdict import Entrant, Judgement, judge, pick_finalists, tied_range
from tests.unit.sizing.races import FOLD_O, ORIGINS, noise

SIZES: tuple[tuple[int, ...], ...] = ((2,), (3,), (5,), (8,), (4, 4), (16,))


def base(rng: np.random.Generator) -> Floats:
    return 2 + 0.5 * noise(rng, FOLD_O.size)


def entrant(
    rng: np.random.Generator,
    base_O: Floats,
    cells: tuple[int, ...],
    *,
    behind: float = 0.0,
    seeds: int = 3,
    seed_sd: float = 0.03,
) -> Entrant:
    own_SO = 0.1 * noise(rng, seeds, FOLD_O.size) + seed_sd * rng.standard_normal((seeds, 1))
    losses_SO = base_O + behind + own_SO
    return Entrant(trial=sum(cells), cells=cells, weights=10 * sum(cells), losses_SO=losses_SO)


def judged(
    entrants: Sequence[Entrant],
    benchmarks: Mapping[str, Floats],
    *,
    origins: Origins = ORIGINS,
    metric: str = "mase",
    tolerance: float = 0.0,
    seed: int = 0,
) -> Judgement:
    return judge(
        entrants,
        benchmarks,
        origins,
        metric=metric,
        tolerance=tolerance,
        layers_range=(1, 3),
        rng=np.random.default_rng(seed),
    )


def race(seed: int, behind: Sequence[float], **values: float) -> Judgement:
    """A judgement over SIZES that are this far behind the truth of a benchmark."""
    rng = np.random.default_rng(seed)
    base_O = base(rng)
    pairs = zip(SIZES, behind, strict=True)
    entrants = [entrant(rng, base_O, c, behind=b, seed_sd=values.get("sd", 0.03)) for c, b in pairs]
    theta_O = base_O + 0.1 * noise(rng, FOLD_O.size)
    return judged(entrants, {"theta": theta_O}, tolerance=values.get("tolerance", 0.0), seed=seed)


def test_of_equal_networks_the_smaller_ones_are_chosen() -> None:
    chosen = [race(seed, [0.0] * 6).chosen for seed in range(40)]

    assert np.mean([c == 0 for c in chosen]) > 0.5
    assert np.mean([c <= 1 for c in chosen]) > 0.7


def test_within_the_tolerance_equal_networks_always_end_with_the_smallest() -> None:
    assert {race(seed, [0.0] * 6, tolerance=0.1).chosen for seed in range(20)} == {0}


def test_a_size_that_is_really_needed_is_found() -> None:
    behind = [0.6, 0.4, 0.2, 0.0, 0.2, 0.2]
    judgements = [race(seed, behind) for seed in range(20)]

    assert {j.chosen for j in judgements} == {3}
    assert {j.tied for j in judgements} == {(False, False, False, True, False, False)}


def test_an_equal_benchmark_is_beaten_in_at_most_about_5_percent_of_studies() -> None:
    """Simulated: 19 of 600 studies over 6 equal finalists (3.2 %); here the first 150."""
    beaten = [race(seed, [0.0] * 6).lstm_justified for seed in range(150)]

    assert 0 < sum(beaten) <= 0.06 * len(beaten)


def test_a_benchmark_that_is_clearly_worse_is_beaten() -> None:
    judgements = [race(seed, [-0.3] * 6) for seed in range(20)]

    assert all(j.lstm_justified for j in judgements)
    assert all(j.gain_low < j.gain for j in judgements)


def test_the_tolerance_raises_what_an_lstm_must_gain() -> None:
    assert race(0, [-0.3] * 6).lstm_justified
    assert not race(0, [-0.3] * 6, tolerance=0.3).lstm_justified


def test_a_difference_that_seeds_explain_is_a_tie() -> None:
    base_O, rng = base(np.random.default_rng(0)), np.random.default_rng(1)
    best = entrant(rng, base_O, (8,), seed_sd=0.0)
    small = entrant(rng, base_O, (2,), behind=0.1, seed_sd=0.0)
    spread_S1 = np.array([[-0.4], [0.0], [0.4]])
    unsteady = Entrant(trial=2, cells=(2,), weights=20, losses_SO=small.losses_SO + spread_S1)

    assert judged([small, best], {"naive": base_O}).chosen == 1
    assert judged([unsteady, best], {"naive": base_O}).chosen == 0


def test_a_standard_error_is_that_of_origins_and_seeds_together() -> None:
    rng, flat_O = np.random.default_rng(0), np.full(FOLD_O.size, 2.0)
    losses_SO = flat_O + np.array([[-0.3], [0.0], [0.3]])
    steady = Entrant(trial=1, cells=(2,), weights=20, losses_SO=np.tile(flat_O, (3, 1)) - 0.5)
    shaky = Entrant(trial=2, cells=(3,), weights=30, losses_SO=losses_SO)
    judgement = judged([steady, shaky], {"naive": flat_O + 0.1 * noise(rng, FOLD_O.size)})

    assert judgement.difference_ses == pytest.approx((0.0, 0.3 / np.sqrt(3)))
    assert judgement.differences == pytest.approx((0.0, 0.5))
    assert judgement.score_se == pytest.approx(0.0, abs=1e-9)


def test_rmse_is_judged_on_the_scale_of_the_target() -> None:
    rng, errors_O = np.random.default_rng(0), noise(np.random.default_rng(1), FOLD_O.size)
    squared_SO = np.tile(errors_O**2, (3, 1))
    ours = Entrant(trial=1, cells=(2,), weights=20, losses_SO=4 * squared_SO)
    ridge_O = 9 * errors_O**2
    judgement = judged([ours], {"ridge": ridge_O}, metric="rmse", seed=int(rng.integers(9)))
    rms = np.sqrt((errors_O**2).mean())

    assert judgement.score == pytest.approx(2 * rms)
    assert judgement.gain == pytest.approx(rms)
    assert judgement.lstm_justified


def test_the_best_benchmark_is_the_one_to_beat() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    rivals = {"naive": base_O + 1, "ridge": base_O - 0.5, "drift": base_O + 2}
    judgement = judged([entrant(rng, base_O, (2,))], rivals)

    assert judgement.best_benchmark == "ridge"
    assert not judgement.lstm_justified
    assert judgement.reasons[1].startswith("No LSTM beats the best benchmark (ridge): MASE ")
    assert judgement.benchmark_scores == pytest.approx({n: r.mean() for n, r in rivals.items()})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_without_finite_errors_is_never_best_nor_tied(bad: float) -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    broken = entrant(rng, base_O, (2,), behind=-1)
    broken.losses_SO[1, 7] = bad
    judgement = judged([broken, entrant(rng, base_O, (3,))], {"naive": base_O})

    assert (judgement.best, judgement.chosen, judgement.tied) == (1, 1, (False, True))
    assert judgement.differences[0] == np.inf
    assert any(
        w.startswith("1 finalist gave errors that are not finite") for w in judgement.warnings
    )


def test_without_one_finite_finalist_or_benchmark_there_is_no_verdict() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    broken = entrant(rng, base_O * np.nan, (2,))

    with pytest.raises(StudyFailed, match="no finalist"):
        judged([broken], {"naive": base_O})
    with pytest.raises(DataError, match="no benchmark"):
        judged([entrant(rng, base_O, (2,))], {"naive": base_O * np.nan})


def test_a_benchmark_without_finite_errors_is_left_out_and_named() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    judgement = judged([entrant(rng, base_O, (2,))], {"drift": base_O * np.nan, "naive": base_O})

    assert set(judgement.benchmark_scores) == {"naive"}
    assert any("drift" in warning for warning in judgement.warnings)


def test_the_probabilities_of_layers_add_up_and_follow_the_evidence() -> None:
    needs_two_layers = race(0, [0.5, 0.5, 0.5, 0.5, 0.0, 0.5]).layers_probability
    needs_one_cell_more = race(0, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]).layers_probability

    assert needs_two_layers == {"1": 0.0, "2": 1.0, "3": 0.0}
    assert needs_one_cell_more is not None
    assert sum(needs_one_cell_more.values()) == pytest.approx(1.0)
    assert needs_one_cell_more["1"] > 0.8


def test_thin_evidence_gives_no_probabilities_but_warnings() -> None:
    rng = np.random.default_rng(0)
    fold_O = np.repeat([0, 1], 10)
    few = Origins(fold_O=fold_O, series_O=0 * fold_O, horizon=6)
    losses_SO = 2 + 0.1 * noise(rng, 1, 20)
    judgement = judged(
        [Entrant(trial=0, cells=(2,), weights=43, losses_SO=losses_SO)],
        {"naive": 3 + 0.1 * noise(rng, 20)},
        origins=few,
    )

    assert judgement.layers_probability is None
    assert (judgement.blocks, judgement.seeds) == (2, 1)
    told = " ".join(judgement.warnings)
    assert "2 independent stretches" in told
    assert "only 1 seed " in told
    assert "20 forecast origins" in told


def test_a_single_stretch_of_forecasts_never_justifies_an_lstm() -> None:
    fold_O = np.zeros(6, dtype=int)
    one = Origins(fold_O=fold_O, series_O=fold_O, horizon=6)
    ours = Entrant(trial=0, cells=(2,), weights=43, losses_SO=np.full((3, 6), 1.0))
    judgement = judged([ours], {"naive": np.full(6, 9.0)}, origins=one)

    assert not judgement.lstm_justified
    assert "single stretch" in judgement.reasons[1]


def test_enough_evidence_needs_no_warning() -> None:
    assert race(0, [0.0] * 6).warnings == ()


def test_the_same_seed_gives_the_same_judgement() -> None:
    assert race(3, [0.1, 0.0, 0.0, 0.0, 0.0, 0.0]) == race(3, [0.1, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_the_tied_range_spans_the_sizes_that_are_as_good_as_the_reference() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    behind = {(2,): 0.5, (3,): 0.0, (8,): 0.0, (8, 8): 0.0, (64,): 0.5}
    entrants = [entrant(rng, base_O, cells, behind=b) for cells, b in behind.items()]
    entrants[0].losses_SO[0, 0] = np.nan

    assert tied_range(entrants, entrants[1], ORIGINS, metric="mae", tolerance=0.05, rng=rng) == (
        3,
        16,
    )


def test_a_reference_that_stands_alone_is_its_own_range() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    alone, worse = entrant(rng, base_O, (5,)), entrant(rng, base_O, (64,), behind=1)

    assert tied_range([worse], alone, ORIGINS, metric="mae", tolerance=0, rng=rng) == (5, 5)


def finalists(entrants: Sequence[Entrant], most: int = 6) -> list[tuple[int, ...]]:
    picked = pick_finalists(
        entrants, ORIGINS, metric="mae", tolerance=0.0, rng=np.random.default_rng(0), most=most
    )
    return [entrants[i].cells for i in picked]


def test_finalists_are_the_best_and_ever_smaller_sizes_that_are_near_it() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    behind = {(2,): 1.0, (3,): 0.03, (5,): 0.02, (8,): 0.01, (16,): 0.0, (4, 4): 0.02, (2, 2): 1.0}
    flat = [
        Entrant(
            trial=0,
            cells=cells,
            weights=10 * sum(cells),
            losses_SO=base_O + b + np.array([[-0.03], [0.0], [0.03]]),
        )
        for cells, b in behind.items()
    ]

    assert finalists(flat)[0] == (16,)
    assert set(finalists(flat)) == {(16,), (3,), (5,), (8,), (4, 4)}
    assert finalists(flat, most=3) == [(16,), (5,), (4, 4)]


def test_of_one_size_only_its_best_trial_is_a_finalist() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    poor, good = entrant(rng, base_O, (3,), behind=0.02), entrant(rng, base_O, (3,))
    picked = pick_finalists([poor, good], ORIGINS, metric="mae", tolerance=0.5, rng=rng)

    assert picked == [1]


def test_never_more_finalists_than_asked_and_the_best_among_them() -> None:
    rng = np.random.default_rng(0)
    base_O = base(rng)
    many = [entrant(rng, base_O, (n,), behind=0.02 - n / 2_000, seed_sd=0.1) for n in range(2, 40)]
    scores = [e.losses_SO.mean() for e in many]
    for most in (1, 2, 4, 6):
        picked = pick_finalists(many, ORIGINS, metric="mae", tolerance=0.1, rng=rng, most=most)

        assert 1 <= len(picked) <= most
        assert picked[0] == int(np.argmin(scores))


def test_no_finalists_where_no_trial_has_finite_errors() -> None:
    broken = Entrant(trial=0, cells=(2,), weights=43, losses_SO=np.full((3, FOLD_O.size), np.nan))

    assert finalists([broken]) == []
