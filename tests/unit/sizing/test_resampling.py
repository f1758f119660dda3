"""The block bootstrap knows how far the mean of dependent losses moves."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hpo.sizing.resampling import (
    Floats,
    Ints,
    Origins,
    bags,
    block_count,
    block_length,
    bootstrap_means,
    paired_difference,
    variance_freedom,
)


def origins_of(*, folds: int = 4, per_fold: int = 15, series: int = 1, horizon: int = 1) -> Origins:
    fold, owner, _ = np.meshgrid(range(folds), range(series), range(per_fold), indexing="ij")
    return Origins(fold_O=fold.ravel(), series_O=owner.ravel(), horizon=horizon)


def autoregressive(rng: np.random.Generator, steps: int, memory: float) -> Floats:
    shocks = rng.standard_normal(steps + 50)
    walk: Floats = lfilter([np.sqrt(1 - memory**2)], [1, -memory], shocks)
    return walk[50:]


def bootstrap_sd(loss_O: Floats, origins: Origins, seed: int = 0) -> float:
    rng = np.random.default_rng(seed)
    return float(bootstrap_means(origins, [loss_O], rng=rng).std())


def test_independent_losses_have_the_textbook_standard_error() -> None:
    rng, origins = np.random.default_rng(0), origins_of(per_fold=100)
    loss_O = rng.standard_normal(400)

    assert bootstrap_sd(loss_O, origins) == pytest.approx(1 / np.sqrt(400), rel=0.2)


@pytest.mark.parametrize(("horizon", "least"), [(1, 0.85), (6, 0.7)])
def test_the_variance_is_nearly_right_on_average_where_neighbours_share_targets(
    horizon: int, least: float
) -> None:
    rng, origins = np.random.default_rng(1), origins_of(per_fold=40, horizon=horizon)
    shocks_RT = rng.standard_normal((2_000, 160 + horizon - 1))
    losses_RO = np.lib.stride_tricks.sliding_window_view(shocks_RT, horizon, axis=1).sum(axis=2)
    true = losses_RO.mean(axis=1).var()
    found = bootstrap_means(origins, losses_RO[:500], rng=rng).var(axis=0).mean()

    assert least < found / true < 1.1


def test_blocks_see_the_dependence_that_single_origins_miss() -> None:
    rng = np.random.default_rng(2)
    loss_O = autoregressive(rng, 400, memory=0.8)
    alone = loss_O.std() / np.sqrt(400)

    assert bootstrap_sd(loss_O, origins_of(per_fold=100, horizon=12)) > 1.7 * alone


def test_series_of_a_panel_that_differ_in_level_are_what_its_mean_moves_by() -> None:
    rng, origins = np.random.default_rng(3), origins_of(series=40)
    level_S = rng.standard_normal(40)

    assert bootstrap_sd(level_S[origins.series_O], origins) == pytest.approx(
        level_S.std() / np.sqrt(40), rel=0.15
    )


def panel_losses(
    rng: np.random.Generator, origins: Origins, time_O: Ints, *, common: float, level: float
) -> Floats:
    """Losses (R, O) of a time's shock to all series, a series' level, and what is an origin's."""
    shape = (2_000, int(time_O.max()) + 1 + origins.horizon - 1)
    window = np.lib.stride_tricks.sliding_window_view
    shocks_RT = window(rng.standard_normal(shape), origins.horizon, axis=1).sum(axis=2)
    level_RS = rng.standard_normal((2_000, int(origins.series_O.max()) + 1))
    own_RO = rng.standard_normal((2_000, time_O.size))
    shared_RO = common * shocks_RT[:, time_O]
    losses_RO: Floats = 9 + own_RO + shared_RO + level * level_RS[:, origins.series_O]
    return losses_RO


def se_over_truth(losses_RO: Floats, origins: Origins) -> float:
    """The bootstrap's standard error over the spread that the mean really has."""
    found_K = bootstrap_means(
        origins, losses_RO[:200], rng=np.random.default_rng(12), replicates=400
    ).var(axis=0)
    return float(np.sqrt(found_K.mean() / losses_RO.mean(axis=1).var()))


@pytest.mark.parametrize("series", [2, 7, 8, 30])
@pytest.mark.parametrize(
    ("common", "level", "horizon"),
    [(0.0, 0.0, 1), (0.5, 0.0, 1), (2.0, 0.0, 1), (1.0, 0.0, 4), (1.0, 1.0, 1)],
)
def test_shocks_common_to_all_series_and_independent_series_have_their_standard_error(
    series: int, common: float, level: float, horizon: int
) -> None:
    origins = origins_of(per_fold=12, series=series, horizon=horizon)
    time_O = 12 * origins.fold_O + np.tile(np.arange(12), 4 * series)
    level = level if series >= 8 else 0.0
    losses_RO = panel_losses(np.random.default_rng(10), origins, time_O, common=common, level=level)

    assert 0.7 < se_over_truth(losses_RO, origins) < 1.6


@pytest.mark.parametrize("common", [0.0, 1.0])
@pytest.mark.parametrize("taken", [0.5, 0.34, 0.08])
def test_evenly_thinned_origins_of_a_panel_keep_their_standard_error(
    taken: float, common: float
) -> None:
    whole = origins_of(per_fold=12, series=60)
    kept_O = np.linspace(0, 719, round(720 * taken)).round().astype(int)
    rows_O = (720 * np.arange(4)[:, None] + kept_O).ravel()
    origins = Origins(fold_O=whole.fold_O[rows_O], series_O=whole.series_O[rows_O], horizon=1)
    time_O = 12 * origins.fold_O + rows_O % 12
    losses_RO = panel_losses(np.random.default_rng(11), origins, time_O, common=common, level=0.0)

    assert 0.7 < se_over_truth(losses_RO, origins) < 1.6


def test_series_with_fewer_origins_are_aligned_at_the_end_of_the_fold() -> None:
    fold_O, series_O = np.zeros(30, int), np.repeat([0, 1], [20, 10])
    origins = Origins(fold_O=fold_O, series_O=series_O, horizon=1)
    end_O = np.concatenate([np.arange(20), np.arange(10, 20)])
    apart_O = np.where(series_O == 0, 1.0, -1.0) * (end_O >= 10)

    assert bootstrap_sd(apart_O, origins) < 1e-12


@pytest.mark.parametrize(("series", "kept"), [(3, 0.6), (40, 0.2)])
def test_origins_that_are_missing_here_and_there_are_aligned_by_their_steps(
    series: int, kept: float
) -> None:
    rng, whole = np.random.default_rng(14), origins_of(per_fold=12, series=series, horizon=2)
    rows_O = np.flatnonzero(rng.random(whole.fold_O.size) < kept)
    fold_O, step_O = whole.fold_O[rows_O], rows_O % 12
    origins = Origins(
        fold_O=fold_O, series_O=whole.series_O[rows_O], horizon=2, step_O=100 + step_O
    )
    losses_RO = panel_losses(rng, origins, 12 * fold_O + step_O, common=2.0, level=0.0)

    assert 0.7 < se_over_truth(losses_RO, origins) < 1.6


def test_steps_tell_what_counting_from_the_end_cannot() -> None:
    fold_O, series_O = np.zeros(30, int), np.repeat([0, 1], [20, 10])
    step_O = np.concatenate([np.arange(20), np.arange(10)])
    origins = Origins(fold_O=fold_O, series_O=series_O, horizon=1, step_O=step_O)
    apart_O = np.where(series_O == 0, 1.0, -1.0) * (step_O < 10)

    assert bootstrap_sd(apart_O, origins) < 1e-12
    counted = Origins(fold_O=fold_O, series_O=series_O, horizon=1)
    assert bootstrap_sd(apart_O, counted) > 0.1


def test_a_large_panel_s_mean_stays_within_its_losses() -> None:
    origins = origins_of(folds=4, per_fold=1, series=8)
    loss_O = 1.0 * ((origins.series_O == 0) & (origins.fold_O == 0))
    means_B = bootstrap_means(origins, [loss_O], rng=np.random.default_rng(13))

    assert means_B.min() == 0.0


def test_a_block_never_crosses_from_one_fold_into_the_next() -> None:
    origins = origins_of(folds=2, per_fold=8, horizon=8)
    means_B = bootstrap_means(
        origins, [origins.fold_O.astype(float)], rng=np.random.default_rng(4), replicates=200
    )

    assert set(means_B.ravel()) == {0.0, 1.0}


def test_losses_that_stand_in_another_order_keep_their_runs() -> None:
    origins, rng = origins_of(folds=3, per_fold=9, series=2, horizon=3), np.random.default_rng(5)
    loss_O = rng.standard_normal(54)
    by_time = np.argsort(np.tile(np.arange(9), 6), kind="stable")
    mixed = Origins(fold_O=origins.fold_O[by_time], series_O=origins.series_O[by_time], horizon=3)

    assert bootstrap_sd(loss_O[by_time], mixed) == pytest.approx(bootstrap_sd(loss_O, origins))


def test_all_columns_share_their_draws() -> None:
    rng, origins = np.random.default_rng(6), origins_of()
    loss_O = rng.standard_normal(60)
    means_BK = bootstrap_means(origins, [loss_O, loss_O + 1], rng=rng)

    assert means_BK[:, 1] - means_BK[:, 0] == pytest.approx(1.0)
    assert means_BK[:, 0].std() > 0


def test_every_origin_weighs_alike() -> None:
    origins = origins_of(folds=2, per_fold=9, horizon=4)
    means_BK = bootstrap_means(origins, np.eye(18), rng=np.random.default_rng(7), replicates=20_000)

    assert means_BK.mean(axis=0) == pytest.approx(1 / 18, rel=0.1)


def test_chunks_cover_every_replicate(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, origins = np.random.default_rng(8), origins_of()
    loss_O = 5 + rng.standard_normal(60)
    monkeypatch.setattr("hpo.sizing.resampling._CHUNK_ITEMS", 7 * 60)
    means_B1 = bootstrap_means(origins, [loss_O], rng=rng, replicates=100)

    assert means_B1.shape == (100, 1)
    assert (np.abs(means_B1 - 5) < 1).all()


def test_the_blocks_of_a_short_fold_are_the_fold_itself() -> None:
    assert block_count(origins_of(per_fold=15, horizon=24)) == 4
    assert block_count(origins_of(per_fold=15, horizon=12)) == 4
    assert block_count(origins_of(per_fold=15, horizon=5)) == 12


def test_pieces_of_evidence_are_stretches_of_time_and_no_more_than_a_large_panel_s_series() -> None:
    assert block_count(origins_of(series=7)) == block_count(origins_of(series=1)) == 12
    assert block_count(origins_of(series=7, horizon=15)) == 4
    assert block_count(origins_of(series=8)) == 8
    assert block_count(origins_of(series=100)) == 12
    assert variance_freedom(origins_of(series=8)) == 7
    assert variance_freedom(origins_of(series=100)) == variance_freedom(origins_of()) == 14


def test_one_fold_of_one_horizon_still_has_a_spread() -> None:
    origins = origins_of(folds=1, per_fold=12, horizon=12)

    assert block_count(origins) == 1
    assert block_length(origins) == 6
    assert bootstrap_sd(np.arange(12.0), origins) > 0


def test_a_difference_of_rmse_is_taken_after_the_root() -> None:
    origins = origins_of()
    difference, _ = paired_difference(
        np.full(60, 9.0), np.full(60, 4.0), origins, metric="rmse", rng=np.random.default_rng(9)
    )

    assert difference == 1.0


@pytest.mark.parametrize("origins", [origins_of(), origins_of(folds=1), origins_of(series=10)])
def test_no_origin_is_drawn_and_left_out_of_the_same_replicate(origins: Origins) -> None:
    places = np.eye(15 * np.unique(origins.fold_O).size)  # each a loss of one at one place
    step_O = np.tile(np.arange(15), origins.fold_O.size // 15)
    losses_KO = places[:, origins.fold_O * 15 + step_O]
    inside_BK, outside_BK = bags(origins, losses_KO, losses_KO, rng=np.random.default_rng(0))

    assert (np.minimum(inside_BK, outside_BK) == 0).all()
    assert (np.maximum(inside_BK, outside_BK) > 0).all()


def test_the_drawn_and_the_rest_have_the_mean_of_all_on_average() -> None:
    rng, origins = np.random.default_rng(3), origins_of(per_fold=30)
    loss_O = autoregressive(rng, 120, memory=0.5)
    inside_B1, outside_B1 = bags(origins, [loss_O], [loss_O], rng=rng)

    assert inside_B1.mean() == pytest.approx(loss_O.mean(), abs=0.02)
    assert outside_B1.mean() == pytest.approx(loss_O.mean(), abs=0.02)


def test_in_short_folds_a_block_holds_each_place_once() -> None:
    origins = origins_of(folds=3, per_fold=2, horizon=5)
    loss_O = np.array([1.0, 3.0] * 3)
    inside_B1, outside_B1 = bags(origins, [loss_O], [loss_O], rng=np.random.default_rng(0))

    assert set(inside_B1.ravel()) == set(outside_B1.ravel()) == {2.0}
