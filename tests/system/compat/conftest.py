"""One `squirrel dev` for all tests of the seeds' APIs, with the seeds' own environment names."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.dev_instance import DevInstance
from tests.system.dev.sink import Sink

TOKEN = "your_api_auth_token"
ENVIRONMENT = {
    "API_AUTH": TOKEN,
    "RETRIES": "2",
    "RETRY_TIME": "1",
    "PREQUEUER_EVENT_TIMEFRAME_MINUTES": "10",
    "PREQUEUER_TICKER_INTERVAL_SECONDS": "20",
    "WORKER_COUNT": "256",
    "LOG_LEVEL": "INFO",
}


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevInstance]:
    """Started once; its pipes are read by a loop of its own, for the tests' loops come and go."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="squirrel-dev", daemon=True)
    thread.start()
    instance = DevInstance(tmp_path_factory.mktemp("compat") / "data", environment=ENVIRONMENT)
    asyncio.run_coroutine_threadsafe(instance.start(), loop).result(150)
    yield instance
    asyncio.run_coroutine_threadsafe(instance.stop(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
async def api(dev: DevInstance) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with the token, bare as the Redis seed's clients send it."""
    async with httpx.AsyncClient(base_url=dev.url, headers={"Authorization": TOKEN}, timeout=20) as client:
        yield client


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with Sink() as started:
        yield started
