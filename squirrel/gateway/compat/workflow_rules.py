"""The Workflow seed's small questions: is this cron right, what are its presets and zones, how are the parts it knew."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from squirrel.gateway.compat.exchange import Declined, ForeignCall, json_answer
from squirrel.gateway.compat.inner import Inner
from squirrel.gateway.compat.workflow import SHOWN_STATES
from squirrel.model.instants import format_instant
from squirrel.model.when import When
from squirrel.recurrence import RuleError, compile_rule, upcoming
from squirrel.recurrence.presets import PRESETS

VALIDATED_RUNS: Final = 3
ZONES: Final = (
    ("UTC", "UTC"),
    ("Eastern Time", "America/New_York"),
    ("Central Time", "America/Chicago"),
    ("Mountain Time", "America/Denver"),
    ("Pacific Time", "America/Los_Angeles"),
    ("London", "Europe/London"),
    ("Paris", "Europe/Paris"),
    ("Tokyo", "Asia/Tokyo"),
    ("Shanghai", "Asia/Shanghai"),
    ("Sydney", "Australia/Sydney"),
)


class WorkflowRules:
    """Handlers."""

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    async def validate(self, call: ForeignCall) -> Response:
        """GET /api/cron/validate?expression=."""
        expression = call.query.get("expression", "")
        if not expression:
            raise Declined(400, "Missing expression parameter")
        now_ms = self._inner.now_ms()
        answer: dict[str, Any] = {"expression": expression, "next_runs": [], "valid": True}
        try:
            rule = compile_rule(When(cron=expression), created_ms=now_ms)
        except RuleError as error:
            return json_answer(answer | {"valid": False, "error": str(error)})
        slots = upcoming(rule, now_ms, VALIDATED_RUNS)
        return json_answer(answer | {"next_runs": [f"{format_instant(slot_ms)[:19]}Z" for slot_ms in slots]})

    async def presets(self, call: ForeignCall) -> Response:
        """GET /api/cron/presets."""
        return json_answer(
            [
                {**preset._asdict(), "is_system": True, "usage_count": 0}
                for preset in sorted(PRESETS, key=lambda each: (each.category, each.name))
            ]
        )

    async def timezones(self, call: ForeignCall) -> Response:
        """GET /api/timezones: the seed's list; a schedule may name any IANA zone."""
        return json_answer([{"label": label, "value": value} for label, value in ZONES])

    async def db_status(self, call: ForeignCall) -> Response:
        """GET /api/system/db-status: whether schedules and history can be read now."""
        if not await self._inner.history.healthy():
            raise Declined(503, "Database unavailable")
        rows = await self._inner.rows(call.namespace, SHOWN_STATES)
        return json_answer({"schedule_count": len(rows), "status": "healthy"})

    async def redis_status(self, call: ForeignCall) -> Response:
        """GET /api/system/redis-status: there is none to check."""
        return json_answer({"info": "Redis connection check not yet implemented", "status": "healthy"})
