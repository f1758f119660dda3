"""Optuna's public contract of a storage, kept by the storages that our databases give."""

import gc
from collections.abc import Iterator

import pytest
from optuna.storages import BaseStorage
from optuna.testing.pytest_storages import StorageTestCase

from tests.integration.service.databases import opened


class TestStorageOfADatabase(StorageTestCase):
    """On an SQLite file and on PostgreSQL."""

    @pytest.fixture
    def storage(self, database_url: str) -> Iterator[BaseStorage]:
        with opened(database_url) as database:
            yield database.storage

    @pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning")
    @pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
    def test_pickle_storage(self, storage: BaseStorage) -> None:
        """Optuna's test leaves the copy's connections open: they end here, with their warnings."""
        super().test_pickle_storage(storage)
        gc.collect()
