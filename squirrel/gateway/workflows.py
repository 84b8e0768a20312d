"""The calls on workflows: kept in versions, shown, removed, and started."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

import orjson
from msgspec import Raw
from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.outcomes import answer, problem_of
from squirrel.gateway.problems import Answered, invalid
from squirrel.gateway.schedules import Parts, Schedules
from squirrel.gateway.workflow_view import run_answer
from squirrel.gateway.writes import Order
from squirrel.gateway.yaml_body import json_body
from squirrel.model.errors import Refused
from squirrel.model.ids import id_from_idempotency_key
from squirrel.model.instants import format_instant
from squirrel.model.limits import (
    KIB,
    REQUEST_BYTES_MAX,
    RETENTION_MS_DEFAULT,
    WORKFLOW_INPUT_BYTES_MAX,
    WORKFLOW_VERSIONS_KEPT_MAX,
    WORKFLOWS_MAX,
)
from squirrel.model.schedule import decode_row
from squirrel.model.workflow import (
    RUN_PREFIX,
    TARGET_KIND,
    Definition,
    WorkflowState,
    encode_definition,
    encode_workflow_state,
)
from squirrel.wire import owner_link as codes
from squirrel.wire.coordinators import coordinator_spec
from squirrel.wire.documents import answer_json, read_document
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import entries_of, spellings
from squirrel.wire.documents.values import Problems
from squirrel.wire.documents.workflow import parse_workflow, workflow_name_problem
from squirrel.wire.documents.workflow_render import workflow_document
from squirrel.wire.records import Command
from squirrel.wire.workflow_book import (
    StoredWorkflow,
    Version,
    WorkflowBook,
    definition_of,
    encode_stored,
    workflow_key,
)

PATH: Final = "/api/v1/workflows/"
RUNS_PATH: Final = "/api/v1/workflow-runs/"
VERSIONS_BYTES_MAX: Final = 512 * KIB  # of all versions that are kept: one record of the definitions topic
_START_NAMES: Final = spellings(("input", "when"))


class Workflows:
    """Handlers. A change reaches runs that begin afterwards; one that goes on keeps the version it began with."""

    def __init__(self, parts: Parts, log: DefinitionLog, book: WorkflowBook) -> None:
        self._parts = parts
        self._log = log
        self._book = book
        self._schedules = Schedules(parts)
        self._turn = asyncio.Lock()  # the next version follows from the one before

    async def list(self, call: Call) -> Response:
        """GET /workflows."""
        items = [
            {
                "name": each.name,
                "version": each.newest.version,
                "steps": [step.id for step in _definition(each).steps],
                "created_at": format_instant(each.created_ms),
                "updated_at": format_instant(each.newest.updated_ms),
            }
            for each in self._book.all(call.namespace)
        ]
        return _json({"items": items, "next_cursor": None})

    async def get(self, call: Call) -> Response:
        """GET /workflows/{name}: the newest version, or the one that `version` names."""
        stored = self._get(call)
        wanted = call.query.get("version")
        version = stored.newest
        if wanted is not None:
            found = next((each for each in stored.versions if str(each.version) == wanted), None)
            if found is None:
                kept = ", ".join(str(each.version) for each in stored.versions)
                raise Answered(
                    "not_found", f"version {visible(wanted)} of {stored.name} is not kept; these are: {kept}"
                )
            version = found
        return _json(_shown(stored, version))

    async def put(self, call: Call) -> Response:
        """PUT /workflows/{name}: 201 new, 200 changed; the same content again is the same version."""
        parts, name = self._parts, call.path["workflow"]
        body = json_body(call)
        async with self._turn:
            stored = self._book.get(call.namespace, name)
            before = None if stored is None else _definition(stored)
            now_ms = parts.clock.now_ms()
            policy = parts.settings.targets.of(call.namespace)
            number = 1 if before is None else before.version
            made = parse_workflow(name, body, version=number, now_ms=now_ms, policy=policy, before=before)
            if stored is None and len(self._book.all(call.namespace)) >= WORKFLOWS_MAX:
                raise invalid(
                    "name", f"would be workflow {WORKFLOWS_MAX + 1}, the limit is {WORKFLOWS_MAX}; delete some"
                )
            if stored is None or made != before:
                stored = _with_version(stored, made, now_ms)
                await self._log.write(workflow_key(call.namespace, name), encode_stored(stored))
        document = _shown(stored, stored.newest)
        return _json(document) if before is not None else _json(document, 201, {"Location": PATH + quote(name)})

    async def delete(self, call: Call) -> Response:
        """DELETE /workflows/{name}. Runs that go on, go on."""
        async with self._turn:
            stored = self._get(call)
            await self._log.write(workflow_key(call.namespace, stored.name), None)
        return Response(status_code=204)

    async def revisions(self, call: Call) -> Response:
        """GET /workflows/{name}/revisions."""
        items = [
            {"version": each.version, "current": index == 0, "updated_at": format_instant(each.updated_ms)}
            for index, each in enumerate(self._get(call).versions)
        ]
        return _json({"items": items, "next_cursor": None})

    async def start(self, call: Call) -> Response:
        """POST /workflows/{name}:start: one run now, or, with a `when`, a schedule that starts runs."""
        stored = self._get(call)
        given, raw = _starting(call.body)
        if "when" in given:
            return await self._schedule(call, stored, given, raw)
        if len(raw) > WORKFLOW_INPUT_BYTES_MAX:
            raise invalid("input", f"has {len(raw)} bytes, the limit is {WORKFLOW_INPUT_BYTES_MAX}; send a reference")
        parts, key = self._parts, call.idempotency_key
        now_ms = parts.clock.now_ms()
        chosen = parts.new_id() if key is None else id_from_idempotency_key(call.namespace, f"{stored.name} {key}")
        run_id = RUN_PREFIX + chosen
        state = WorkflowState(encode_definition(_definition(stored)))
        command = Command(
            op="create",
            namespace=call.namespace,
            id=run_id,
            command_id=run_id,
            accepted_ms=now_ms,
            spec=coordinator_spec(stored.name, run_id, raw, now_ms, RETENTION_MS_DEFAULT),
            reply=True,
            actor="rest",
            workflow=encode_workflow_state(state),
        )
        order = Order(command, parts.lookups.home(call.namespace, run_id))
        decided = await parts.writes.send(order, wait=not call.respond_async)
        headers = {"Location": RUNS_PATH + run_id}
        if decided is None or decided.row is None:
            return _json({"id": run_id, "accepted": True, "location": RUNS_PATH + run_id}, 202, headers)
        if decided.code not in (codes.CREATED, codes.REPEATED):
            raise problem_of(run_id, decided)
        return run_answer(decode_row(decided.row), 201, headers)

    async def _schedule(self, call: Call, stored: StoredWorkflow, given: dict[str, Any], raw: bytes) -> Response:
        """An ordinary schedule whose target is the workflow."""
        document = {
            "event": f"workflow-start.{stored.name}",
            "when": given["when"],
            "message": orjson.Fragment(raw),
            "target": {"type": TARGET_KIND, "name": stored.name},
            "tags": [f"starts:{stored.name}"],
            "retry": {"max_retries": 0},
        }
        now_ms = self._parts.clock.now_ms()
        new = self._schedules.read_new(answer_json(document), call.namespace, now_ms, call.idempotency_key)
        order = self._schedules.create_order(new, call.namespace, now_ms)
        return answer(new.id, await self._parts.writes.send(order, wait=not call.respond_async), new.warnings)

    def _get(self, call: Call) -> StoredWorkflow:
        name = call.path["workflow"]
        stored = self._book.get(call.namespace, name)
        if stored is None:
            reason = workflow_name_problem(name)
            detail = (
                f"there is no workflow {visible(name)} in this namespace" if reason is None else f"its name {reason}"
            )
            raise Answered("not_found", detail)
        return stored


def _starting(body: bytes) -> tuple[dict[str, Any], bytes]:
    """The fields that were given, and the input as it was sent."""
    if not body:
        return {}, b"null"
    document = read_document(body, REQUEST_BYTES_MAX)
    problems: Problems = []
    entries = entries_of(document.values, _START_NAMES, "", problems)
    if problems:
        raise Refused("invalid", problems)
    raw = document.raw(entries["input"][0]) if "input" in entries else b"null"
    return {name: entry[1] for name, entry in entries.items() if entry[1] is not None}, raw


def _definition(stored: StoredWorkflow) -> Definition:
    try:
        return definition_of(stored)
    except Refused as refused:
        raise Answered("internal", f"the workflow {stored.name} cannot be read: {refused}") from None


def _with_version(stored: StoredWorkflow | None, made: Definition, now_ms: int) -> StoredWorkflow:
    """The next version before those that are kept."""
    number = 1 if stored is None else stored.newest.version + 1
    document = workflow_document(made, redact=False)
    del document["version"]
    versions = [Version(number, now_ms, Raw(answer_json(document))), *([] if stored is None else stored.versions)]
    versions = versions[:WORKFLOW_VERSIONS_KEPT_MAX]
    while len(versions) > 1 and sum(len(bytes(each.document)) for each in versions) > VERSIONS_BYTES_MAX:
        versions.pop()
    return StoredWorkflow(made.name, now_ms if stored is None else stored.created_ms, versions)


def _shown(stored: StoredWorkflow, version: Version) -> dict[str, Any]:
    document = workflow_document(definition_of(stored, version), redact=True)
    document["created_at"] = format_instant(stored.created_ms)
    document["updated_at"] = format_instant(version.updated_ms)
    return document


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer_json(document), status, headers, "application/json")
