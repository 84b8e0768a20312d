"""The calls on breakers: which hosts are not called just now, and calling them again."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.executor_link import ExecutorLink
from squirrel.gateway.problems import Answered
from squirrel.model.instants import format_instant
from squirrel.wire.breaker_link import BreakerState, BreakerStates, CloseBreaker, Closed, GetBreakers
from squirrel.wire.outages import Outage, OutageBook, breaker_name, outage_key
from squirrel.wire.route_book import Definitions

_RANK: Final = {"closed": 0, "half_open": 1, "open": 2, "disabled": 3}


class BreakerCalls:
    """Handlers. A host's state is the worst that an executor sees; its counts are summed over all."""

    def __init__(self, link: ExecutorLink, definitions: Definitions, log: DefinitionLog) -> None:
        self._link = link
        self._outages = OutageBook(definitions)
        self._log = log

    async def list(self, call: Call) -> Response:
        """GET /breakers: hosts with trouble, the worst first."""
        heard = await self._link.ask(GetBreakers(call.namespace))
        found: dict[str, dict[str, Any]] = {}
        for outage in self._outages.of(call.namespace):
            if outage.disabled_ms is not None:
                found[breaker_name(outage.host)] = _disabled(outage)
        for answer in heard.answers:
            for each in answer.breakers if isinstance(answer, BreakerStates) else ():
                found[each.name] = _merged(found.get(each.name), each)
        items = sorted(found.values(), key=lambda each: (-_RANK[each["state"]], each["name"]))
        document: dict[str, Any] = {"items": items, "next_cursor": None}
        if heard.silent:
            document["warnings"] = [f"{heard.silent} executors did not answer; what they see is missing here"]
        return Response(msgspec.json.encode(document), 200, media_type="application/json")

    async def close(self, call: Call) -> Response:
        """POST /breakers/{breaker}:close. 404 when nothing of that name has trouble."""
        name = call.path["breaker"]
        known = [each for each in self._outages.of(call.namespace) if breaker_name(each.host) == name]
        for outage in known:
            await self._log.write(outage_key(call.namespace, outage.host), None)
        heard = await self._link.ask(CloseBreaker(call.namespace, name))
        closed = any(isinstance(each, Closed) and each.was_open for each in heard.answers)
        if not closed and not known and not heard.silent:
            raise Answered("not_found", f"there is no breaker {name} with trouble; GET /api/v1/breakers lists them")
        return Response(
            msgspec.json.encode({"name": name, "state": "closed", "executors_silent": heard.silent}),
            200,
            media_type="application/json",
        )


def _disabled(outage: Outage) -> dict[str, Any]:
    return {
        "name": breaker_name(outage.host),
        "host": outage.host,
        "state": "disabled",
        "failing_since": format_instant(outage.since_ms),
        "disabled_at": format_instant(outage.disabled_ms or outage.since_ms),
        "failures": 0,
        "put_off": 0,
        "executors": 0,
    }


def _merged(before: dict[str, Any] | None, seen: BreakerState) -> dict[str, Any]:
    shown = {
        "name": seen.name,
        "host": seen.host,
        "state": seen.state,
        "failing_since": format_instant(seen.since_ms),
        "failures": seen.failures,
        "failures_in_a_row": seen.failures_in_a_row,
        "put_off": seen.put_off,
        "retry_in_seconds": round(seen.left_seconds, 1),
        "last_error": seen.last_error,
        "executors": 1,
    }
    if before is None:
        return shown
    worse = before if _RANK[before["state"]] >= _RANK[seen.state] else shown
    return {
        **shown,
        **worse,
        "failing_since": min(before["failing_since"], shown["failing_since"]),
        "failures": before["failures"] + seen.failures,
        "put_off": before["put_off"] + seen.put_off,
        "executors": before["executors"] + 1,
    }
