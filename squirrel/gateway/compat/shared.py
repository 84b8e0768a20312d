"""`/api/schedules`, which two seeds share: the body of a create tells them apart, then the schedule's own dialect does."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from squirrel.gateway.compat import rrule, workflow
from squirrel.gateway.compat.exchange import Declined, ForeignCall
from squirrel.gateway.compat.inner import Inner
from squirrel.gateway.compat.rrule import RRuleApi
from squirrel.gateway.compat.workflow import WorkflowApi
from squirrel.gateway.lookups import Located
from squirrel.model.errors import Refused
from squirrel.wire.documents.json_text import Document

_RRULE_KEYS: Final = frozenset({"rrule", "callback_url"})
_WORKFLOW_KEYS: Final = frozenset({"cron_expression", "target_url", "target_type"})


class SharedSchedules:
    """Handlers; a schedule made through neither of the two answers as a Workflow one."""

    def __init__(self, inner: Inner, rrules: RRuleApi, workflows: WorkflowApi) -> None:
        self._inner = inner
        self._rrules = rrules
        self._workflows = workflows

    async def create(self, call: ForeignCall) -> Response:
        """POST /api/schedules."""
        document = _read(call, "Invalid request payload")
        if is_rrule_body(document):
            return await self._rrules.create(call, document.values)
        return await self._workflows.create(call, document)

    async def get(self, call: ForeignCall) -> Response:
        """GET /api/schedules/{id}."""
        located = await self._find(call)
        api = self._rrules if _is_rrule(located) else self._workflows
        return await api.get(call, located)

    async def put(self, call: ForeignCall) -> Response:
        """PUT /api/schedules/{id}."""
        document = _read(call, "Invalid JSON body for updates")
        located = await self._find(call, document)
        if _is_rrule(located):
            return await self._rrules.put(call, located, document.values)
        return await self._workflows.put(call, located, document)

    async def delete(self, call: ForeignCall) -> Response:
        """DELETE /api/schedules/{id}."""
        located = await self._find(call)
        api = self._rrules if _is_rrule(located) else self._workflows
        return await api.delete(call, located)

    async def _find(self, call: ForeignCall, document: Document | None = None) -> Located:
        schedule_id = call.path["id"]
        located = await self._inner.find(call.namespace, schedule_id)
        if located is not None:
            return located
        if rrule.is_rrule_id(schedule_id) or (document is not None and is_rrule_body(document)):
            raise rrule.no_schedule(schedule_id)
        raise workflow.no_schedule()


def is_rrule_body(document: Document) -> bool:
    """Whether the keys are the RRule seed's; a body with keys of neither counts as a Workflow one."""
    keys = document.values.keys()
    return not keys.isdisjoint(_RRULE_KEYS) and keys.isdisjoint(_WORKFLOW_KEYS)


def _is_rrule(located: Located) -> bool:
    return located.row.spec.dialect == rrule.DIALECT


def _read(call: ForeignCall, text: str) -> Document:
    try:
        return call.document()
    except Refused as refused:
        if refused.code == "too_large":
            raise
        raise Declined(400, text) from None
