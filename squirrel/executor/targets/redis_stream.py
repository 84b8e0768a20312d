"""XADD over RESP2, our own few commands: a connection per call, so nothing is kept that a failover would break.

Source: redis.io, "Redis serialization protocol specification", XADD, AUTH, SELECT.
"""

from __future__ import annotations

import asyncio
from typing import Final

from squirrel.model.instants import format_instant
from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply
from squirrel.wire.target_types.redis_stream import RedisStreamConfig

_MENDABLE: Final = ("LOADING", "BUSY", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "OOM")
REPLY_BYTES_MAX: Final = 4096


async def send(config: RedisStreamConfig, attempt: Attempt, network: Network) -> Reply:
    """One entry; the reply's body is its id."""
    reader, writer = await network.connect(config.host, config.port, tls=config.tls)
    commands: list[tuple[str | bytes, ...]] = []
    if config.password:
        commands.append(("AUTH", *([config.username] if config.username else []), config.password))
    if config.database:
        commands.append(("SELECT", str(config.database)))
    trim = ("MAXLEN", "~", str(config.length_max)) if config.length_max else ()
    commands.append(
        (
            "XADD", config.stream, *trim, "*", "message", attempt.message, "run", attempt.run_id, "schedule",
            attempt.schedule_id, "event", attempt.event, "attempt", str(attempt.number), "scheduled_for",
            format_instant(attempt.due_ms),
        )
    )  # fmt: skip
    writer.write(b"".join(encode(command) for command in commands))
    await writer.drain()
    said = b""
    for command in commands:
        said = await _reply(reader, str(command[0]))
    return Reply(None, {}, said)


def encode(command: tuple[str | bytes, ...]) -> bytes:
    """A command as an array of bulk strings."""
    parts = [part if isinstance(part, bytes) else part.encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


async def _reply(reader: asyncio.StreamReader, command: str) -> bytes:
    try:
        line = (await reader.readuntil(b"\r\n"))[:-2]
        if line[:1] == b"$":
            size = int(line[1:])
            if not 0 <= size <= REPLY_BYTES_MAX:
                raise CallFailed("protocol", "Redis' answer is no entry id")
            return (await reader.readexactly(size + 2))[:-2]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise CallFailed("disconnected", "Redis closed the connection") from None
    except ValueError:
        raise CallFailed("protocol", "the server does not speak RESP") from None
    if line[:1] == b"+":
        return line[1:]
    if line[:1] == b"-":
        text = line[1:].decode("utf-8", "replace")[:200]
        raise CallFailed("status", f"Redis refused {command}: {text}", retryable=text.startswith(_MENDABLE))
    raise CallFailed("protocol", "the server does not speak RESP")
