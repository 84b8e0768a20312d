"""The calls on calendars: days off by name, shared by every schedule whose `exclude` names them."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.problems import Answered, invalid
from squirrel.model.clock import Clock
from squirrel.wire.calendar_book import CalendarBook, StoredCalendar, calendar_key, encode_calendar
from squirrel.wire.documents import answer_json
from squirrel.wire.documents.calendar import calendar_document, name_problem, parse_calendar

CALENDARS_MAX: Final = 500  # per namespace: a list is one answer
PATH: Final = "/api/v1/calendars/"


class Calendars:
    """Handlers. The engine re-plans the pending slots of the schedules that name a calendar when it changes."""

    def __init__(self, clock: Clock, log: DefinitionLog, book: CalendarBook) -> None:
        self._clock = clock
        self._log = log
        self._book = book
        self._turn = asyncio.Lock()  # 201 or 200, and the creation that is kept, follow from what was there before

    async def list(self, call: Call) -> Response:
        """GET /calendars: without their dates."""
        items = [calendar_document(each, whole=False) for each in self._book.all(call.namespace)]
        return Response(answer_json({"items": items, "next_cursor": None}), 200, media_type="application/json")

    async def get(self, call: Call) -> Response:
        """GET /calendars/{name}."""
        return _answer(self._get(call))

    async def put(self, call: Call) -> Response:
        """PUT /calendars/{name}: 201 new, 200 changed."""
        name = call.path["name"]
        async with self._turn:
            before = self._book.get(call.namespace, name)
            # In a thread: a country's tables and a large iCalendar text take a second.
            stored = await asyncio.to_thread(parse_calendar, name, call.body, self._clock.now_ms(), before)
            if before is None and len(self._book.all(call.namespace)) >= CALENDARS_MAX:
                raise invalid(
                    "name", f"would be calendar {CALENDARS_MAX + 1}, the limit is {CALENDARS_MAX}; delete some"
                )
            await self._log.write(calendar_key(call.namespace, name), encode_calendar(stored))
        return _answer(stored, 200 if before is not None else 201)

    async def delete(self, call: Call) -> Response:
        """DELETE /calendars/{name}. A schedule that names it fails at its next slot, and says why."""
        async with self._turn:
            stored = self._get(call)
            await self._log.write(calendar_key(call.namespace, stored.name), None)
        return Response(status_code=204)

    def _get(self, call: Call) -> StoredCalendar:
        name = call.path["name"]
        stored = self._book.get(call.namespace, name)
        if stored is None:
            reason = name_problem(name)
            detail = (
                f"there is no calendar {name} in this namespace" if reason is None else f"a calendar's name {reason}"
            )
            raise Answered("not_found", detail)
        return stored


def _answer(stored: StoredCalendar, status: int = 200) -> Response:
    headers = {"Location": PATH + quote(stored.name)} if status == 201 else None
    return Response(answer_json(calendar_document(stored)), status, headers, "application/json")
