"""Changes: PUT (the whole document anew) and PATCH (what it names), on the spec as it stands.

A PATCH keeps what it does not name. Inside `when`, `retry` and `target` it merges too, and null takes a field back to its
default; only another kind of time or of target begins afresh. The engine applies inbox changes with the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from squirrel.model.errors import Problem
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.model.schedule import Spec
from squirrel.model.target import Target
from squirrel.model.when import When
from squirrel.wire.documents.collect import Collected, collect
from squirrel.wire.documents.fields import ARGUMENTS, Sources, parse_top
from squirrel.wire.documents.flow import check_flow
from squirrel.wire.documents.json_text import Document, read_document
from squirrel.wire.documents.names import SERVER_SET, WHEN_KINDS, Entries
from squirrel.wire.documents.retry import parse_retry
from squirrel.wire.documents.rule import check_calendars
from squirrel.wire.documents.schedule import Routes, build_spec, check_size, check_spec, raise_all, warnings_of
from squirrel.wire.documents.target import TargetPolicy, parse_target, target_document
from squirrel.wire.documents.values import Problems
from squirrel.wire.documents.when import parse_fields, parse_when, when_document
from squirrel.wire.target_types.registry import installed_types

if TYPE_CHECKING:
    from squirrel.recurrence import CalendarLookup

_SPEC_DEFAULTS = {
    field.name: field.default for field in msgspec.structs.fields(Spec) if field.default is not msgspec.NODEFAULT
}


class Changed(NamedTuple):
    """The spec after a change, and what may surprise about it."""

    spec: Spec
    warnings: list[str]


def parse_change(
    body: bytes,
    spec: Spec,
    *,
    merge: bool,
    schedule_id: str,
    now_ms: int,
    routes: Routes,
    policy: TargetPolicy | None,
) -> Changed:
    """A PATCH (`merge`) or a PUT on `spec`. Raises NotJson or Refused. A PUT may send back what a GET answered."""
    document = read_document(body, REQUEST_BYTES_MAX)
    if merge:
        return _merged(document, spec, schedule_id, now_ms, (routes, policy))
    problems: Problems = []
    collected = collect(document, problems, SERVER_SET).without_nulls()
    _check_id(collected, schedule_id, problems)
    _check_group(collected, spec, problems)
    made = build_spec(collected, Sources(document, policy, spec.fallback), now_ms, problems, before=spec)
    if made is not None:
        check_spec(made, collected, schedule_id, routes, problems)
        check_flow(made, spec, collected.top.get("flow", ("flow", None))[0], problems)
        check_size(made, problems)
    raise_all(problems)
    assert made is not None, "no spec without a problem"
    kept = {"group": spec.group, "dialect": spec.dialect, "dialect_fields": spec.dialect_fields}
    made = replace(made, when=_anchored(made.when, now_ms), **kept)
    return Changed(made, warnings_of(made, collected, now_ms))


def apply_patch(
    spec: Spec,
    patch: bytes,
    *,
    schedule_id: str,
    now_ms: int,
    routes: Routes | None = None,
    policy: TargetPolicy | None = None,
) -> Spec:
    """The spec after `patch`, the public JSON of a change. Pure: the same arguments give the same spec. Raises Refused.

    Without `routes` and `policy` it trusts that the door which took the patch has looked (`check_patch`).
    """
    return _merged(read_document(patch, REQUEST_BYTES_MAX), spec, schedule_id, now_ms, (routes, policy)).spec


def check_patch(
    document: Document,
    *,
    now_ms: int,
    policy: TargetPolicy | None,
    skip: frozenset[str],
    calendars: CalendarLookup | None = None,
) -> None:
    """Refuses, where the spec is not known, what no spec could take: wrong types, limits, unknown fields and calendars."""
    problems: Problems = []
    collected = collect(document, problems, skip)
    _check_nulls(collected, problems)
    given = collected.without_nulls()
    parse_top(given.top, Sources(document, policy), problems)
    if any(name in given.when for name in WHEN_KINDS):
        parse_when(given.when, now_ms, problems)
    else:
        parse_fields(given.when, now_ms, problems)
    if given.retry:
        parse_retry({name: entry for name, entry in given.retry.items() if name != "max_seconds"}, problems)
    if any(name in given.target for name in ("url", "topic")) or _is_plugin(given.target):
        parse_target(given.target, "target", policy, problems)
    raise_all(problems)
    if calendars is not None and "exclude" in given.when:
        exclude = parse_fields({"exclude": given.when["exclude"]}, now_ms, problems)["exclude"]
        check_calendars(When(in_seconds=0, exclude=exclude), calendars, now_ms)


def _is_plugin(entries: Entries) -> bool:
    return "type" in entries and installed_types().get(entries["type"][1]) is not None


def _merged(
    document: Document, spec: Spec, schedule_id: str, now_ms: int, door: tuple[Routes | None, TargetPolicy | None]
) -> Changed:
    routes, policy = door
    problems: Problems = []
    collected = collect(document, problems)
    _check_id(collected, schedule_id, problems)
    _check_group(collected, spec, problems)
    _check_nulls(collected, problems)
    given = collected.without_nulls()
    values: dict[str, Any] = {
        ARGUMENTS[name]: _SPEC_DEFAULTS[ARGUMENTS[name]]
        for name, entry in collected.top.items()
        if entry[1] is None and name in ARGUMENTS and ARGUMENTS[name] in _SPEC_DEFAULTS
    }
    values |= parse_top(given.top, Sources(document, policy, spec.fallback), problems)
    if collected.when:
        values["when"] = _merged_when(collected.when, spec.when, now_ms, problems)
    if "retry" in collected.top and collected.top["retry"][1] is None:
        values["retry"] = None
    elif given.retry:
        values["retry"] = parse_retry(given.retry, problems, *([spec.retry] if spec.retry is not None else []))
    if "target" in collected.top and collected.top["target"][1] is None:
        values["target"] = None
    elif collected.target:
        values["target"] = _merged_target(collected.target, spec.target, policy, problems)
    raise_all(problems)
    changed = replace(spec, **values)
    if "target" in values or "event" in values:
        check_spec(changed, collected, schedule_id, routes, problems)
    elif not values.keys().isdisjoint(("when", "retry", "fallback", "at_most_once")):
        check_spec(changed, collected, schedule_id, None, problems)
    if "flow" in values:
        check_flow(changed, spec, collected.top["flow"][0], problems)
    check_size(changed, problems)
    raise_all(problems)
    return Changed(changed, warnings_of(changed, collected, now_ms) if "when" in values else [])


def _check_id(collected: Collected, schedule_id: str, problems: Problems) -> None:
    entry = collected.top.get("id")
    if entry is not None and entry[1] is not None and entry[1] != schedule_id:
        problems.append(Problem(entry[0], "cannot be changed; leave it out, or create another schedule"))


def _check_group(collected: Collected, spec: Spec, problems: Problems) -> None:
    """The group decides the partition that holds the row, so it is fixed like the id."""
    entry = collected.top.get("group")
    if entry is not None and entry[1] != spec.group:
        problems.append(
            Problem(entry[0], "cannot be changed; leave it out, or cancel this schedule and create another")
        )


def _check_nulls(collected: Collected, problems: Problems) -> None:
    for name in ("event", "when"):
        entry = collected.top.get(name)
        if entry is not None and entry[1] is None:
            problems.append(Problem(entry[0], "cannot be removed; send another value, or leave it out"))


def _anchored(when: When, now_ms: int) -> When:
    """A delay counts from the change; the row only remembers its creation, so the instant is fixed here."""
    if when.in_seconds is None:
        return when
    return replace(when, at_ms=now_ms + round(when.in_seconds * 1000), in_seconds=None)


def _merged_when(patch: Entries, when: When, now_ms: int, problems: Problems) -> When:
    before = {name: (f"when.{name}", value) for name, value in when_document(when).items()}
    sent = [name for name in WHEN_KINDS if name in patch and patch[name][1] is not None]
    if any(name not in before for name in sent):
        before = {}
    entries: Entries = {name: entry for name, entry in {**before, **patch}.items() if entry[1] is not None}
    made = parse_when(entries, now_ms, problems)
    return _anchored(made, now_ms) if "in_seconds" in sent else made


def _merged_target(
    patch: Entries, target: Target | None, policy: TargetPolicy | None, problems: Problems
) -> Target | None:
    before: Entries = {}
    if target is not None:
        shown = target_document(target, redact=False)
        kind = patch["type"][1] if "type" in patch else shown["type"]
        if kind == shown["type"]:
            before = {name: (f"target.{name}", value) for name, value in shown.items()}
    entries = {**before, **patch}
    if "headers" in patch and "headers" in before:
        entries["headers"] = (patch["headers"][0], _merged_headers(before["headers"][1], patch["headers"][1]))
    entries = {name: entry for name, entry in entries.items() if entry[1] is not None}
    made = parse_target(entries, "target", policy, problems, target)
    extra = {
        name: getattr(target, name)
        for name in ("body", "success_below", "retry_4xx")
        if before and hasattr(target, name)
    }
    return replace(made, **extra) if made is not None and extra else made


def _merged_headers(before: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    renamed = {name.lower() for name in patch}
    merged = {name: text for name, text in before.items() if name.lower() not in renamed} | patch
    return {name: text for name, text in merged.items() if text is not None}
