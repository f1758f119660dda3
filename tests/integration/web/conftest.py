"""The dashboard's app on a real database, with a study that was answered and one that waits."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from hpo import api
from hpo.handle import opened
from hpo.service.database import Database
from hpo.web.app import dashboard
from hpo.web.guard import Guard
from hpo.web.tokens import Tokens
from hpo.web.uploads import Uploads
from tests.e2e.conftest import write_sales

ADMIN, VIEWER = "admin-token-of-a-test", "viewer-token-of-a-test"
TINY: dict[str, Any] = {"trials": 3, "folds": 2, "seeds": 1, "max_steps": 30, "cells": (2, 6)}
HERE = "http://localhost"
PAGE = {"Accept": "text/html"}


def submit(database: Database, name: str, folder: Path, **values: Any) -> None:
    """One more study that waits for workers."""
    asked = TINY | values
    api.submit(
        write_sales(folder),
        storage=database.url,
        name=name,
        target="sales",
        time="month",
        **asked,
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="session")
def answered_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the answered study `told`."""
    folder = tmp_path_factory.mktemp("dashboard")
    url = f"sqlite:///{folder / 'hpo.db'}"
    csv = write_sales(folder)
    api.run(csv, storage=url, name="told", target="sales", time="month", **TINY)
    return folder / "hpo.db"


@pytest.fixture
def database(answered_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A copy of it, with the waiting study `open`."""
    file = tmp_path / "hpo.db"
    file.write_bytes(answered_file.read_bytes())
    with opened(f"sqlite:///{file}", create=False) as at:
        submit(at, "open", tmp_path)
        yield at


@contextmanager
def app_on(database: Database, guard: Guard) -> Iterator[FlaskClient]:
    """One at the app that `hpo dashboard` serves; no request may meet an unexpected error."""
    told: list[str] = []

    def put(question: object) -> None:
        api.submit_question(question, storage=database.url)  # type: ignore[arg-type]

    with closing(Uploads()) as uploads:
        yield dashboard(database, guard, uploads, submit=put, tell_error=told.append).test_client()
    assert told == []


@pytest.fixture
def guard() -> Guard:
    return Guard(Tokens({"admin": ADMIN, "viewer": VIEWER}))


@pytest.fixture
def client(database: Database, guard: Guard) -> Iterator[FlaskClient]:
    """One who has not logged in."""
    with app_on(database, guard) as client:
        yield client


@pytest.fixture
def local(database: Database) -> Iterator[FlaskClient]:
    """One at a dashboard without tokens."""
    with app_on(database, Guard(Tokens({}))) as client:
        yield client
