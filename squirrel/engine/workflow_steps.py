"""One step of a workflow run as schedules in the coordinator's group: made, cancelled, paused, and heard of. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from msgspec.structs import replace

from squirrel.engine.work import Work
from squirrel.model.limits import (
    FAN_OUT_ITEMS_MAX,
    FAN_OUT_PARALLELISM_DEFAULT,
    WORKFLOW_ANSWERS_BYTES_MAX,
)
from squirrel.model.schedule import Row, Spec, is_recurring
from squirrel.model.when import When
from squirrel.model.workflow import (
    RUN_TAG,
    STEP_ENDED,
    Definition,
    ItemState,
    Step,
    StepState,
    WorkflowState,
    decode_definition,
    run_of,
)
from squirrel.wire.expressions import Unevaluable, evaluate
from squirrel.wire.filling import TooLarge, fill
from squirrel.wire.records import Command, Op

STATES = {"success": "succeeded", "failure": "failed", "cancelled": "cancelled", "skipped": "skipped"}
_decoded = lru_cache(maxsize=256)(decode_definition)


class Going:
    """A run in this step's hands: its row, its definition, and what conditions and messages may look at."""

    def __init__(self, work: Work, row: Row) -> None:
        assert row.workflow is not None, "only coordinators come here"
        self.work = work
        self.row = row
        self.state: WorkflowState = row.workflow
        self.definition: Definition = _decoded(self.state.definition)
        if not self.state.steps:
            self.state.steps = [StepState() for _ in self.definition.steps]
        self.pairs = list(zip(self.definition.steps, self.state.steps, strict=True))
        self.by_id = {step.id: (step, state) for step, state in self.pairs}

    def seen(self) -> dict[str, Any]:
        """`input`, `steps`, `run` and `workflow`; made anew, for each end of a step changes it."""
        steps = {step.id: _shown(state) for step, state in self.pairs if state.state != "pending"}
        return {
            "input": orjson.loads(self.row.spec.message),
            "steps": steps,
            "run": self.row.id,
            "workflow": self.definition.name,
        }

    def order(self, op: Op, schedule_id: str, **fields: Any) -> None:
        """A command to a schedule of the group. `reply` keeps what is too late out of the refused topic."""
        row = self.row
        self.work.orders.append(
            Command(
                op=op,
                namespace=row.namespace,
                id=schedule_id,
                command_id=f"{schedule_id}/{op}",
                accepted_ms=self.work.now_ms,
                home=row.id,
                reply=True,
                **fields,
            )
        )


def _shown(state: StepState) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(state.answer) if state.answer else {}
    document |= {"state": state.state, "outcome": outcome_of(state)}
    if state.items:
        document["items"] = [
            {**(orjson.loads(item.answer) if item.answer else {}), "state": item.state, "index": index}
            for index, item in enumerate(state.items)
        ]
    return document


def outcome_of(state: StepState) -> str | None:
    """What a step's end means to those who wait for it; None while it has none."""
    if state.passed:
        return "success"
    return {"succeeded": "success", "failed": "failure", "skipped": "skipped", "cancelled": "cancelled"}.get(
        state.state
    )


def start(going: Going, step: Step, state: StepState, base_ms: int) -> None:
    """The step is ready since `base_ms`: its schedule is made, or one for each item of its list."""
    state.tries += 1
    state.state = "waiting"
    state.ready_ms = base_ms
    state.due_ms = base_ms + step.delay_ms
    if not step.for_each:
        make(going, step, state)
        return
    items = items_of(going, step)
    if isinstance(items, str):
        end(going, state, "failed", reason=items)
    else:
        state.items = [ItemState() for _ in items]
        start_items(going, step, state)


def items_of(going: Going, step: Step) -> list[Any] | str:
    """The list of a `for_each`, or why there is none."""
    try:
        items = evaluate(step.for_each, going.seen())
    except Unevaluable as error:
        return f"for_each {error}"
    if not isinstance(items, list):
        return f"for_each gives no list: {step.for_each}"
    if len(items) > FAN_OUT_ITEMS_MAX:
        return f"for_each gives {len(items)} items, the limit is {FAN_OUT_ITEMS_MAX}"
    return items


def start_items(going: Going, step: Step, state: StepState) -> None:
    """As many items as may be called at once; the step ends with the last of them."""
    left = [index for index, item in enumerate(state.items) if item.state == "pending"]
    under_way = sum(item.state == "waiting" for item in state.items)
    room = (step.parallelism or FAN_OUT_PARALLELISM_DEFAULT) - under_way
    items = items_of(going, step) if left and room > 0 else []
    for index in left[: max(0, room)]:
        state.items[index].state = "waiting"
        if isinstance(items, str) or index >= len(items):
            end_item(going, state, index, "failed", reason="its item is not in the list any more")
        else:
            make(going, step, state, index, items[index])
    if all(item.state in STEP_ENDED for item in state.items):
        states = {item.state for item in state.items}
        ending = "failed" if "failed" in states else "cancelled" if "cancelled" in states else "succeeded"
        failed = sum(item.state == "failed" for item in state.items)
        end(going, state, ending, reason=f"{failed} of {len(state.items)} items failed" if failed else "")


def make(going: Going, step: Step, state: StepState, index: int | None = None, item: Any = None) -> None:
    """The schedule that carries the step, or one item of it."""
    seen = going.seen() if b"{{" in step.message else {}
    if seen and index is not None:
        seen |= {"item": item, "index": index}
    try:
        message = fill(step.message, seen)
    except TooLarge as error:
        if index is None:
            end(going, state, "failed", reason=str(error))
        else:
            end_item(going, state, index, "failed", reason=str(error))
        return
    spec = Spec(
        event=step.event,
        when=_when(step, state),
        message=message,
        target=step.target,
        retry=step.retry,
        fallback=step.fallback,
        at_most_once=step.at_most_once,
    )
    _create(going, run_of(going.row.id, step.id, state.tries, index), spec)


def undo(going: Going, step: Step, state: StepState) -> None:
    """The schedule of a step's compensation."""
    assert step.compensate is not None, "only steps that have one"
    state.undone = "waiting"
    try:
        message = fill(step.compensate.message, going.seen())
    except TooLarge as error:
        state.undone, state.reason = "failed", f"compensate: {error}"
        return
    when = When(at_ms=going.work.now_ms)
    spec = Spec(step.event, when, message=message, target=step.compensate.target, retry=step.compensate.retry)
    _create(going, run_of(going.row.id, step.id, state.tries, undo=True), spec)


def _create(going: Going, schedule_id: str, spec: Spec) -> None:
    row = going.row
    tags = (f"{RUN_TAG}:{row.id}",)
    made = replace(spec, group=row.id, tags=tags, retention_ms=row.spec.retention_ms)
    going.order("create", schedule_id, spec=made)
    going.order("subscribe", schedule_id, child=row.id, on="completion", child_home=row.id, wants=True, park=True)


def _when(step: Step, state: StepState) -> When:
    """The instant the step is due, or the first of its own rule from then on."""
    if step.when is None:
        return When(at_ms=state.due_ms)
    if step.when.in_seconds is not None:
        return When(at_ms=state.due_ms + round(step.when.in_seconds * 1000))
    if is_recurring(step.when):
        return replace(step.when, start_ms=max(step.when.start_ms or 0, state.due_ms), max_runs=1)
    return step.when


def end(going: Going, state: StepState, ending: str, *, finished_ms: int = 0, reason: str = "") -> None:
    """The step has ended."""
    state.state = ending
    state.finished_ms = finished_ms or max((item.finished_ms for item in state.items), default=0) or going.work.now_ms
    state.reason = reason


def end_item(
    going: Going, state: StepState, index: int, ending: str, *, finished_ms: int = 0, reason: str = ""
) -> None:
    """One item has ended."""
    item = state.items[index]
    item.state, item.finished_ms, item.reason = ending, finished_ms or going.work.now_ms, reason


def under_way(going: Going, step: Step, state: StepState) -> list[str]:
    """The ids of the schedules that this step waits for."""
    if state.state != "waiting":
        return []
    if not state.items:
        return [run_of(going.row.id, step.id, state.tries)]
    waiting = (index for index, item in enumerate(state.items) if item.state == "waiting")
    return [run_of(going.row.id, step.id, state.tries, index) for index in waiting]


def kept_answer(going: Going, answer: bytes) -> bytes:
    """The answer as the run can hold it beside the others: without its body when they are too much together."""
    held = sum(len(state.answer) + sum(len(item.answer) for item in state.items) for state in going.state.steps)
    if not answer or held + len(answer) <= WORKFLOW_ANSWERS_BYTES_MAX:
        return answer
    slim = {**orjson.loads(answer), "body": None, "body_truncated": True, "headers": {}, "reason": ""}
    encoded = orjson.dumps(slim)
    return encoded if held + len(encoded) <= 2 * WORKFLOW_ANSWERS_BYTES_MAX else b""
