"""The engines, one after another, each with one processor thread as workers have."""

import os

import pytest
import torch

from hpo.training.native_trainer import NativeTrainer, is_available
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Trainer

ENGINES = ("torch", "native")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=ENGINES)
def trainer(request: pytest.FixtureRequest) -> Trainer:
    return engine(request.param)


@pytest.fixture(params=[("torch", "native"), ("native", "torch")], ids="-to-".join)
def pair(request: pytest.FixtureRequest) -> tuple[Trainer, Trainer]:
    one, other = request.param
    return engine(one), engine(other)


def engine(name: str) -> Trainer:
    """The engine of this name; where the native one is not built, the test is skipped but in CI."""
    if name == "torch":
        return TorchTrainer("cpu")
    if not is_available():
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("the native engine is not built here")
    return NativeTrainer()
