"""A PATCH that travels as JSON (the inbox's): its secrets put into their stored form, all else byte for byte.

The engine applies it to a spec that no door knows, and trusts it; so the door that takes it seals here what it cannot merge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from squirrel.model.errors import Refused
from squirrel.wire.documents.json_text import Document
from squirrel.wire.documents.names import TOP_PLACES
from squirrel.wire.documents.plugin_target import parse_plugin, plugin_document
from squirrel.wire.documents.security import parse_security, security_document
from squirrel.wire.documents.target import headers_stored
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.values import Problems
from squirrel.wire.target_types.registry import installed_types

_HEADERS, _TARGET, _FALLBACK = ("target", "headers"), ("top", "target"), ("top", "fallback")


def sealed_parts(document: Document, policy: TargetPolicy) -> dict[str, bytes]:
    """{key of the document: its value as JSON with secrets sealed}, for the keys that hold targets. Raises Refused."""
    problems: Problems = []
    seal: dict[tuple[str, str], Callable[[str, Any], Any]] = {
        _HEADERS: lambda field, value: _headers(field, value, policy, problems, kafka=False),
        _TARGET: lambda field, value: _target(field, value, policy, problems),
        _FALLBACK: lambda field, value: _fallback(field, value, policy, problems),
    }
    parts = {}
    for key, value in document.values.items():
        sealing = seal.get(TOP_PLACES.get(key, ("", "")))
        if sealing is not None and isinstance(value, (dict, list)):
            parts[key] = orjson.dumps(sealing(key, value))
    if problems:
        raise Refused("invalid", problems)
    return parts


def _fallback(field: str, value: Any, policy: TargetPolicy, problems: Problems) -> Any:
    if isinstance(value, dict):
        return _target(field, value, policy, problems)
    return [_target(f"{field}[{index}]", each, policy, problems) for index, each in enumerate(value)]


def _target(field: str, value: Any, policy: TargetPolicy, problems: Problems) -> Any:
    if not isinstance(value, dict):
        return value
    found = installed_types().get(value.get("type"))
    if found is not None:
        entries = {name: (f"{field}.{name}", each) for name, each in value.items() if each is not None}
        made = parse_plugin(found, entries, field, policy, problems, None)
        return value if made is None else {**plugin_document(made), **_kept(value, "retry")}
    sealed = dict(value)
    if isinstance(value.get("headers"), dict):
        kafka = value.get("type") == "kafka" or "topic" in value
        sealed["headers"] = _headers(f"{field}.headers", value["headers"], policy, problems, kafka=kafka)
    entries = {
        name: (f"{field}.{name}", value[name]) for name in ("signing", "auth", "tls") if value.get(name) is not None
    }
    return sealed | security_document(parse_security(entries, policy, problems, None))


def _headers(field: str, value: Any, policy: TargetPolicy, problems: Problems, *, kafka: bool) -> Any:
    """Nulls stay: they take a header away."""
    if not isinstance(value, dict):
        return value
    given = {name: text for name, text in value.items() if text is not None}
    stored = dict(headers_stored(field, given, (policy, problems), http=not kafka))
    return {name: None if text is None else stored.get(name, text) for name, text in value.items()}


def _kept(value: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value[name] for name in names if name in value}
