"""What a stranger does with /openapi.json: calls that fit it and calls that break it, against the served application.

A call that fits the schemas may still be refused for what no schema can say (a parent that is the schedule itself), so 422 is
among the answers to valid data here. Everything else is held: no 5xx, no undocumented status, type or shape of an answer, and
what breaks the document is refused.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.control import SkipTest
from schemathesis.generation import GenerationMode

from squirrel.gateway.protocol import server_config
from tests.unit.gateway.world import create_app, running_world

EXAMPLES = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
OURS = {"schedules", "runs", "routes", "status"}  # the seeds' calls answer in the seeds' shapes


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The application in a thread of its own: schemathesis calls it as any client would."""
    listening = threading.Event()
    urls: list[str] = []
    servers: list[uvicorn.Server] = []

    async def serve(folder: str) -> None:
        async with running_world(Path(folder)) as world:
            server = uvicorn.Server(server_config(create_app(world.deps()), "127.0.0.1", 0))
            servers.append(server)
            startup = server.startup

            async def started(sockets: object = None) -> None:
                await startup()
                urls.append(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
                listening.set()

            server.startup = started  # type: ignore[method-assign]
            await server._serve()

    with tempfile.TemporaryDirectory() as folder:
        thread = threading.Thread(target=lambda: asyncio.run(serve(folder)))
        thread.start()
        assert listening.wait(20)
        yield urls[0]
        servers[0].should_exit = True
        thread.join(20)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_document_keeps_its_word(server_url: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_url(f"{server_url}/openapi.json")
    schema.config.generation.update(modes=[mode])
    schema.config.checks.positive_data_acceptance.expected_statuses = ["2xx", "404", "409", "422"]
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/api/v1/stream":
            continue  # it never ends; tests/unit/gateway/test_stream.py reads it
        ours = set(operation.tags or ()) <= OURS
        with suppress(SkipTest):  # nothing of it can be broken
            law_of(operation, mode, None if ours else [not_a_server_error])()
            tried += ours
    assert tried >= 15


def law_of(operation: Any, mode: GenerationMode, checks: list[CheckFunction] | None) -> Callable[[], None]:
    """All examples of one operation; `checks` None are all of them."""

    @EXAMPLES
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=checks, timeout=20)

    return holds
