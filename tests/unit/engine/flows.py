"""A workflow in the engine's world: started, its steps answered as they are called, its state in words."""

from __future__ import annotations

import json
from typing import Any

from squirrel.model.schedule import Row
from squirrel.model.workflow import WorkflowState, decode_definition, encode_definition, encode_workflow_state
from squirrel.wire.coordinators import coordinator_spec
from squirrel.wire.documents.workflow import parse_workflow
from squirrel.wire.records import Execution
from tests.unit.engine.world import T0, World

RUN = "wfr_1"


def step(name: str, *after: Any, **fields: Any) -> dict[str, Any]:
    """A step that calls a webhook of its own name and is not tried again."""
    target = {"type": "http", "url": f"https://{name.replace('_', '-')}.example.com/"}
    return {
        "id": name,
        "target": target,
        "retry": {"max_retries": 0},
        **({"after": list(after)} if after else {}),
        **fields,
    }


def defined(*steps: dict[str, Any], **fields: Any) -> bytes:
    """A definition, encoded."""
    body = json.dumps({"steps": steps, **fields}).encode()
    return encode_definition(parse_workflow("order", body, version=1, now_ms=T0, policy=None))


class Flow:
    """One run. `answers` maps a step to its status or (status, body); a callable gets the execution."""

    def __init__(self, *steps: dict[str, Any], given: Any = None, **fields: Any) -> None:
        self.world = World()
        self.definition = defined(*steps, **fields)
        self.answered = 0
        spec = coordinator_spec("order", RUN, json.dumps(given).encode(), T0, 86_400_000)
        self.world.tell("create", RUN, spec=spec, workflow=encode_workflow_state(WorkflowState(self.definition)))
        self.world.run_until(T0)

    @property
    def row(self) -> Row:
        row = self.world.row(RUN)
        assert row is not None
        return row

    @property
    def state(self) -> WorkflowState:
        assert self.row.workflow is not None
        return self.row.workflow

    def steps(self) -> dict[str, str]:
        names = [each.id for each in decode_definition(self.definition).steps]
        return dict(zip(names, (each.state for each in self.state.steps), strict=True))

    def calls(self) -> list[str]:
        """The steps in the order they were called."""
        return [each.schedule.removeprefix(f"{RUN}.") for each in self.world.executions]

    def messages(self) -> list[Any]:
        return [json.loads(each.message) for each in self.world.executions]

    def run(self, until_ms: int = T0 + 10_000_000, **answers: Any) -> None:
        """Let time pass; every call is answered at once, by 200 unless said otherwise; None leaves it open."""
        while True:
            new = self.world.executions[self.answered :]
            self.answered += len(new)
            for execution in new:
                self._answer(execution, answers)
            if len(self.world.executions) > self.answered:
                continue
            due = [wake for wake in self.world.wakes.values() if wake <= until_ms]
            if not due:
                self.world.now_ms = max(self.world.now_ms, until_ms)
                return
            self.world.run_until(min(due))

    def _answer(self, execution: Execution, answers: dict[str, Any]) -> None:
        name = execution.schedule.removeprefix(f"{RUN}.").partition("~")[0]
        key = name.replace(".", "_")
        wanted = answers.get(key, answers.get(name.partition(".")[0] if not name.endswith("undo") else key, 200))
        if callable(wanted):
            wanted = wanted(execution)
        if wanted is None:
            return
        status, body = wanted if isinstance(wanted, tuple) else (wanted, {"from": name})
        self.world.answer(execution, status, body=json.dumps(body))

    def ask(self, verb: str, step_id: str = "") -> Any:
        return self.world.tell("workflow", RUN, on=verb, child=step_id)
