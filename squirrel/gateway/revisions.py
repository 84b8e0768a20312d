"""Former revisions of a schedule: the list, one of them against what holds now, and the way back."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.outcomes import answer
from squirrel.gateway.problems import Answered
from squirrel.gateway.schedules import FORCES, Parts
from squirrel.gateway.writes import Order
from squirrel.model.errors import Problem, Refused
from squirrel.model.instants import format_instant
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.model.schedule import Revision, Row, Spec
from squirrel.wire.documents import answer_json, document_of, read_document
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import unknown
from squirrel.wire.documents.values import Problems, read_number
from squirrel.wire.records import Command
from squirrel.wire.secret_texts import SHOWN

REVISION_MAX: Final = 2**53
_MISSING: Final = object()


class Revisions:
    """Handlers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def list(self, call: Call) -> Response:
        """GET /schedules/{id}/revisions: newest first, the one that holds included."""
        row = (await self._parts.lookups.get(call.namespace, call.schedule_id)).row
        current = {
            "revision": row.revision,
            "current": True,
            "since": format_instant(row.revisions[-1].until_ms if row.revisions else row.created_ms),
            "until": None,
        }
        items = [current]
        for index in range(len(row.revisions) - 1, -1, -1):
            kept = row.revisions[index]
            since_ms = row.revisions[index - 1].until_ms if index else None
            items.append(
                {
                    "revision": kept.revision,
                    "current": False,
                    "since": None if since_ms is None else format_instant(since_ms),
                    "until": format_instant(kept.until_ms),
                    "changed": [each["field"] for each in _diff(kept.spec, _following(row, index))],
                }
            )
        return Response(answer_json({"items": items, "next_cursor": None}), 200, media_type="application/json")

    async def get(self, call: Call) -> Response:
        """GET /schedules/{id}/revisions/{n}: its content, and what differs from what holds now, or from `against`."""
        row = (await self._parts.lookups.get(call.namespace, call.schedule_id)).row
        number, against = call.path["n"], call.query.get("against")
        found, until = _content(row, number)
        other = row.spec if against is None else _content(row, against)[0]
        document = {
            "revision": int(number),
            "current": found is row.spec,
            "until": until,
            "schedule": {"id": row.id, "namespace": row.namespace, **_plain(found)},
            "diff": _diff(found, other),
        }
        return Response(msgspec.json.encode(document), 200, media_type="application/json")

    async def rollback(self, call: Call) -> Response:
        """POST /schedules/{id}:rollback: the content of a former revision, as a new one."""
        parts, schedule_id = self._parts, call.schedule_id
        number = read_rollback(call.body)
        located = await parts.lookups.get(call.namespace, schedule_id)
        command = Command(
            op="rollback",
            namespace=call.namespace,
            id=schedule_id,
            command_id=parts.new_id(),
            accepted_ms=parts.clock.now_ms(),
            reply=True,
            actor="rest",
            if_revision=call.if_revision,
            force=call.choice("force", FORCES) or "",
            revision=number,
        )
        decided = await parts.writes.send(Order(command, located.partition), wait=not call.respond_async)
        return answer(schedule_id, decided)


def read_rollback(body: bytes) -> int:
    """The former revision that a body names. Raises Refused."""
    values = read_document(body, REQUEST_BYTES_MAX).values
    problems: Problems = [unknown(visible(key), key, ("revision",)) for key in values if key != "revision"]
    number = None
    if values.get("revision") is None:
        problems.append(Problem("revision", "is missing; name one of GET /api/v1/schedules/{id}/revisions"))
    else:
        number = read_number("revision", values["revision"], problems, 1, REVISION_MAX, whole=True)
    if problems or number is None:
        raise Refused("invalid", problems)
    return int(number)


def _content(row: Row, number: str) -> tuple[Spec, str | None]:
    """A revision's content and when it ended; None for the one that holds. Raises Answered 404."""
    if number == str(row.revision):
        return row.spec, None
    kept = _kept(row, number)
    return kept.spec, format_instant(kept.until_ms)


def _kept(row: Row, number: str) -> Revision:
    for kept in row.revisions:
        if number == str(kept.revision):
            return kept
    known = ", ".join(str(each) for each in [*(kept.revision for kept in row.revisions), row.revision])
    raise Answered("not_found", f"revision {number[:20]} of {row.id} is not kept; these are: {known}")


def _following(row: Row, index: int) -> Spec:
    return row.revisions[index + 1].spec if index + 1 < len(row.revisions) else row.spec


def _diff(before: Spec, after: Spec) -> list[dict[str, Any]]:
    """The fields that differ, dotted one level into objects, as documents show them (secrets hidden)."""
    old, new = _plain(before), _plain(after)
    found: list[dict[str, Any]] = []
    for name in dict.fromkeys((*old, *new)):
        was, is_now = old.get(name, _MISSING), new.get(name, _MISSING)
        if was == is_now:
            continue
        if isinstance(was, dict) and isinstance(is_now, dict) and name in ("when", "target", "retry", "metadata"):
            found.extend(
                {"field": f"{name}.{key}", "before": was.get(key), "after": is_now.get(key)}
                for key in dict.fromkeys((*was, *is_now))
                if was.get(key, _MISSING) != is_now.get(key, _MISSING)
            )
        else:
            found.append(
                {
                    "field": name,
                    "before": None if was is _MISSING else was,
                    "after": None if is_now is _MISSING else is_now,
                }
            )
    if not found and before != after:
        found.append({"field": "target.headers", "before": SHOWN, "after": f"{SHOWN} (changed)"})
    return found


def _plain(spec: Spec) -> dict[str, Any]:
    """The document as plain values; big integers survive, for msgspec reads them."""
    plain: dict[str, Any] = msgspec.json.decode(orjson.dumps(document_of(spec, redact=True)))
    return plain
