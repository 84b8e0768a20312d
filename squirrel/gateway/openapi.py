"""The OpenAPI 3.1 document, made from the table of operations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from squirrel.gateway.access import OPEN_PATHS
from squirrel.gateway.answer_schemas import RECEIVED
from squirrel.gateway.compat.openapi import TAGS, paths_of
from squirrel.gateway.operation import Operation
from squirrel.gateway.planning_schemas import PLANNING, PLANNING_PATHS
from squirrel.gateway.problems import MEDIA_TYPE
from squirrel.gateway.repair_schemas import REPAIR
from squirrel.gateway.schemas import ID, NAMESPACE_SCHEMA, PATTERN, SENT, ref, text
from squirrel.gateway.target_schemas import TARGETS
from squirrel.gateway.workflow_schemas import WORKFLOW_NAME, WORKFLOWS
from squirrel.model.limits import EVENT_CHARS_MAX, ID_CHARS_MAX

_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_PATH_SCHEMAS: Final = {
    "id": text(ID_CHARS_MAX, ID, examples=["invoice-42"]),
    "run": {"type": "string", "pattern": "^run_[0-9a-f]{32}$"},
    "pattern": text(EVENT_CHARS_MAX, PATTERN, examples=["invoice.*"]),
    "breaker": text(300, r"^[a-z_]+:[A-Za-z0-9.:_-]+$", examples=["https:hooks.example.com"]),
    **PLANNING_PATHS,
    "workflow": WORKFLOW_NAME,
}
HEADERS: Final[dict[str, dict[str, Any]]] = {
    "Namespace": {
        "name": "Squirrel-Namespace", "in": "header", "schema": NAMESPACE_SCHEMA,
        "description": "the tenant; `default` when absent",
    },
    "Prefer": {
        "name": "Prefer", "in": "header", "schema": {"type": "string"},
        "description": "`respond-async`: 202 as soon as Kafka has it",
    },
}  # fmt: skip
_NOTES: Final = {
    "IdempotencyKey": "Header `Idempotency-Key`, 1 to 255 printable characters: the same key with the same body is answered as "
    "the first time, with another body 422.",
    "IfMatch": 'Header `If-Match`, the ETag of a revision such as `"3"`: the change is made to that revision only, else 412.',
}
_PROBLEMS: Final = {
    400: "the body is not JSON",
    401: "no valid token",
    404: "there is no such thing",
    408: "the request did not arrive in time",
    409: "the id is taken, or the run is already under way (`run`)",
    412: "If-Match is not the current revision",
    413: "the body is too large",
    415: "the body is compressed",
    422: "something in the content, named in `errors`",
    431: "too many or too large headers",
    503: "a part this call needs is away; see Retry-After",
}
_ALWAYS: Final = (401, 422, 431, 503)
_WITH_BODY: Final = (400, 408, 413, 415)


def document_of(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document; plain values, ready to be encoded."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        if not operation.hidden:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Squirrel",
            "version": version,
            "description": "Fires things later: once, after a delay, on a rule, or after another run.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}],
        "tags": [
            {"name": name} for name in (*dict.fromkeys(each.tag for each in operations if not each.hidden), *TAGS)
        ],
        "paths": paths | paths_of(),
        "components": {
            "schemas": {**SENT, **RECEIVED, **PLANNING, **REPAIR, **WORKFLOWS, **TARGETS},
            "parameters": HEADERS,
            "responses": {_problem_name(status): _problem(status) for status in _PROBLEMS},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    problems = [status for status in _PROBLEMS if status in operation.responses or status in _implied(operation)]
    answers = {status: answer for status, answer in operation.responses.items() if status not in _PROBLEMS or answer}
    made: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": {
            str(status): answers.get(status) or {"$ref": f"#/components/responses/{_problem_name(status)}"}
            for status in sorted({*answers, *problems})
        },
    }
    # Whether these two are taken depends on what went before, which no schema of a parameter can say.
    notes = [operation.description, *(_NOTES[name] for name in operation.headers if name in _NOTES)]
    if any(notes):
        made["description"] = "\n\n".join(note for note in notes if note)
    if operation.body is not None:
        made["requestBody"] = operation.body
    if operation.path in OPEN_PATHS:
        made["security"] = []
    return made


def _implied(operation: Operation) -> tuple[int, ...]:
    takes_body = operation.method in ("POST", "PUT", "PATCH", "DELETE")
    missing = (404,) if _PATH_PARAMETER.search(operation.path) else ()
    return (*_ALWAYS, *missing, *(_WITH_BODY if takes_body else ()))


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}
        for name in _PATH_PARAMETER.findall(operation.path)
    ]
    query = [
        {"name": name, "in": "query", "schema": {k: v for k, v in schema.items() if k != "description"}}
        | ({"description": schema["description"]} if "description" in schema else {})
        for name, schema in operation.query.items()
    ]
    headers = [
        {"$ref": f"#/components/parameters/{name}"} for name in ("Namespace", *operation.headers) if name in HEADERS
    ]
    return [*path, *query, *headers]


def _problem_name(status: int) -> str:
    return f"Problem{status}"


def _problem(status: int) -> dict[str, Any]:
    made: dict[str, Any] = {
        "description": _PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": ref("Problem")}},
    }
    if status == 503:
        made["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "seconds", "required": True}}
    return made
