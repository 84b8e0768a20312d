"""The calls around delivery, as the table of operations wants them: promises kept by asynchronous targets."""

from __future__ import annotations

from typing import Any, Final

from squirrel.gateway.answer_schemas import json_content
from squirrel.gateway.completing import Completing, CompletingParts
from squirrel.gateway.definition_log import DefinitionLog
from squirrel.gateway.deps import GatewayDeps
from squirrel.gateway.operation import Operation
from squirrel.gateway.producing import CommandLog
from squirrel.gateway.schedules import Parts
from squirrel.gateway.workflow_operations import workflow_operations
from squirrel.gateway.workflow_runs import WorkflowRuns
from squirrel.gateway.workflows import Workflows
from squirrel.model.completion_token import completion_key
from squirrel.wire.workflow_book import WorkflowBook

API: Final = "/api/v1"


def delivery_operations(deps: GatewayDeps, parts: Parts, definitions: CommandLog) -> list[Operation]:
    """Promises kept by asynchronous targets, workflows and their runs."""
    key = completion_key(deps.settings.completion_secret)
    completing = Completing(CompletingParts(deps.clock, deps.new_id, parts.lookups, parts.writes, key))
    log = DefinitionLog(definitions, deps.definitions)
    workflows = Workflows(parts, log, WorkflowBook(deps.definitions))
    return [*_promises(completing), *workflow_operations(workflows, WorkflowRuns(parts))]


def _promises(completing: Completing) -> list[Operation]:
    run = {"description": "the run", "content": json_content("Run")}
    accepted = {"description": "stored in Kafka", "content": json_content("Accepted")}
    body: dict[str, Any] = {
        "required": False,
        "content": json_content("Ending", {"outcome": "success", "result": {"id": 7}}),
    }
    return [
        Operation(
            method="POST", path=f"{API}/runs/{{run}}:complete", handler=completing.complete, tag="runs",
            summary="An asynchronous target says how its run ended",
            description="With the header `squirrel-completion-token` that came with the call, no other credential is needed. "
            "A failure follows the retry policy unless `retry` is false.",
            body=body, responses={200: run, 202: accepted, 409: {}},
        ),
        Operation(
            method="POST", path=f"{API}/runs/{{run}}:heartbeat", handler=completing.heartbeat, tag="runs",
            summary="An asynchronous target is still at work: its time counts anew",
            description="As `:complete`, by the token that came with the call or by a credential.",
            responses={200: run, 202: accepted, 409: {}},
        ),
    ]  # fmt: skip
