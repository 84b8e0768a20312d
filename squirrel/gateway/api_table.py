"""The REST calls of api.md, one entry each: where, by which handler, and what the OpenAPI document says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.batch import Batch
from squirrel.gateway.definitions import Routes
from squirrel.gateway.operation import Operation
from squirrel.gateway.paging import PAGE
from squirrel.gateway.run_search import RUN_QUERY
from squirrel.gateway.runs import Runs
from squirrel.gateway.schedules import FORCES, LISTED_STATES, TEXT_CHARS_MAX, Schedules
from squirrel.gateway.schemas import choice, optional_text
from squirrel.gateway.status import Status
from squirrel.model.limits import EVENT_CHARS_MAX, TAG_CHARS_MAX
from squirrel.stores.history import SCAN_LOADED_RUNS_MAX

API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who answers."""

    schedules: Schedules
    batch: Batch
    runs: Runs
    routes: Routes
    status: Status


_EXAMPLE: Final = {
    "event": "email.send.paper_workflow_1",
    "message": {"subject": "Reminder", "body": "Hello, this is a scheduled email!"},
    "when": {"at": "2027-02-01T10:00:00Z"},
    "target": {"type": "http", "url": "https://hooks.example.com/email"},
    "retry": {"max_retries": 3, "strategy": "exponential", "initial_seconds": 1},
}
_FORCE: Final = {
    "force": choice(
        *FORCES,
        description="a run is under way: `next` leaves it as it began, `now` cancels its retry and says what became of it",
    )
}
_SYNC: Final = ("IdempotencyKey", "Prefer")
_CHANGE: Final = ("IfMatch", "Prefer")
_ETAG: Final = {"ETag": {"schema": {"type": "string"}, "description": "the revision, quoted"}}
_LOCATION: Final = {"Location": {"schema": {"type": "string"}}}


def _json(name: str, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": json_content(name)}
    return answer | {"headers": headers} if headers else answer


def _body(name: str, example: Any, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": json_content(name, example)}


_SCHEDULE: Final = _json("Schedule", "the schedule", _ETAG)
_ACCEPTED: Final = _json("Accepted", "stored in Kafka; see Location for what becomes of it", _LOCATION)
_CHANGED: Final = {200: _SCHEDULE, 202: _ACCEPTED, 409: {}, 412: {}}
_NOTHING: Final = {"description": "done"}


def operations_of(handlers: Handlers) -> list[Operation]:
    """All of them, the hottest first: routing walks this order."""
    return [
        *_writing(handlers),
        *_changing(handlers.schedules),
        *_runs(handlers.runs),
        *_routes(handlers.routes),
        *_status(handlers.status),
    ]


def _writing(handlers: Handlers) -> list[Operation]:
    schedules = handlers.schedules

    def create(path: str) -> Operation:
        return Operation(
            method="POST", path=path, handler=schedules.create, tag="schedules", headers=_SYNC,
            summary="Create a schedule" if path.endswith("s") else "Create a schedule (the first path of this API)",
            body=_body("AnyNewSchedule", _EXAMPLE),
            responses={
                201: _json("Schedule", "created, or created before with this content", _ETAG | _LOCATION),
                202: _ACCEPTED, 409: {},
            },
        )  # fmt: skip

    return [
        create(f"{API}/schedules"),
        Operation(
            method="GET", path=f"{API}/schedules", handler=schedules.list, tag="schedules",
            summary="List schedules, newest first",
            description="Without `state` the live ones: active, waiting, paused. An event may end in `*`.",
            query={
                "state": choice(*LISTED_STATES, description="one, or several separated by commas"),
                "event": optional_text(EVENT_CHARS_MAX), "tag": optional_text(TAG_CHARS_MAX),
                "q": optional_text(TEXT_CHARS_MAX, description="looked for in id, name, event and description"), **PAGE,
            },
            responses={200: _json("SchedulePage", "a page")},
        ),
        Operation(
            method="POST", path=f"{API}/schedules:batch", handler=handlers.batch.create, tag="schedules", headers=_SYNC,
            summary="Create up to 1,000 schedules; each has its own result",
            body=_body("Batch", {"schedules": [_EXAMPLE]}),
            responses={200: _json("BatchAnswer", "one result for each, in order")},
        ),
        create(f"{API}/schedule"),
    ]  # fmt: skip


def _changing(schedules: Schedules) -> list[Operation]:
    path = f"{API}/schedules/{{id}}"

    def verb(name: str, handler: Any, summary: str, responses: dict[int, dict[str, Any]]) -> Operation:
        return Operation(
            method="POST", path=f"{path}:{name}", handler=handler, tag="schedules", summary=summary, headers=_CHANGE,
            responses=responses,
        )  # fmt: skip

    return [
        Operation(
            method="GET", path=path, handler=schedules.get, tag="schedules", summary="Get a schedule",
            responses={200: _SCHEDULE},
        ),
        Operation(
            method="PUT", path=path, handler=schedules.put, tag="schedules", summary="Replace a schedule's content",
            query=_FORCE, headers=_CHANGE, body=_body("WholeSchedule", _EXAMPLE), responses=_CHANGED,
        ),
        Operation(
            method="PATCH", path=path, handler=schedules.patch, tag="schedules", summary="Change some of a schedule in place",
            query=_FORCE, headers=_CHANGE, body=_body("SchedulePatch", {"when": {"at": "2027-02-02T10:00:00Z"}}),
            responses=_CHANGED,
        ),
        Operation(
            method="DELETE", path=path, handler=schedules.delete, tag="schedules", summary="Cancel a schedule",
            description="204 when nothing of it will be called any more; 409 with the run when it already fired. Of a rule that "
            "was cancelled while a run was on its way: 204 when that is over within a second, else 202 with this last run.",
            headers=_CHANGE, responses={202: _ACCEPTED, 204: _NOTHING, 409: {}, 412: {}},
        ),
        verb("pause", schedules.pause, "Pause a schedule", _CHANGED),
        verb("resume", schedules.resume, "Resume a schedule", _CHANGED),
        verb(
            "trigger", schedules.trigger, "Run a schedule now, beside its rule",
            {201: _json("Run", "the run", _LOCATION), 202: _ACCEPTED, 409: {}, 412: {}},
        ),
    ]  # fmt: skip


def _runs(runs: Runs) -> list[Operation]:
    return [
        Operation(
            method="GET", path=f"{API}/schedules/{{id}}/runs", handler=runs.of_schedule, tag="runs", query=PAGE,
            summary="The runs of a schedule, newest first, with all attempts", responses={200: _json("RunPage", "a page")},
        ),
        Operation(
            method="GET", path=f"{API}/runs", handler=runs.all, tag="runs", summary="Runs of all schedules, newest first",
            description="Every part that is given must hold. Runs that no attempt has finished yet are shown for the newest "
            f"live schedules. For `host`, `status`, `tag` and `q` a page looks into {SCAN_LOADED_RUNS_MAX} runs at most, so it "
            "may be empty although more follow: only `next_cursor` null ends the list.",
            query={**RUN_QUERY, **PAGE},
            responses={200: _json("RunPage", "a page")},
        ),
        Operation(
            method="GET", path=f"{API}/runs/{{run}}", handler=runs.get, tag="runs", summary="A run with all its attempts",
            responses={200: _json("Run", "the run")},
        ),
        Operation(
            method="POST", path=f"{API}/runs/{{run}}:replay", handler=runs.replay, tag="runs", headers=("Prefer",),
            summary="Call again what a run called, as a new run that names it",
            body=_body("Replay", {"message": {"subject": "Again"}}, required=False),
            responses={201: _json("Run", "the new run", _LOCATION), 202: _ACCEPTED, 409: {}},
        ),
    ]  # fmt: skip


def _routes(routes: Routes) -> list[Operation]:
    path = f"{API}/routes/{{pattern}}"
    return [
        Operation(
            method="GET", path=f"{API}/routes", handler=routes.list, tag="routes", summary="All routes of the namespace",
            responses={200: _json("RoutePage", "all of them")},
        ),
        Operation(
            method="GET", path=path, handler=routes.get, tag="routes", summary="A route",
            responses={200: _json("Route", "the route")},
        ),
        Operation(
            method="PUT", path=path, handler=routes.put, tag="routes", summary="Say where matching events go",
            description="An exact name beats a pattern, a longer literal start a shorter. `*` is one segment, "
            "at the end one or more.",
            body=_body("NewRoute", {"target": {"type": "http", "url": "https://hooks.example.com/email"}}),
            responses={200: _json("Route", "changed"), 201: _json("Route", "new", _LOCATION)},
        ),
        Operation(
            method="DELETE", path=path, handler=routes.delete, tag="routes", summary="Remove a route",
            description="Schedules that rely on it stay: a run that is due and finds no target fails and says so.",
            responses={204: _NOTHING},
        ),
    ]  # fmt: skip


def _status(status: Status) -> list[Operation]:
    any_json = {"description": "a JSON object", "content": {"application/json": {"schema": {"type": "object"}}}}
    texts = {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}

    def probe(path: str, handler: Any, summary: str, responses: dict[int, dict[str, Any]]) -> Operation:
        return Operation(method="GET", path=path, handler=handler, tag="status", summary=summary, responses=responses)

    return [
        probe(f"{API}/stats", status.stats, "Counters, lateness, backlog", {200: _json("Stats", "now")}),
        probe("/healthz", status.alive, "Whether the process answers", {200: any_json}),
        probe("/readyz", status.ready, "Whether a schedule sent now would fire", {200: any_json, 503: any_json}),
        probe("/health", status.health, "Whether the service is well", {200: any_json}),
        probe("/metrics", status.metrics, "For Prometheus", {200: texts}),
        probe("/", status.front, "Where to go from here", {200: any_json}),
    ]
