"""`PUT /api/v1/workflows/{name}`: a named graph of steps -> Definition; every problem at once, each under its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import (
    EVENT_CHARS_MAX,
    FAN_OUT_ITEMS_MAX,
    PARENTS_MAX,
    PAYLOAD_BYTES_MAX,
    SECONDS_MAX,
    STEP_ID_CHARS_MAX,
    WORKFLOW_BYTES_MAX,
    WORKFLOW_NAME_CHARS_MAX,
    WORKFLOW_STEPS_MAX,
)
from squirrel.model.workflow import After, Compensation, Definition, Step, encode_definition
from squirrel.wire.documents.condition import read_condition
from squirrel.wire.documents.json_text import read_document, visible
from squirrel.wire.documents.names import Entries, entries_of, spellings, unknown
from squirrel.wire.documents.retry import parse_retry_object
from squirrel.wire.documents.target import TargetPolicy, parse_fallback, parse_target_object
from squirrel.wire.documents.values import Problems, read_choice, read_ms, read_number, read_prose, read_text, shown
from squirrel.wire.documents.when import OUTCOMES, parse_when_document
from squirrel.wire.documents.workflow_graph import ancestors_of, cycle_in, never_runs
from squirrel.wire.expressions import root_paths
from squirrel.wire.filling import places_of

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
STEP_ID: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
_NAME: Final = re.compile(NAME, re.ASCII)
_STEP_ID: Final = re.compile(STEP_ID, re.ASCII)
_SHOWN: Final = frozenset({"version", "created_at", "updated_at"})
_NAMES: Final = ("name", "description", "steps", "timeout_seconds")
_STEP_NAMES: Final = spellings(
    (
        "id", "event", "target", "message", "after", "join", "if", "delay_seconds", "when", "retry", "fallback",
        "guarantee", "timeout_seconds", "for_each", "parallelism", "compensate",
    )
)  # fmt: skip
_AFTER_NAMES: Final = spellings(("step", "on"))
_COMPENSATE_NAMES: Final = spellings(("target", "message", "retry"))
ROOTS: Final = ("input", "steps")
PLACES: Final = frozenset({"input", "steps", "item", "index", "run", "workflow"})
_read_exactly: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


def workflow_name_problem(name: str) -> str | None:
    """Why this cannot name a workflow, or None."""
    if len(name) > WORKFLOW_NAME_CHARS_MAX or _NAME.fullmatch(name) is None:
        return f"must be 1 to {WORKFLOW_NAME_CHARS_MAX} letters, digits, _ and -, beginning with a letter or digit"
    return None


def parse_workflow(
    name: str, body: bytes, *, version: int, now_ms: int, policy: TargetPolicy | None, before: Definition | None = None
) -> Definition:
    """Raises NotJson or Refused. `before` is the version it follows: hidden secrets are taken from it."""
    read_document(body, WORKFLOW_BYTES_MAX)
    values = {key: value for key, value in _read_exactly(body).items() if value is not None and key not in _SHOWN}
    problems: Problems = [unknown(visible(key), key, _NAMES) for key in values if key not in _NAMES]
    if (reason := workflow_name_problem(name)) is not None:
        problems.append(Problem("name", reason))
    if values.get("name", name) != name:
        problems.append(Problem("name", "differs from the one in the path; leave it out"))
    description = read_prose("description", values.get("description", ""), problems, 4096) or ""
    timeout_ms = None
    if "timeout_seconds" in values:
        timeout_ms = read_ms("timeout_seconds", values["timeout_seconds"], problems, 1, SECONDS_MAX)
    known = {} if before is None else {step.id: step for step in before.steps}
    reading = _Reading(name, now_ms, policy, problems, known)
    steps = _steps(values.get("steps"), reading)
    if not problems:
        _check_graph(steps, problems)
    if problems:
        raise Refused("invalid", problems)
    made = Definition(name, version, tuple(steps.values()), timeout_ms, description)
    if len(encode_definition(made)) > WORKFLOW_BYTES_MAX:
        raise Refused.one("body", f"makes a definition of more than {WORKFLOW_BYTES_MAX} bytes; shorten its messages")
    return made


class _Reading:
    """What every step is read with."""

    def __init__(
        self, name: str, now_ms: int, policy: TargetPolicy | None, problems: Problems, before: Mapping[str, Step]
    ) -> None:
        self.name = name
        self.now_ms = now_ms
        self.policy = policy
        self.problems = problems
        self.before = before


def _steps(value: Any, reading: _Reading) -> dict[str, Step]:
    if not isinstance(value, list) or not 1 <= len(value) <= WORKFLOW_STEPS_MAX:
        reason = f'must be a list of 1 to {WORKFLOW_STEPS_MAX} steps such as {{"id": "charge", "target": {{...}}}}'
        reading.problems.append(Problem("steps", reason))
        return {}
    found: dict[str, Step] = {}
    for index, each in enumerate(value):
        field = f"steps[{index}]"
        count = len(reading.problems)
        entries = entries_of(each, _STEP_NAMES, field, reading.problems)
        if len(reading.problems) > count:
            continue
        given = {name: entry for name, entry in entries.items() if entry[1] is not None}
        step_id = _step_id(given, field, found, reading.problems)
        if step_id is not None:
            found[step_id] = _step(step_id, field, given, reading)
    return found


def _step_id(given: Entries, field: str, found: Mapping[str, Step], problems: Problems) -> str | None:
    name, value = given.get("id", (f"{field}.id", None))
    if not isinstance(value, str) or len(value) > STEP_ID_CHARS_MAX or _STEP_ID.fullmatch(value) is None:
        reason = f"must be 1 to {STEP_ID_CHARS_MAX} letters, digits and _, beginning with a letter or _"
        problems.append(Problem(name, reason))
    elif value in found:
        problems.append(Problem(name, f"{value} is the id of an earlier step; give each its own"))
    else:
        return value
    return None


def _step(step_id: str, field: str, given: Entries, reading: _Reading) -> Step:
    problems, before = reading.problems, reading.before.get(step_id)
    values: dict[str, Any] = {"event": f"workflow.{reading.name}.{step_id}"}
    if (entry := given.get("event")) is not None:
        values["event"] = read_text(*entry, problems, EVENT_CHARS_MAX) or ""
    if (entry := given.get("target")) is not None:
        values["target"] = parse_target_object(*entry, reading.policy, problems, before.target if before else None)
    elif "event" not in given:
        reason = "is missing; send one, or an event that a route takes"
        problems.append(Problem(f"{field}.target", reason))
    if (entry := given.get("message")) is not None:
        values["message"] = _message(*entry, problems)
    if (entry := given.get("after")) is not None:
        values["after"] = _after(*entry, problems)
    if (entry := given.get("join")) is not None:
        values["join"] = read_choice(*entry, problems, ("all", "any")) or "all"
    if (entry := given.get("when")) is not None:
        values["when"] = _when(*entry, reading)
    if (entry := given.get("fallback")) is not None:
        values["fallback"] = parse_fallback(*entry, reading.policy, problems, before.fallback if before else ())
    if (entry := given.get("retry")) is not None:
        values["retry"] = parse_retry_object(*entry, problems)
    if (entry := given.get("guarantee")) is not None:
        values["at_most_once"] = _once(*entry, given, problems)
    if (entry := given.get("compensate")) is not None:
        values["compensate"] = _compensation(*entry, reading, before.compensate if before else None)
    values |= _bounds(given, problems)
    return Step(step_id, **values)


def _bounds(given: Entries, problems: Problems) -> dict[str, Any]:
    """Conditions and numbers."""
    values: dict[str, Any] = {}
    if (entry := given.get("if")) is not None:
        values["condition"] = read_condition(*entry, problems, ROOTS) or ""
    if (entry := given.get("for_each")) is not None:
        values["for_each"] = read_condition(*entry, problems, ROOTS) or ""
    if (entry := given.get("delay_seconds")) is not None:
        values["delay_ms"] = read_ms(*entry, problems, 0, SECONDS_MAX) or 0
    if (entry := given.get("timeout_seconds")) is not None:
        values["timeout_ms"] = read_ms(*entry, problems, 1, SECONDS_MAX)
    if (entry := given.get("parallelism")) is not None:
        values["parallelism"] = int(read_number(*entry, problems, 1, FAN_OUT_ITEMS_MAX, whole=True) or 0)
        if "for_each" not in given:
            problems.append(Problem(entry[0], "says how many items are called at once; use it with for_each"))
    return values


def _message(field: str, value: Any, problems: Problems) -> bytes:
    raw = _encode(value)
    if len(raw) > PAYLOAD_BYTES_MAX:
        problems.append(Problem(field, f"has {len(raw)} bytes, the limit is {PAYLOAD_BYTES_MAX}; send a reference"))
    return raw


def _after(field: str, value: Any, problems: Problems) -> tuple[After, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= PARENTS_MAX:
        reason = f'must be a list of 1 to {PARENTS_MAX} steps such as "charge" or {{"step": "charge", "on": "failure"}}'
        problems.append(Problem(field, reason))
        return ()
    found: list[After] = []
    for index, each in enumerate(value):
        path = f"{field}[{index}]"
        if isinstance(each, str):
            found.append(After(each))
            continue
        entries = entries_of(each, _AFTER_NAMES, path, problems)
        name, step = entries.get("step", (f"{path}.step", None))
        if not isinstance(step, str):
            problems.append(Problem(name, f"must be the id of a step, is {shown(step)}"))
            continue
        on = read_choice(*entries.get("on", (f"{path}.on", "success")), problems, OUTCOMES) or "success"
        found.append(After(step, on))
    return tuple(found)


def _when(field: str, value: Any, reading: _Reading) -> Any:
    try:
        when = parse_when_document(value, reading.now_ms, field)
    except Refused as refused:
        reading.problems.extend(refused.problems)
        return None
    if when.after or when.on_event is not None:
        reading.problems.append(
            Problem(field, "says when a step that is ready goes on; what it waits for stands in after")
        )
        return None
    return when


def _once(field: str, value: Any, given: Entries, problems: Problems) -> bool:
    once = read_choice(field, value, problems, ("at_least_once", "at_most_once")) == "at_most_once"
    for name in ("retry", "fallback"):
        if once and name in given:
            problems.append(Problem(given[name][0], "calls again, which guarantee at_most_once forbids; leave it out"))
    return once


def _compensation(field: str, value: Any, reading: _Reading, before: Compensation | None) -> Compensation | None:
    problems = reading.problems
    entries = entries_of(value, _COMPENSATE_NAMES, field, problems)
    given = {name: entry for name, entry in entries.items() if entry[1] is not None}
    if "target" not in given:
        problems.append(Problem(f"{field}.target", "is missing; send what undoes the step"))
        return None
    target = parse_target_object(*given["target"], reading.policy, problems, before.target if before else None)
    retry = parse_retry_object(*given["retry"], problems) if "retry" in given else None
    message = _message(*given["message"], problems) if "message" in given else b"null"
    return None if target is None else Compensation(target, message, retry)


def _check_graph(steps: Mapping[str, Step], problems: Problems) -> None:
    fields = {step_id: f"steps[{index}]" for index, step_id in enumerate(steps)}
    for step_id, step in steps.items():
        for index, each in enumerate(step.after):
            if each.step not in steps:
                reason = f"{visible(each.step)} is no step of this workflow; there are {', '.join(steps)}"
                problems.append(Problem(f"{fields[step_id]}.after[{index}]", reason))
    if problems:
        return
    cycle = cycle_in(steps)
    if cycle is not None:
        problems.append(Problem(f"{fields[cycle[0]]}.after", f"goes in a circle: {' <- '.join(cycle)}"))
        return
    for step_id, contradiction in never_runs(steps).items():
        problems.append(Problem(f"{fields[step_id]}.after", f"can never be met: {contradiction}"))
    for step_id, step in steps.items():
        _check_looks(step, fields[step_id], ancestors_of(step_id, steps), problems)


def _check_looks(step: Step, field: str, before: set[str], problems: Problems) -> None:
    """What a step looks at must have ended before it begins."""
    looks = [(f"{field}.if", path) for path in (root_paths(step.condition) if step.condition else ())]
    looks += [(f"{field}.for_each", path) for path in (root_paths(step.for_each) if step.for_each else ())]
    looks += list(places_of(_read_exactly(step.message), f"{field}.message"))
    if step.compensate is not None:
        undoing = places_of(_read_exactly(step.compensate.message), f"{field}.compensate.message")
        looks += [(place, path) for place, path in undoing if path[:2] != ("steps", step.id)]
    for place, path in looks:
        if path[0] == "steps" and len(path) > 1 and path[1] not in before:
            known = ", ".join(sorted(before)) or "none"
            problems.append(
                Problem(place, f"looks at steps.{path[1]}, which does not end before {step.id}; these do: {known}")
            )
        elif path[0] in ("item", "index") and not step.for_each:
            problems.append(Problem(place, f"looks at {path[0]}, which only a step with for_each has"))
