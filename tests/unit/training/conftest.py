"""Engines are tested with one processor thread each, as workers have."""

import pytest

from hpo.training.device import use_threads


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    use_threads(1)
