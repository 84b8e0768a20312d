"""Conditions on what parents answered, and their answers in the messages of children."""

from __future__ import annotations

import json

import pytest

from squirrel.model.limits import PARENT_BODY_BYTES_MAX, PAYLOAD_BYTES_MAX
from squirrel.model.schedule import State
from squirrel.model.when import EventMatch, When
from tests.unit.engine.world import T0, World

ORDER = '{"id": 7, "total": 120, "lines": [{"sku": "a"}, {"sku": "b"}]}'


def ended(world: World, body: str = ORDER, status: int = 200, **headers: str) -> None:
    """The parent is called and answers."""
    world.run_until(T0 + 1000)
    world.answer(
        next(each for each in world.executions if each.schedule == "parent"), status, body=body, headers=headers
    )
    world.run_until(T0 + 20_000)


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        ("parent.body.total > `100`", True),
        ("parent.body.total > `200`", False),
        ("parent.status == `200` && parent.outcome == 'success'", True),
        ("parents.parent.body.lines[?sku == 'b']", True),
        ("parent.headers.kind == 'x'", True),
    ],
)
def test_a_condition_decides(condition: str, runs: bool) -> None:
    world = World()
    world.create("parent")
    world.create("child", when=world.after("parent", condition=condition))
    ended(world, kind="x")
    assert ("child" in [each.schedule for each in world.executions]) is runs
    assert world.completed("child") == ([] if runs else ["skipped"])
    if not runs:
        row = world.row("child")
        assert row is not None
        assert row.state is State.FINISHED
        assert condition in row.reason


def test_a_condition_that_cannot_be_asked_fails_the_child_with_the_reason() -> None:
    world = World()
    world.create("parent")
    world.create("child", when=world.after("parent", condition="parent.body < parent.status"))
    ended(world, body="text")
    assert world.completed("child") == ["failed"]


def test_the_message_is_filled_when_it_is_emitted_and_again_on_each_attempt() -> None:
    world = World()
    world.create("parent")
    message = (
        b'{"order": "{{ parent.body.id }}", "text": "{{parents.parent.body.lines[1].sku}} of {{ parent.body.total }}"}'
    )
    world.create("child", when=world.after("parent", delay=5_000_000), message=message)
    ended(world)
    world.run_until(T0 + 6_000_000_000)
    world.answer(world.executions[1], 500)
    world.run_until(T0 + 6_000_100_000)
    first, second = world.executions[1], world.executions[2]
    assert json.loads(first.message) == {"order": 7, "text": "b of 120"}
    assert second.message == first.message


def test_join_all_sees_every_parent() -> None:
    world = World()
    world.create("parent")
    world.create("other", when=When(at_ms=T0 + 5000))
    message = b'["{{ parents.parent.body.id }}", "{{ parents.other.body }}", "{{ parent.schedule }}"]'
    world.create("child", when=world.after("parent", "other"), message=message)
    ended(world)
    world.answer(next(each for each in world.executions if each.schedule == "other"), body="fine")
    world.run_until(T0 + 30_000)
    assert json.loads(world.executions[-1].message) == [7, "fine", "other"]


def test_an_answer_that_nobody_kept_is_said_and_not_guessed() -> None:
    world = World()
    world.create("parent")
    ended(world)
    world.create("late", when=world.after("parent"), message=b'"{{ parent.body.id }}"')
    assert world.completed("late") == ["failed"]
    assert "keep_response" in (world.row("late") or pytest.fail("gone")).reason
    world.create("plain", when=world.after("parent"))
    assert world.state("plain") is State.ACTIVE, "one that does not ask goes"


def test_keep_response_is_for_children_that_come_later() -> None:
    world = World()
    world.create("parent", keep_response=True)
    ended(world)
    world.create("late", when=world.after("parent"), message=b'"{{ parent.body.id }}"')
    world.run_until(T0 + 30_000)
    assert world.executions[-1].message == b"7"


def test_long_answers_are_cut_and_say_so_and_a_row_holds_no_more_than_its_share() -> None:
    world = World()
    names = [f"p{number}" for number in range(10)]
    for name in names:
        world.create(name)
    message = json.dumps([[f"{{{{ parents.{name}.body_truncated }}}}" for name in names], "{{ parent.body }}"]).encode()
    world.create("child", when=world.after(*names), message=message)
    world.run_until(T0 + 1000)
    for execution in world.executions:
        world.answer(execution, body=json.dumps("x" * (PARENT_BODY_BYTES_MAX - 100)))
    world.run_until(T0 + 2000)
    cut, _ = json.loads(world.executions[-1].message)
    assert cut == [False] * 3 + [True] * 7


def test_a_filled_message_beyond_the_limit_fails_its_run() -> None:
    world = World()
    world.create("parent")
    message = json.dumps(["{{ parent.body }}"] * (PAYLOAD_BYTES_MAX // PARENT_BODY_BYTES_MAX + 2)).encode()
    world.create("child", when=world.after("parent"), message=message)
    ended(world, body=json.dumps("x" * (PARENT_BODY_BYTES_MAX - 100)))
    assert world.completed("child") == ["failed"]
    assert "the limit is" in world.completions[-1].reason  # type: ignore[attr-defined]


def test_a_listener_asks_and_is_filled_too() -> None:
    world = World()
    when = When(on_event=EventMatch("order.*"), condition="parent.body.total > `100`")
    world.create("listener", event="listening", when=when, message=b'{"id": "{{ parent.body.id }}"}')
    world.create("parent")
    world.create("small", when=When(at_ms=T0 + 2000))
    ended(world)
    world.answer(next(each for each in world.executions if each.schedule == "small"), body='{"total": 1}')
    world.run_until(T0 + 30_000)
    heard = [each for each in world.executions if each.schedule == "listener"]
    assert [each.message for each in heard] == [b'{"id":7}']
