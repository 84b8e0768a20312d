"""Redis Scheduler: `POST /schedule` with a webhook, a ttl and data; shared/seeds/redis-scheduler.md and wire.md 1."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
import orjson
from starlette.responses import Response

from squirrel.gateway.compat.calling import changed, checked_size, dialect_fields, http_target, sized
from squirrel.gateway.compat.exchange import Declined, ForeignCall, Seed, json_answer
from squirrel.gateway.compat.inner import REVIVE, Inner, Who
from squirrel.gateway.compat.process_usage import ProcessUsage
from squirrel.gateway.lookups import Located
from squirrel.model.errors import Refused
from squirrel.model.ids import id_problem
from squirrel.model.instants import format_instant
from squirrel.model.limits import INSTANT_MS_MAX
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import LIVE, Row, RunState, Spec
from squirrel.model.target import HttpTarget, Target
from squirrel.model.when import When
from squirrel.wire.documents.json_text import Document, NotJson

DIALECT: Final = "redis"
EVENT: Final = "redis.task"  # of all tasks, so that their list is one walk of an index
RUNNING: Final = "Scheduler service is running."
PURGED: Final = "Redis database purged successfully."
TIMEOUT_SECONDS: Final = 10
KEYS_PER_TASK: Final = 2  # the original keeps two Redis keys for each
_BARE: Final = re.compile(r"(?:rsch:ref-)?([0-9a-f]{32})", re.ASCII)  # the prefix is that of its early version
_PREFIX: Final = "rsch-ref:"
_DEFAULT_TYPE: Final = "default"


def _error(status: int, text: str) -> dict[str, Any]:
    # The only error whose text is under `data`.
    return {"data": "Unauthorized.", "status": 401} if status == 401 else {"error": text, "status": status}


def _no_route() -> Response:
    return json_answer(_error(404, "Route not found."), 404)


SEED: Final = Seed("redis", _error, _no_route, _no_route)


class RedisApi:
    """Handlers. `token` is what callers send and what goes on to the webhook; `retry` is RETRIES and RETRY_TIME."""

    def __init__(self, inner: Inner, token: str | None, retry: RetryPolicy, usage: ProcessUsage) -> None:
        self._inner = inner
        self._token = token
        self._retry = retry
        self._usage = usage

    async def create(self, call: ForeignCall) -> Response:
        """POST /schedule."""
        document = _read(call)
        problem = _type_problem(document) or _missing(document)
        if problem is not None:
            raise _invalid(problem)
        kind = call.query.get("type") or _DEFAULT_TYPE
        key = f"{_PREFIX}{kind}:{self._inner.new_hex()}"
        if (reason := id_problem(key)) is not None:
            raise _invalid(f"type {reason}")
        values = document.values
        fields = {"webhook": values["webhook"], "ttl": values["ttl"]}
        spec = self._spec(fields, document.raw("data"), call.namespace)
        await self._inner.create(Who(call.namespace, "redis-scheduler"), key, spec)
        return _data(key)

    async def list(self, call: ForeignCall) -> Response:
        """GET /schedules."""
        rows = await self._inner.rows(call.namespace, event=EVENT)
        wanted = call.query.get("type")
        shown = [row for row in rows if row.spec.dialect == DIALECT and _is_of_type(row.id, wanted)]
        return _data([_task(row, row.id) for row in shown])

    async def get(self, call: ForeignCall) -> Response:
        """GET /schedule/{key}."""
        located = await self._find(call)
        return _data(_task(located.row, call.path["key"]))

    async def patch(self, call: ForeignCall) -> Response:
        """PATCH /schedule/{key}: what is sent replaces; the countdown begins again."""
        document = _read(call)
        problem = _type_problem(document)
        if problem is not None:
            raise _invalid(problem)
        located = await self._find(call)
        values, spec = document.values, located.row.spec
        fields = dialect_fields(spec)
        if values.get("webhook"):
            fields["webhook"] = values["webhook"]
        if (values.get("ttl") or 0) > 0:
            fields["ttl"] = values["ttl"]
        data = document.raw("data") if values.get("data") is not None else spec.message
        made = self._spec(fields, data, call.namespace, spec)
        force = ""
        if any(run.state is RunState.RETRY_WAIT for run in located.row.runs):
            # The retry takes the new content; a second countdown would call twice.
            made, force = msgspec.structs.replace(made, when=spec.when), REVIVE
        await self._inner.update(Who(call.namespace, "redis-scheduler"), located, made, force=force)
        return _data("Schedule updated successfully.")

    async def delete(self, call: ForeignCall) -> Response:
        """DELETE /schedule/{key}."""
        await self._inner.cancel(Who(call.namespace, "redis-scheduler"), await self._find(call))
        return _data("Schedule deleted successfully.")

    async def purge(self, call: ForeignCall) -> Response:
        """DELETE /schedules and POST /purge: every task of this API, and nothing else of the installation."""
        rows = await self._inner.rows(call.namespace, event=EVENT)
        tasks = [row for row in rows if row.spec.dialect == DIALECT]
        await self._inner.cancel_all(Who(call.namespace, "redis-scheduler"), tasks)
        return _data(PURGED)

    async def stats(self, call: ForeignCall) -> Response:
        """GET /stats."""
        rows = await self._inner.rows(call.namespace, event=EVENT)
        running = sum(row.spec.dialect == DIALECT for row in rows)
        usage = self._usage.now()
        return _data(
            {
                "cpu_usage": usage.cpu_percent,
                "go_routines": usage.tasks,
                "ram_usage": usage.memory_text,
                "ram_usage_bytes": usage.memory_bytes,
                "running_schedules": running,
                "system_uptime": usage.uptime_text,
                "total_redis_keys": running * KEYS_PER_TASK,
            }
        )

    def _spec(self, fields: dict[str, Any], data: bytes, namespace: str, before: Spec | None = None) -> Spec:
        due_ms = self._inner.now_ms() + fields["ttl"] * 1000
        if due_ms > INSTANT_MS_MAX:
            raise _invalid("ttl reaches beyond the year 9999; send fewer seconds")
        made = Spec(
            event=EVENT,
            when=When(at_ms=due_ms),
            message=checked_size("data", data),
            target=self._target(fields["webhook"], namespace, None if before is None else before.target),
            retry=self._retry,
            dialect=DIALECT,
            dialect_fields=orjson.dumps(fields),
        )
        return sized(changed(before, made, "when", "message", "target", "dialect_fields"))

    def _target(self, webhook: str, namespace: str, before: Target | None) -> HttpTarget:
        fields: dict[str, tuple[str, Any]] = {
            "url": ("webhook", webhook),
            "timeout_seconds": ("timeout", TIMEOUT_SECONDS),
        }
        if self._token:
            fields["headers"] = ("headers", {"Authorization": self._token})
        try:
            policy = self._inner.parts.settings.targets.of(namespace)
            return http_target(policy, fields, before, success_below=201, retry_4xx=True)
        except Refused as refused:
            raise _invalid(str(refused)) from None

    async def _find(self, call: ForeignCall) -> Located:
        key = call.path["key"]
        bare = _BARE.fullmatch(key)
        full = key if bare is None else f"{_PREFIX}{_DEFAULT_TYPE}:{bare.group(1)}"
        located = await self._inner.find(call.namespace, full) if full.startswith(_PREFIX) else None
        if located is None or located.row.spec.dialect != DIALECT or located.row.state not in LIVE:
            raise Declined(404, "Schedule not found.")
        return located


def _data(data: Any) -> Response:
    return json_answer({"data": data, "status": 200})


def _invalid(text: str) -> Declined:
    return Declined(400, f"Invalid input: {text}")


def _read(call: ForeignCall) -> Document:
    if not call.body.strip():
        raise _invalid("EOF")
    try:
        return call.document()
    except NotJson as error:
        raise _invalid(error.problems[0].reason) from None
    except Refused as error:
        raise _invalid(str(error)) from None


def _type_problem(document: Document) -> str | None:
    """What Go's decoder says of a value of the wrong type."""
    webhook, ttl = document.values.get("webhook"), document.values.get("ttl")
    if webhook is not None and not isinstance(webhook, str):
        return _cannot(webhook, "webhook", "string")
    if ttl is not None and type(ttl) is not int:
        return _cannot(ttl, "ttl", "int")
    return None


def _cannot(value: Any, field: str, wanted: str) -> str:
    kind = {bool: "bool", str: "string", dict: "object", list: "array"}.get(type(value), "number")
    return f"json: cannot unmarshal {kind} into Go struct field RequestData.{field} of type {wanted}"


def _missing(document: Document) -> str | None:
    """What gin's binding says of a required field, several joined by line ends."""
    values = document.values
    problems = []
    if not values.get("webhook"):
        problems.append(_tag("Webhook", "required"))
    ttl = values.get("ttl") or 0
    if ttl < 1:
        problems.append(_tag("TTL", "min" if ttl < 0 else "required"))
    if values.get("data") is None:
        problems.append(_tag("Data", "required"))
    return "\n".join(problems) or None


def _tag(field: str, tag: str) -> str:
    return f"Key: 'RequestData.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"


def _is_of_type(key: str, pattern: str | None) -> bool:
    return not pattern or fnmatchcase(key.removeprefix(_PREFIX).rpartition(":")[0], pattern)


def _task(row: Row, key: str) -> dict[str, Any]:
    fields = dialect_fields(row.spec)
    open_run = row.runs[0] if row.runs else None
    due_ms = open_run.due_ms if open_run is not None else row.slot_ms
    failed_calls = 0
    if open_run is not None:
        failed_calls = open_run.tries if open_run.state is RunState.RETRY_WAIT else max(open_run.tries - 1, 0)
    return {
        "data": orjson.Fragment(row.spec.message),
        "info": {
            "expires": format_instant(due_ms if due_ms is not None else row.spec.when.at_ms or row.created_ms),
            "key": key,
            "retry": failed_calls,
            "ttl": fields.get("ttl", 0),
            "webhook": fields.get("webhook", ""),
        },
    }
