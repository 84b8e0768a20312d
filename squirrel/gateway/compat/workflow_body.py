"""The body of the Workflow seed's create and update -> a Spec; what is not sent stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from squirrel.gateway.compat.calling import checked_size, dialect_fields, http_target, sized, spec_prose, spec_text
from squirrel.gateway.compat.exchange import Declined
from squirrel.model.limits import NAME_CHARS_MAX, RETRIES_MAX, TAG_CHARS_MAX, TAGS_MAX, TIMEOUT_SECONDS_DEFAULT
from squirrel.model.retry import RetryPolicy, Strategy
from squirrel.model.schedule import Spec
from squirrel.model.target import HttpTarget
from squirrel.model.when import When
from squirrel.recurrence import RuleError, compile_rule
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.documents.json_text import Document

DIALECT: Final = "workflow"
EVENT: Final = "workflow.schedule"
ACTIVE: Final = "active"
STATUSES: Final = (ACTIVE, "paused", "disabled", "archived")
OVERLAPS: Final = ("skip", "queue", "allow")
PRIORITY_DEFAULT: Final = 5
SUCCESS_BELOW: Final = 400
# The first wait of each strategy: 1, 2, 4 s; 5, 10, 15 s; 30 s each time.
WAITS: Final[Mapping[str, tuple[Strategy, int]]] = {
    "exponential": ("exponential", 1_000),
    "linear": ("linear", 5_000),
    "fixed": ("fixed", 30_000),
}
# Bounds, excluded days, spread and clock-change policy of a native schedule stay when its kind becomes cron.
_OTHER_KINDS: Final[Mapping[str, Any]] = {
    name: getattr(When(), name)
    for name in ("at_ms", "in_seconds", "rrule", "every", "after", "on_event", "join", "delay_seconds", "condition")
}
_TEXTS: Final = (
    "id", "name", "description", "cron_expression", "timezone", "target_type", "target_url", "target_workflow_id",
    "target_method", "status", "overlap_policy", "retry_strategy", "owner", "team",
)  # fmt: skip
_BOOLS: Final = ("enabled", "catch_up_missed")
_NUMBERS: Final = ("max_retries", "timeout_seconds", "priority")
_TARGET: Final = (
    "target_type",
    "target_url",
    "target_workflow_id",
    "target_method",
    "target_headers",
    "timeout_seconds",
)
# What this API shows and a Spec has no place for.
_KEPT: Final = (
    "target_type", "target_url", "target_workflow_id", "timeout_seconds", "status", "priority", "owner", "team",
    "retry_strategy",
)  # fmt: skip


class Place(NamedTuple):
    """Where targets may be, and where workflows live."""

    policy: TargetPolicy
    n8n_base_url: str

    def of(self, namespace: str) -> Place:
        """The place of one namespace."""
        return self._replace(policy=self.policy.of(namespace))


class Sent(NamedTuple):
    """The known fields of a body, nulls left out, and the bytes of the payload."""

    values: dict[str, Any]
    payload: bytes | None

    @property
    def paused(self) -> bool | None:
        """Whether it asks for no runs; None when it says nothing."""
        if "enabled" not in self.values and "status" not in self.values:
            return None
        return not self.values.get("enabled", True) or self.values.get("status", ACTIVE) != ACTIVE


def read_sent(document: Document) -> Sent:
    """The body's known fields. Raises Declined 400 for a value of the wrong type."""
    values = {name: value for name, value in document.values.items() if value is not None}
    tags, headers = values.get("tags", []), values.get("target_headers", {})
    is_right = (
        all(isinstance(values.get(name, ""), str) for name in _TEXTS)
        and all(isinstance(values.get(name, False), bool) for name in _BOOLS)
        and all(type(values.get(name, 0)) is int for name in _NUMBERS)
        and isinstance(tags, list)
        and all(isinstance(tag, str) for tag in tags)
        and isinstance(headers, dict)
        and all(isinstance(value, str) for value in headers.values())
    )
    if not is_right:
        raise Declined(400, "Invalid request payload")
    known = (*_TEXTS, *_BOOLS, *_NUMBERS, "tags", "target_headers")
    payload = document.raw("target_payload") if values.get("target_payload") is not None else None
    return Sent({name: values[name] for name in known if name in values}, payload)


def spec_of(sent: Sent, base: Spec | None, place: Place, now_ms: int) -> Spec:
    """A new schedule, or `base` with what was sent. Raises Declined or Refused."""
    values = sent.values
    _check_choices(values)
    made = base if base is not None else Spec(event=EVENT, when=When(), dialect=DIALECT, message=b"{}")
    kept = dialect_fields(made) | {name: values[name] for name in _KEPT if name in values}
    changes: dict[str, Any] = {"dialect_fields": orjson.dumps(kept)}
    if base is None or "cron_expression" in values or "timezone" in values:
        changes["when"] = _when(values, made.when, now_ms)
    if base is None or any(name in values for name in _TARGET):
        changes["target"] = _target(values, kept, made.target, place)
    if base is None or "max_retries" in values or "retry_strategy" in values:
        changes["retry"] = _retry(values, kept, made.retry)
    if base is None or "catch_up_missed" in values:
        changes["missed"] = "run_all" if values.get("catch_up_missed") else "skip"
    if "overlap_policy" in values:
        changes["overlap"] = values["overlap_policy"] or "skip"
    if "name" in values:
        changes["name"] = spec_text("name", values["name"], NAME_CHARS_MAX)
    if "description" in values:
        changes["description"] = spec_prose("description", values["description"])
    if "tags" in values:
        changes["tags"] = _tags(values["tags"])
    if sent.payload is not None:
        changes["message"] = checked_size("target_payload", sent.payload)
    return sized(msgspec.structs.replace(made, **changes))


def begun_again(spec: Spec, now_ms: int) -> Spec:
    """For an enable without catch-up: slots of the time in between are neither owed nor listed as skipped."""
    if spec.dialect != DIALECT or spec.missed != "skip" or spec.when.cron is None:
        return spec
    return msgspec.structs.replace(spec, when=msgspec.structs.replace(spec.when, start_ms=now_ms))


def _check_choices(values: Mapping[str, Any]) -> None:
    choices = {"status": STATUSES, "overlap_policy": OVERLAPS, "retry_strategy": tuple(WAITS)}
    for name, known in choices.items():
        if values.get(name) and values[name] not in known:
            raise Declined(400, f"{name} must be one of {', '.join(known)}")
    if not 0 <= values.get("max_retries", 0) <= RETRIES_MAX:
        raise Declined(400, f"max_retries must be 0 to {RETRIES_MAX}")
    if not values.get("timeout_seconds", 0) >= 0:
        raise Declined(400, "timeout_seconds must not be negative")
    if not 0 <= values.get("priority", PRIORITY_DEFAULT) <= 10:
        raise Declined(400, "priority must be 1 to 10")


def _when(values: Mapping[str, Any], before: When, now_ms: int) -> When:
    zone = values["timezone"] or "UTC" if "timezone" in values else before.timezone or "UTC"
    when = msgspec.structs.replace(before, timezone=zone)
    if "cron_expression" in values or before == When():
        when = msgspec.structs.replace(when, **_OTHER_KINDS, cron=values.get("cron_expression") or "")
    try:
        compile_rule(
            msgspec.structs.replace(when, exclude=()), created_ms=now_ms
        )  # calendars were looked up when it was made
    except RuleError as error:
        if error.field == "when.timezone":
            raise Declined(400, f"Invalid timezone: {error.reason}") from None
        raise Declined(400, "Invalid cron expression") from None
    return when


def _target(values: Mapping[str, Any], kept: Mapping[str, Any], before: Any, place: Place) -> Any:
    if before is not None and not isinstance(before, HttpTarget):
        return before  # a native target that this API has no words for
    was = before or HttpTarget("")
    seconds = (
        values["timeout_seconds"] or TIMEOUT_SECONDS_DEFAULT if "timeout_seconds" in values else was.timeout_ms / 1000
    )
    fields = {
        "url": ("target_url", _url(kept, was.url, place)),
        "method": ("target_method", values.get("target_method") or was.method or "POST"),
        "headers": ("target_headers", values.get("target_headers", dict(was.headers))),
        "timeout_seconds": ("timeout_seconds", seconds),
    }
    if kept.get("target_type") in ("n8n_workflow", "scenario"):
        fields["method"] = ("target_method", "POST")
    seed: dict[str, Any] = {"body": was.body}
    if before is None or was.retry_4xx:
        seed |= {"success_below": SUCCESS_BELOW, "retry_4xx": True}
    return http_target(place.policy, fields, before, **seed)


def _url(kept: Mapping[str, Any], before: str, place: Place) -> str:
    kind, workflow = kept.get("target_type") or "webhook", kept.get("target_workflow_id") or ""
    if kind in ("n8n_workflow", "scenario") and not workflow:
        raise Declined(400, f"target_workflow_id is needed for the target type {kind}")
    if kind == "n8n_workflow":
        return f"{place.n8n_base_url.rstrip('/')}/webhook/{workflow}"
    if kind == "scenario":
        return f"http://localhost:{workflow}/api/execute"
    if kind not in ("webhook", "http", "windmill"):
        raise Declined(400, f"unsupported target type: {kind}")
    return kept.get("target_url") or before


def _retry(values: Mapping[str, Any], kept: Mapping[str, Any], before: RetryPolicy | None) -> RetryPolicy:
    retries = values.get("max_retries", before.max_retries if before is not None else 0)
    if "retry_strategy" not in values and before is not None:
        return msgspec.structs.replace(before, max_retries=retries)
    strategy, wait_ms = WAITS[kept.get("retry_strategy") or "exponential"]
    return RetryPolicy(max_retries=retries, strategy=strategy, initial_ms=wait_ms, jitter=0)


def _tags(tags: list[str]) -> tuple[str, ...]:
    if len(tags) > TAGS_MAX:
        raise Declined(400, f"at most {TAGS_MAX} tags are taken")
    return tuple(dict.fromkeys(spec_text("tags", tag, TAG_CHARS_MAX) for tag in tags if tag))
