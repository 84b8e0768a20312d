"""scheduler-service: jobs with a cron expression, a specific time or an interval; shared/seeds/scheduler-service.md."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from uuid import UUID

import msgspec
import orjson
from starlette.responses import Response

from squirrel.gateway.compat.calling import (
    changed,
    checked_size,
    dialect_fields,
    http_target,
    sized,
    spec_prose,
    spec_text,
)
from squirrel.gateway.compat.exchange import Declined, ForeignCall, Seed, json_answer, text_answer
from squirrel.gateway.compat.inner import Inner, Who
from squirrel.gateway.compat.job_view import job_document
from squirrel.gateway.compat.jobs_body import STATUSES, JobBody, from_now, invalid_job, of_refused, read_job
from squirrel.gateway.lookups import Located
from squirrel.model.errors import Refused
from squirrel.model.limits import NAME_CHARS_MAX
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import Row, RunState, Spec, State
from squirrel.model.when import When
from squirrel.wire.documents.json_text import Document, NotJson

DIALECT: Final = "jobs"
EVENT: Final = "jobs.job"  # of all jobs, so that their list is one walk of an index
USER_AGENT: Final = "PingPay-Scheduler/1.0"
_SHOWN_STATES: Final = ("active", "waiting", "paused", "finished", "failed")
_PROTOTYPE_KEYS: Final = ("__proto__", "constructor", "prototype")
_RETRY_MAX_MS: Final = 30_000  # 1 s doubling to 30 s
JOBS_AT_ONCE_MAX: Final = 200  # whose failure the history is asked for together
_WHO: Final = "scheduler-service"


def _error(_: int, text: str) -> dict[str, Any]:
    return {"message": text}


def _no_route() -> Response:
    return text_answer("404 Not Found", 404)


SEED: Final = Seed("jobs", _error, _no_route, _no_route)


class JobsApi:
    """Handlers."""

    def __init__(self, inner: Inner, max_retries: int) -> None:
        self._inner = inner
        self._retry = RetryPolicy(max_retries=max_retries, initial_ms=1_000, max_ms=_RETRY_MAX_MS, jitter=0)

    async def create(self, call: ForeignCall) -> Response:
        """POST /jobs."""
        body = read_job(_read(call), self._inner.now_ms())
        spec = self._spec(body, call.namespace)
        job_id = str(UUID(hex=self._inner.new_hex(), version=4))
        paused = body.values.get("status") == "inactive"
        row = await self._inner.create(Who(call.namespace, _WHO), job_id, spec, paused=paused)
        return json_answer({"message": "Job created successfully", "job": await self._job(row)}, 201)

    async def every(self, call: ForeignCall) -> Response:
        """GET /jobs."""
        jobs = await self._jobs(call.namespace)
        wanted = call.query.get("status")
        return json_answer([job for job in jobs if not wanted or job["status"] == wanted])

    async def get(self, call: ForeignCall) -> Response:
        """GET /jobs/{id}."""
        return json_answer(await self._job((await self._find(call)).row))

    async def put(self, call: ForeignCall) -> Response:
        """PUT /jobs/{id}: the whole job anew."""
        located = await self._find(call)
        body = read_job(_read(call), self._inner.now_ms())
        paused = body.values.get("status") == "inactive"
        spec = self._spec(body, call.namespace, located.row.spec)
        row = await self._inner.update(Who(call.namespace, _WHO), located, spec, paused=paused)
        return json_answer({"message": "Job updated successfully", "job": await self._job(row)})

    async def delete(self, call: ForeignCall) -> Response:
        """DELETE /jobs/{id}."""
        await self._inner.cancel(Who(call.namespace, _WHO), await self._find(call))
        return json_answer({"message": "Job deleted successfully"})

    async def run(self, call: ForeignCall) -> Response:
        """POST /jobs/{id}/run."""
        await self._inner.trigger(Who(call.namespace, _WHO), await self._find(call))
        return json_answer({"message": "Job triggered successfully"})

    async def patch_status(self, call: ForeignCall) -> Response:
        """PATCH /jobs/{id}/status."""
        status = _read(call).values.get("status")
        if status not in STATUSES:
            raise Declined(400, "Invalid status value")
        row = await self._set_status(call, await self._find(call), status)
        return json_answer({"message": f"Job status updated to {status} successfully", "job": await self._job(row)})

    async def dead(self, call: ForeignCall) -> Response:
        """GET /dlq: the jobs that are set aside."""
        jobs = [job for job in await self._jobs(call.namespace) if job["status"] == "inactive"]
        return json_answer(sorted(jobs, key=lambda job: str(job["updated_at"]), reverse=True))

    async def reactivate(self, call: ForeignCall) -> Response:
        """POST /dlq/{id}/reactivate."""
        located = await self._find(call)
        if located.row.state is not State.PAUSED:
            raise Declined(400, "Only inactive jobs can be reactivated")
        row = await self._set_status(call, located, "active")
        return json_answer({"message": "Job reactivated successfully", "job": await self._job(row)})

    async def complete(self, call: ForeignCall) -> Response:
        """POST /dlq/{id}/complete: nothing more of it will be called."""
        located = await self._find(call)
        if located.row.state is not State.PAUSED:
            raise Declined(400, "Only inactive jobs can be completed from DLQ")
        await self._inner.cancel(Who(call.namespace, _WHO), located)
        job = {**await self._job(located.row), "next_run": None}
        return json_answer({"message": "Job marked as completed successfully", "job": job})

    async def _set_status(self, call: ForeignCall, located: Located, status: str) -> Row:
        """Inactive is paused. What comes back begins at now: slots of the time in between were skipped, not owed."""
        spec = _with_status(located.row.spec, status, self._inner.now_ms())
        if status != "inactive" and located.row.state is State.PAUSED:
            spec = msgspec.structs.replace(spec, when=_begun_again(spec.when, self._inner.now_ms()))
        who = Who(call.namespace, _WHO)
        return await self._inner.update(who, located, spec, paused=status == "inactive")

    def _spec(self, body: JobBody, namespace: str, before: Spec | None = None) -> Spec:
        values = body.values
        fields = {
            "url": ("target", values["target"]),
            "headers": ("headers", {"User-Agent": USER_AGENT}),
        }
        shown: dict[str, Any] = {
            name: values[name]
            for name in ("target", "schedule_type", "cron_expression", "specific_time", "interval", "interval_value")
            if name in values
        }
        shown |= {"payload": body.payload is not None}
        policy = self._inner.parts.settings.targets.of(namespace)
        try:
            spec = Spec(
                event=EVENT,
                when=body.when,
                message=checked_size("payload", clean_payload(body.payload or b"{}")),
                target=http_target(policy, fields, None if before is None else before.target),
                retry=self._retry,
                name=spec_text("name", values["name"], NAME_CHARS_MAX),
                description=spec_prose("description", values.get("description", "")),
                dialect=DIALECT,
                dialect_fields=orjson.dumps(shown | {"description": "description" in values}),
            )
            made = changed(before, spec, "when", "message", "target", "name", "description", "dialect_fields")
            return sized(_with_status(made, values.get("status", "active"), self._inner.now_ms()))
        except Refused as refused:
            if refused.code == "too_large":
                raise
            raise of_refused(refused) from None

    async def _find(self, call: ForeignCall) -> Located:
        located = await self._inner.find(call.namespace, call.path["id"])
        if located is None or located.row.spec.dialect != DIALECT:
            raise Declined(404, "Job not found")
        return located

    async def _jobs(self, namespace: str) -> list[dict[str, Any]]:
        rows = await self._inner.rows(namespace, _SHOWN_STATES, EVENT)
        jobs = [row for row in rows if row.spec.dialect == DIALECT]
        found = []
        for start in range(0, len(jobs), JOBS_AT_ONCE_MAX):
            found += await asyncio.gather(*(self._job(row) for row in jobs[start : start + JOBS_AT_ONCE_MAX]))
        return found

    async def _job(self, row: Row) -> dict[str, Any]:
        """The seed's job; the text of a failure that is being retried stands in the history alone."""
        waiting = next((run for run in row.runs if run.state is RunState.RETRY_WAIT), None)
        if waiting is None:
            return job_document(row)
        stored = await self._inner.history.run(row.namespace, waiting.id)
        attempt = stored.attempts[-1] if stored is not None and stored.attempts else None
        return job_document(row, "the last call failed" if attempt is None else attempt.error_detail)


def _read(call: ForeignCall) -> Document:
    try:
        return call.document()
    except NotJson as error:
        raise invalid_job({}, (error.problems[0].reason,)) from None
    except Refused as refused:
        if refused.code == "too_large":
            raise
        raise of_refused(refused) from None


def _with_status(spec: Spec, status: str, now_ms: int) -> Spec:
    """What somebody set holds until the next run ends: `failed` says nothing about time, `active` forgives a failure."""
    fields = {**dialect_fields(spec), "status": status, "status_ms": now_ms}
    return msgspec.structs.replace(spec, dialect_fields=orjson.dumps(fields))


def _begun_again(when: When, now_ms: int) -> When:
    if when.every is not None:
        return from_now(when.every, now_ms)
    return msgspec.structs.replace(when, start_ms=now_ms) if when.cron is not None else when


def clean_payload(payload: bytes) -> bytes:
    """Without the keys that pollute prototypes in the seed's language, at every level; as it came when there are none."""
    if not any(b'"%b"' % key.encode() in payload for key in _PROTOTYPE_KEYS) and b"\\u" not in payload:
        return payload
    value = orjson.loads(payload)
    levels = [value]
    while levels:
        level = levels.pop()
        if isinstance(level, dict):
            for key in _PROTOTYPE_KEYS:
                level.pop(key, None)
            levels.extend(level.values())
        elif isinstance(level, list):
            levels.extend(level)
    return orjson.dumps(value)
