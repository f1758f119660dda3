"""The engines, one after another, each with one processor thread as workers have."""

import pytest
import torch

from hpo.training.trainer import Trainer
from tests.contract.engines import ENGINES, NATIVE, engine

PAIRS = [pair for native in NATIVE for pair in (("torch", native), (native, "torch"))]


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(params=ENGINES)
def trainer(request: pytest.FixtureRequest) -> Trainer:
    return engine(request.param)


@pytest.fixture(params=PAIRS, ids="-to-".join)
def pair(request: pytest.FixtureRequest) -> tuple[Trainer, Trainer]:
    one, other = request.param
    return engine(one), engine(other)
