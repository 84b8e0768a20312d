"""The door with everything decided: a set time, a counter for ids, routes for `email.*` and a policy of nobody's hosts."""

from __future__ import annotations

from typing import Any

import orjson

from squirrel.model.addresses import parse_networks
from squirrel.model.errors import Problem, Refused
from squirrel.model.instants import parse_instant
from squirrel.model.schedule import Spec
from squirrel.wire.documents import NewSchedule, TargetPolicy, apply_patch, parse_change, parse_schedule

NOW_MS = parse_instant("2027-02-01T09:00:00Z")
AT = "2027-02-01T10:00:00Z"
AT_MS = parse_instant(AT)
POLICY = TargetPolicy(allow_cidrs=parse_networks("127.0.0.0/8,::1/128"))
PLAIN: dict[str, Any] = {"event": "email.send.paper_workflow_1", "message": {"subject": "Reminder"}, "sendAt": AT}


def routes(event: str) -> bool:
    return event.startswith("email.")


def body_of(document: Any) -> bytes:
    return document if isinstance(document, bytes) else orjson.dumps(document)


def parse(document: Any, *, key: str | None = None, policy: TargetPolicy = POLICY) -> NewSchedule:
    return parse_schedule(
        body_of(document),
        now_ms=NOW_MS,
        new_id=lambda: "sch_made",
        routes=routes,
        policy=policy,
        namespace="default",
        idempotency_key=key,
    )


def problems_of(document: Any, *, policy: TargetPolicy = POLICY) -> list[Problem]:
    """What `document` is refused for; an accepted one is a failure."""
    try:
        made = parse(document, policy=policy)
    except Refused as refused:
        return refused.problems
    raise AssertionError(f"accepted: {made}")


def only_problem(document: Any) -> tuple[str, str]:
    problems = problems_of(document)
    assert len(problems) == 1, problems
    return problems[0].field, problems[0].reason


def assert_told(refused: Refused) -> None:
    """Every refusal names a field and a reason, in text that can be sent."""
    assert refused.problems
    for problem in refused.problems:
        assert problem.field.encode()
        assert problem.reason.encode()


def plain(**changes: Any) -> dict[str, Any]:
    return {**PLAIN, **changes}


def timed(**when: Any) -> dict[str, Any]:
    return {"event": "email.send", "when": when}


def put(document: Any, spec: Spec) -> Spec:
    return parse_change(
        body_of(document), spec, merge=False, schedule_id="paper-1", now_ms=NOW_MS, routes=routes, policy=POLICY
    ).spec


def patch(document: Any, spec: Spec) -> Spec:
    return apply_patch(spec, body_of(document), schedule_id="paper-1", now_ms=NOW_MS, routes=routes, policy=POLICY)
