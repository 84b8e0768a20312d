"""The foreign calls in the OpenAPI document, one tag a seed, and the RRule seed's own document made from the same lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import yaml

REDIS: Final = "seed: Redis Scheduler"
JOBS: Final = "seed: scheduler-service"
RRULE: Final = "seed: RRule Scheduler"
WORKFLOW: Final = "seed: Workflow Scheduler"
TAGS: Final = (REDIS, JOBS, RRULE, WORKFLOW)
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_TEXT_ERROR: Final = "in the seed's shape, see docs/compat.md"
_PHRASES: Final = {200: "done", 201: "created", 400: "not as the seed takes it", 401: "no valid token", 404: "there is none"} | {
    409: "its only run is under way", 413: "the body is too large", 422: "something in the content", 503: "a part is away",
}  # fmt: skip
_ALWAYS: Final = (401, 503)

_TASK: Final = {"webhook": "https://hooks.example.com/webhook", "ttl": 120, "data": {"message": "Hello, World!"}}
_JOB: Final = {
    "name": "Example Job", "description": "An example job that sends a notification", "type": "http",
    "target": "https://hooks.example.com/api/notify", "payload": {"message": "Hello, world!"},
    "schedule_type": "recurring", "interval": "hour", "interval_value": 1,
}  # fmt: skip
_SCHEDULE: Final = {
    "name": "Daily Report Generator", "cron_expression": "0 9 * * 1-5", "timezone": "America/New_York",
    "target_type": "webhook", "target_url": "https://hooks.example.com/webhook/daily-report",
    "target_payload": {"report_type": "daily_sales"}, "overlap_policy": "skip", "max_retries": 3,
    "retry_strategy": "exponential", "timeout_seconds": 300, "catch_up_missed": True, "tags": ["reporting", "daily"],
}  # fmt: skip
_RRULE: Final = {
    "name": "Daily Backup", "rrule": "FREQ=DAILY;INTERVAL=1", "callback_url": "https://hooks.example.com/backup",
    "method": "POST", "headers": {"Content-Type": "application/json"}, "body": '{"task":"backup"}',
}  # fmt: skip


class Line(NamedTuple):
    """One call: `query` are the names of its parameters, `example` its body."""

    tag: str
    method: str
    path: str
    summary: str
    statuses: tuple[int, ...] = (200,)
    example: Any = None
    query: tuple[str, ...] = ()


_ONE: Final = "/api/schedules/{id}"
LINES: Final = (
    Line(REDIS, "POST", "/schedule", "Schedule a task", (200, 400, 413), _TASK, ("type",)),
    Line(REDIS, "GET", "/schedules", "All active tasks", (200,), None, ("type",)),
    Line(REDIS, "DELETE", "/schedules", "Purge all tasks"),
    Line(REDIS, "POST", "/purge", "Purge all tasks"),
    Line(REDIS, "GET", "/schedule/{key}", "A task", (200, 404)),
    Line(REDIS, "PATCH", "/schedule/{key}", "Update a task; the countdown begins again", (200, 400, 404, 409, 413), _TASK),
    Line(REDIS, "DELETE", "/schedule/{key}", "Cancel a task", (200, 404, 409)),
    Line(REDIS, "GET", "/stats", "Tasks, CPU and memory"),
    Line(JOBS, "POST", "/jobs", "Create a job", (201, 400, 413), _JOB),
    Line(JOBS, "GET", "/jobs", "List jobs", (200,), None, ("status",)),
    Line(JOBS, "GET", "/jobs/{id}", "A job", (200, 404)),
    Line(JOBS, "PUT", "/jobs/{id}", "Replace a job", (200, 400, 404, 413), _JOB),
    Line(JOBS, "DELETE", "/jobs/{id}", "Delete a job", (200, 404, 409)),
    Line(JOBS, "POST", "/jobs/{id}/run", "Run a job now", (200, 404, 409)),
    Line(JOBS, "PATCH", "/jobs/{id}/status", "Set active, inactive or failed", (200, 400, 404), {"status": "inactive"}),
    Line(JOBS, "GET", "/dlq", "Inactive jobs"),
    Line(JOBS, "POST", "/dlq/{id}/reactivate", "Make an inactive job active", (200, 400, 404)),
    Line(JOBS, "POST", "/dlq/{id}/complete", "Be done with an inactive job", (200, 400, 404)),
    Line(WORKFLOW, "GET", "/api/schedules", "All schedules", (200,), None, ("enabled", "tag", "status")),
    Line(
        WORKFLOW, "POST", "/api/schedules", "Create a schedule; with `rrule` and `callback_url` an RRule Scheduler one",
        (201, 400, 409, 413, 422), _SCHEDULE,
    ),
    Line(WORKFLOW, "GET", _ONE, "A schedule, in the dialect it was made in", (200, 404)),
    Line(WORKFLOW, "PUT", _ONE, "Change a schedule; what is not sent stays", (200, 400, 404, 409, 413, 422), _SCHEDULE),
    Line(WORKFLOW, "DELETE", _ONE, "Delete a schedule", (200, 404, 409)),
    Line(WORKFLOW, "POST", f"{_ONE}/enable", "Enable", (200, 404, 409)),
    Line(WORKFLOW, "POST", f"{_ONE}/disable", "Disable", (200, 404, 409)),
    Line(WORKFLOW, "POST", f"{_ONE}/trigger", "Run now", (200, 404, 409)),
    Line(WORKFLOW, "GET", f"{_ONE}/executions", "Its executions", (200,), None, ("limit", "status")),
    Line(WORKFLOW, "GET", f"{_ONE}/metrics", "How it has been doing"),
    Line(WORKFLOW, "GET", f"{_ONE}/next-runs", "When it runs next, in its zone", (200, 404), None, ("count",)),
    Line(WORKFLOW, "GET", "/api/executions", "Recent executions", (200,), None, ("limit",)),
    Line(WORKFLOW, "GET", "/api/executions/{id}", "An execution", (200, 404)),
    Line(WORKFLOW, "POST", "/api/executions/{id}/retry", "Call again what it called", (200, 404, 409)),
    Line(WORKFLOW, "GET", "/api/dashboard/stats", "Totals"),
    Line(WORKFLOW, "GET", "/api/cron/validate", "Whether a cron expression is right", (200, 400), None, ("expression",)),
    Line(WORKFLOW, "GET", "/api/cron/presets", "Cron presets"),
    Line(WORKFLOW, "GET", "/api/timezones", "Zones to choose from"),
    Line(WORKFLOW, "GET", "/api/system/db-status", "Whether schedules and history can be read"),
    Line(WORKFLOW, "GET", "/api/system/redis-status", "There is none; always healthy"),
    Line(RRULE, "GET", f"{_ONE}/events/pending", "Events in the pre-queue window", (200,), None, ("limit", "page")),
    Line(RRULE, "GET", f"{_ONE}/events/history", "Archived events", (200,), None, ("limit", "page")),
)  # fmt: skip
# The RRule seed's document shows the shared path from its side.
_RRULE_LINES: Final = (
    Line(RRULE, "POST", "/api/schedules", "Create a schedule", (201, 400, 413, 422), _RRULE),
    Line(RRULE, "GET", _ONE, "A schedule", (200, 400, 404)),
    Line(RRULE, "PUT", _ONE, "Change a schedule", (200, 400, 404, 413, 422), _RRULE),
    Line(RRULE, "DELETE", _ONE, "Delete a schedule and its pending events", (200, 400, 404, 409)),
    *(line for line in LINES if line.tag == RRULE),
)


def paths_of(lines: Sequence[Line] = LINES) -> dict[str, dict[str, Any]]:
    """`paths` of an OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for line in lines:
        paths.setdefault(line.path, {})[line.method.lower()] = _operation(line)
    return paths


def rrule_yaml() -> bytes:
    """`/docs/openapi.yml` of the RRule seed."""
    document = {
        "openapi": "3.1.0",
        "info": {"title": "RRule Scheduler API, answered by Squirrel", "version": "1.0.0"},
        "servers": [{"url": "/"}],
        "paths": paths_of(_RRULE_LINES),
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).encode()


def _operation(line: Line) -> dict[str, Any]:
    words = re.findall(r"\w+", line.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(line.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in line.query
    ]
    made: dict[str, Any] = {
        "operationId": "_".join(["seed", line.tag.split()[1].lower(), line.method.lower(), *words]),
        "summary": line.summary,
        "tags": [line.tag],
        "parameters": parameters,
        "responses": {str(status): _response(status) for status in sorted({*line.statuses, *_ALWAYS})},
    }
    if line.example is not None:
        schema = {"type": "object", "additionalProperties": True}
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema, "example": line.example}},
        }
    return made


def _response(status: int) -> dict[str, Any]:
    phrase = _PHRASES[status] if status < 400 else f"{_PHRASES[status]}; {_TEXT_ERROR}"
    return {"description": phrase, "content": {"application/json": {"schema": {}}}}
