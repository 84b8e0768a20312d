"""The calls on workflows and their runs, as the table of operations wants them."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.operation import Operation
from squirrel.gateway.paging import PAGE
from squirrel.gateway.schemas import choice
from squirrel.gateway.workflow_runs import WorkflowRuns
from squirrel.gateway.workflow_schemas import VERSION, WORKFLOW_NAME
from squirrel.gateway.workflow_view import RUN_PHASES
from squirrel.gateway.workflows import Workflows

API: Final = "/api/v1"
_LOCATION: Final = {"Location": {"schema": {"type": "string"}}}
_EXAMPLE: Final = {
    "steps": [
        {
            "id": "charge", "target": {"type": "http", "url": "https://pay.example.com/charge"},
            "message": {"order": "{{ input.order }}"},
        },
        {
            "id": "ship", "after": ["charge"], "if": "steps.charge.status == `200`",
            "target": {"type": "http", "url": "https://ship.example.com/orders"},
        },
        {
            "id": "ask", "after": ["ship"], "delay_seconds": 1209600,
            "target": {"type": "http", "url": "https://mail.example.com/how-was-it"},
        },
    ]
}  # fmt: skip


def workflow_operations(workflows: Workflows, runs: WorkflowRuns) -> list[Operation]:
    """What `routes_of` and the document are made from."""
    return [*_definitions(workflows), *_runs(runs)]


def _definitions(workflows: Workflows) -> list[Operation]:
    path = f"{API}/workflows/{{workflow}}"
    return [
        Operation(
            method="GET", path=f"{API}/workflows", handler=workflows.list, tag="workflows",
            summary="All workflows of the namespace", responses={200: _json("WorkflowPage", "all of them")},
        ),
        Operation(
            method="GET", path=path, handler=workflows.get, tag="workflows", summary="A workflow, or a former version of it",
            query={"version": VERSION}, responses={200: _json("Workflow", "the workflow")},
        ),
        Operation(
            method="PUT", path=path, handler=workflows.put, tag="workflows", summary="Keep a graph of steps to run",
            description="JSON, or YAML with Content-Type `application/yaml`. Cycles and steps that can never run are refused "
            "with the path. The same content again is the same version; runs keep the version they began with.",
            body=_body("NewWorkflow", _EXAMPLE),
            responses={200: _json("Workflow", "changed"), 201: _json("Workflow", "new", _LOCATION)},
        ),
        Operation(
            method="DELETE", path=path, handler=workflows.delete, tag="workflows", summary="Remove a workflow",
            description="Runs that go on, go on.", responses={204: {"description": "done"}},
        ),
        Operation(
            method="GET", path=f"{path}/revisions", handler=workflows.revisions, tag="workflows",
            summary="The versions that are kept, newest first", responses={200: _json("WorkflowRevisionPage", "all of them")},
        ),
        Operation(
            method="POST", path=f"{path}:start", handler=workflows.start, tag="workflows", headers=("IdempotencyKey", "Prefer"),
            summary="Start a run now; with a `when`, make a schedule that starts runs",
            body=_body("Start", {"input": {"order": 7}}, required=False),
            responses={
                201: _json("WorkflowRun", "the run; with `when` the schedule", _LOCATION),
                202: _json("Accepted", "stored", _LOCATION), 409: {},
            },
        ),
    ]  # fmt: skip


def _runs(runs: WorkflowRuns) -> list[Operation]:
    path = f"{API}/workflow-runs/{{id}}"
    changed = {200: _json("WorkflowRun", "the run"), 202: _json("Accepted", "stored", _LOCATION), 409: {}}

    def verb(name: str, handler: Any, summary: str, body: dict[str, Any] | None = None) -> Operation:
        return Operation(
            method="POST", path=f"{path}:{name}", handler=handler, tag="workflows", summary=summary, headers=("Prefer",),
            body=body, responses=changed,
        )  # fmt: skip

    return [
        Operation(
            method="GET", path=f"{API}/workflow-runs", handler=runs.list, tag="workflows",
            summary="Runs of workflows, newest first",
            query={"workflow": WORKFLOW_NAME, "state": choice(*RUN_PHASES), **PAGE},
            responses={200: _json("WorkflowRunPage", "a page")},
        ),
        Operation(
            method="GET", path=path, handler=runs.get, tag="workflows", summary="A run with every step's state and times",
            description="Live: `GET /api/v1/stream?workflow_run=<id>`.", responses={200: _json("WorkflowRun", "the run")},
        ),
        verb("pause", runs.pause, "Begin no further step; what is in flight goes on"),
        verb("resume", runs.resume, "Go on"),
        verb("cancel", runs.cancel, "End it: what has not been called is cancelled"),
        verb(
            "retry", runs.retry, "Begin again with what failed, or with one step; the others keep their answers",
            _body("StepOf", {"step": "ship"}, required=False),
        ),
        verb("skip", runs.skip, "Go on as if a step were done", _body("StepOf", {"step": "ship"})),
    ]  # fmt: skip


def _json(name: str, description: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": json_content(name)}
    return answer | {"headers": headers} if headers else answer


def _body(name: str, example: Any, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": json_content(name, example)}
