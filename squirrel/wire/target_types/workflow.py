"""A run of a workflow as a target: a schedule of any `when` starts one, and its own run ends with it.

The engine starts it by itself; no executor ever calls it.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from squirrel.model.workflow import TARGET_KIND
from squirrel.wire.target_types.kind import TargetType
from squirrel.wire.target_types.sending import CallFailed


class WorkflowConfig(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Starts the newest version of a workflow; the schedule's message is its input."""

    name: Annotated[
        str, Meta(description="of the workflow, see PUT /api/v1/workflows/{name}", min_length=1, max_length=100)
    ]


async def send(config: Any, attempt: Any, network: Any) -> Any:
    """Never reached: the engine starts workflows."""
    raise CallFailed("bad_target", "a workflow is started by the engine; this execution is of another release")


WORKFLOW = TargetType(
    kind=TARGET_KIND,
    title="Workflow",
    description="Starts a run of a workflow; the message is its input, and the run ends as the workflow does.",
    config=WorkflowConfig,
    send=send,
    example={"name": "order-follow-up"},
    place=lambda config: f"workflow:{config.name}",
)
