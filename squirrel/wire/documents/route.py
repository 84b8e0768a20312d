"""`PUT /api/v1/routes/{pattern}` -> Route, and its value on the definitions topic."""

from __future__ import annotations

from typing import Any

import orjson
from msgspec.structs import replace

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import REQUEST_BYTES_MAX
from squirrel.model.target import Fallback, HttpTarget, Route
from squirrel.wire.documents.flow import flow_document, parse_flow
from squirrel.wire.documents.json_text import read_document
from squirrel.wire.documents.names import RETRY_NAMES, entries_of, spellings, unknown
from squirrel.wire.documents.pattern import pattern_problem
from squirrel.wire.documents.retry import parse_retry, retry_document
from squirrel.wire.documents.security import parse_signing, signed_by, signing_of
from squirrel.wire.documents.target import (
    TargetPolicy,
    fallback_document,
    parse_fallback,
    parse_target_object,
    target_document,
)
from squirrel.wire.documents.values import Problems

_NAMES = spellings(("pattern", "target", "retry", "fallback", "signing", "flow"))
_SHOWN = frozenset({"created_at", "updated_at"})


def parse_route(
    pattern: str, body: bytes, *, now_ms: int, policy: TargetPolicy | None, before: Route | None = None
) -> Route:
    """One route. Raises NotJson or Refused. `before` is the route it replaces: it keeps the creation and hidden headers."""
    document = read_document(body, REQUEST_BYTES_MAX)
    problems: Problems = []
    if (reason := pattern_problem(pattern)) is not None:
        problems.append(Problem("pattern", reason))
    for key in document.values:
        if key not in _NAMES and key not in _SHOWN:
            problems.append(unknown(key, key, _NAMES))
    values = {
        _NAMES[key]: (key, value) for key, value in document.values.items() if key in _NAMES and value is not None
    }
    if "pattern" in values and values["pattern"][1] != pattern:
        problems.append(Problem("pattern", "differs from the one in the path; leave it out"))
    signing: tuple[str, ...] = ()
    if "signing" in values:
        signing = parse_signing(*values["signing"], policy, problems, signing_of(before.target) if before else ())
    flow = parse_flow(*values["flow"], problems, pattern) if "flow" in values else None
    target = None
    if "target" in values:
        target = parse_target_object(*values["target"], policy, problems, before.target if before else None)
    else:
        problems.append(Problem("target", 'is missing; send one such as {"type": "http", "url": "https://..."}'))
    retry = None
    if "retry" in values:
        entries = entries_of(values["retry"][1], RETRY_NAMES, "retry", problems)
        retry = parse_retry({name: entry for name, entry in entries.items() if entry[1] is not None}, problems)
    fallback: tuple[Fallback, ...] = ()
    if "fallback" in values:
        fallback = parse_fallback(*values["fallback"], policy, problems, before.fallback if before else ())
    if signing and not isinstance(target, HttpTarget | None):
        problems.append(Problem("signing", "signs webhooks, and the target is none; leave it out"))
    if problems or target is None:
        raise Refused("invalid", problems)
    target = signed_by(target, signing)
    fallback = tuple(replace(each, target=signed_by(each.target, signing)) for each in fallback)
    made = Route(pattern, target, retry, fallback, before.created_ms if before else now_ms, now_ms, flow=flow)
    return replace(made, document=_kept(made))


def _kept(route: Route) -> bytes:
    """The document with secrets in their stored form, for what later releases read from it."""
    kept: dict[str, Any] = {
        "target": target_document(route.target, redact=False),
        "retry": None if route.retry is None else retry_document(route.retry),
        "fallback": [fallback_document(each, redact=False) for each in route.fallback],
    }
    if route.flow is not None:
        kept["flow"] = flow_document(route.flow)
    return orjson.dumps(kept)


def route_value(route: Route) -> bytes:
    """The JSON of a route on the definitions topic; secrets stand in it, sealed."""
    stamped = orjson.loads(route.document) | {"created_ms": route.created_ms, "updated_ms": route.updated_ms}
    return orjson.dumps({"pattern": route.pattern, **stamped})


def read_route_value(value: bytes) -> Route:
    """The route of a record on the definitions topic. Raises Refused for what is none."""
    document = read_document(value, REQUEST_BYTES_MAX).values
    created_ms, updated_ms = document.pop("created_ms", 0), document.pop("updated_ms", 0)
    pattern = document.pop("pattern", "")
    route = parse_route(pattern, orjson.dumps(document), now_ms=updated_ms, policy=None)
    return replace(route, created_ms=created_ms, updated_ms=updated_ms)
