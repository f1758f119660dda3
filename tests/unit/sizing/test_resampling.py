"""The block bootstrap knows how far the mean of dependent losses moves."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hpo.sizing.resampling import (
    Floats,
    Origins,
    block_count,
    block_length,
    bootstrap_means,
    paired_difference,
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


def test_a_panel_is_resampled_by_whole_series() -> None:
    rng, origins = np.random.default_rng(3), origins_of(series=40)
    level_S = rng.standard_normal(40)

    assert bootstrap_sd(level_S[origins.series_O], origins) == pytest.approx(
        level_S.std() / np.sqrt(40), rel=0.15
    )


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


def test_series_of_a_panel_are_its_pieces_of_evidence() -> None:
    assert block_count(origins_of(series=8)) == 8
    assert block_count(origins_of(series=7, horizon=15)) == 28


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
