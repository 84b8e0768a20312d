"""What every suite may ask for: a real Kafka, a real Cassandra, names of its own."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from squirrel.runtime.local.cassandra import EmbeddedCassandra
from squirrel.runtime.local.kafka import EmbeddedKafka

# A gate must answer the same twice: there the examples are those of a fixed seed. Everywhere else they are fresh, and a failure
# prints how to repeat it.
settings.register_profile("gate", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

# A developer's own settings must not decide how a test ends; where jars are cached may stay.
SEED_VARIABLES = (
    "API_AUTH",
    "RETRIES",
    "RETRY_TIME",
    "PORT",
    "ALLOWED_ORIGINS",
    "ALLOWED_TARGET_HOSTS",
    "LOG_LEVEL",
    "N8N_BASE_URL",
)
for _name in list(os.environ):
    ours = _name.startswith(("SQUIRREL_", "WORKER_", "PREQUEUER_")) or _name in SEED_VARIABLES
    if ours and _name != "SQUIRREL_CACHE_DIR":
        del os.environ[_name]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs in a loop of its own: session fixtures must not touch the loop that pytest-asyncio gives the tests."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One broker for the session: its bootstrap address, `127.0.0.1:port`. Topics are told apart by `topic_prefix`."""
    server = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), environment=os.environ)
    run(server.start())
    yield server.bootstrap
    run(server.stop())


@pytest.fixture(scope="session")
def cassandra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Cassandra for the session: its CQL address, `127.0.0.1:port`. Keyspaces are told apart by the tests."""
    server = EmbeddedCassandra(tmp_path_factory.mktemp("cassandra"), environment=os.environ)
    run(server.start())
    yield server.address
    run(server.stop())


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses, for topics and groups: `t3f2a91c4.`"""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return Path(__file__).parents[1]
