"""The calls on routes: the target of every event that matches a pattern and names none itself."""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.problems import Answered, invalid
from squirrel.gateway.producing import CommandLog
from squirrel.model.clock import Clock
from squirrel.model.target import Route
from squirrel.wire.documents import TargetPolicy, answer_json, parse_route, pattern_problem, render_route
from squirrel.wire.documents.route import route_value
from squirrel.wire.route_book import DEFINITIONS_PARTITION, ROUTES_MAX, Definitions, RouteBook, route_key

VISIBLE_SECONDS_MAX: Final = 5.0  # for our own reading of the topic to reach what we wrote
log = logging.getLogger(__name__)


class Routes:
    """Handlers. A change is answered once this gateway itself reads it back, so that the next create sees it."""

    def __init__(
        self, clock: Clock, writes: CommandLog, book: RouteBook, definitions: Definitions, targets: TargetPolicy
    ) -> None:
        self._clock = clock
        self._writes = writes
        self._book = book
        self._definitions = definitions
        self._targets = targets
        self._turn = asyncio.Lock()  # 201 or 200, and the creation that is kept, follow from what was there before

    async def list(self, call: Call) -> Response:
        """GET /routes."""
        items = [render_route(route) for route in self._book.all(call.namespace)]
        return Response(answer_json({"items": items, "next_cursor": None}), 200, media_type="application/json")

    async def get(self, call: Call) -> Response:
        """GET /routes/{pattern}."""
        return _answer(self._get(call))

    async def put(self, call: Call) -> Response:
        """PUT /routes/{pattern}: 201 new, 200 changed."""
        pattern = call.path["pattern"]
        async with self._turn:
            before = self._book.get(call.namespace, pattern)
            route = parse_route(
                pattern, call.body, now_ms=self._clock.now_ms(), policy=self._targets.of(call.namespace), before=before
            )
            if before is None and len(self._book.all(call.namespace)) >= ROUTES_MAX:
                raise invalid(
                    "pattern", f"would be route {ROUTES_MAX + 1}, the limit is {ROUTES_MAX}; delete some, or use *"
                )
            await self._write(call.namespace, pattern, route_value(route))
        return _answer(route, 200 if before is not None else 201)

    async def delete(self, call: Call) -> Response:
        """DELETE /routes/{pattern}. Schedules that rely on it stay; one that is due without a target fails and says why."""
        async with self._turn:
            route = self._get(call)
            await self._write(call.namespace, route.pattern, None)
        return Response(status_code=204)

    def _get(self, call: Call) -> Route:
        pattern = call.path["pattern"]
        route = self._book.get(call.namespace, pattern)
        if route is None:
            reason = pattern_problem(pattern)
            detail = f"there is no route {pattern} in this namespace" if reason is None else f"a pattern {reason}"
            raise Answered("not_found", detail)
        return route

    async def _write(self, namespace: str, pattern: str, value: bytes | None) -> None:
        record = (route_key(namespace, pattern).encode(), value, ())
        offset = await self._writes.write(DEFINITIONS_PARTITION, [record])
        try:
            async with asyncio.timeout(VISIBLE_SECONDS_MAX):
                await self._definitions.reached(offset)
        except TimeoutError:
            log.warning("the definitions topic is read with more than %g s delay", VISIBLE_SECONDS_MAX)


def _answer(route: Route, status: int = 200) -> Response:
    headers = {"Location": f"/api/v1/routes/{quote(route.pattern, safe='*')}"} if status == 201 else None
    return Response(answer_json(render_route(route)), status, headers, "application/json")
