"""What a run's answer means to those who wait for it: handed on, bounded, asked by conditions, put into messages. Pure.

A parent's answer is JSON: `{schedule, run, state, outcome, status, attempts, finished, reason, headers, body, body_truncated}`.
It rides in the release of each child that asks for it (by `if` or by a place in its message), and in the child's row until it is
called; nobody else pays for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from squirrel.model.instants import format_instant
from squirrel.model.limits import PARENT_BODY_BYTES_MAX, PARENT_RESULTS_BYTES_MAX
from squirrel.model.schedule import OpenRun, Row, RunState, Spec
from squirrel.wire.expressions import Unevaluable, holds
from squirrel.wire.filling import MARK, TooLarge, fill
from squirrel.wire.public import Result

NOT_KEPT = (
    "the answer of {parent} is not kept: it ended before this schedule was there; create children before their "
    "parents end, or set keep_response on the parent"
)


def wants_answer(spec: Spec) -> bool:
    """Whether a child's condition or message looks at what its parents answered."""
    return bool(spec.when.condition) or MARK in spec.message


def answer_of(row: Row, run: OpenRun, state: RunState, finished_ms: int, reason: str, result: Result | None) -> bytes:
    """The answer that children are told; a body beyond the limit is cut, headers beyond it are left out."""
    body: Any = None
    cut = False
    headers: Mapping[str, str] = {}
    status: int | None = None
    if result is not None:
        status, headers, cut = result.status, result.headers, result.body_truncated
        text = result.body
        if len(text) > PARENT_BODY_BYTES_MAX or len(text.encode()) > PARENT_BODY_BYTES_MAX:
            text, cut = text.encode()[:PARENT_BODY_BYTES_MAX].decode("utf-8", "ignore"), True
        body = text if cut else _parsed(text)
        if sum(len(name) + len(value) for name, value in headers.items()) > PARENT_BODY_BYTES_MAX:
            headers = {}
    return orjson.dumps(
        {
            "schedule": row.id,
            "run": run.id,
            "state": str(state),
            "status": status,
            "attempts": run.attempt,
            "finished": format_instant(finished_ms),
            "reason": reason,
            "headers": dict(headers),
            "body": body,
            "body_truncated": cut,
        }
    )


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def kept(row: Row, answer: bytes) -> bytes:
    """The answer as the child's row can hold it beside those it has: without its body when they are too much together."""
    held = sum(len(parent.result) for parent in row.parents)
    if not answer or held + len(answer) <= PARENT_RESULTS_BYTES_MAX:
        return answer
    slim = {**orjson.loads(answer), "body": None, "body_truncated": True, "headers": {}}
    return orjson.dumps(slim)


def seen_by(row: Row) -> dict[str, Any]:
    """What a child's condition and message may look at: `parent`, the one that ended last, and `parents` by id."""
    parents = {parent.schedule: _told(parent.result, parent.outcome) for parent in row.parents if parent.outcome}
    newest = max((each for each in row.parents if each.outcome), key=lambda each: each.finished_ms, default=None)
    return {"parent": None if newest is None else parents[newest.schedule], "parents": parents}


def _told(answer: bytes, outcome: str | None) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(answer) if answer else {}
    return {**document, "outcome": outcome}


def condition_ends(spec: Spec, seen: Mapping[str, Any]) -> tuple[RunState, str] | None:
    """How a run ends whose condition does not hold, or cannot be asked; None when it goes on."""
    condition = spec.when.condition
    if not condition:
        return None
    try:
        if holds(condition, seen):
            return None
    except Unevaluable as error:
        return RunState.FAILED, f"when.if {error}"
    return RunState.SKIPPED, f"the condition does not hold: {condition}"


def unheard(row: Row) -> str | None:
    """The reason why a child cannot go that needs an answer nobody kept, or None."""
    if not wants_answer(row.spec):
        return None
    for parent in row.parents:
        if parent.outcome in ("success", "failure") and not parent.result:
            return NOT_KEPT.format(parent=parent.schedule)
    return None


def filled(row: Row, message: bytes) -> bytes:
    """A child's message with what its parents answered. Raises TooLarge."""
    return fill(message, seen_by(row))


def heard_message(spec: Spec, answer: bytes, outcome: str) -> bytes | None:
    """The message of a run that an event made; None: the schedule's own. Raises TooLarge."""
    return fill(spec.message, {"parent": _told(answer, outcome)}) if MARK in spec.message else None


def heard_by(answer: bytes, outcome: str) -> dict[str, Any]:
    """What a listener's condition may look at."""
    return {"parent": _told(answer, outcome)}


__all__ = [
    "MARK", "TooLarge", "answer_of", "condition_ends", "filled", "heard_by", "heard_message", "kept", "seen_by", "unheard",
    "wants_answer",
]  # fmt: skip
