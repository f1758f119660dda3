"""The kernels' dropout is a Philox generator's, which anyone can compute again.

The counter of four cells' random words is (window's place in its batch, step in time, first of the
four cells / 4, layer), the key (seed, optimiser's step).
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hpo.training.trainer import Loss, Plan, Sequences
from tests.unit.training.reference import (
    SINGLE,
    Masks,
    Task,
    native_gradient,
    native_training,
    random_task,
    torch_gradient,
    torch_training,
)

Words = NDArray[np.uint32]
BATCH = 21
TASKS = pytest.mark.parametrize(
    ("cells", "loss", "dropout"),
    [
        ((1,), "squared", 0.5),
        ((6,), "squared", 0.25),
        ((5, 3), "absolute", 0.1),
        ((4, 9, 2), "squared", 0.4),
        ((6,), "cross_entropy", 0.3),
        ((7, 5), "cross_entropy", 0.6),
    ],
)


def philox(counter: Words, key: Words) -> Words:
    """Philox 4x32 with ten rounds: 4 words from 4 words and a key of 2.

    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
    """
    for _ in range(10):
        high_0, low_0 = _product(0xD2511F53, counter[0])
        high_1, low_1 = _product(0xCD9E8D57, counter[2])
        counter = np.stack(
            [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0]
        )
        key = key + np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint32)
    return counter


def _product(factor: int, words: Words) -> tuple[Words, Words]:
    product = np.uint64(factor) * words.astype(np.uint64)
    return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000",
         "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
         "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
         "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)  # fmt: skip
def test_the_generator_gives_the_words_its_authors_published(
    counter: str, key: str, expected: str
) -> None:
    given = [np.array([int(w, 16) for w in text.split()], np.uint32) for text in (counter, key)]
    assert " ".join(f"{word:08x}" for word in philox(*given)) == expected


def masks(task: Task, seed: int, step: int) -> Masks:
    """What every layer's outputs h_BTC of a batch are multiplied with."""
    samples, share = task.samples, task.shape.dropout
    steps = int(samples.lengths_N.max()) if isinstance(samples, Sequences) else samples.lookback
    found = []
    for layer, cells in enumerate(task.shape.cells):
        counter = np.indices((BATCH, steps, -(-cells // 4)), dtype=np.uint32)
        counter = np.concatenate([counter, np.full_like(counter[:1], layer)])
        words = np.moveaxis(philox(counter, np.array([seed, step], dtype=np.uint32)), 0, -1)
        dropped_BTC = words.reshape(BATCH, steps, -1)[:, :, :cells] < int(share * 2**32)
        found.append(torch.from_numpy(np.where(dropped_BTC, 0, 1 / (1 - share))))
    return found


def order() -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, 40, BATCH)


@TASKS
@pytest.mark.parametrize("seed", [0, 2**32 - 1])
def test_double_gradients_are_autograds_under_the_generators_masks(
    cells: tuple[int, ...], loss: Loss, dropout: float, seed: int
) -> None:
    task = random_task(cells, loss, dropout=dropout)
    given = masks(task, seed, step=0)
    if isinstance(task.samples, Sequences):
        steps = task.samples.lengths_N[order()].max()
        given = [mask_BTC[:, :steps] for mask_BTC in given]
    expected, expected_P = torch_gradient(task, torch.float64, order(), given)
    found, gradient_P = native_gradient(task, "double", order(), seed)
    assert found == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(gradient_P, expected_P, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kernel", SINGLE)
@TASKS
def test_every_kernel_draws_the_same_masks(
    cells: tuple[int, ...], loss: Loss, dropout: float, kernel: str
) -> None:
    """One number dropped or kept otherwise changes a gradient by far more than 1e-4."""
    task = random_task(cells, loss, dropout=dropout)
    expected, expected_P = native_gradient(task, "double", order(), seed=7)
    found, gradient_P = native_gradient(task, kernel, order(), seed=7)
    assert found == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(gradient_P, expected_P, rtol=0, atol=1e-4)


def test_every_step_of_a_training_draws_masks_of_its_own() -> None:
    task = random_task((5, 3), dropout=0.3)
    plan = Plan(
        order_SB=np.random.default_rng(0).integers(0, 40, size=(20, BATCH)),
        rates_S=np.full(20, 0.01, dtype=np.float32),
        loss="squared",
        clip_norm=1.0,
        weight_decay=0.0,
        check_every=1,
        patience=1,
        dropout_seed=3,
    )
    expected = torch_training(task, torch.float64, plan, lambda step: masks(task, 3, step))
    found = native_training(task, "double", plan)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
