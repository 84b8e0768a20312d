"""`GET /api/v1/stream`: what happens, live, as server-sent events. One reading of Kafka serves all who watch.

A watcher that reads slower than things happen is let go, with a comment that says so: the stream tells what is happening and
is no record of it. The runs' history and the topics are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Protocol

import msgspec
from starlette.responses import Response, StreamingResponse

from squirrel.gateway.call import Call
from squirrel.gateway.problems import invalid
from squirrel.model.errors import Unavailable
from squirrel.model.ids import id_problem
from squirrel.model.limits import EVENT_CHARS_MAX

SUBSCRIBERS_MAX: Final = 200
QUEUE_EVENTS_MAX: Final = 1_000  # per subscriber: a few seconds of a busy installation
HEARTBEAT_SECONDS: Final = 15.0  # below the 60 s after which common proxies give up
START_SECONDS_MAX: Final = 10.0
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
log = logging.getLogger(__name__)


class LiveSource(Protocol):
    """Records of the public topics from now on; `streams.live_tail.LiveTail` is one. After an error it is used no more."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def records(self) -> list[tuple[str, bytes]]:
        """(topic, value); waits a bounded time for the first."""
        ...


class _About(msgspec.Struct):
    """What of a record decides who sees it."""

    namespace: str = ""
    event: str = ""
    schedule_id: str = ""
    run: str = ""
    state: str = ""


_decode: Final = msgspec.json.Decoder(_About).decode


class _Subscriber:
    """One watcher: what it wants and what waits for it. None in the queue ends the stream."""

    def __init__(self, namespace: str, event: str, schedule: str, workflow_run: str = "") -> None:
        self._namespace = namespace
        self._event = event
        self._schedule = schedule
        self._workflow_run = workflow_run
        self._steps = f"{workflow_run}."
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_EVENTS_MAX + 1)
        self.farewell = b": the gateway is stopping; connect again\n\n"

    def wants(self, about: _About) -> bool:
        if about.namespace != self._namespace or (self._schedule and about.schedule_id != self._schedule):
            return False
        if (
            self._workflow_run
            and about.schedule_id != self._workflow_run
            and not about.schedule_id.startswith(self._steps)
        ):
            return False
        if self._event.endswith("*"):
            return about.event.startswith(self._event[:-1])
        return not self._event or about.event == self._event

    def give(self, message: bytes) -> bool:
        """False when it is too slow: it gets its farewell behind what waits, and nothing more."""
        if self.queue.qsize() < QUEUE_EVENTS_MAX:
            self.queue.put_nowait(message)
            return True
        self.end(b": too slow: events were left out, so this stream ends; connect again\n\n")
        return False

    def end(self, farewell: bytes) -> None:
        self.farewell = farewell
        if not self.queue.full():
            self.queue.put_nowait(None)


class Stream:
    """Handler, and the reading that feeds it: begun by the first watcher, ended with the last."""

    def __init__(self, new_source: Callable[[], LiveSource] | None, names: Mapping[str, str]) -> None:
        """`names` says by topic what its records are called (`result`, `completion`)."""
        self._new_source = new_source
        self._names = names
        self._subscribers: set[_Subscriber] = set()
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Future[None] | None = None
        self._closed = False

    async def watch(self, call: Call) -> Response:
        """GET /stream."""
        subscriber = _Subscriber(call.namespace, _event(call), _id(call, "schedule"), _id(call, "workflow_run"))
        if self._new_source is None or self._closed:
            raise Unavailable("live changes are not followed here; read the topics or the runs", 60)
        if len(self._subscribers) >= SUBSCRIBERS_MAX:
            raise Unavailable(f"{SUBSCRIBERS_MAX} streams are open here, which is the limit", 10)
        self._subscribers.add(subscriber)
        try:
            await self._following()
        except BaseException:
            self._leave(subscriber)
            raise
        return StreamingResponse(self._events(subscriber), 200, _HEADERS, "text/event-stream")

    async def close(self) -> None:
        """Every stream ends after what waits in it."""
        self._closed = True
        self.end_all(b": the gateway is stopping; connect again\n\n")
        if (task := self._task) is not None:
            task.cancel()
            await asyncio.wait({task})

    def end_all(self, farewell: bytes) -> None:
        """Lets all watchers go."""
        for subscriber in self._subscribers:
            subscriber.end(farewell)
        self._subscribers.clear()

    async def _following(self) -> None:
        """Returns once the topics are being read, so that what happens after the answer's head is seen."""
        if self._task is None:
            self._started = asyncio.get_running_loop().create_future()
            self._task = asyncio.get_running_loop().create_task(self._follow(self._started), name="live-stream")
        assert self._started is not None, "set with the task"
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await asyncio.shield(self._started)
        except TimeoutError:
            raise Unavailable("Kafka cannot be read now; connect again", 2) from None

    async def _follow(self, started: asyncio.Future[None]) -> None:
        assert self._new_source is not None, "looked at in watch"
        source = self._new_source()
        try:
            await source.start()
            started.set_result(None)
            while self._subscribers:
                for topic, value in await source.records():
                    self._hand_out(topic, value)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the watchers must hear of it
            log.warning("the live stream ended: %s", error)
            self.end_all(b": Kafka cannot be read now; connect again\n\n")
        finally:
            if self._task is asyncio.current_task():
                self._task = None  # at once: whoever comes while the source is being closed begins a reading anew
            if not started.done():
                started.set_exception(Unavailable("Kafka cannot be read now; connect again", 2))
                started.exception()  # heard, also when nobody waits any more
            await source.stop()

    def _hand_out(self, topic: str, value: bytes) -> None:
        try:
            about = _decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return  # written by a stranger
        message: bytes | None = None
        for subscriber in tuple(self._subscribers):
            if subscriber.wants(about):
                if message is None:
                    message = _message(self._names.get(topic, "change"), about, value)
                if not subscriber.give(message):
                    self._subscribers.discard(subscriber)

    async def _events(self, subscriber: _Subscriber) -> AsyncIterator[bytes]:
        try:
            yield b": squirrel\nretry: 2000\n\n"
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_SECONDS):
                        message = await subscriber.queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if message is None:
                    yield subscriber.farewell
                    return
                yield message
        finally:
            self._leave(subscriber)

    def _leave(self, subscriber: _Subscriber) -> None:
        self._subscribers.discard(subscriber)


def _message(name: str, about: _About, value: bytes) -> bytes:
    """One event; the value is JSON of one line, for ours is written so."""
    if b"\n" in value or b"\r" in value:
        value = msgspec.json.encode(msgspec.json.decode(value))
    return b"event: %b\nid: %b.%b\ndata: %b\n\n" % (
        name.encode(), about.run.encode().replace(b"\n", b""), about.state.encode().replace(b"\n", b""), value,
    )  # fmt: skip


def _event(call: Call) -> str:
    event = call.query.get("event", "")
    if len(event) > EVENT_CHARS_MAX or not event.isprintable():
        raise invalid("event", f"must have at most {EVENT_CHARS_MAX} printable characters")
    return event


def _id(call: Call, name: str) -> str:
    given = call.query.get(name, "")
    reason = id_problem(given) if given else None
    if reason is not None:
        raise invalid(name, reason)
    return given


STREAM_ANSWER: Final[dict[str, Any]] = {
    "description": "server-sent events `result` and `completion`, each with the topic's record as its data",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
