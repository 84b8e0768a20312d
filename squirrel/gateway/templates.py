"""The calls on templates."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

import msgspec
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.problems import Answered, invalid
from squirrel.model.clock import Clock
from squirrel.model.instants import format_instant
from squirrel.wire.documents.calendar import name_problem
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.template import (
    StoredTemplate,
    encode_template,
    parse_template,
    shown_template,
    template_key,
)
from squirrel.wire.template_book import TemplateBook

TEMPLATES_MAX: Final = 500  # per namespace: a list is one answer
PATH: Final = "/api/v1/templates/"


class Templates:
    """Handlers. A change reaches schedules made afterwards; those made before keep what they were made with."""

    def __init__(self, clock: Clock, log: DefinitionLog, book: TemplateBook, policy: TargetPolicy) -> None:
        self._clock = clock
        self._policy = policy
        self._log = log
        self._book = book
        self._turn = asyncio.Lock()  # 201 or 200, and the creation that is kept, follow from what was there before

    async def list(self, call: Call) -> Response:
        """GET /templates."""
        items = [template_document(each) for each in self._book.all(call.namespace)]
        return _json({"items": items, "next_cursor": None})

    async def get(self, call: Call) -> Response:
        """GET /templates/{name}."""
        return _json(template_document(self._get(call)))

    async def put(self, call: Call) -> Response:
        """PUT /templates/{name}: 201 new, 200 changed."""
        name = call.path["name"]
        async with self._turn:
            before = self._book.get(call.namespace, name)
            door = self._policy.of(call.namespace).door
            stored = parse_template(name, call.body, self._clock.now_ms(), before, door)
            if before is None and len(self._book.all(call.namespace)) >= TEMPLATES_MAX:
                raise invalid(
                    "name", f"would be template {TEMPLATES_MAX + 1}, the limit is {TEMPLATES_MAX}; delete some"
                )
            await self._log.write(template_key(call.namespace, name), encode_template(stored))
        document = template_document(stored)
        return _json(document) if before is not None else _json(document, 201, {"Location": PATH + quote(name)})

    async def delete(self, call: Call) -> Response:
        """DELETE /templates/{name}. Schedules made from it stay."""
        async with self._turn:
            stored = self._get(call)
            await self._log.write(template_key(call.namespace, stored.name), None)
        return Response(status_code=204)

    def _get(self, call: Call) -> StoredTemplate:
        name = call.path["name"]
        stored = self._book.get(call.namespace, name)
        if stored is None:
            reason = name_problem(name)
            detail = (
                f"there is no template {name} in this namespace" if reason is None else f"a template's name {reason}"
            )
            raise Answered("not_found", detail)
        return stored


def template_document(stored: StoredTemplate) -> dict[str, Any]:
    """A template as answers show it: its secrets as the mark, which keeps them when it is sent back."""
    stored = shown_template(stored)
    return {
        "name": stored.name,
        "description": stored.description,
        "schedule": stored.schedule,
        "parameters": [
            {"name": each.name, "required": each.required, "default": each.default, "description": each.description}
            for each in stored.parameters
        ],
        "created_at": format_instant(stored.created_ms),
        "updated_at": format_instant(stored.updated_ms),
    }


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")


__all__ = ["TemplateBook", "Templates", "template_document"]
