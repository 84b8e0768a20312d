"""The body of `POST /jobs` and `PUT /jobs/{id}`, held to the seed's schema; refusals are zod's formatted tree."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from squirrel.gateway.compat.exchange import Declined
from squirrel.model.errors import Refused
from squirrel.model.instants import InstantError, parse_instant
from squirrel.model.when import Every, When
from squirrel.recurrence import RuleError, compile_rule
from squirrel.wire.documents.json_text import Document

STATUSES: Final = ("active", "inactive", "failed")
SCHEDULE_TYPES: Final = ("cron", "specific_time", "recurring")
INTERVALS: Final = ("minute", "hour", "day", "week", "month", "year")
INTERVAL_VALUE_MAX: Final = 1_000_000  # of any unit; further ahead there is no calendar
NAME_REQUIRED: Final = "Name is required"
BAD_TARGET: Final = "Target must be a valid URL"
# zod's `datetime()`: UTC only, so an offset is refused.
_DATETIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", re.ASCII)
_KINDS: Final = {bool: "boolean", str: "string", dict: "object", list: "array", int: "number", float: "number"}

Errors = dict[str, list[str]]


class JobBody(NamedTuple):
    """The schema's fields that were sent, with the raw bytes of the payload and the rule they make."""

    values: dict[str, Any]
    payload: bytes | None
    when: When


def read_job(document: Document, now_ms: int) -> JobBody:
    """A whole job. Raises Declined 400 with the seed's text or tree."""
    errors: Errors = {}
    for field, check in _CHECKS.items():
        message = check(field, document.values)
        if message is not None:
            errors[field] = [message]
    if errors:
        raise invalid_job(errors)
    values = {field: document.values[field] for field in _CHECKS if field in document.values}
    payload = document.raw("payload") if "payload" in values else None
    return JobBody(values, payload, _when(values, now_ms))


def invalid_job(errors: Errors, top: tuple[str, ...] = ()) -> Declined:
    """400 `Invalid job data`."""
    tree: dict[str, Any] = {"_errors": list(top)}
    tree |= {field: {"_errors": messages} for field, messages in errors.items()}
    return Declined(400, "Invalid job data", {"message": "Invalid job data", "errors": tree})


def of_refused(refused: Refused) -> Declined:
    """What our own checks refuse (a forbidden host, a name that is too long), by the seed's field."""
    errors: Errors = {}
    top = []
    for problem in refused.problems:
        if problem.field in _CHECKS:
            errors.setdefault(problem.field, []).append(problem.reason)
        else:
            top.append(f"{problem.field}: {problem.reason}")
    return invalid_job(errors, tuple(top))


def _when(values: dict[str, Any], now_ms: int) -> When:
    kind = values["schedule_type"]
    if kind == "cron":
        when = When(cron=values.get("cron_expression") or "")
        try:
            compile_rule(when, created_ms=now_ms)
        except RuleError:
            raise Declined(400, "Invalid schedule configuration") from None
        return when
    if kind == "specific_time":
        try:
            at_ms = parse_instant(values.get("specific_time"))
        except InstantError:
            raise Declined(400, "Specific time must be in the future") from None
        if at_ms <= now_ms:
            raise Declined(400, "Specific time must be in the future")
        return When(at_ms=at_ms)
    if "interval" not in values or "interval_value" not in values:
        raise Declined(400, "Invalid schedule configuration")
    return from_now(Every(values["interval"], values["interval_value"]), now_ms)


def from_now(every: Every, now_ms: int) -> When:
    """The first run one interval after now, in whole seconds; the day of the month is now's."""
    start_ms = now_ms // 1000 * 1000
    when = When(every=Every(every.interval, every.value, start_ms), start_ms=start_ms + 1)
    try:
        compile_rule(when, created_ms=now_ms)
    except RuleError:
        raise Declined(400, "Invalid repeat configuration") from None
    return when


def _received(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "unknown")


def _expected(kind: str, value: Any) -> str | None:
    return None if _received(value) == kind else f"Expected {kind}, received {_received(value)}"


def _name(field: str, values: dict[str, Any]) -> str | None:
    if field not in values:
        return "Required"
    return _expected("string", values[field]) or (None if values[field] else NAME_REQUIRED)


def _target(field: str, values: dict[str, Any]) -> str | None:
    if field not in values:
        return "Required"
    wrong = _expected("string", values[field])
    return wrong or (None if _URL.fullmatch(values[field]) else BAD_TARGET)


def _optional_text(field: str, values: dict[str, Any]) -> str | None:
    return _expected("string", values[field]) if field in values else None


def _payload(field: str, values: dict[str, Any]) -> str | None:
    return _expected("object", values[field]) if field in values else None


def _enum(choices: tuple[str, ...], field: str, values: dict[str, Any], *, required: bool) -> str | None:
    if field not in values:
        return "Required" if required else None
    value = values[field]
    if value in choices:
        return None
    listed = " | ".join(f"'{each}'" for each in choices)
    shown = f"'{value}'" if isinstance(value, str) else _received(value)
    if isinstance(value, str):
        return f"Invalid enum value. Expected {listed}, received {shown}"
    return f"Expected {listed}, received {shown}"


def _type(field: str, values: dict[str, Any]) -> str | None:
    return _enum(("http",), field, values, required=True)


def _schedule_type(field: str, values: dict[str, Any]) -> str | None:
    return _enum(SCHEDULE_TYPES, field, values, required=True)


def _interval(field: str, values: dict[str, Any]) -> str | None:
    return _enum(INTERVALS, field, values, required=False)


def _status(field: str, values: dict[str, Any]) -> str | None:
    return _enum(STATUSES, field, values, required=False)


def _specific_time(field: str, values: dict[str, Any]) -> str | None:
    if field not in values:
        return None
    return _expected("string", values[field]) or (None if _DATETIME.fullmatch(values[field]) else "Invalid datetime")


def _interval_value(field: str, values: dict[str, Any]) -> str | None:
    if field not in values:
        return None
    value = values[field]
    if (wrong := _expected("number", value)) is not None:
        return wrong
    if value != int(value):
        return "Expected integer, received float"
    if value > INTERVAL_VALUE_MAX:
        return f"Number must be less than or equal to {INTERVAL_VALUE_MAX}"
    return None if value > 0 else "Number must be greater than 0"


_CHECKS: Final = {
    "name": _name, "description": _optional_text, "type": _type, "target": _target, "payload": _payload,
    "schedule_type": _schedule_type, "cron_expression": _optional_text, "specific_time": _specific_time,
    "interval": _interval, "interval_value": _interval_value, "status": _status,
}  # fmt: skip
