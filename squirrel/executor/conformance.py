"""What every target type must do, ours and other people's: `squirrel plugin test MODULE` runs it, and so does our own suite.

Each check is named and answers with what is wrong. A type is called through the same caller as in an executor, over a network
whose every name leads to a stand-in on loopback that misbehaves; sockets that a type opens beside it are found by an audit hook.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from squirrel.executor.guard import Guard, GuardPolicy
from squirrel.executor.network import CallNetwork, Ways
from squirrel.executor.secrets import Secrets
from squirrel.executor.targets.plugin import PluginCaller
from squirrel.executor.tokens import Tokens
from squirrel.model.addresses import parse_networks
from squirrel.model.clock import Clock
from squirrel.model.target import PluginTarget
from squirrel.wire.attempt import Attempt, Outcome
from squirrel.wire.documents.plugin_target import parse_plugin, plugin_document
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.secret_texts import SHOWN, shown
from squirrel.wire.target_types import Reply, TargetType
from squirrel.wire.target_types.kind import RESERVED
from squirrel.wire.target_types.registry import TargetTypes
from squirrel.wire.vault import Vault

TIMEOUT_MS: Final = 400
GRACE_SECONDS: Final = 1.0
CANARY: Final = "conformance-canary-4711"
MESSAGES: Final = (b'{"text":"hello"}', b'"hello"', b"null", b"[1,2]", '{"ä":"😀\\u0000"}'.encode(), b"{}", b"0")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Finding(NamedTuple):
    """One check; `wrong` is empty when it holds."""

    check: str
    wrong: str


async def examine(found: TargetType, clock: Clock) -> list[Finding]:
    """Every check on one type."""
    findings = [Finding(name, _said(partial(check, found))) for name, check in _READING.items()]
    if any(each.wrong for each in findings) or found.missing:
        return findings
    for name, talk in _TALKS.items():
        findings.append(Finding(f"ends as an outcome when the other side {name}", await _calls(found, clock, talk)))
    findings.append(Finding("is refused by the guard where the network is not allowed", await _guarded(found, clock)))
    return findings


def _said(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever it was, it is the finding
        return f"{type(error).__name__}: {error}"


# --- the configuration ---------------------------------------------------------------------------------------------


def _named(found: TargetType) -> str:
    word = found.kind.replace("_", "")
    if not (word.isascii() and word.isalnum() and found.kind == found.kind.lower() and len(found.kind) <= 40):
        return "kind must be lower-case letters, digits and underscores, at most 40"
    return "" if found.title and found.description else "title and description must say what it is"


def _strict(found: TargetType) -> str:
    info = msgspec.inspect.type_info(found.config)
    assert isinstance(info, msgspec.inspect.StructType), "a configuration is a Struct"
    if not info.forbid_unknown_fields:
        return "config must have forbid_unknown_fields=True, or misspelt fields are lost"
    taken = {each.encode_name for each in info.fields} & RESERVED
    return f"config must not have the fields {sorted(taken)}" if taken else ""


def _schema(found: TargetType) -> str:
    orjson.dumps(found.document())
    return "" if (found.config.__doc__ or "").strip() else "config needs a docstring: the console shows it"


def _example(found: TargetType) -> str:
    problems: list[Any] = []
    made = _parsed(found, dict(found.example), problems)
    if made is None:
        return "; ".join(f"{each.field}: {each.reason}" for each in problems)
    again = shown(plugin_document(made))
    lost = [name for name, value in found.example.items() if again.get(name) != value]
    return f"the fields {lost} of the example do not come back" if lost else ""


def _hidden(found: TargetType) -> str:
    given = {**found.example, **{name: CANARY for name in found.secrets if name in found.example}}
    made = _parsed(found, given, [])
    if made is None:
        return ""
    if CANARY.encode() in made.config:
        return "a secret stands in plain in what is stored; its field must be of the type Secret"
    document = shown(plugin_document(made))
    return "" if all(document[name] == SHOWN for name in found.secrets & given.keys()) else "a secret is shown"


def _refusing(found: TargetType) -> str:
    problems: list[Any] = []
    if _parsed(found, {**found.example, "no_such_field": 1}, problems) is not None:
        return "an unknown field was taken"
    return "" if problems and problems[0].field == "target.no_such_field" else "the unknown field was not named"


_READING: Final[dict[str, Callable[[TargetType], str]]] = {
    "has a name and says what it is": _named,
    "refuses unknown fields": _strict,
    "has a schema and a manual": _schema,
    "takes its own example and shows it again": _example,
    "keeps secrets sealed and hidden": _hidden,
    "names the field that is wrong": _refusing,
    "can be imported": lambda found: (
        "" if found.missing or callable(found.sender()) else "send is no coroutine function"
    ),
}


def _parsed(found: TargetType, given: dict[str, Any], problems: list[Any]) -> PluginTarget | None:
    policy = TargetPolicy(vault=Vault([b"conformance" + b"-" * 21]), namespace="default")
    entries = {name: (f"target.{name}", value) for name, value in given.items()}
    return parse_plugin(found, entries, "target", policy, problems, None)


# --- the call ------------------------------------------------------------------------------------------------------


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff\xfe garbage without end " * 64 + b"\r\n")
    await reader.read()


async def _refusal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno")
    await reader.read()


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()
        await asyncio.sleep(0)


_TALKS: Final[dict[str, Talk]] = {
    "says nothing": _silent,
    "hangs up": _closing,
    "speaks garbage": _garbage,
    "fails": _refusal,
    "never ends": _endless,
}


@asynccontextmanager
async def standing_in(talk: Talk) -> AsyncIterator[int]:
    """A TCP server on a free loopback port that answers each connection with `talk`; gives the port, ends with the block."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a connection has a task"
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _calls(found: TargetType, clock: Clock, talk: Talk) -> str:
    async with standing_in(talk) as port:
        # What never answers costs the whole timeout each time: one message tells as much as all of them.
        for message in MESSAGES if talk in (_closing, _refusal) else MESSAGES[:1]:
            with _dialled() as beside:
                outcome, seconds = await _call(found, clock, message, port)
            if isinstance(outcome, str):
                return outcome
            if seconds > TIMEOUT_MS / 1000 + GRACE_SECONDS:
                return f"took {seconds:.1f} s with a timeout of {TIMEOUT_MS} ms; await only through the network"
            if outcome.error_type == "internal":
                return f"raised an error of its own ({outcome.error_detail}); raise CallFailed"
            if CANARY.encode() in msgspec.json.encode(outcome):
                return "a secret stands in the outcome"
            if beside - {port}:
                return f"opened a socket beside the network, to the ports {sorted(beside - {port})}"
    return ""


async def _guarded(found: TargetType, clock: Clock) -> str:
    async with standing_in(_refusal) as port:
        outcome, _ = await _call(found, clock, MESSAGES[0], port, allowed=False)
    if isinstance(outcome, str):
        return outcome
    return (
        ""
        if outcome.error_type in ("refused_by_guard", "bad_target")
        else f"ended as {outcome.error_type or 'success'}"
    )


async def _call(
    found: TargetType, clock: Clock, message: bytes, port: int, *, allowed: bool = True
) -> tuple[Outcome | str, float]:
    networks = parse_networks("127.0.0.0/8") if allowed else ()
    guard = Guard(GuardPolicy(allow_networks=networks), clock, lambda host: [("127.0.0.1", 0)])
    vault = Vault([b"conformance" + b"-" * 21])
    secrets = Secrets(vault, _NoDefinitions(), clock)
    ways = Ways(guard, Tokens(clock), _authorities())
    stand_in = type("StandIn", (_StandInNetwork,), {"port": port})
    caller = PluginCaller(TargetTypes((found,)), ways, secrets, clock, stand_in if allowed else CallNetwork)
    config = {**found.example, **{name: _secret_of(name) for name in found.secrets & found.example.keys()}}
    target = PluginTarget(found.kind, orjson.dumps(config), TIMEOUT_MS)
    attempt = Attempt("run_" + "0" * 32, "schedule", "default", "conformance", 1, clock.now_ms(), target, message)
    began = clock.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_MS / 1000 + 10 * GRACE_SECONDS):
            outcome: Outcome | str = await caller.call(attempt)
    except TimeoutError:
        outcome = "did not end at its timeout; it waits for something that cannot be cancelled"
    except Exception as error:  # noqa: BLE001 - that is the finding
        outcome = f"raised {type(error).__name__} through the caller"
    finally:
        await caller.close()
        guard.close()
    return outcome, clock.monotonic() - began


def _secret_of(name: str) -> str:
    """The marker, inside an address where the field is one."""
    return f"https://stand-in.example/{CANARY}" if "url" in name else CANARY


class _StandInNetwork(CallNetwork):
    """Whatever host a configuration names is the stand-in, without TLS: nothing leaves this machine."""

    port = 0

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        path = url.partition("://")[2].partition("/")[2]
        return await super().request(method, f"http://127.0.0.1:{self.port}/{path}", headers=headers, body=body)

    async def addresses(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        return await super().addresses("127.0.0.1", self.port)

    async def connect(self, host: str, port: int, *, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await super().connect("127.0.0.1", self.port, tls=False)


@lru_cache(maxsize=1)
def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context()


class _NoDefinitions:
    values: dict[bytes, bytes] = {}  # noqa: RUF012 - never written
    next_offset = 0

    async def ready(self) -> None:
        """At once."""

    async def reached(self, offset: int) -> None:
        """At once."""


_watching: list[set[int]] = []
_hooked: list[bool] = []


@contextmanager
def _dialled() -> Iterator[set[int]]:
    """The ports that sockets of this process were connected to meanwhile."""
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked.append(True)
    ports: set[int] = set()
    _watching.append(ports)
    try:
        yield ports
    finally:
        _watching.remove(ports)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watching:
        address = arguments[1]
        if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[1], int):
            for ports in _watching:
                ports.add(address[1])
