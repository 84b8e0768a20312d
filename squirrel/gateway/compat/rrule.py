"""RRule Scheduler: an RRULE, a callback, and lists of its events; shared/seeds/rrule-scheduler.md and wire.md 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson
from starlette.responses import Response

from squirrel.gateway.compat.calling import changed, checked_size, dialect_fields, http_target, sized, spec_text
from squirrel.gateway.compat.exchange import Declined, ForeignCall, Seed, json_answer, text_answer
from squirrel.gateway.compat.inner import Inner, Who
from squirrel.gateway.lookups import Located
from squirrel.model.errors import Refused
from squirrel.model.instants import InstantError, format_instant, parse_instant
from squirrel.model.limits import NAME_CHARS_MAX
from squirrel.model.retry import RetryPolicy
from squirrel.model.schedule import Row, Spec
from squirrel.model.target import HttpTarget, Target
from squirrel.model.when import When
from squirrel.recurrence import RuleError, compile_rule
from squirrel.wire.secret_texts import shown as without_secrets

DIALECT: Final = "rrule"
EVENT: Final = "rrule.schedule"
ID_CHARS: Final = 24
_ID: Final = re.compile(r"[0-9a-fA-F]{24}", re.ASCII)
_WHO: Final = "rrule-scheduler"
_TEXTS: Final = ("name", "rrule", "callback_url", "method", "body", "created_at")
_FIELDS: Final = (*_TEXTS, "headers")


def _error(status: int, text: str) -> dict[str, Any]:
    return coded(
        {400: "invalid_request", 404: "not_found", 422: "validation_failed"}.get(status, "internal_error"), text
    )


def coded(code: str, message: str) -> dict[str, Any]:
    """The usual shape of its errors; bodies that cannot be read have a plain `{"error": text}`."""
    return {"error": {"code": code, "message": message}}


def _no_route() -> Response:
    return text_answer("404 page not found", 404)


SEED: Final = Seed("rrule", _error, _no_route, _no_route)


def is_rrule_id(text: str) -> bool:
    """24 hex digits."""
    return _ID.fullmatch(text) is not None


def no_schedule(schedule_id: str) -> Declined:
    """404, or 400 for what cannot be an id."""
    if not is_rrule_id(schedule_id):
        return Declined(400, "Invalid schedule ID format", coded("invalid_request", "Invalid schedule ID format"))
    return Declined(404, "Schedule not found", coded("not_found", "Schedule not found"))


class RRuleApi:
    """What `/api/schedules` does with schedules of this dialect; `compat/shared.py` decides that they are."""

    def __init__(self, inner: Inner, retry: RetryPolicy) -> None:
        self._inner = inner
        self._retry = retry

    async def create(self, call: ForeignCall, values: Mapping[str, Any]) -> Response:
        """POST /api/schedules."""
        fields = _typed(values, "Invalid request body")
        schedule_id = self._inner.new_hex()[:ID_CHARS]
        spec = self._spec(fields, call.namespace)
        await self._inner.create(Who(call.namespace, _WHO), schedule_id, spec)
        return json_answer({"id": schedule_id}, 201)

    async def get(self, call: ForeignCall, located: Located) -> Response:
        """GET /api/schedules/{id}."""
        return json_answer(schedule_document(located.row))

    async def put(self, call: ForeignCall, located: Located, values: Mapping[str, Any]) -> Response:
        """PUT /api/schedules/{id}: the keys that were sent replace; checked as on create."""
        sent = _typed(values, "Invalid JSON body for updates")
        sent.pop("created_at", None)
        fields = _stored(located.row.spec) | sent
        made = self._spec(fields, call.namespace, located.row.spec)
        await self._inner.update(Who(call.namespace, _WHO), located, made)
        return json_answer({"message": "Schedule updated successfully."})

    async def delete(self, call: ForeignCall, located: Located) -> Response:
        """DELETE /api/schedules/{id}: its history stays."""
        await self._inner.cancel(Who(call.namespace, _WHO), located)
        return json_answer({"message": "Schedule and associated events deleted."})

    def _spec(self, fields: Mapping[str, Any], namespace: str, before: Spec | None = None) -> Spec:
        problem = _problem(fields, self._inner.now_ms())
        if problem is not None:
            raise _invalid(problem)
        try:
            target = self._target(fields, namespace, None if before is None else before.target)
            fields = {**fields, "headers": dict(target.headers)}  # secrets in their stored form
            made = Spec(
                event=EVENT,
                when=_when(fields["rrule"], before),
                target=target,
                retry=self._retry,
                overlap="allow",  # each event is queued and called by itself
                name=spec_text("name", fields["name"], NAME_CHARS_MAX),
                dialect=DIALECT,
                dialect_fields=orjson.dumps({name: fields[name] for name in _FIELDS if fields.get(name)}),
            )
            return sized(changed(before, made, "when", "target", "name", "dialect_fields"))
        except Refused as refused:
            if refused.code == "too_large":
                raise
            raise _invalid(str(refused)) from None

    def _target(self, fields: Mapping[str, Any], namespace: str, before: Target | None) -> HttpTarget:
        target = {
            "url": ("callback_url", fields["callback_url"]),
            "method": ("method", fields.get("method") or "GET"),
            "headers": ("headers", fields.get("headers") or {}),
        }
        body = checked_size("body", (fields.get("body") or "").encode())
        policy = self._inner.parts.settings.targets.of(namespace)
        return http_target(policy, target, before, body=body, retry_4xx=True)


def schedule_document(row: Row) -> dict[str, Any]:
    """A schedule as this seed shows it; empty method, headers and body are left out."""
    fields = without_secrets(_stored(row.spec))
    shown = {"id": row.id} | {name: fields[name] for name in _FIELDS[:4] if fields.get(name)}
    shown |= {name: fields[name] for name in ("headers", "body") if fields.get(name)}
    return shown | {"created_at": fields.get("created_at") or format_instant(row.created_ms)}


def _when(rrule: str, before: Spec | None) -> When:
    """What a native change has put around the rule stays around it."""
    if before is None or before.when.rrule is None:
        return When(rrule=rrule)
    return msgspec.structs.replace(before.when, rrule=rrule)


def _stored(spec: Spec) -> dict[str, Any]:
    """The fields as they were sent, but for what a native PATCH may have changed since."""
    fields = dialect_fields(spec)
    fields["name"] = spec.name
    if spec.when.rrule is not None:
        fields["rrule"] = spec.when.rrule
    return fields


def _typed(values: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The known keys. Raises Declined 400 for a value of the wrong type, as Go's decoder does."""
    found = {name: values[name] for name in _FIELDS if values.get(name) is not None}
    headers = found.get("headers", {})
    is_right = (
        all(isinstance(found.get(name, ""), str) for name in _TEXTS)
        and isinstance(headers, dict)
        and all(isinstance(value, str) for value in headers.values())
    )
    if is_right and "created_at" in found:
        try:
            parse_instant(found["created_at"])
        except InstantError:
            is_right = found["created_at"].startswith("0001-")  # Go's zero time, which its own answers show
    if not is_right:
        raise Declined(400, text, {"error": text})
    return found


def _problem(fields: Mapping[str, Any], now_ms: int) -> str | None:
    """The first failing check, in the seed's order."""
    if not fields.get("name"):
        return "Schedule name cannot be empty"
    if not fields.get("rrule"):
        return "RRULE cannot be empty"
    try:
        compile_rule(When(rrule=fields["rrule"]), created_ms=now_ms)
    except RuleError:
        return "Invalid RRULE format"
    if "://" not in fields.get("callback_url", ""):
        return "Invalid callback URL format"
    return None


def _invalid(message: str) -> Declined:
    return Declined(422, message, coded("validation_failed", message))
