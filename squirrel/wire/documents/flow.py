"""`flow` of a schedule or a route: `{"key", "rate_per_second", "parallelism"}` -> Flow, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from squirrel.model.errors import Problem
from squirrel.model.flow import Flow, flow_group
from squirrel.model.limits import FLOW_KEY_CHARS_MAX, FLOW_PARALLELISM_MAX, FLOW_RATE_MAX, FLOW_RATE_MIN
from squirrel.model.schedule import Spec
from squirrel.model.target import Route
from squirrel.wire.documents.names import entries_of, spellings
from squirrel.wire.documents.values import Problems, read_number, read_text, shown

FLOW_NAMES = spellings(("key", "rate_per_second", "parallelism"))


def parse_flow(field: str, value: Any, problems: Problems, default_key: str | None = None) -> Flow | None:
    """The limits, or None with the problems said. A route's own pattern is its key when none is given."""
    if not isinstance(value, dict):
        problems.append(
            Problem(field, f'must be an object such as {{"key": "mail", "rate_per_second": 10}}, is {shown(value)}')
        )
        return None
    count = len(problems)
    entries = {
        name: entry for name, entry in entries_of(value, FLOW_NAMES, field, problems).items() if entry[1] is not None
    }
    key = default_key
    if "key" in entries:
        key = read_text(*entries["key"], problems, FLOW_KEY_CHARS_MAX)
    elif key is None:
        problems.append(Problem(f"{field}.key", "is missing; send a name: all schedules with it share the limits"))
    rate = parallelism = None
    if "rate_per_second" in entries:
        rate = read_number(*entries["rate_per_second"], problems, FLOW_RATE_MIN, FLOW_RATE_MAX)
    if "parallelism" in entries:
        parallelism = read_number(*entries["parallelism"], problems, 1, FLOW_PARALLELISM_MAX, whole=True)
    if len(problems) == count and rate is None and parallelism is None:
        problems.append(Problem(field, "limits nothing; send rate_per_second, parallelism, or both"))
    if len(problems) > count or key is None:
        return None
    return Flow(key, None if rate is None else float(rate), None if parallelism is None else int(parallelism))


def flow_document(flow: Flow) -> dict[str, Any]:
    """As a GET shows it."""
    limits = {"rate_per_second": flow.rate_per_second, "parallelism": flow.parallelism}
    return {"key": flow.key} | {name: limit for name, limit in limits.items() if limit is not None}


def check_flow(spec: Spec, before: Spec | None, field: str, problems: Problems) -> None:
    """A flow's key decides the partition, as a group does: not both, and not another one later."""
    if spec.flow is None:
        return
    home = flow_group(spec.flow.key)
    if before is None and spec.group not in (None, home):
        problems.append(
            Problem(field, "and group exclude each other: the schedules of a flow share a partition by its key")
        )
    elif before is not None and before.group != home:
        reason = "cannot be given a key that the schedule was not made with; cancel it and create another"
        problems.append(Problem(f"{field}.key", reason))


def at_home(spec: Spec, route_of: Callable[[str], Route | None]) -> Spec:
    """A new schedule's spec with the group that its flow asks for: its own, or that of the route it leaves its target to."""
    if spec.group is not None:
        return spec
    flow = spec.flow
    if flow is None and spec.target is None and (route := route_of(spec.event)) is not None:
        flow = route.flow
    return spec if flow is None else replace(spec, group=flow_group(flow.key))
