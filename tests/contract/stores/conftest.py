"""`history`: a store per test, SQLite and Cassandra in turn, empty in the namespace `ns`; `reader` is a second one on it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from squirrel.stores.history import History
from squirrel.stores.open import open_history
from tests.contract.stores.records import new_namespace


@pytest.fixture(autouse=True)
def ns() -> str:
    return new_namespace()


@pytest.fixture(scope="session")
def keyspace() -> str:
    return f"k{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=["sqlite", "cassandra"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/history.db"
    address: str = request.getfixturevalue("cassandra")
    return f"cassandra://{address}/{request.getfixturevalue('keyspace')}"


@pytest.fixture
async def history(url: str) -> AsyncIterator[History]:
    store = open_history(url, timeout_seconds=30)
    await store.start()
    yield store
    await store.close()


@pytest.fixture
async def reader(url: str, history: History) -> AsyncIterator[History]:
    store = open_history(url, timeout_seconds=30)
    await store.start()
    yield store
    await store.close()
