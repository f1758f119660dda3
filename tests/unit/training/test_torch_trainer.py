"""What the torch engine does beside the promises of every engine (tests/contract)."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hpo.training import torch_trainer
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import OnCheck, OutOfMemory, Samples, Trained
from tests.contract.tasks import SHAPE, assert_same, go_on, levels, plan, samples, wave, weights_of

TRAINER = TorchTrainer("cpu")


def train(watch: Samples | None = None, on_check: OnCheck = go_on, dropout: float = 0) -> Trained:
    shape = replace(SHAPE, dropout=dropout)
    return TRAINER.train(shape, weights_of(SHAPE), samples(wave()), plan(), watch, on_check)


def test_dropout_neither_follows_nor_moves_torchs_own_generator() -> None:
    one = train(dropout=0.5)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    other = train(dropout=0.5)
    assert_same(one.weights, other.weights)
    assert torch.equal(torch.rand(3), expected)


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
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch_trainer, where, fail)
    with pytest.raises(OutOfMemory, match=r"cpu is out of memory at \(4,\) cells"):
        train(samples(wave(), 90, 110))


def test_a_device_without_room_is_told_by_loss_and_predictor_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    predict = TRAINER.predictor(SHAPE, weights_of(SHAPE))
    said = r"cpu is out of memory at \(4,\) cells"
    monkeypatch.setattr(torch.nn.LSTM, "forward", fail)
    with pytest.raises(OutOfMemory, match=said):
        predict(np.zeros((2, 6, 1), dtype=np.float32))
    with pytest.raises(OutOfMemory, match=said):
        TRAINER.loss(SHAPE, weights_of(SHAPE), samples(wave()), "absolute")
    monkeypatch.setattr(torch_trainer, "load", fail)
    with pytest.raises(OutOfMemory, match=said):
        TRAINER.predictor(SHAPE, weights_of(SHAPE))


def test_another_mishap_of_torch_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(torch_trainer, "_evaluate", fail)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        train(samples(wave(), 90, 110))


def test_a_loss_over_many_windows_is_the_mean_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = samples(wave(noise=1.0))
    whole = TRAINER.loss(SHAPE, weights_of(SHAPE), given, "squared")
    monkeypatch.setattr(torch_trainer, "EVALUATION_BATCH", 7)
    in_parts = TRAINER.loss(SHAPE, weights_of(SHAPE), given, "squared")
    assert in_parts == pytest.approx(whole, rel=1e-6)


def test_a_loss_over_many_sequences_is_the_mean_over_all(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = replace(SHAPE, inputs=2, outputs=3)
    whole = TRAINER.loss(shape, weights_of(shape), levels(), "cross_entropy")
    monkeypatch.setattr(torch_trainer, "EVALUATION_BATCH", 7)
    in_parts = TRAINER.loss(shape, weights_of(shape), levels(), "cross_entropy")
    assert in_parts == pytest.approx(whole, rel=1e-6)
