"""`Client`: the REST API for programs without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from random import SystemRandom
from threading import Event
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
from squirrel.client.repair import RepairCalls, RunsWhere, runs_query
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
from squirrel.client.workflows import WorkflowCalls

T = TypeVar("T")


class Client(RepairCalls, WorkflowCalls):
    """One server, one namespace, a pool of connections. Safe to share between threads; close it, or use it in `with`.

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
        self._http = httpx.Client(**options(url, token, namespace, timeout_seconds))
        self._patience = Patience(SystemRandom().random, tries_max)
        self._new_key = new_key
        self._closing = Event()  # closing ends the waits between two tries

    def create(self, *, idempotency_key: str | None = None, **schedule: Unpack[NewSchedule]) -> Schedule:
        """Create a schedule. Raises Conflict when the id has other content, Invalid naming the fields."""
        key = idempotency_key or (None if schedule.get("id") else self._new_key())
        return self._run(calls.create(schedule, key, self._patience))

    def create_many(self, schedules: Iterable[NewSchedule | Mapping[str, Any]]) -> Iterator[Created]:
        """Create any number, up to 1,000 a call, lazily: what became of each, in order. One bad item spoils nothing."""
        return self._walk(calls.create_many(schedules, iter(self._new_key, None), self._patience))

    def get(self, schedule_id: str) -> Schedule:
        """A schedule. Raises NotFound."""
        return self._one(Schedule, Request("GET", calls.path_of("schedules", schedule_id)))

    def schedules(
        self,
        *,
        state: str | Iterable[str] | None = None,
        event: str | None = None,
        tag: str | None = None,
        q: str | None = None,
        page_items: int | None = None,
    ) -> Iterator[Schedule]:
        """All that match, newest first, page by page as they are taken. Without `state` the live ones."""
        states = state if isinstance(state, str) or state is None else list(state)
        query = {"state": states, "event": event, "tag": tag, "q": q, "limit": page_items}
        return self._walk(calls.every(Schedule, f"{calls.API}/schedules", query, self._patience))

    def replace(self, schedule_id: str, *, if_match: int | None = None, **schedule: Unpack[NewSchedule]) -> Schedule:
        """Replace the whole content. `if_match` is the revision it must still have. Raises Conflict."""
        return self._one(Schedule, calls.change("PUT", schedule_id, schedule, if_match, None))

    def update(
        self, schedule_id: str, *, if_match: int | None = None, force: str | None = None, **changes: Unpack[NewSchedule]
    ) -> Schedule:
        """Change some fields in place. `force="next"` applies to the next run although one is under way. Raises Conflict."""
        return self._one(Schedule, calls.change("PATCH", schedule_id, changes, if_match, force))

    def delete(self, schedule_id: str, *, if_match: int | None = None) -> None:
        """Cancel. Returning means that no new call begins, but for a run of a rule that had been emitted and is not over within
        a second; Conflict carries the run of a one-shot that was faster."""
        self._run(calls.nothing(calls.delete(schedule_id, if_match), self._patience))

    def pause(self, schedule_id: str) -> Schedule:
        return self._one(Schedule, calls.verb(schedule_id, "pause"))

    def resume(self, schedule_id: str) -> Schedule:
        return self._one(Schedule, calls.verb(schedule_id, "resume"))

    def trigger(self, schedule_id: str) -> Run:
        """Run it now, beside its rule. Not repeated after a lost answer: it could run twice."""
        return self._one(Run, calls.verb(schedule_id, "trigger"))

    def runs(
        self, schedule_id: str | None = None, *, page_items: int | None = None, **where: Unpack[RunsWhere]
    ) -> Iterator[Run]:
        """Runs of a schedule, or of all, that match, newest first."""
        return self._walk(calls.every(Run, *runs_query(schedule_id, where, page_items), self._patience))

    def run(self, run_id: str) -> Run:
        """A run with all its attempts. Raises NotFound."""
        return self._one(Run, Request("GET", calls.path_of("runs", run_id)))

    def replay(self, run_id: str, **changes: Any) -> Run:
        """Call again what a run called; `message` and `target` may differ. A new run that names the old one."""
        return self._run(calls.replay(run_id, changes, self._patience))

    def dead_letters(self, *, page_items: int | None = None, **where: Unpack[RunsWhere]) -> Iterator[DeadLetter]:
        """Runs that used up their attempts, latest first (state, event, schedule, start, end, q)."""
        _, query = runs_query(None, where, page_items)
        return self._walk(calls.every(DeadLetter, f"{calls.API}/dead-letters", query, self._patience))

    def routes(self) -> list[Route]:
        page: Page[Route] = self._one(Page[Route], Request("GET", f"{calls.API}/routes"))
        return page.items

    def put_route(self, pattern: str, **route: Any) -> Route:
        """Say where matching events go: `target` (a URL will do), `retry`, `fallback`."""
        return self._run(calls.put_route(pattern, route, self._patience))

    def delete_route(self, pattern: str) -> None:
        self._run(calls.nothing(Request("DELETE", calls.path_of("routes", pattern)), self._patience))

    def preview(self, when: When, *, start: datetime | str | None = None, count: int = 10) -> Preview:
        """When a rule would run, in words and instants, without making anything. Raises Invalid."""
        return self._run(calls.preview(when, start, count, self._patience))

    def stats(self) -> dict[str, Any]:
        return self._one(dict[str, Any], Request("GET", f"{calls.API}/stats"))

    def call(self, method: str, path: str, body: Any = None, *, repeatable: bool | None = None, **query: object) -> Any:
        """Any call of the API by its path, JSON in and out. Retried when it is a GET, PUT or DELETE, or you say it may be."""
        sent = None if body is None else calls.json_of(body)
        headers = {} if body is None else calls.JSON_HEADERS
        again = method in ("GET", "PUT", "DELETE") if repeatable is None else repeatable
        return self._run(calls.raw(Request(method, path, calls.query_of(query), headers, sent, again), self._patience))

    def stream(self, *, event: str | None = None, schedule: str | None = None) -> Iterator[Live]:
        """What happens from now on, for ever: results and completions of events like `event` (may end in `*`).

        A lost connection is made again; what happened in between is not seen (`runs` and Kafka have it).
        """
        request, patient = stream_request(event, schedule), Patient(self._patience)
        while not self._closing.is_set():
            failure: ClientError | None = None
            try:
                with self._http.stream(**arguments(request), timeout=stream_timeout()) as response:
                    if response.status_code >= 400:
                        response.read()
                        failure = refusal(answered(response))
                    else:
                        reader = EventReader()
                        for chunk in response.iter_bytes():
                            patient.heard()
                            yield from reader.feed(chunk)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = Unreachable(lost(error, self.url).reason)
            self._closing.wait(patient.wait_seconds(failure))

    def completions(self, *, event: str | None = None, schedule: str | None = None) -> Iterator[Completion]:
        """Final outcomes from now on, by the live stream; `squirrel.client.completions` reads Kafka and leaves none out."""
        for each in self.stream(event=event, schedule=schedule):
            if each.kind == "completion":
                yield each.completion()

    def close(self) -> None:
        """Ends waits and connections; safe twice."""
        self._closing.set()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _pause(self, seconds: float) -> None:
        self._closing.wait(seconds)

    def _one(self, kind: type[T], request: Request) -> T:
        return self._run(calls.one(kind, request, self._patience))

    def _run(self, talk: Talk[T]) -> T:
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                value: T = end.value
                return value
            heard = self._perform(step)

    def _walk(self, talk: Talk[None]) -> Iterator[Any]:
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration:
                return
            heard = None
            if isinstance(step, Found):
                yield from step.items
            else:
                heard = self._perform(step)

    def _perform(self, step: Send | Wait | Found) -> Answer | Lost | None:
        if isinstance(step, Send):
            try:
                return answered(self._http.request(**arguments(step.request)))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return lost(error, self.url)
        if isinstance(step, Wait):
            self._closing.wait(step.seconds)
        return None
