"""Workflow documents: read, shown again, and refused with the path of what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from squirrel.model.errors import Refused
from squirrel.model.limits import WORKFLOW_STEPS_MAX
from squirrel.model.workflow import Definition
from squirrel.wire.documents import answer_json
from squirrel.wire.documents.workflow import parse_workflow
from squirrel.wire.documents.workflow_render import workflow_document
from tests.unit.wire.door import NOW_MS, POLICY

HOOK = {"type": "http", "url": "https://hooks.example.com/step"}


def read(*steps: Any, **fields: Any) -> Definition:
    body = json.dumps({"steps": list(steps), **fields}).encode()
    return parse_workflow("order", body, version=3, now_ms=NOW_MS, policy=POLICY.of("default"))


def refused(*steps: Any, **fields: Any) -> list[str]:
    with pytest.raises(Refused) as error:
        read(*steps, **fields)
    return [f"{problem.field}: {problem.reason}" for problem in error.value.problems]


def step(name: str, *after: Any, **fields: Any) -> dict[str, Any]:
    return {"id": name, "target": HOOK, **({"after": list(after)} if after else {}), **fields}


def test_all_of_a_workflow_comes_back() -> None:
    made = read(
        step("a", message={"big": 12345678901234567890, "x": "{{ input.x }}"}, timeout_seconds=60, guarantee="at_most_once"),
        step(
            "b", {"step": "a", "on": "failure"}, "c", join="any", delay_seconds=1.5, when={"cron": "0 9 * * 1-5"},
            retry={"max_retries": 2, "on": ["5xx"]}, fallback=[HOOK], **{"if": "steps.a.status == `500`"},
        ),
        step("c", for_each="input.items", parallelism=3, compensate={"target": HOOK, "message": "{{ steps.c.items }}"}),
        {"id": "d", "event": "email.send"},
        description="what it does", timeout_seconds=86_400,
    )  # fmt: skip
    document = answer_json(workflow_document(made, redact=False))
    assert b"12345678901234567890" in document
    again = parse_workflow("order", document, version=3, now_ms=NOW_MS, policy=None)
    assert again == made


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step("a", "c"), step("b", "a"), step("c", "b")], "steps[0].after: goes in a circle: a <- c <- b <- a"),
        ([step("a", "a")], "steps[0].after: goes in a circle: a <- a"),
        ([step("a", "z")], "steps[0].after[0]: z is no step of this workflow; there are a"),
        (
            [step("a"), step("b", "a"), step("c", {"step": "a", "on": "failure"}), step("d", "b", "c")],
            "steps[3].after: can never be met: d <- b needs a success of a, d <- c needs a failure of it",
        ),
        ([step("a"), step("a")], "steps[1].id: a is the id of an earlier step"),
        ([step("a-b")], "steps[0].id: must be 1 to 63 letters"),
        ([{"id": "a"}], "steps[0].target: is missing; send one, or an event"),
        ([step("a", **{"if": "steps.b.x"}), step("b")], "steps[0].if: looks at steps.b, which does not end before a"),
        ([step("a", message=["{{ steps.a.body }}"])], "steps[0].message[0]: looks at steps.a"),
        ([step("a", message="{{ item }}")], "steps[0].message: looks at item"),
        ([step("a", parallelism=3)], "steps[0].parallelism: says how many"),
        ([step("a", **{"if": "parent.x"})], "steps[0].if: names parent"),
        ([step("a", when={"after": [{"schedule": "x"}]})], "steps[0].when: says when"),
        ([step("a", when={"cron": "x"})], "steps[0].when.cron"),
        ([step("a", guarantee="at_most_once", retry={"max_retries": 1})], "steps[0].retry: calls again"),
        ([step("a", compensate={"message": 1})], "steps[0].compensate.target: is missing"),
        ([step("a", shape="round")], "steps[0].shape: is no known field"),
        ([step("a", target={"type": "http", "url": "http://10.0.0.1/"})], "steps[0].target.url: names an address"),
        ([], "steps: must be a list of 1 to 100"),
        ([step(f"s{n}") for n in range(WORKFLOW_STEPS_MAX + 1)], "steps: must be a list of 1 to 100"),
    ],
)
def test_what_cannot_run_is_refused_with_its_path(steps: Any, said: str) -> None:
    assert any(reason.startswith(said) for reason in refused(*steps)), refused(*steps)


def test_a_join_of_any_or_a_completion_makes_both_branches_fine() -> None:
    read(step("a"), step("b", "a"), step("c", {"step": "a", "on": "failure"}), step("d", "b", "c", join="any"))
    both = [{"step": "b", "on": "completion"}, {"step": "c", "on": "completion"}]
    read(step("a"), step("b", "a"), step("c", {"step": "a", "on": "failure"}), step("d", *both))
