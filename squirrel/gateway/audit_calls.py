"""`GET /api/v1/audit`: who changed what, newest first, read from the topic itself."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec
from starlette.responses import Response

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.call import Call
from squirrel.gateway.operation import Operation
from squirrel.gateway.paging import PAGE
from squirrel.gateway.problems import invalid
from squirrel.gateway.schemas import INSTANT_SCHEMA, choice, optional_text
from squirrel.model.errors import Unavailable
from squirrel.model.instants import InstantError, parse_instant
from squirrel.model.limits import ID_CHARS_MAX
from squirrel.wire.audit import AuditRecord, read_audit
from squirrel.wire.documents import answer_json

SCAN_RECORDS_MAX: Final = 20_000  # looked at for one page; the cursor goes on from there
OUTCOMES: Final = ("done", "accepted", "refused", "failed")
CURSOR: Final = r"^[0-9]{1,5}:[0-9]{1,18}(,[0-9]{1,5}:[0-9]{1,18}){0,9999}$"
_FORM: Final = re.compile(CURSOR, re.ASCII)


class Placed(NamedTuple):
    """A record of a topic, and where it stands."""

    partition: int
    offset: int
    value: bytes


class AuditSource(Protocol):
    """The audit topic, read from its end; `streams.topic_pages.TopicPages` is one."""

    def backwards(self, below: Mapping[int, int] | None) -> AsyncIterator[tuple[int, int, int, bytes]]:
        """(timestamp, partition, offset, value), newest first, of what lies below these offsets; None is all."""
        ...


class AuditCalls:
    """The handler and its entry in the table."""

    def __init__(self, source: AuditSource | None) -> None:
        self._source = source

    async def find(self, call: Call) -> Response:
        """GET /audit. A cursor is the offset below which each partition is still to be read."""
        if self._source is None:
            raise Unavailable("this gateway reads no audit topic", 60)
        wanted, limit = _Wanted(call), call.limit
        below = _below(call.query.get("cursor"))
        items: list[dict[str, Any]] = []
        reached = dict(below or {})
        looked_at = 0
        more = False
        async for _, partition, offset, value in self._source.backwards(below):
            record = _read(value)
            if record is not None and wanted.is_past(record):
                break
            if len(items) == limit or looked_at == SCAN_RECORDS_MAX:
                more = True
                break
            looked_at += 1
            reached[partition] = offset
            if record is not None and wanted.has(record):
                items.append(_document(record))
        cursor = ",".join(f"{partition}:{offset}" for partition, offset in sorted(reached.items())) if more else None
        return Response(answer_json({"items": items, "next_cursor": cursor}), 200, media_type="application/json")

    def operations(self) -> list[Operation]:
        """What `routes_of` and the document are made from."""
        return [
            Operation(
                method="GET", path="/api/v1/audit", handler=self.find, tag="audit", summary="Who changed what, newest first",
                description="One record for each changing call that was let in. `squirrel audit verify` finds a changed one.",
                query={
                    "id": optional_text(ID_CHARS_MAX), "actor": optional_text(255), "operation": optional_text(100),
                    "outcome": choice(*OUTCOMES), "from": INSTANT_SCHEMA, "to": INSTANT_SCHEMA, "limit": PAGE["limit"],
                    "cursor": {"type": "string", "pattern": CURSOR, "description": "`next_cursor` of the page before"},
                },
                responses={200: {"description": "a page", "content": json_content("AuditPage")}},
            )
        ]  # fmt: skip


class _Wanted:
    """Which records a call asks for."""

    def __init__(self, call: Call) -> None:
        self._namespace = call.namespace
        self._id = call.query.get("id")
        self._actor = call.query.get("actor")
        self._operation = call.query.get("operation")
        self._outcome = call.choice("outcome", OUTCOMES)
        self._from_ms = _instant(call, "from")
        self._to_ms = _instant(call, "to")

    def has(self, record: AuditRecord) -> bool:
        return (
            record.namespace == self._namespace
            and (self._id is None or record.id == self._id or self._id in record.ids)
            and self._actor in (None, record.actor, record.credential)
            and self._operation in (None, record.operation)
            and self._outcome in (None, record.outcome)
            and (self._from_ms is None or record.at_ms >= self._from_ms)
            and (self._to_ms is None or record.at_ms < self._to_ms)
        )

    def is_past(self, record: AuditRecord) -> bool:
        """A minute before what is asked for: two gateways' clocks differ by less."""
        return self._from_ms is not None and record.at_ms < self._from_ms - 60_000


def _document(record: AuditRecord) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(record)
    del shown["at_ms"]
    shown.pop("prev", None)
    return shown


def _read(value: bytes) -> AuditRecord | None:
    try:
        return read_audit(value)
    except ValueError:
        return None  # `squirrel audit verify` is what says so


def _below(cursor: str | None) -> dict[int, int] | None:
    if cursor is None:
        return None
    if _FORM.fullmatch(cursor) is None:
        raise invalid("cursor", "is none of ours; send `next_cursor` of the page before, or leave it out")
    pairs = (each.partition(":") for each in cursor.split(","))
    return {int(partition): int(offset) for partition, _, offset in pairs}


def _instant(call: Call, name: str) -> int | None:
    text = call.query.get(name)
    try:
        return None if text is None else parse_instant(text)
    except InstantError as error:
        raise invalid(name, str(error)) from None
