"""Every call of the REST API as a conversation: how the request is built and how its answer is read. Pure; see `talk`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import msgspec

from squirrel.client.records import Created, Page, Preview, Route, Run, Schedule
from squirrel.client.talk import Answer, Found, Patience, Request, Talk, ask, read
from squirrel.model.limits import BATCH_ITEMS_MAX, MIB

T = TypeVar("T")
API: Final = "/api/v1"
BATCH_BYTES_MAX: Final = (
    16 * MIB
)  # half of what the server takes: a chunk of the largest schedules is smaller than 1,000
JSON_HEADERS: Final = {"content-type": "application/json"}


class _Results(msgspec.Struct):
    results: list[Created]


def path_of(*parts: str) -> str:
    """`/api/v1/…` with each part escaped; a verb (`:pause`) is appended by the caller."""
    return "/".join([API, *(quote(part, safe="*:@~+=-._") for part in parts)])


def query_of(values: Mapping[str, object]) -> dict[str, str]:
    """Those that are set, as text: instants in RFC 3339, several words separated by commas."""
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, datetime):
            found[name] = msgspec.to_builtins(value)
        elif isinstance(value, (list, tuple)):
            found[name] = ",".join(str(each) for each in value)
        elif value is not None and value != "":
            found[name] = str(value)
    return found


def json_of(value: object) -> bytes:
    """JSON; aware datetimes become RFC 3339, naive ones stay so and are refused by the server with the reason."""
    return msgspec.json.encode(value)


def content_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule, route or replay as it is sent: a target that is a string is a webhook's URL."""
    target = fields.get("target")
    return {**fields, "target": {"type": "http", "url": target}} if isinstance(target, str) else dict(fields)


def one(kind: type[T], request: Request, patience: Patience) -> Talk[T]:
    """A call that answers one `kind`."""
    answer = yield from ask(request, patience)
    return read(kind, answer)


def nothing(request: Request, patience: Patience) -> Talk[None]:
    """A call whose answer has nothing to read."""
    yield from ask(request, patience)


def raw(request: Request, patience: Patience) -> Talk[Any]:
    """A call that answers plain JSON, or text when it is none, or None when it is empty."""
    answer: Answer = yield from ask(request, patience)
    if not answer.body:
        return None
    return read(object, answer) if "json" in answer.headers.get("content-type", "") else answer.body.decode()


def every(kind: type[T], path: str, query: Mapping[str, object], patience: Patience) -> Talk[None]:
    """All items of a list, found page by page; the next page is asked for when its first item is."""
    cursor: str | None = None
    while True:
        request = Request("GET", path, query_of({**query, "cursor": cursor}))
        answer = yield from ask(request, patience)
        page = read(Page[kind], answer)  # type: ignore[valid-type]
        yield Found(page.items)
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def create(fields: Mapping[str, Any], key: str | None, patience: Patience) -> Talk[Schedule]:
    """`key` makes a repeat after a lost answer find what the first one made, unless an id of the caller's does so already."""
    headers = JSON_HEADERS if key is None else {**JSON_HEADERS, "idempotency-key": key}
    request = Request("POST", f"{API}/schedules", headers=headers, body=json_of(content_of(fields)))
    return one(Schedule, request, patience)


def create_many(schedules: Iterable[Mapping[str, Any]], keys: Iterator[str], patience: Patience) -> Talk[None]:
    """Batches of up to 1,000, a key each; the results are found in the order of the schedules."""
    for chunk in chunks(schedules):
        headers = {**JSON_HEADERS, "idempotency-key": next(keys)}
        body = b'{"schedules":[' + b",".join(chunk) + b"]}"
        answer = yield from ask(Request("POST", f"{API}/schedules:batch", headers=headers, body=body), patience)
        yield Found(read(_Results, answer).results)


def chunks(schedules: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """Encoded schedules, as many together as one batch takes."""
    chunk: list[bytes] = []
    size = 0
    for schedule in schedules:
        item = json_of(content_of(schedule))
        if chunk and (len(chunk) == BATCH_ITEMS_MAX or size + len(item) > BATCH_BYTES_MAX):
            yield chunk
            chunk, size = [], 0
        chunk.append(item)
        size += len(item) + 1
    if chunk:
        yield chunk


def change(
    method: str, schedule_id: str, fields: Mapping[str, Any], if_match: int | None, force: str | None
) -> Request:
    """PUT or PATCH of a schedule. Under If-Match a repeat would be refused as stale although the first was taken."""
    headers = {**JSON_HEADERS, **matching(if_match)}
    return Request(
        method, path_of("schedules", schedule_id), query_of({"force": force}), headers, json_of(content_of(fields)),
        repeatable=if_match is None,
    )  # fmt: skip


def verb(schedule_id: str, name: str, if_match: int | None = None) -> Request:
    """`:pause` and `:resume` may be said twice; a second `:trigger` would be a second run."""
    repeatable = name != "trigger" and if_match is None
    return Request(
        "POST", f"{path_of('schedules', schedule_id)}:{name}", headers=matching(if_match), repeatable=repeatable
    )


def delete(schedule_id: str, if_match: int | None) -> Request:
    return Request("DELETE", path_of("schedules", schedule_id), headers=matching(if_match), repeatable=if_match is None)


def replay(run_id: str, fields: Mapping[str, Any], patience: Patience) -> Talk[Run]:
    body = json_of(content_of(fields)) if fields else None
    headers = JSON_HEADERS if fields else {}
    request = Request("POST", f"{path_of('runs', run_id)}:replay", headers=headers, body=body, repeatable=False)
    return one(Run, request, patience)


def put_route(pattern: str, fields: Mapping[str, Any], patience: Patience) -> Talk[Route]:
    request = Request("PUT", path_of("routes", pattern), headers=JSON_HEADERS, body=json_of(content_of(fields)))
    return one(Route, request, patience)


def preview(when: Mapping[str, Any], start: datetime | str | None, count: int, patience: Patience) -> Talk[Preview]:
    fields: dict[str, Any] = {"when": when, "count": count} | ({} if start is None else {"from": start})
    return one(Preview, Request("POST", f"{API}/preview", headers=JSON_HEADERS, body=json_of(fields)), patience)


def matching(revision: int | None) -> dict[str, str]:
    return {} if revision is None else {"if-match": f'"{revision}"'}
