"""A caller that may call loopback, a clock that a test sets, and attempts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from squirrel.executor.guard import Guard, GuardPolicy
from squirrel.executor.targets.http import HttpCaller
from squirrel.model.addresses import parse_networks
from squirrel.model.target import HttpTarget
from squirrel.wire.attempt import Attempt


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test runs on both loops: they differ in what they do with a socket that is closed under them."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


CERTIFICATES = Path(__file__).parent / "certificates"
RUN = "run_" + "0123456789abcdef" * 2


class SetClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.wall_ms = 1_800_000_000_123
        self.seconds = 1000.0
        self.looked = 0  # how often it was asked

    def now_ms(self) -> int:
        self.looked += 1
        return self.wall_ms

    def monotonic(self) -> float:
        return self.seconds


def attempt_at(url: str, **target: object) -> Attempt:
    target.setdefault("timeout_ms", 5_000)
    return Attempt(
        run_id=RUN,
        schedule_id="paper-1",
        namespace="default",
        event="email.send",
        number=2,
        due_ms=1_800_000_000_000,
        target=HttpTarget(url, **target),  # type: ignore[arg-type]
        message=b'{"subject":"Reminder"}',
    )


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def guard(clock: SetClock) -> AsyncIterator[Guard]:
    guard = Guard(GuardPolicy(allow_networks=parse_networks("127.0.0.0/8,::1/128")), clock)
    yield guard
    guard.close()


@pytest.fixture
async def caller(guard: Guard, clock: SetClock) -> AsyncIterator[HttpCaller]:
    caller = HttpCaller(guard, clock, ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem")))
    yield caller
    await caller.close()


@pytest.fixture
def server_tls() -> Callable[[str], ssl.SSLContext]:
    def context(name: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(CERTIFICATES / f"{name}.pem")
        return made

    return context
