"""The short way of an ordinary one-shot and the general one say and leave the same, and the short one leaves the rest alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any, Final

import pytest

from squirrel.engine import ordinary, runs, step
from squirrel.engine.work import Work
from squirrel.model.flow import Flow
from squirrel.model.retry import RetryPolicy, RetryRules
from squirrel.model.schedule import Awaited, OpenRun, Releasing, Row, RunState, State, decode_row, encode_row
from squirrel.model.target import Fallback, HttpTarget, KafkaTarget, PluginTarget, Route
from squirrel.model.when import Every, When
from squirrel.wire.listeners import Listener
from squirrel.wire.public import Result
from squirrel.wire.records import Command, Execution
from tests.unit.engine.world import T0, TARGET, spec

SPEC_OF: Final = "spec"
ROW_OF: Final = "row"
AFTER = T0 + 1000
LISTENER = Listener("ear", "order.*", "completion", "", False)

# What may be otherwise than ordinary: of the spec, and of the row.
SPEC: list[tuple[str, Any]] = [
    ("when", When(at_ms=AFTER, spread_seconds=5)),
    ("when", When(at_ms=AFTER, exclude=("2027-01-15",))),
    ("when", When(at_ms=AFTER + 60_000)),
    ("when", When(in_seconds=1)),
    ("when", When(every=Every("second", 1, T0))),
    ("target", KafkaTarget("out")),
    ("target", PluginTarget("slack", b"{}")),
    ("target", None),
    ("retry", RetryPolicy()),
    ("retry", RetryPolicy(deadline_ms=5_000)),
    ("retry", RetryPolicy(rules=RetryRules(("5xx",)))),
    ("fire_and_forget", True),
    ("at_most_once", True),
    ("fallback", (Fallback(HttpTarget("https://other.example/")),)),
    ("max_lateness_ms", 500),
    ("max_lateness_ms", 3_600_000),
    ("missed", "run_last"),
    ("missed", "skip"),
    ("group", "g"),
    ("tags", ("blue",)),
    ("flow", Flow("lane", rate_per_second=1.0)),
    ("keep_response", True),
    ("message", b'"{{ parent.body }}"'),
    ("dialect", "seed"),
]
ROW: list[tuple[str, Any]] = [
    *(("state", state) for state in State),
    ("has_children", True),
    ("releasing", [Releasing("success", T0)]),
    ("expires_ms", AFTER - 1),
    ("expires_ms", AFTER + 1_000_000),
    ("owed_until_ms", AFTER),
    ("runs", [OpenRun("run_other", T0, T0, RunState.IN_FLIGHT, 1, 1, kind="trigger")]),
    ("slots", 3),
    ("failures_in_a_row", 2),
    ("parents", [Awaited("p", "success", "success", T0, b"{}")]),
]
ODD = [(SPEC_OF, *each) for each in SPEC] + [(ROW_OF, *each) for each in ROW]
ROUTE = Route("order.*", TARGET, retry=RetryPolicy(max_retries=9, deadline_ms=1), fallback=())
LATE_MS = (-100, 0, 2_000, 100_000)


def bent() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """An ordinary schedule, all with one thing otherwise, and all with two: (of the spec, of the row)."""
    for odd in chain.from_iterable(combinations(ODD, count) for count in range(3)):
        yield (
            {name: value for kind, name, value in odd if kind == SPEC_OF},
            {name: value for kind, name, value in odd if kind == ROW_OF},
        )


def row_of(asked: dict[str, Any], changes: dict[str, Any], listening: bool) -> Row:
    """A row as a create leaves it, and then bent."""
    work = work_at(T0, listening)
    step.take_command(work, Command("create", "default", "a", "c", T0, spec=spec(**asked)), 0)
    row = work.row("default", "a")
    assert row is not None
    for name, value in changes.items():
        setattr(row, name, value)
    return decode_row(encode_row(row))


def work_at(now_ms: int, listening: bool, row: Row | None = None) -> Work:
    work = Work(
        now_ms=now_ms,
        horizon_ms=now_ms + 100,
        epoch=7,
        draw=lambda: 0.5,
        route=lambda namespace, event: ROUTE,
        children=lambda namespace, parent, after, limit: [],
        listeners=lambda namespace, event: [LISTENER] if listening else [],
    )
    work.load(b"Sdefault\0a", row)
    return work


def said(work: Work) -> list[Any]:
    """All that leaves the step."""
    row = work.row("default", "a")
    spoken = [work.executions, work.once, work.completions, work.results, work.dead_letters, work.orders, work.refusals]
    return [*spoken, work.definitions, work.replays, None if row is None else decode_row(encode_row(row))]


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("late_ms", LATE_MS)
def test_firing(late_ms: int, listening: bool) -> None:
    """Whatever the row is: where the short way takes it, the general one would have done the same."""
    for asked, changes in bent():
        row = row_of(asked, changes, listening)
        short = work_at(AFTER + late_ms, listening, row_of(asked, changes, listening))
        taken = short.row("default", "a")
        assert taken is not None
        before = encode_row(taken)
        if not ordinary.fire_ordinary(short, taken):
            assert encode_row(taken) == before, "the general way has to find the row as it was"
            continue
        general = work_at(AFTER + late_ms, listening, row)
        runs.fire_due(general, row)
        assert said(short) == said(general), (asked, changes)


@pytest.mark.parametrize("attempt", [0, 1, 2])
@pytest.mark.parametrize("status", [200, 302, 410, 500])
@pytest.mark.parametrize("listening", [False, True])
def test_answers(listening: bool, status: int, attempt: int) -> None:
    """The same for the answer to what was fired; also for one that is not this attempt's."""
    for asked, changes in bent():
        row = row_of(asked, {}, listening)
        fired = work_at(AFTER, listening, row)
        runs.fire_due(fired, row)
        if not fired.executions:
            continue
        for name, value in changes.items():
            setattr(row, name, value)
        result = result_of(fired.executions[0], attempt, status)
        short = work_at(AFTER + 30, listening, decode_row(encode_row(row)))
        taken = short.row("default", "a")
        assert taken is not None
        before = encode_row(taken)
        if not ordinary.end_ordinary(short, taken, result):
            assert encode_row(taken) == before, "the general way has to find the row as it was"
            continue
        general = work_at(AFTER + 30, listening, row)
        assert runs.answered(general, row, result), (asked, changes)
        assert said(short) == said(general), (asked, changes)


def result_of(order: Execution, attempt: int, status: int) -> Result:
    """What the executor says of an order."""
    state: Any = "succeeded" if status < 400 else "failed"
    instants = ("", "", "", "", "", "2027-01-15T08:00:05.000Z")
    return Result(
        *(order.run, "a", "default", order.event, *instants, attempt, state, {}),
        status=status,
        finished_ms=AFTER + 20,
        gone=status == 410,
    )


def test_the_ordinary_is_taken() -> None:
    """Without this the two above would hold for a short way that never goes."""
    row = row_of({}, {}, False)
    work = work_at(AFTER, False, row)
    assert ordinary.fire_ordinary(work, row)
    (order,) = work.executions
    assert ordinary.end_ordinary(work, row, result_of(order, 1, 200))
    assert work.completions[0].state == "succeeded"
    assert row.state is State.FINISHED
