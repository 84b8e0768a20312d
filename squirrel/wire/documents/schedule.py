"""A new schedule: the public JSON -> Spec, id, fingerprint and warnings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from squirrel.model.errors import Problem, Refused
from squirrel.model.ids import id_from_idempotency_key, id_problem
from squirrel.model.limits import ID_CHARS_MAX, KIB, REQUEST_BYTES_MAX, ROW_BYTES_MAX
from squirrel.model.schedule import Spec
from squirrel.wire.documents.collect import Collected, collect
from squirrel.wire.documents.fields import TOO_LARGE, Sources, parse_top
from squirrel.wire.documents.fingerprint import fingerprint_of
from squirrel.wire.documents.flow import check_flow
from squirrel.wire.documents.json_text import Document, read_document
from squirrel.wire.documents.retry import parse_retry
from squirrel.wire.documents.target import TargetPolicy, parse_target
from squirrel.wire.documents.values import Problems, shown
from squirrel.wire.documents.when import parse_when

BODY_BYTES_FREE: Final = 256 * KIB  # a spec is never larger than its JSON, so below this nobody counts
SPEC_BYTES_MAX: Final = ROW_BYTES_MAX // 2  # the other half of a row is its runs, its parked changes and its past

Routes = Callable[[str], bool]  # whether a route matches this event

_encode_spec = msgspec.msgpack.Encoder().encode


class NewSchedule(NamedTuple):
    """A schedule that may be created. `fingerprint` is empty when the id is ours, for then nobody can send it again."""

    id: str
    spec: Spec
    fingerprint: str
    warnings: list[str]


def parse_schedule(
    body: bytes | msgspec.Raw,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    routes: Routes,
    policy: TargetPolicy,
    namespace: str,
    idempotency_key: str | None = None,
) -> NewSchedule:
    """One schedule as api.md writes it. Raises NotJson, or Refused with every problem at once."""
    return parse_collected(
        read_document(bytes(body), REQUEST_BYTES_MAX),
        now_ms=now_ms,
        new_id=new_id,
        routes=routes,
        policy=policy,
        key=(namespace, idempotency_key),
    )


def parse_collected(
    document: Document,
    *,
    now_ms: int,
    new_id: Callable[[], str],
    routes: Routes,
    policy: TargetPolicy,
    key: tuple[str, str | None],
    skip: frozenset[str] = frozenset(),
) -> NewSchedule:
    """As `parse_schedule`, on a document that was read already; `skip` names keys that are the caller's."""
    problems: Problems = []
    collected = collect(document, problems, skip).without_nulls()
    schedule_id, from_outside = _identity(collected, key, new_id, problems)
    spec = build_spec(collected, Sources(document, policy), now_ms, problems)
    if spec is not None:
        check_spec(spec, collected, schedule_id, routes, problems)
        check_flow(spec, None, collected.top.get("flow", ("flow", None))[0], problems)
    if spec is not None and document.size > BODY_BYTES_FREE:
        check_size(spec, problems)
    raise_all(problems)
    assert spec is not None, "no spec without a problem"
    fingerprint = fingerprint_of(spec) if from_outside else ""
    return NewSchedule(schedule_id, spec, fingerprint, warnings_of(spec, collected, now_ms))


def _identity(
    collected: Collected, key: tuple[str, str | None], new_id: Callable[[], str], problems: Problems
) -> tuple[str, bool]:
    """The id, and whether it follows from what was sent, so that the same request meets the same schedule."""
    namespace, idempotency_key = key
    if idempotency_key is not None and not (
        1 <= len(idempotency_key) <= ID_CHARS_MAX and idempotency_key.isprintable()
    ):
        problems.append(Problem("idempotency-key", f"must be 1 to {ID_CHARS_MAX} printable characters"))
        idempotency_key = None
    if (entry := collected.top.get("id")) is not None:
        reason = id_problem(entry[1])
        if reason is not None:
            problems.append(Problem(entry[0], reason))
        return str(entry[1]), True
    if idempotency_key is not None:
        return id_from_idempotency_key(namespace, idempotency_key), True
    return new_id(), False


def build_spec(
    collected: Collected, sources: Sources, now_ms: int, problems: Problems, before: Spec | None = None
) -> Spec | None:
    """All sections of a whole document -> Spec, or None when something is wrong. `before` lends its hidden headers."""
    count = len(problems)
    values = parse_top(collected.top, sources, problems)
    if "event" not in collected.top:
        problems.append(Problem("event", "is missing; send a name such as email.send.welcome"))
    values["when"] = parse_when(collected.when, now_ms, problems)
    if collected.retry or "retry" in collected.top:
        values["retry"] = parse_retry(collected.retry, problems)
    if collected.target or "target" in collected.top:
        was = before.target if before is not None else None
        values["target"] = parse_target(collected.target, "target", sources.policy, problems, was)
    return Spec(**values) if len(problems) == count else None


def check_spec(spec: Spec, collected: Collected, schedule_id: str, routes: Routes | None, problems: Problems) -> None:
    """What needs the rest of the world: a way to the target, and parents other than itself."""
    if spec.target is None and routes is not None and not routes(spec.event):
        problems.append(
            Problem(
                "target",
                f"is missing and no route matches the event {shown(spec.event)}; "
                "send a target, or PUT /api/v1/routes/{pattern} first",
            )
        )
    if spec.at_most_once:
        _check_once(spec, collected, problems)
    for index, parent in enumerate(spec.when.after):
        if parent.schedule == schedule_id:
            field = collected.when["after"][0] if "after" in collected.when else "when.after"
            problems.append(Problem(f"{field}[{index}].schedule", "is the schedule itself; name another"))


def _check_once(spec: Spec, collected: Collected, problems: Problems) -> None:
    """At most one call: nothing that would make a second one."""
    if spec.retry is not None and spec.retry.max_retries != 0:
        field = next((entry[0] for name, entry in collected.retry.items() if name == "max_retries"), "retry")
        problems.append(Problem(field, "calls again, which guarantee at_most_once forbids; leave it out or send 0"))
    if spec.fallback:
        field = collected.top["fallback"][0] if "fallback" in collected.top else "fallback"
        problems.append(Problem(field, "calls again, which guarantee at_most_once forbids; leave one of the two out"))


def check_size(spec: Spec, problems: Problems) -> None:
    """All fields together must fit a row, whatever each of them may have."""
    size = len(_encode_spec(spec))
    if size > SPEC_BYTES_MAX:
        reason = f"has {size} {TOO_LARGE} {SPEC_BYTES_MAX}; shorten headers, fallbacks or the message"
        problems.append(Problem("body", reason))


def raise_all(problems: Problems) -> None:
    """Raises Refused when there is a problem; `too_large` when all of them are problems of size."""
    if problems:
        large = all(TOO_LARGE in problem.reason for problem in problems)
        raise Refused("too_large" if large else "invalid", problems)


def warnings_of(spec: Spec, collected: Collected, now_ms: int) -> list[str]:
    """What is accepted and may surprise."""
    at_ms = spec.when.at_ms
    if at_ms is None or at_ms >= now_ms:
        return []
    late_ms = now_ms - at_ms
    field = collected.when["at"][0] if "at" in collected.when else "when.at"
    if spec.max_lateness_ms is not None and late_ms > spec.max_lateness_ms:
        fate = f"it is missed, for max_lateness_seconds is {spec.max_lateness_ms / 1000:g}"
    else:
        fate = "it fires at once"
    return [f"{field} lies {late_ms / 1000:g} s in the past: {fate}"]
