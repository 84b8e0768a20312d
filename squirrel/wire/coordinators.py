"""The schedule that is a workflow's run, as the gateway and the engine make it."""

from __future__ import annotations

import orjson

from squirrel.model.schedule import Spec
from squirrel.model.target import PluginTarget
from squirrel.model.when import When
from squirrel.model.workflow import RUN_TAG, TARGET_KIND


def coordinator_spec(name: str, run_id: str, message: bytes, at_ms: int, retention_ms: int) -> Spec:
    """Due at once; its group is itself, so that all its steps share its partition and an order."""
    return Spec(
        event=f"workflow.{name}",
        when=When(at_ms=at_ms),
        message=message,
        target=PluginTarget(TARGET_KIND, orjson.dumps({"name": name})),
        group=run_id,
        tags=(RUN_TAG, f"workflow:{name}"),
        retention_ms=retention_ms,
    )
