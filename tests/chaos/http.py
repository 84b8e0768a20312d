"""The harness' own HTTP client: one connection, one call at a time, and no opinion of its own about what to send again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final, NamedTuple

import orjson

ANSWER_SECONDS_MAX: Final = 20.0


class Answer(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: Any


class NoAnswer(Exception):
    """The call may or may not have had an effect."""


class Http:
    """`await http.call("POST", "/api/v1/schedules", {...})`. Raises NoAnswer when nobody knows what became of it."""

    def __init__(self, port: int, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._port = port
        self._seconds_max = seconds_max
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        content = b"" if body is None else orjson.dumps(body)
        lines = [f"{method} {path} HTTP/1.1", "host: squirrel", f"content-length: {len(content)}"]
        if content:
            lines.append("content-type: application/json")
        lines.extend(f"{name}: {value}" for name, value in headers)
        request = ("\r\n".join(lines) + "\r\n\r\n").encode() + content
        try:
            async with asyncio.timeout(self._seconds_max):
                if self._streams is None or self._streams[0].at_eof():
                    self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
                reader, writer = self._streams
                writer.write(request)
                return await self._read(reader)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            self.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.close()
            raise

    async def _read(self, reader: asyncio.StreamReader) -> Answer:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        content = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        body = None
        if content:
            with contextlib.suppress(orjson.JSONDecodeError):
                body = orjson.loads(content)
        return Answer(int(first.split(b" ")[1]), headers, body)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
