"""What the tests of target types share: callers behind a guard that allows loopback, attempts, and small stream servers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from squirrel.executor.guard import Guard, GuardPolicy
from squirrel.executor.network import Ways
from squirrel.executor.secrets import Secrets
from squirrel.executor.targets.http import HttpCaller
from squirrel.executor.targets.plugin import PluginCaller
from squirrel.executor.targets.secured import SecuredHttp
from squirrel.executor.tokens import Tokens
from squirrel.model.addresses import parse_networks
from squirrel.model.target import PluginTarget
from squirrel.wire.attempt import Attempt
from squirrel.wire.target_types.registry import TargetTypes
from squirrel.wire.vault import Vault
from tests.unit.executor.conftest import RUN, SetClock

VAULT = Vault([b"k" * 32])


class Book:
    """The definitions topic as a dict."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.next_offset = 0

    async def ready(self) -> None:
        """At once."""

    async def reached(self, offset: int) -> None:
        """At once."""


class Kit:
    """Everything that an executor wires for targets with secrets, over one clock."""

    def __init__(self, clock: SetClock | None = None, types: TargetTypes | None = None, loopback: bool = True) -> None:
        self.clock = clock or SetClock()
        self.book = Book()
        networks = parse_networks("127.0.0.0/8,::1/128") if loopback else ()
        self.guard = Guard(GuardPolicy(allow_networks=networks), self.clock)
        self.tls = ssl.create_default_context()
        self.ways = Ways(self.guard, Tokens(self.clock), self.tls)
        self.secrets = Secrets(VAULT, self.book, self.clock)
        self.plain = HttpCaller(self.guard, self.clock)
        self.plugins = PluginCaller(types or TargetTypes(), self.ways, self.secrets, self.clock)
        self.secured = SecuredHttp(
            self.plain, lambda tls: HttpCaller(self.guard, self.clock, tls), self.secrets, self.ways, self.clock
        )

    async def close(self) -> None:
        for each in (self.plain, self.plugins, self.secured):
            await each.close()
        self.guard.close()


@asynccontextmanager
async def kit(**given: Any) -> AsyncIterator[Kit]:
    made = Kit(**given)
    try:
        yield made
    finally:
        await made.close()


def plugin_attempt(
    kind: str, message: Any = None, *, number: int = 1, timeout_ms: int = 5_000, **config: Any
) -> Attempt:
    return Attempt(
        run_id=RUN,
        schedule_id="paper-1",
        namespace="default",
        event="email.send",
        number=number,
        due_ms=1_800_000_000_000,
        target=PluginTarget(kind, orjson.dumps(config), timeout_ms),
        message=orjson.dumps({"subject": "Reminder"} if message is None else message),
    )
