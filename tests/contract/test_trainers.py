"""What every engine promises: the protocol of hpo.training.trainer, kept by each of them."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.training.trainer import (
    Diverged,
    Examples,
    Loss,
    OnCheck,
    Plan,
    Samples,
    Sequences,
    Shape,
    Stopped,
    Trained,
    Trainer,
    Weights,
)
from tests.contract.tasks import (
    SHAPE,
    assert_same,
    forward,
    go_on,
    levels,
    plan,
    samples,
    wave,
    weights_of,
)

LEVELS = Shape(inputs=2, outputs=3, cells=(6,))
Train = Callable[..., Trained]
FORECAST_LOSSES: tuple[Loss, ...] = ("absolute", "squared")


@pytest.fixture
def train(trainer: Trainer) -> Train:
    """Train fresh weights, by default without watching, until the plan ends."""

    def train(
        inner: Examples,
        how: Plan,
        watch: Examples | None = None,
        on_check: OnCheck = go_on,
        shape: Shape = SHAPE,
    ) -> Trained:
        return trainer.train(shape, weights_of(shape), inner, how, watch, on_check)

    return train


# Learning


@pytest.mark.parametrize("loss", FORECAST_LOSSES)
@pytest.mark.parametrize("cells", [(4,), (4, 2)])
def test_training_moves_the_loss_down(
    trainer: Trainer, train: Train, loss: Loss, cells: tuple[int, ...]
) -> None:
    shape = Shape(inputs=1, outputs=1, cells=cells)
    inner = samples(wave())
    before = trainer.loss(shape, weights_of(shape), inner, loss)
    trained = train(inner, plan(300, loss=loss), shape=shape)
    assert trainer.loss(shape, trained.weights, inner, loss) < 0.4 * before


def test_weight_decay_makes_weights_smaller(train: Train) -> None:
    sizes = [
        np.abs(train(samples(wave()), plan(weight_decay=d)).weights["head.weight"]).sum()
        for d in (0.0, 1.0)
    ]
    assert sizes[1] < 0.9 * sizes[0]


def test_a_step_is_as_long_as_its_rate(train: Train) -> None:
    """Adam's first step moves every weight by its rate, whatever the gradient's size."""
    trained = train(samples(wave()), plan(1, rate=0.02))
    moved = np.abs(trained.weights["head.bias"] - weights_of(SHAPE)["head.bias"])
    np.testing.assert_allclose(moved, 0.02, rtol=1e-3)


def test_a_rate_of_zero_moves_nothing(train: Train) -> None:
    assert_same(train(samples(wave()), plan(rate=0.0)).weights, weights_of(SHAPE))


def test_the_gradient_is_clipped_to_its_norm(train: Train) -> None:
    """A gradient clipped to next to nothing drowns in Adam's epsilon of 1e-8."""
    given = weights_of(SHAPE)
    trained = train(samples(wave()), plan(1, rate=0.02, clip_norm=1e-10))
    moved = max(np.abs(trained.weights[name] - given[name]).max() for name in given)
    assert 0 < moved < 0.02 * 0.02


# Repeating


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_same_plan_gives_the_same_weights_to_the_bit(train: Train, dropout: float) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(4, 3), dropout=dropout)
    inner, watch = samples(wave(noise=0.3)), samples(wave(noise=0.3), 90, 110)
    one, other = (train(inner, plan(), watch, shape=shape) for _ in range(2))
    assert_same(one.weights, other.weights)
    assert (one.checks, one.steps) == (other.checks, other.steps)


def test_trainings_at_once_are_those_one_after_another(train: Train) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(5, 3), dropout=0.5)
    begin = Barrier(2)

    def job(seed: int) -> Trained:
        begin.wait(timeout=30)
        return train(samples(wave()), plan(dropout_seed=seed), shape=shape)

    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(job, range(2)))
    for seed, trained in enumerate(at_once):
        alone = train(samples(wave()), plan(dropout_seed=seed), shape=shape)
        assert_same(trained.weights, alone.weights)
        assert trained.checks == alone.checks


def test_the_weights_that_are_given_stay_as_they_were(trainer: Trainer) -> None:
    given = weights_of(SHAPE)
    trainer.train(SHAPE, given, samples(wave()), plan(), None, go_on)
    assert_same(given, weights_of(SHAPE))


def test_the_weights_that_come_back_are_not_those_given(trainer: Trainer) -> None:
    given = weights_of(SHAPE)
    trained = trainer.train(SHAPE, given, samples(wave()), plan(rate=0.0), None, go_on)
    given["head.bias"][0] = 7
    assert trained.weights["head.bias"][0] == 0


def test_the_values_stay_as_they_were_when_windows_are_anchored(train: Train) -> None:
    values_RF = wave()
    train(samples(values_RF, anchored=True), plan())
    np.testing.assert_array_equal(values_RF, wave())


# Dropout


def test_dropout_changes_the_training_and_follows_its_seed(train: Train) -> None:
    half = Shape(inputs=1, outputs=1, cells=(4,), dropout=0.5)
    without = train(samples(wave()), plan())
    one, other = (train(samples(wave()), plan(dropout_seed=s), shape=half) for s in (0, 1))
    heads = [trained.weights["head.weight"] for trained in (without, one, other)]
    assert (heads[0] != heads[1]).any()
    assert (heads[1] != heads[2]).any()


def test_dropout_is_off_in_prediction_and_loss(trainer: Trainer) -> None:
    half = replace(SHAPE, dropout=0.5)
    x_BTF = np.random.default_rng(0).normal(size=(50, 6, 1)).astype(np.float32)
    one, other = (trainer.predictor(shape, weights_of(shape))(x_BTF) for shape in (SHAPE, half))
    np.testing.assert_array_equal(one, other)
    inner = samples(wave())
    lost = [trainer.loss(shape, weights_of(shape), inner, "absolute") for shape in (SHAPE, half)]
    assert lost[0] == lost[1]


def test_dropout_is_on_again_after_a_check(train: Train) -> None:
    shape = replace(SHAPE, dropout=0.5)
    inner, watch, how = samples(wave()), samples(wave(), 90, 110), plan(20, check_every=1)
    unwatched, watched = (train(inner, how, tail, shape=shape) for tail in (None, watch))
    losses = [[check.train_loss for check in trained.checks] for trained in (unwatched, watched)]
    assert losses[0] == losses[1]


def test_dropout_keeps_the_expected_output(trainer: Trainer) -> None:
    """The targets are 0 and every output is the same positive number but for its mask."""
    weights = weights_of(Shape(inputs=2, outputs=1, cells=(1,)))
    weights["layers.0.bias_ih_l0"][:] = 1
    weights["head.weight"][:] = 1
    values_RF = np.tile(np.array([0, 1], dtype=np.float32), (10, 1))
    how = plan(100, rate=0.0, order_SB=np.zeros((100, 64), dtype=np.int64))
    without, with_masks = (
        float(np.mean([check.train_loss for check in trained.checks]))
        for trained in (
            trainer.train(
                Shape(inputs=2, outputs=1, cells=(1,), dropout=dropout),
                weights,
                samples(values_RF, 0, 1),
                how,
                None,
                go_on,
            )
            for dropout in (0.0, 0.25)
        )
    )
    assert without > 0.1
    assert with_masks != without
    assert with_masks == pytest.approx(without, rel=0.03)  # 6,400 masks: standard error 0.7 %


# Checks, the best weights, patience


def test_without_watched_samples_all_steps_are_taken_and_the_last_weights_kept(
    train: Train,
) -> None:
    inner, longer = samples(wave(noise=1.0)), plan(60, rate=0.1)
    trained = train(inner, plan(45, rate=0.1, patience=1))
    assert trained.steps == 45
    assert [check.step for check in trained.checks] == [10, 20, 30, 40, 45]
    first_45 = replace(longer, order_SB=longer.order_SB[:45], rates_S=longer.rates_S[:45])
    assert_same(train(inner, first_45).weights, trained.weights)
    assert (train(inner, longer).weights["head.bias"] != trained.weights["head.bias"]).any()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_weights_of_the_lowest_watched_loss_are_restored(
    trainer: Trainer, train: Train, dropout: float
) -> None:
    inner, watch = samples(wave(noise=1.0), 0, 20), samples(wave(noise=1.0), 90, 110)
    shape = replace(SHAPE, cells=(4, 3), dropout=dropout)
    trained = train(inner, plan(400, rate=0.03, windows=20), watch, shape=shape)
    best = min(trained.checks, key=lambda check: check.watch_loss)
    assert trained.steps == best.step < trained.checks[-1].step
    restored = trainer.loss(shape, trained.weights, watch, "absolute")
    assert restored == pytest.approx(best.watch_loss, rel=1e-6)
    assert restored < trained.checks[-1].watch_loss


def test_training_ends_after_as_many_checks_without_gain_as_patience_says(train: Train) -> None:
    inner, watch = samples(wave(noise=1.0), 0, 20), samples(wave(noise=1.0), 90, 110)
    trained = train(inner, plan(400, rate=0.03, windows=20, patience=3), watch)
    losses = [check.watch_loss for check in trained.checks]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3 < 40
    assert trained.steps == trained.checks[best].step


def test_a_check_tells_the_mean_training_loss_since_the_last(train: Train) -> None:
    inner = samples(wave(noise=0.3))
    each = [check.train_loss for check in train(inner, plan(25, check_every=1)).checks]
    some = [check.train_loss for check in train(inner, plan(25, check_every=10)).checks]
    expected = [np.mean(each[:10]), np.mean(each[10:20]), np.mean(each[20:])]
    np.testing.assert_allclose(some, expected, rtol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_check_tells_the_watched_loss_at_its_step_without_dropout(
    trainer: Trainer, train: Train, dropout: float
) -> None:
    inner, watch = samples(wave(noise=0.3)), samples(wave(noise=0.3), 90, 110)
    shape = replace(SHAPE, dropout=dropout)
    check = train(inner, plan(10), watch, shape=shape).checks[0]
    last = train(inner, plan(10), shape=shape).weights
    expected = trainer.loss(shape, last, watch, "absolute")
    assert check.watch_loss == pytest.approx(expected, rel=1e-6)


def test_the_first_loss_is_that_of_the_first_batch_before_any_step(
    trainer: Trainer, train: Train
) -> None:
    inner, how = samples(wave(noise=0.3)), plan(1, check_every=1)
    batch = replace(inner, starts_N=inner.starts_N[how.order_SB[0]])
    expected = trainer.loss(SHAPE, weights_of(SHAPE), batch, "absolute")
    assert train(inner, how).checks[0].train_loss == pytest.approx(expected, rel=1e-5)


# on_check: an engine need not call it at every check, so these trainings last a while


def long_training(train: Train, on_check: OnCheck, check_every: int = 1) -> Trained:
    """Some tenths of a second in any engine."""
    inner = samples(wave(400, noise=0.3), 0, 300, lookback=24)
    order_SB = np.random.default_rng(1).integers(0, 300, size=(120, 128))
    how = plan(120, order_SB=order_SB, check_every=check_every)
    return train(inner, how, None, on_check, Shape(inputs=1, outputs=1, cells=(64,)))


def test_on_check_hears_the_step_and_the_last_checks_loss(train: Train) -> None:
    heard: list[tuple[int, float]] = []

    def hear(step: int, loss: float) -> bool:
        heard.append((step, loss))
        return True

    losses = [math.nan, *(check.watch_loss for check in long_training(train, hear).checks)]
    assert heard
    for step, loss in heard:
        assert loss == losses[step]


def test_on_check_is_asked_between_checks_too(train: Train) -> None:
    heard: list[tuple[int, float]] = []

    def hear_twice(step: int, loss: float) -> bool:
        heard.append((step, loss))
        return len(heard) < 2

    with pytest.raises(Stopped):
        long_training(train, hear_twice, check_every=120)
    assert [math.isnan(loss) for _, loss in heard] == [True, True]
    assert heard[0][0] < heard[1][0] < 120


def test_on_check_can_stop_the_training(train: Train) -> None:
    heard: list[int] = []

    def stop_at_once(step: int, _loss: float) -> bool:
        heard.append(step)
        return False

    with pytest.raises(Stopped):
        long_training(train, stop_at_once)
    assert len(heard) == 1


def test_what_on_check_raises_comes_through(train: Train) -> None:
    mishap = RuntimeError("the lease is lost")

    def fail(_step: int, _loss: float) -> bool:
        raise mishap

    with pytest.raises(RuntimeError) as caught:
        long_training(train, fail)
    assert caught.value is mishap


# Divergence


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_divergence(train: Train, broken: float) -> None:
    values_RF = wave()
    values_RF[40] = broken
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(values_RF), plan())


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_covariate_that_is_no_number_is_divergence(train: Train, broken: float) -> None:
    values_RF = np.concatenate([wave(), wave()], axis=1)
    values_RF[40, 1] = broken
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(values_RF), plan(), shape=replace(SHAPE, inputs=2))


def test_watched_values_that_are_no_numbers_are_divergence(train: Train) -> None:
    values_RF = wave()
    values_RF[100] = np.nan
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(values_RF), plan(), samples(values_RF, 90, 110))


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_sequence_with_values_that_are_no_numbers_is_divergence(
    train: Train, broken: float
) -> None:
    given = levels()
    values_RF = given.values_RF.copy()
    values_RF[given.starts_N[3]] = broken
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(replace(given, values_RF=values_RF), sorting(20), shape=LEVELS)


def test_a_first_weight_that_is_no_number_is_divergence(trainer: Trainer) -> None:
    for name in weights_of(SHAPE):
        weights = weights_of(SHAPE)
        weights[name].flat[0] = np.nan
        with pytest.raises(Diverged, match="not a finite number at step 10"):
            trainer.train(SHAPE, weights, samples(wave()), plan(), None, go_on)


def test_a_last_step_that_breaks_the_weights_is_divergence(train: Train) -> None:
    """An infinite input saturates its gates: the loss is finite, the gradient is not."""
    values_RF = np.concatenate([wave(), wave()], axis=1)
    values_RF[2, 1] = np.inf
    how = plan(steps=1, order_SB=np.zeros((1, 1), dtype=np.int64))
    with pytest.raises(Diverged, match="a weight is not a finite number after step 1"):
        train(samples(values_RF), how, shape=replace(SHAPE, inputs=2))


def test_squares_beyond_single_precision_are_divergence(train: Train) -> None:
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(wave() * np.float32(1e30)), plan(loss="squared"))


@pytest.mark.parametrize("factor", [0.0, 1e-40, 1e-30, 1e6, 1e30])
def test_tiny_and_huge_values_are_no_divergence(train: Train, factor: float) -> None:
    trained = train(samples((wave() * factor).astype(np.float32)), plan())
    assert trained.steps == 60
    assert all(np.isfinite(array).all() for array in trained.weights.values())


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_no_numbers_do_no_harm_in_windows_never_used(
    train: Train, broken: float
) -> None:
    """Batches take windows 0 to 39, to row 45; row 88 is in none that is watched, from row 90."""
    spoilt = wave()
    spoilt[46:89] = broken
    one, other = (
        train(samples(v), plan(windows=40), samples(v, 90, 110)) for v in (wave(), spoilt)
    )
    assert_same(one.weights, other.weights)
    assert one.checks == other.checks


@pytest.mark.parametrize("loss", FORECAST_LOSSES)
def test_an_exploding_rate_is_divergence(train: Train, loss: Loss) -> None:
    with pytest.raises(Diverged, match=r"exploded from 0\.\d+ to .* at step 10"):
        train(samples(wave()), plan(rate=1e4, loss=loss))


def test_an_exploding_rate_is_divergence_for_classes_too(train: Train) -> None:
    with pytest.raises(Diverged, match=r"exploded from \d\.\d+ to .* at step 10"):
        train(levels(), sorting(20, rate=1e6), shape=LEVELS)


def test_an_infinite_rate_is_divergence(train: Train) -> None:
    with pytest.raises(Diverged, match="not a finite number"):
        train(samples(wave()), plan(rate=np.inf))


@pytest.mark.parametrize("loss", FORECAST_LOSSES)
def test_the_largest_rate_of_the_space_is_no_divergence(train: Train, loss: Loss) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(64,))
    trained = train(samples(wave(noise=1.0)), plan(60, rate=0.1, loss=loss), shape=shape)
    assert trained.steps == 60


# Windows to forecast


def columns() -> NDArray[np.float32]:
    """Two columns: 1, 2, 4, 8, ... and 0.1, 0.2, ..., so that every window can be told."""
    rows = np.arange(10)
    return np.stack([2.0**rows, 0.1 * (rows + 1)], axis=1).astype(np.float32)


def two_windows(*, anchored: bool) -> Samples:
    """[1, 2, 4] -> 8, 16 and [4, 8, 16] -> 32, 64."""
    return Samples(
        values_RF=columns(), starts_N=np.array([0, 2]), lookback=3, outputs=2, anchored=anchored
    )


def constant(value: float) -> tuple[Shape, Weights]:
    """A network that forecasts one value for two outputs, whatever it sees."""
    shape = Shape(inputs=2, outputs=2, cells=(1,))
    weights = weights_of(shape)
    weights["head.weight"][:] = 0
    weights["head.bias"][:] = value
    return shape, weights


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("absolute", (2 + 6 + 22 + 54) / 4),
        ("squared", (2**2 + 6**2 + 22**2 + 54**2) / 4),
    ],
)
def test_the_loss_is_the_mean_over_windows_and_outputs(
    trainer: Trainer, loss: Loss, expected: float
) -> None:
    shape, weights = constant(10.0)
    found = trainer.loss(shape, weights, two_windows(anchored=False), loss)
    assert found == pytest.approx(expected)


def test_anchored_targets_are_counted_from_the_windows_last_value(trainer: Trainer) -> None:
    # 8 - 4, 16 - 4 and 32 - 16, 64 - 16 against 10
    shape, weights = constant(10.0)
    expected = (6 + 2 + 6 + 38) / 4
    found = trainer.loss(shape, weights, two_windows(anchored=True), "absolute")
    assert found == pytest.approx(expected)


def test_anchored_windows_lose_their_last_value_and_covariates_stay(trainer: Trainer) -> None:
    """The engine's loss is that of its predictor on windows that were anchored by hand."""
    shape = Shape(inputs=2, outputs=2, cells=(3,))
    weights = weights_of(shape)
    x_BTF = np.array(
        [
            [[1 - 4, 0.1], [2 - 4, 0.2], [4 - 4, 0.3]],
            [[4 - 16, 0.3], [8 - 16, 0.4], [16 - 16, 0.5]],
        ],
        dtype=np.float32,
    )
    y_BK = np.array([[8 - 4, 16 - 4], [32 - 16, 64 - 16]])
    expected = np.abs(trainer.predictor(shape, weights)(x_BTF) - y_BK).mean()
    found = trainer.loss(shape, weights, two_windows(anchored=True), "absolute")
    assert found == pytest.approx(expected, rel=1e-6)


def test_anchored_training_does_not_see_the_level(train: Train) -> None:
    low_RF = np.round(64 * wave()) / np.float32(
        64
    )  # so that a level of 8 is added without rounding
    low, high = (train(samples(v, anchored=True), plan()) for v in (low_RF, low_RF + 8))
    assert_same(low.weights, high.weights)


# Predictions


@pytest.mark.parametrize("cells", [(1,), (5,), (4, 3), (3, 7, 2), (33,)])
def test_a_trained_network_predicts_what_the_equations_say(
    trainer: Trainer, cells: tuple[int, ...]
) -> None:
    shape = Shape(inputs=2, outputs=3, cells=cells)
    generator = np.random.default_rng(0)
    values_RF = generator.normal(size=(60, 2)).astype(np.float32)
    how = plan(20, rate=0.03, windows=40)
    inner = samples(values_RF, 0, 40, outputs=3)
    weights = trainer.train(shape, weights_of(shape), inner, how, None, go_on).weights
    x_BTF = generator.normal(size=(37, 9, 2)).astype(np.float32)
    y_BK = trainer.predictor(shape, weights)(x_BTF)
    np.testing.assert_allclose(y_BK, forward(shape, weights, x_BTF), rtol=0, atol=1e-5)
    assert y_BK.dtype == np.float32


def test_what_one_engine_trained_the_other_predicts_with(pair: tuple[Trainer, Trainer]) -> None:
    shape = Shape(inputs=1, outputs=2, cells=(6, 3), dropout=0.2)
    inner, watch = (samples(wave(noise=0.3), *span, outputs=2) for span in ((0, 80), (90, 110)))
    trained = pair[0].train(shape, weights_of(shape), inner, plan(), watch, go_on)
    x_BTF = np.random.default_rng(0).normal(size=(20, 6, 1)).astype(np.float32)
    own, foreign = (engine.predictor(shape, trained.weights)(x_BTF) for engine in pair)
    np.testing.assert_allclose(own, foreign, rtol=0, atol=1e-5)
    lost = [engine.loss(shape, trained.weights, watch, "absolute") for engine in pair]
    assert lost[0] == pytest.approx(lost[1], abs=1e-5)


def test_what_one_engine_trained_the_other_trains_on(pair: tuple[Trainer, Trainer]) -> None:
    first = pair[0].train(SHAPE, weights_of(SHAPE), samples(wave()), plan(150), None, go_on)
    lost = pair[0].loss(SHAPE, first.weights, samples(wave()), "absolute")
    further = pair[1].train(SHAPE, first.weights, samples(wave()), plan(150), None, go_on)
    assert pair[1].loss(SHAPE, further.weights, samples(wave()), "absolute") < lost


def test_a_prediction_takes_windows_that_are_a_view(trainer: Trainer) -> None:
    predict = trainer.predictor(SHAPE, weights_of(SHAPE))
    x_TBF = np.random.default_rng(0).normal(size=(6, 5, 1)).astype(np.float32)
    view_BTF = x_TBF.transpose(1, 0, 2)
    np.testing.assert_array_equal(predict(view_BTF), predict(view_BTF.copy()))
    assert predict(view_BTF).shape == (5, 1)


def test_a_prediction_does_not_depend_on_its_neighbours(trainer: Trainer) -> None:
    shape = Shape(inputs=2, outputs=3, cells=(5, 4))
    predict = trainer.predictor(shape, weights_of(shape))
    x_BTF = np.random.default_rng(0).normal(size=(9, 6, 2)).astype(np.float32)
    alone = np.concatenate([predict(x_BTF[b : b + 1]) for b in range(9)])
    np.testing.assert_allclose(predict(x_BTF), alone, rtol=1e-5, atol=1e-6)


# Sequences to classify


def sorting(steps: int, rate: float = 0.03, **changes: Any) -> Plan:
    return plan(steps, rate, windows=24, **{"loss": "cross_entropy", **changes})


def sequence(sequences: Sequences, n: int) -> NDArray[np.float32]:
    """x_1TF of one sequence, as the predictor takes it."""
    begin = int(sequences.starts_N[n])
    return sequences.values_RF[None, begin : begin + int(sequences.lengths_N[n])]


def only(sequences: Sequences, *chosen: int) -> Sequences:
    index_B = np.array(chosen)
    return replace(
        sequences,
        starts_N=sequences.starts_N[index_B],
        lengths_N=sequences.lengths_N[index_B],
        labels_N=sequences.labels_N[index_B],
    )


@pytest.mark.parametrize("cells", [(6,), (5, 4)])
def test_classes_that_can_be_told_apart_are(
    trainer: Trainer, train: Train, cells: tuple[int, ...]
) -> None:
    given, shape = levels(), replace(LEVELS, cells=cells)
    weights = train(given, sorting(120), given, shape=shape).weights
    predict = trainer.predictor(shape, weights)
    told = [int(predict(sequence(given, n)).argmax()) for n in range(len(given.starts_N))]
    assert told == given.labels_N.tolist()


def test_the_loss_of_a_sequence_is_the_cross_entropy_of_the_output_at_its_last_step(
    trainer: Trainer,
) -> None:
    given, weights = levels(), weights_of(LEVELS)
    expected = []
    for n, label in enumerate(given.labels_N):
        y_K = forward(LEVELS, weights, sequence(given, n))[0]
        expected.append(np.log(np.exp(y_K).sum()) - y_K[label])
        single = trainer.loss(LEVELS, weights, only(given, n), "cross_entropy")
        assert single == pytest.approx(expected[-1], rel=1e-5)
    whole = trainer.loss(LEVELS, weights, given, "cross_entropy")
    assert whole == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_step_on_a_long_and_a_short_sequence_sees_the_mean_of_their_losses(
    trainer: Trainer, train: Train
) -> None:
    given = levels()
    long, short = int(given.lengths_N.argmax()), int(given.lengths_N.argmin())
    how = sorting(1, order_SB=np.array([[long, short]]))
    alone = [
        trainer.loss(LEVELS, weights_of(LEVELS), only(given, n), "cross_entropy")
        for n in (long, short)
    ]
    found = train(given, how, shape=LEVELS).checks[0].train_loss
    assert found == pytest.approx(np.mean(alone), rel=1e-5)


def test_what_stands_behind_a_sequences_end_changes_nothing(train: Train) -> None:
    given = only(levels(), 0, 1, 2, 3, 4, 5)
    end = int((given.starts_N + given.lengths_N).max())
    swept = given.values_RF[: end + 12].copy()
    spoilt = swept.copy()
    spoilt[end:] = np.nan
    how = sorting(30, order_SB=np.random.default_rng(0).integers(0, 6, size=(30, 8)))
    one, other = (train(replace(given, values_RF=v), how, shape=LEVELS) for v in (swept, spoilt))
    assert_same(one.weights, other.weights)


def test_sequences_are_watched_like_windows(trainer: Trainer, train: Train) -> None:
    inner, watch = only(levels(), *range(12)), only(levels(), *range(12, 24))
    order_SB = np.random.default_rng(0).integers(0, 12, size=(100, 8))
    trained = train(inner, sorting(100, order_SB=order_SB), watch, shape=LEVELS)
    best = min(trained.checks, key=lambda check: check.watch_loss)
    assert trained.steps == best.step
    found = trainer.loss(LEVELS, trained.weights, watch, "cross_entropy")
    assert found == pytest.approx(best.watch_loss, rel=1e-6)


def test_a_logit_of_a_thousand_is_no_infinite_loss(trainer: Trainer) -> None:
    weights = weights_of(LEVELS)
    weights["head.weight"][:] = 0
    weights["head.bias"][:] = [1000, 0, -1000]
    first = only(levels(), *np.flatnonzero(levels().labels_N == 1).tolist())
    assert trainer.loss(LEVELS, weights, first, "cross_entropy") == pytest.approx(1000)


# What does not belong together


@pytest.mark.parametrize(
    ("shape", "inner", "how", "said"),
    [
        (replace(SHAPE, inputs=2), samples(wave()), plan(), "1 columns, the network 2 inputs"),
        (replace(SHAPE, outputs=2), samples(wave()), plan(), "1 outputs, the network 2 outputs"),
        (replace(LEVELS, outputs=4), levels(), sorting(9), "3 classes, the network 4 outputs"),
        (SHAPE, samples(wave()), plan(windows=90), r"windows 0 \.\. 89, not only 0 \.\. 79"),
        (SHAPE, samples(wave()), plan(loss="cross_entropy"), "for windows to forecast"),
        (LEVELS, levels(), sorting(9, loss="squared"), "for sequences to classify"),
    ],
)
def test_samples_that_do_not_fit_the_network_or_the_plan_are_refused(
    train: Train, shape: Shape, inner: Examples, how: Plan, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        train(inner, how, shape=shape)


def test_watched_samples_that_do_not_fit_are_refused(train: Train) -> None:
    with pytest.raises(ValueError, match="2 outputs, the network 1 outputs"):
        train(samples(wave()), plan(), samples(wave(), outputs=2))


def test_a_loss_of_samples_that_do_not_fit_is_refused(trainer: Trainer) -> None:
    with pytest.raises(ValueError, match="1 columns, the network 2 inputs"):
        trainer.loss(LEVELS, weights_of(LEVELS), samples(wave()), "absolute")
    with pytest.raises(ValueError, match="for windows to forecast"):
        trainer.loss(SHAPE, weights_of(SHAPE), samples(wave()), "cross_entropy")
    unknown: Any = "huber"
    with pytest.raises(ValueError, match="one of absolute, squared, cross_entropy"):
        trainer.loss(SHAPE, weights_of(SHAPE), samples(wave()), unknown)


def test_weights_of_another_network_are_refused(trainer: Trainer) -> None:
    given = weights_of(replace(SHAPE, cells=(5,)))
    said = r"weight_ih_l0 has shape \(20, 1\), a network of 1 inputs, \(4,\) cells and 1 outputs"
    with pytest.raises(ValueError, match=said):
        trainer.train(SHAPE, given, samples(wave()), plan(), None, go_on)
    with pytest.raises(ValueError, match=said):
        trainer.predictor(SHAPE, given)
    with pytest.raises(ValueError, match=said):
        trainer.loss(SHAPE, given, samples(wave()), "absolute")


@pytest.mark.parametrize(
    "x_BTF",
    [
        np.zeros((5, 6), dtype=np.float32),
        np.zeros((5, 6, 2), dtype=np.float32),
        np.zeros((5, 0, 1), dtype=np.float32),
        np.zeros((5, 6, 1)),
    ],
    ids=["flat", "too-many-inputs", "no-steps", "float64"],
)
def test_windows_that_cannot_be_predicted_from_are_refused(
    trainer: Trainer, x_BTF: NDArray[Any]
) -> None:
    with pytest.raises(ValueError, match="must be float32, windows by steps by 1 inputs, not"):
        trainer.predictor(SHAPE, weights_of(SHAPE))(x_BTF)
