"""The torch engine does what the protocol of all engines says."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpo.training import torch_trainer
from hpo.training.network import initial_weights
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import (
    Diverged,
    OutOfMemory,
    Plan,
    Samples,
    Shape,
    Stopped,
    Trained,
    Weights,
)

Loss = Literal["absolute", "squared"]
SHAPE = Shape(inputs=1, outputs=1, cells=(4,))
TRAINER = TorchTrainer("cpu")


def go_on(_step: int, _loss: float) -> bool:
    return True


def wave(rows: int = 120, *, noise: float = 0.0) -> NDArray[np.float32]:
    """values_RF of one column: a sine of 12 steps, with noise."""
    clean_R = np.sin(2 * np.pi * np.arange(rows) / 12)
    noise_R = noise * np.random.default_rng(0).normal(size=rows)
    return (clean_R + noise_R).astype(np.float32)[:, None]


def samples(
    values_RF: NDArray[np.float32], first: int = 0, last: int = 80, **changes: Any
) -> Samples:
    shape = {"lookback": 6, "outputs": 1, "anchored": False, **changes}
    return Samples(values_RF=values_RF, starts_N=np.arange(first, last), **shape)


def plan(steps: int = 60, rate: float = 0.01, **changes: Any) -> Plan:
    given: dict[str, Any] = {
        "order_SB": np.random.default_rng(1).integers(0, 80, size=(steps, 16)),
        "rates_S": np.full(steps, rate, dtype=np.float32),
        "loss": "absolute",
        "clip_norm": 1.0,
        "weight_decay": 0.0,
        "check_every": 10,
        "patience": 100,
        "dropout_seed": 0,
    }
    return Plan(**{**given, **changes})


def weights_of(shape: Shape, seed: int = 0) -> Weights:
    return initial_weights(shape, np.random.default_rng(seed))


def train(
    inner: Samples,
    how: Plan,
    watch: Samples | None = None,
    on_check: Callable[[int, float], bool] = go_on,
    shape: Shape = SHAPE,
) -> Trained:
    return TRAINER.train(shape, weights_of(shape), inner, how, watch, on_check)


def assert_same(one: Weights, other: Weights) -> None:
    assert list(one) == list(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


@pytest.mark.parametrize("loss", ["absolute", "squared"])
@pytest.mark.parametrize("cells", [(4,), (4, 2)])
def test_training_moves_the_loss_down(loss: Loss, cells: tuple[int, ...]) -> None:
    shape = Shape(inputs=1, outputs=1, cells=cells)
    inner = samples(wave())
    before = TRAINER.loss(shape, weights_of(shape), inner, loss)
    trained = train(inner, plan(300, loss=loss), shape=shape)
    assert TRAINER.loss(shape, trained.weights, inner, loss) < 0.4 * before


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_same_plan_gives_the_same_weights_to_the_bit(dropout: float) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(4, 3), dropout=dropout)
    inner, watch = samples(wave(noise=0.3)), samples(wave(noise=0.3), 90, 110)
    one = train(inner, plan(), watch, shape=shape)
    torch.rand(7)  # what else drew from torch's generator does not matter
    other = train(inner, plan(), watch, shape=shape)
    assert_same(one.weights, other.weights)
    assert one.checks == other.checks


def test_dropout_follows_its_seed() -> None:
    shape = Shape(inputs=1, outputs=1, cells=(4,), dropout=0.5)
    one, other = (train(samples(wave()), plan(dropout_seed=s), shape=shape) for s in (0, 1))
    assert (one.weights["head.weight"] != other.weights["head.weight"]).any()


def test_dropout_is_off_in_prediction_and_loss() -> None:
    without = Shape(inputs=1, outputs=1, cells=(4,))
    half = Shape(inputs=1, outputs=1, cells=(4,), dropout=0.5)
    x_BTF = np.random.default_rng(0).normal(size=(50, 6, 1)).astype(np.float32)
    one, other = (TRAINER.predictor(shape, weights_of(shape))(x_BTF) for shape in (without, half))
    np.testing.assert_array_equal(one, other)
    inner = samples(wave())
    lost = [TRAINER.loss(shape, weights_of(shape), inner, "absolute") for shape in (without, half)]
    assert lost[0] == lost[1]


def test_dropout_is_on_again_after_a_check() -> None:
    shape = Shape(inputs=1, outputs=1, cells=(4,), dropout=0.5)
    inner, watch, how = samples(wave()), samples(wave(), 90, 110), plan(20, check_every=1)
    unwatched, watched = (train(inner, how, tail, shape=shape) for tail in (None, watch))
    losses = [[check.train_loss for check in trained.checks] for trained in (unwatched, watched)]
    assert losses[0] == losses[1]


def test_the_weights_that_are_given_stay_as_they_were() -> None:
    given = weights_of(SHAPE)
    TRAINER.train(SHAPE, given, samples(wave()), plan(), None, go_on)
    assert_same(given, weights_of(SHAPE))


def test_the_values_stay_as_they_were_when_windows_are_anchored() -> None:
    values_RF = wave()
    train(samples(values_RF, anchored=True), plan())
    np.testing.assert_array_equal(values_RF, wave())


def test_without_watched_samples_all_steps_are_taken_and_the_last_weights_kept() -> None:
    trained = train(samples(wave(noise=1.0)), plan(45, rate=0.1, patience=1))
    assert trained.steps == 45
    assert [check.step for check in trained.checks] == [10, 20, 30, 40, 45]
    longer = plan(60, rate=0.1)
    seen: list[int] = []

    def until_45(step: int, _loss: float) -> bool:
        seen.append(step)
        return True

    first_45 = Plan(
        **{**vars(longer), "order_SB": longer.order_SB[:45], "rates_S": longer.rates_S[:45]}
    )
    assert_same(train(samples(wave(noise=1.0)), first_45, None, until_45).weights, trained.weights)
    assert seen == [10, 20, 30, 40, 45]


def test_the_weights_of_the_lowest_watched_loss_are_restored() -> None:
    inner, watch = samples(wave(noise=1.0), 0, 20), samples(wave(noise=1.0), 90, 110)
    order_SB = np.random.default_rng(0).integers(0, 20, size=(400, 16))
    how = plan(400, rate=0.03, order_SB=order_SB)
    trained = train(inner, how, watch)
    best = min(trained.checks, key=lambda check: check.watch_loss)
    assert trained.steps == best.step < trained.checks[-1].step
    restored = TRAINER.loss(SHAPE, trained.weights, watch, "absolute")
    assert restored == pytest.approx(best.watch_loss, rel=1e-6)
    assert restored < 0.95 * trained.checks[-1].watch_loss


def test_training_ends_after_as_many_checks_without_gain_as_patience_says() -> None:
    inner, watch = samples(wave(noise=1.0), 0, 20), samples(wave(noise=1.0), 90, 110)
    order_SB = np.random.default_rng(0).integers(0, 20, size=(400, 16))
    trained = train(inner, plan(400, rate=0.03, order_SB=order_SB, patience=3), watch)
    losses = [check.watch_loss for check in trained.checks]
    best = losses.index(min(losses))
    assert len(losses) == best + 1 + 3 < 40
    assert trained.steps == trained.checks[best].step


def test_a_check_tells_the_mean_training_loss_since_the_last() -> None:
    inner = samples(wave(noise=0.3))
    each = [check.train_loss for check in train(inner, plan(25, check_every=1)).checks]
    some = [check.train_loss for check in train(inner, plan(25, check_every=10)).checks]
    expected = [np.mean(each[:10]), np.mean(each[10:20]), np.mean(each[20:])]
    np.testing.assert_allclose(some, expected, rtol=1e-5)


def test_the_first_loss_is_that_of_the_first_batch_before_any_step() -> None:
    inner, how = samples(wave(noise=0.3)), plan(1, check_every=1)
    batch = Samples(**{**vars(inner), "starts_N": inner.starts_N[how.order_SB[0]]})
    expected = TRAINER.loss(SHAPE, weights_of(SHAPE), batch, "absolute")
    assert train(inner, how).checks[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_on_check_hears_every_check() -> None:
    heard: list[tuple[int, float]] = []

    def hear(step: int, loss: float) -> bool:
        heard.append((step, loss))
        return True

    trained = train(samples(wave()), plan(), samples(wave(), 90, 110), hear)
    assert heard == [(check.step, check.watch_loss) for check in trained.checks]


def test_on_check_can_stop_the_training() -> None:
    heard: list[int] = []

    def stop_at_20(step: int, _loss: float) -> bool:
        heard.append(step)
        return step < 20

    with pytest.raises(Stopped):
        train(samples(wave()), plan(), None, stop_at_20)
    assert heard == [10, 20]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_divergence(broken: float) -> None:
    values_RF = wave()
    values_RF[40] = broken
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(values_RF), plan())


def test_watched_values_that_are_no_numbers_are_divergence() -> None:
    values_RF = wave()
    values_RF[100] = np.nan
    with pytest.raises(Diverged, match="not a finite number at step 10"):
        train(samples(values_RF), plan(), samples(values_RF, 90, 110))


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_an_exploding_rate_is_divergence(loss: Loss) -> None:
    with pytest.raises(Diverged, match=r"exploded from 0\.\d+ to .* at step 10"):
        train(samples(wave()), plan(rate=1e4, loss=loss))


def test_an_infinite_rate_is_divergence() -> None:
    with pytest.raises(Diverged, match="not a finite number"):
        train(samples(wave()), plan(rate=np.inf))


@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_the_largest_rate_of_the_space_is_no_divergence(loss: Loss) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(64,))
    trained = train(samples(wave(noise=1.0)), plan(60, rate=0.1, loss=loss), shape=shape)
    assert trained.steps == 60


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried"),
    ],
)
@pytest.mark.parametrize("where", ["load", "_evaluate"])
def test_a_device_without_room_is_out_of_memory(
    where: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(torch_trainer, where, fail)
    with pytest.raises(OutOfMemory, match=r"cpu is out of memory at \(4,\) cells"):
        train(samples(wave()), plan(), samples(wave(), 90, 110))


def test_another_mishap_of_torch_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(torch_trainer, "_evaluate", fail)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        train(samples(wave()), plan(), samples(wave(), 90, 110))


def test_weight_decay_makes_weights_smaller() -> None:
    sizes = [
        np.abs(train(samples(wave()), plan(weight_decay=d)).weights["head.weight"]).sum()
        for d in (0.0, 1.0)
    ]
    assert sizes[1] < 0.9 * sizes[0]


def test_a_step_is_as_long_as_its_rate() -> None:
    """Adam's first step moves every weight by its rate, whatever the gradient's size."""
    given = weights_of(SHAPE)
    how = plan(1, rates_S=np.array([0.02], dtype=np.float32))
    trained = TRAINER.train(SHAPE, given, samples(wave()), how, None, go_on)
    moved = np.abs(trained.weights["head.bias"] - given["head.bias"])
    np.testing.assert_allclose(moved, 0.02, rtol=1e-3)


def test_a_rate_of_zero_moves_nothing() -> None:
    assert_same(train(samples(wave()), plan(rate=0.0)).weights, weights_of(SHAPE))


def test_the_gradient_is_clipped_to_its_norm() -> None:
    """A gradient clipped to next to nothing drowns in Adam's epsilon of 1e-8."""
    given = weights_of(SHAPE)
    trained = train(samples(wave()), plan(1, rate=0.02, clip_norm=1e-10))
    moved = max(np.abs(trained.weights[name] - given[name]).max() for name in given)
    assert 0 < moved < 0.02 * 0.02


def columns() -> NDArray[np.float32]:
    """Two columns: 1, 2, 4, 8, ... and 0.1, 0.2, ..., so that every window can be told."""
    rows = np.arange(10)
    return np.stack([2.0**rows, 0.1 * (rows + 1)], axis=1).astype(np.float32)


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
        # windows [1, 2, 4] -> 8, 16 and [4, 8, 16] -> 32, 64 against a forecast of 10
        ("absolute", (2 + 6 + 22 + 54) / 4),
        ("squared", (2**2 + 6**2 + 22**2 + 54**2) / 4),
    ],
)
def test_the_loss_is_the_mean_over_windows_and_outputs(loss: Loss, expected: float) -> None:
    shape, weights = constant(10.0)
    given = Samples(
        values_RF=columns(), starts_N=np.array([0, 2]), lookback=3, outputs=2, anchored=False
    )
    assert TRAINER.loss(shape, weights, given, loss) == pytest.approx(expected)


def test_anchored_targets_are_counted_from_the_windows_last_value() -> None:
    # windows [1, 2, 4] -> 8 - 4, 16 - 4 and [4, 8, 16] -> 32 - 16, 64 - 16 against 10
    shape, weights = constant(10.0)
    given = Samples(
        values_RF=columns(), starts_N=np.array([0, 2]), lookback=3, outputs=2, anchored=True
    )
    expected = (6 + 2 + 6 + 38) / 4
    assert TRAINER.loss(shape, weights, given, "absolute") == pytest.approx(expected)


def test_anchored_windows_lose_their_last_value_and_covariates_stay() -> None:
    """The engine's loss is that of its predictor on windows that were anchored by hand."""
    shape = Shape(inputs=2, outputs=2, cells=(3,))
    weights = weights_of(shape)
    given = Samples(
        values_RF=columns(), starts_N=np.array([0, 2]), lookback=3, outputs=2, anchored=True
    )
    x_BTF = np.array(
        [
            [[1 - 4, 0.1], [2 - 4, 0.2], [4 - 4, 0.3]],
            [[4 - 16, 0.3], [8 - 16, 0.4], [16 - 16, 0.5]],
        ],
        dtype=np.float32,
    )
    y_BK = np.array([[8 - 4, 16 - 4], [32 - 16, 64 - 16]])
    expected = np.abs(TRAINER.predictor(shape, weights)(x_BTF) - y_BK).mean()
    assert TRAINER.loss(shape, weights, given, "absolute") == pytest.approx(expected, rel=1e-6)


def test_a_loss_over_many_windows_is_the_mean_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = samples(wave(noise=1.0))
    whole = TRAINER.loss(SHAPE, weights_of(SHAPE), given, "squared")
    monkeypatch.setattr(torch_trainer, "EVALUATION_BATCH", 7)
    in_parts = TRAINER.loss(SHAPE, weights_of(SHAPE), given, "squared")
    assert in_parts == pytest.approx(whole, rel=1e-6)


def test_a_prediction_takes_windows_that_are_a_view() -> None:
    predict = TRAINER.predictor(SHAPE, weights_of(SHAPE))
    x_TBF = np.random.default_rng(0).normal(size=(6, 5, 1)).astype(np.float32)
    view_BTF = x_TBF.transpose(1, 0, 2)
    np.testing.assert_array_equal(predict(view_BTF), predict(view_BTF.copy()))
    assert predict(view_BTF).shape == (5, 1)
    assert predict(view_BTF).dtype == np.float32


def test_a_prediction_does_not_depend_on_its_neighbours() -> None:
    shape = Shape(inputs=2, outputs=3, cells=(5, 4))
    predict = TRAINER.predictor(shape, weights_of(shape))
    x_BTF = np.random.default_rng(0).normal(size=(9, 6, 2)).astype(np.float32)
    alone = np.concatenate([predict(x_BTF[b : b + 1]) for b in range(9)])
    np.testing.assert_allclose(predict(x_BTF), alone, rtol=1e-5, atol=1e-6)
