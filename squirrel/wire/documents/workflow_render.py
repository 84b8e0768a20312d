"""A workflow's definition in the API's words; parsing what is written here gives it again."""

from __future__ import annotations

from typing import Any

import orjson

from squirrel.model.workflow import Definition, Step
from squirrel.wire.documents.retry import retry_document, seconds_of
from squirrel.wire.documents.target import fallback_document, target_document
from squirrel.wire.documents.when import when_document


def workflow_document(definition: Definition, *, redact: bool) -> dict[str, Any]:
    """`redact` hides every secret, as answers do; else they stand in their stored form."""
    document: dict[str, Any] = {"name": definition.name, "version": definition.version}
    if definition.description:
        document["description"] = definition.description
    if definition.timeout_ms is not None:
        document["timeout_seconds"] = seconds_of(definition.timeout_ms)
    return {**document, "steps": [step_document(step, redact=redact) for step in definition.steps]}


def step_document(step: Step, *, redact: bool) -> dict[str, Any]:
    """One step; what has its default is left out."""
    document: dict[str, Any] = {"id": step.id, "event": step.event}
    if step.target is not None:
        document["target"] = target_document(step.target, redact=redact)
    if step.message != b"null":
        document["message"] = orjson.Fragment(step.message)
    if step.after:
        document["after"] = [{"step": each.step, "on": each.on} for each in step.after]
        document["join"] = step.join
    document |= {
        name: value
        for name, value in (
            ("if", step.condition),
            ("delay_seconds", seconds_of(step.delay_ms)),
            ("when", None if step.when is None else when_document(step.when)),
            ("retry", None if step.retry is None else retry_document(step.retry)),
            ("fallback", [fallback_document(each, redact=redact) for each in step.fallback]),
            ("guarantee", "at_most_once" if step.at_most_once else ""),
            ("timeout_seconds", None if step.timeout_ms is None else seconds_of(step.timeout_ms)),
            ("for_each", step.for_each),
            ("parallelism", step.parallelism),
        )
        if value
    }
    if step.compensate is not None:
        undo: dict[str, Any] = {"target": target_document(step.compensate.target, redact=redact)}
        if step.compensate.message != b"null":
            undo["message"] = orjson.Fragment(step.compensate.message)
        if step.compensate.retry is not None:
            undo["retry"] = retry_document(step.compensate.retry)
        document["compensate"] = undo
    return document
