"""The target of a foreign schedule: held to the same address policy as a native one, with the problem told in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from squirrel.model.errors import Refused
from squirrel.model.limits import DESCRIPTION_CHARS_MAX, PAYLOAD_BYTES_MAX
from squirrel.model.schedule import Spec
from squirrel.model.target import HttpTarget, Target
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.documents.schedule import check_size, raise_all
from squirrel.wire.documents.target import parse_target
from squirrel.wire.documents.values import Problems, read_prose, read_text


def http_target(
    policy: TargetPolicy, fields: Mapping[str, tuple[str, Any]], before: Target | None = None, **seed: Any
) -> HttpTarget:
    """A webhook out of (the seed's field name, value) by our own names; `seed` are HttpTarget's further fields; `before` is
    what it replaces: its secrets may come back, and what no seed has words for (signing, credentials, promises) stays.

    Raises Refused with the seed's field names.
    """
    problems: Problems = []
    made = parse_target(dict(fields), "target", policy, problems, before)
    raise_all(problems)
    assert isinstance(made, HttpTarget), "no type was named, so it is http"
    if isinstance(before, HttpTarget):
        seed |= {"security": before.security, "completion_timeout_ms": before.completion_timeout_ms}
    return msgspec.structs.replace(made, **seed) if seed else made


def changed(before: Spec | None, made: Spec, *names: str) -> Spec:
    """`made` for a new schedule, else `before` with these fields of it: tags, flow and the like are not a seed's to drop."""
    return made if before is None else msgspec.structs.replace(before, **{name: getattr(made, name) for name in names})


def checked_size(field: str, value: bytes) -> bytes:
    """`value` when it fits a schedule. Raises Refused, which becomes a 413."""
    if len(value) > PAYLOAD_BYTES_MAX:
        reason = f"has {len(value)} bytes, the limit is {PAYLOAD_BYTES_MAX}; store it elsewhere and send a reference"
        raise Refused.one(field, reason, code="too_large")
    return value


def dialect_fields(spec: Spec) -> dict[str, Any]:
    """What a foreign API keeps in a schedule beside our fields."""
    found = orjson.loads(spec.dialect_fields)
    return found if isinstance(found, dict) else {}


def sized(spec: Spec) -> Spec:
    """`spec` when all of it together fits a row. Raises Refused, which becomes a 413."""
    problems: Problems = []
    check_size(spec, problems)
    raise_all(problems)
    return spec


def spec_text(field: str, value: str, chars_max: int) -> str:
    """A short text (a name, an owner). Raises Refused naming the field."""
    problems: Problems = []
    read = read_text(field, value, problems, chars_max, 0)
    raise_all(problems)
    return read or ""


def spec_prose(field: str, value: str) -> str:
    """A description of several lines. Raises Refused naming the field."""
    problems: Problems = []
    read = read_prose(field, value, problems, DESCRIPTION_CHARS_MAX)
    raise_all(problems)
    return read or ""
