"""The calls on schedules: create, read, change, and the verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec
from starlette.responses import Response

from squirrel.gateway.actor import named_actor
from squirrel.gateway.call import Call
from squirrel.gateway.cancelling import last_calls
from squirrel.gateway.crowding import Crowding
from squirrel.gateway.deps import GatewaySettings
from squirrel.gateway.idempotency import IdempotencyKeys, key_reused
from squirrel.gateway.listing import list_rows
from squirrel.gateway.lookups import Located, Lookups
from squirrel.gateway.outcomes import answer, schedule_answer
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import invalid
from squirrel.gateway.writes import Order, Writes
from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable
from squirrel.model.limits import EVENT_CHARS_MAX, TAG_CHARS_MAX
from squirrel.model.schedule import State
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.documents import (
    NewSchedule,
    answer_json,
    check_calendars,
    parse_change,
    parse_schedule,
    render_schedule,
)
from squirrel.wire.documents.flow import at_home
from squirrel.wire.owner_link import CONFLICT, STALE_REVISION, Decided, ListRows
from squirrel.wire.records import Command, Op
from squirrel.wire.route_book import RouteBook
from squirrel.wire.template_book import TemplateBook

LISTED_STATES: Final = tuple(str(state) for state in State if state is not State.UNKNOWN)
FORCES: Final = ("next", "now")
PATCH_TRIES_MAX: Final = 5  # a PATCH is applied to what was read; somebody else may change it in between
TEXT_CHARS_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class Parts:
    """What the calls on schedules share."""

    clock: Clock
    new_id: Callable[[], str]
    settings: GatewaySettings
    link: OwnerLink
    lookups: Lookups
    writes: Writes
    routes: RouteBook
    keys: IdempotencyKeys
    calendars: CalendarBook
    templates: TemplateBook
    crowding: Crowding


class Schedules:
    """Handlers; each gives the answer or raises what becomes a problem document."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def read_new(self, body: bytes, namespace: str, now_ms: int, key: str | None) -> NewSchedule:
        """One schedule out of a create or a batch. Raises Refused."""
        parts = self._parts
        new = parse_schedule(
            parts.templates.expanded(body, namespace),
            now_ms=now_ms,
            new_id=parts.new_id,
            routes=lambda event: parts.routes.matches(namespace, event),
            policy=parts.settings.targets.of(namespace),
            namespace=namespace,
            idempotency_key=key,
        )
        check_calendars(new.spec.when, parts.calendars.lookup(namespace), now_ms)
        return new._replace(spec=at_home(new.spec, partial(parts.routes.best, namespace)))

    def create_order(self, new: NewSchedule, namespace: str, now_ms: int, *, brief: bool = False) -> Order:
        """The command that creates it, and where it goes. `brief`: a one-shot that was created is answered without its row."""
        parts = self._parts
        command = Command(
            op="create",
            namespace=namespace,
            id=new.id,
            command_id=parts.new_id(),
            accepted_ms=now_ms,
            spec=new.spec,
            fingerprint=new.fingerprint,
            reply=True,
            actor="rest",
            brief=brief,
        )
        return Order(command, parts.lookups.home(namespace, new.spec.group or new.id))

    async def create(self, call: Call) -> Response:
        """POST /schedules."""
        parts = self._parts
        now_ms = parts.clock.now_ms()
        key = call.idempotency_key
        new = self.read_new(call.body, call.namespace, now_ms, key)
        content = f"{new.id} {new.fingerprint}"
        if key is not None:
            parts.keys.check(call.namespace, key, content)
        decided = await parts.writes.send(self.create_order(new, call.namespace, now_ms), wait=not call.respond_async)
        if decided is not None and decided.code == CONFLICT and key is not None and new.id.startswith("idem_"):
            raise key_reused()
        response = answer(new.id, decided, new.warnings + await parts.crowding.warnings(call.namespace, decided))
        if key is not None:
            parts.keys.remember(call.namespace, key, content)
        return response

    async def list(self, call: Call) -> Response:
        """GET /schedules."""
        where = ListRows(
            namespace=call.namespace,
            states=call.choices("state", LISTED_STATES),
            event=_text(call, "event", EVENT_CHARS_MAX),
            tag=_text(call, "tag", TAG_CHARS_MAX),
            text=_text(call, "q", TEXT_CHARS_MAX),
            limit=call.limit,
        )
        listed = await list_rows(self._parts.link, where, call.query.get("cursor"))
        page: dict[str, Any] = {"items": [render_schedule(row) for row in listed.rows], "next_cursor": listed.cursor}
        if listed.cut:
            page["warnings"] = ["the filter matched too little of too much; narrow it by event, tag or state"]
        return Response(answer_json(page), 200, media_type="application/json")

    async def get(self, call: Call) -> Response:
        """GET /schedules/{id}."""
        located = await self._parts.lookups.get(call.namespace, call.schedule_id)
        return schedule_answer(located.row)

    async def put(self, call: Call) -> Response:
        """PUT /schedules/{id}: the whole document anew."""
        return await self._change(call, merge=False)

    async def patch(self, call: Call) -> Response:
        """PATCH /schedules/{id}: what the body names."""
        return await self._change(call, merge=True)

    async def _change(self, call: Call, *, merge: bool) -> Response:
        parts = self._parts
        schedule_id, wanted = call.schedule_id, call.if_revision
        force = call.choice("force", FORCES) or ""
        located = await parts.lookups.get(call.namespace, schedule_id)
        for attempt in range(PATCH_TRIES_MAX):
            now_ms = parts.clock.now_ms()
            changed = parse_change(
                call.body,
                located.row.spec,
                merge=merge,
                schedule_id=schedule_id,
                now_ms=now_ms,
                routes=lambda event: parts.routes.matches(call.namespace, event),
                policy=parts.settings.targets.of(call.namespace),
            )
            check_calendars(changed.spec.when, parts.calendars.lookup(call.namespace), now_ms)
            order = self._order(call, "update", located, now_ms)
            revision = wanted if wanted is not None else located.row.revision if merge else None
            command = msgspec.structs.replace(order.command, spec=changed.spec, force=force, if_revision=revision)
            decided = await parts.writes.send(Order(command, located.partition), wait=not call.respond_async)
            again = decided is not None and decided.code == STALE_REVISION and wanted is None
            if not again or attempt == PATCH_TRIES_MAX - 1:
                crowded = await parts.crowding.warnings(call.namespace, decided)
                return answer(schedule_id, decided, changed.warnings + crowded)
            located = await parts.lookups.get(call.namespace, schedule_id)
        raise AssertionError("the last attempt returns")

    async def delete(self, call: Call) -> Response:
        """DELETE /schedules/{id}: 204 when nothing of it is called any more, 202 with a run that is still on its way."""
        decided = await self._decided(call, "cancel")
        return await last_calls(self._parts.lookups, decided) or answer(call.schedule_id, decided)

    async def pause(self, call: Call) -> Response:
        """POST /schedules/{id}:pause."""
        return await self._verb(call, "pause")

    async def resume(self, call: Call) -> Response:
        """POST /schedules/{id}:resume."""
        return await self._verb(call, "resume")

    async def trigger(self, call: Call) -> Response:
        """POST /schedules/{id}:trigger."""
        return await self._verb(call, "trigger")

    async def _verb(self, call: Call, op: Op) -> Response:
        """A change without content."""
        return answer(call.schedule_id, await self._decided(call, op))

    async def _decided(self, call: Call, op: Op) -> Decided | None:
        """It is sent to where the schedule lives; to its id's own partition when nobody says where."""
        parts, schedule_id = self._parts, call.schedule_id
        command = msgspec.structs.replace(self._command(call, op, parts.clock.now_ms()), if_revision=call.if_revision)
        try:
            partition = (await parts.lookups.get(call.namespace, schedule_id)).partition
        except Unavailable:
            partition = parts.lookups.home(call.namespace, schedule_id)
        return await parts.writes.send(Order(command, partition), wait=not call.respond_async)

    def _order(self, call: Call, op: Op, located: Located, now_ms: int) -> Order:
        return Order(self._command(call, op, now_ms), located.partition)

    def _command(self, call: Call, op: Op, now_ms: int) -> Command:
        return Command(
            op=op,
            namespace=call.namespace,
            id=call.schedule_id,
            command_id=self._parts.new_id(),
            accepted_ms=now_ms,
            reply=True,
            actor=(named_actor(call.scope["headers"]) if op == "trigger" else "") or "rest",
        )


def _text(call: Call, name: str, chars_max: int) -> str:
    text = call.query.get(name, "")
    if len(text) > chars_max or not text.isprintable():
        raise invalid(name, f"must be at most {chars_max} printable characters")
    return text
