"""`AsyncClient`: the REST API under asyncio. The same calls as `Client`, which says what each does; lists are async iterators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime
from random import SystemRandom
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from uuid import uuid4

import httpx

from squirrel.client import calls
from squirrel.client.errors import ClientError, Unreachable
from squirrel.client.live import EventReader, Live, Patient, refusal, stream_request
from squirrel.client.records import (
    Completion,
    Created,
    DeadLetter,
    NewSchedule,
    Page,
    Preview,
    Route,
    Run,
    Schedule,
    When,
)
from squirrel.client.repair import AsyncRepairCalls, RunsWhere, runs_query
from squirrel.client.talk import TRIES_MAX, Answer, Found, Heard, Lost, Patience, Request, Send, Talk, Wait
from squirrel.client.transport import (
    TIMEOUT_SECONDS_DEFAULT,
    URL_DEFAULT,
    answered,
    arguments,
    lost,
    options,
    stream_timeout,
)
from squirrel.client.workflows import AsyncWorkflowCalls

T = TypeVar("T")


class AsyncClient(AsyncRepairCalls, AsyncWorkflowCalls):
    """One server, one namespace, a pool of connections. For one event loop; close it, or use it in `async with`.

    Every method raises a `ClientError` (see `errors`). Calls that may be made twice are retried up to `tries_max` times
    after a lost connection, 429 and 503; creates carry an idempotency key, so they are among them.
    """

    def __init__(
        self,
        url: str = URL_DEFAULT,
        *,
        token: str | None = None,
        namespace: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        tries_max: int = TRIES_MAX,
        new_key: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self.url = url
        self._http = httpx.AsyncClient(**options(url, token, namespace, timeout_seconds))
        self._patience = Patience(SystemRandom().random, tries_max)
        self._new_key = new_key

    async def create(self, *, idempotency_key: str | None = None, **schedule: Unpack[NewSchedule]) -> Schedule:
        key = idempotency_key or (None if schedule.get("id") else self._new_key())
        return await self._run(calls.create(schedule, key, self._patience))

    def create_many(self, schedules: Iterable[NewSchedule | Mapping[str, Any]]) -> AsyncIterator[Created]:
        """Create any number, up to 1,000 a call, lazily: what became of each, in order. One bad item spoils nothing."""
        return self._walk(calls.create_many(schedules, iter(self._new_key, None), self._patience))

    async def get(self, schedule_id: str) -> Schedule:
        return await self._one(Schedule, Request("GET", calls.path_of("schedules", schedule_id)))

    def schedules(
        self,
        *,
        state: str | Iterable[str] | None = None,
        event: str | None = None,
        tag: str | None = None,
        q: str | None = None,
        page_items: int | None = None,
    ) -> AsyncIterator[Schedule]:
        """All that match, newest first, page by page as they are taken. Without `state` the live ones."""
        states = state if isinstance(state, str) or state is None else list(state)
        query = {"state": states, "event": event, "tag": tag, "q": q, "limit": page_items}
        return self._walk(calls.every(Schedule, f"{calls.API}/schedules", query, self._patience))

    async def replace(
        self, schedule_id: str, *, if_match: int | None = None, **schedule: Unpack[NewSchedule]
    ) -> Schedule:
        return await self._one(Schedule, calls.change("PUT", schedule_id, schedule, if_match, None))

    async def update(
        self, schedule_id: str, *, if_match: int | None = None, force: str | None = None, **changes: Unpack[NewSchedule]
    ) -> Schedule:
        return await self._one(Schedule, calls.change("PATCH", schedule_id, changes, if_match, force))

    async def delete(self, schedule_id: str, *, if_match: int | None = None) -> None:
        await self._run(calls.nothing(calls.delete(schedule_id, if_match), self._patience))

    async def pause(self, schedule_id: str) -> Schedule:
        return await self._one(Schedule, calls.verb(schedule_id, "pause"))

    async def resume(self, schedule_id: str) -> Schedule:
        return await self._one(Schedule, calls.verb(schedule_id, "resume"))

    async def trigger(self, schedule_id: str) -> Run:
        return await self._one(Run, calls.verb(schedule_id, "trigger"))

    def runs(
        self, schedule_id: str | None = None, *, page_items: int | None = None, **where: Unpack[RunsWhere]
    ) -> AsyncIterator[Run]:
        """Runs of a schedule, or of all, that match, newest first."""
        return self._walk(calls.every(Run, *runs_query(schedule_id, where, page_items), self._patience))

    async def run(self, run_id: str) -> Run:
        return await self._one(Run, Request("GET", calls.path_of("runs", run_id)))

    async def replay(self, run_id: str, **changes: Any) -> Run:
        return await self._run(calls.replay(run_id, changes, self._patience))

    def dead_letters(self, *, page_items: int | None = None, **where: Unpack[RunsWhere]) -> AsyncIterator[DeadLetter]:
        """Runs that used up their attempts, latest first (state, event, schedule, start, end, q)."""
        _, query = runs_query(None, where, page_items)
        return self._walk(calls.every(DeadLetter, f"{calls.API}/dead-letters", query, self._patience))

    async def routes(self) -> list[Route]:
        page: Page[Route] = await self._one(Page[Route], Request("GET", f"{calls.API}/routes"))
        return page.items

    async def put_route(self, pattern: str, **route: Any) -> Route:
        return await self._run(calls.put_route(pattern, route, self._patience))

    async def delete_route(self, pattern: str) -> None:
        await self._run(calls.nothing(Request("DELETE", calls.path_of("routes", pattern)), self._patience))

    async def preview(self, when: When, *, start: datetime | str | None = None, count: int = 10) -> Preview:
        return await self._run(calls.preview(when, start, count, self._patience))

    async def stats(self) -> dict[str, Any]:
        return await self._one(dict[str, Any], Request("GET", f"{calls.API}/stats"))

    async def call(
        self, method: str, path: str, body: Any = None, *, repeatable: bool | None = None, **query: object
    ) -> Any:
        sent = None if body is None else calls.json_of(body)
        headers = {} if body is None else calls.JSON_HEADERS
        again = method in ("GET", "PUT", "DELETE") if repeatable is None else repeatable
        return await self._run(
            calls.raw(Request(method, path, calls.query_of(query), headers, sent, again), self._patience)
        )

    async def stream(self, *, event: str | None = None, schedule: str | None = None) -> AsyncIterator[Live]:
        """What happens from now on, for ever; see `Client.stream`."""
        request, patient = stream_request(event, schedule), Patient(self._patience)
        while not self._http.is_closed:
            failure: ClientError | None = None
            try:
                async with self._http.stream(**arguments(request), timeout=stream_timeout()) as response:
                    if response.status_code >= 400:
                        await response.aread()
                        failure = refusal(answered(response))
                    else:
                        reader = EventReader()
                        async for chunk in response.aiter_bytes():
                            patient.heard()
                            for each in reader.feed(chunk):
                                yield each
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = Unreachable(lost(error, self.url).reason)
            await asyncio.sleep(patient.wait_seconds(failure))

    async def completions(self, *, event: str | None = None, schedule: str | None = None) -> AsyncIterator[Completion]:
        """Final outcomes from now on; see `Client.completions`."""
        async for each in self.stream(event=event, schedule=schedule):
            if each.kind == "completion":
                yield each.completion()

    async def close(self) -> None:
        """Ends the connections; safe twice."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _one(self, kind: type[T], request: Request) -> T:
        return await self._run(calls.one(kind, request, self._patience))

    async def _run(self, talk: Talk[T]) -> T:
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                value: T = end.value
                return value
            heard = await self._perform(step)

    async def _walk(self, talk: Talk[None]) -> AsyncIterator[Any]:
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration:
                return
            heard = None
            if isinstance(step, Found):
                for item in step.items:
                    yield item
            else:
                heard = await self._perform(step)

    async def _perform(self, step: Send | Wait | Found) -> Answer | Lost | None:
        if isinstance(step, Send):
            try:
                return answered(await self._http.request(**arguments(step.request)))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return lost(error, self.url)
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
        return None
