"""A typed configuration (a msgspec Struct with secret fields) read from JSON, with problems that name the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from squirrel.model.errors import Problem
from squirrel.wire.documents.target_policy import TargetPolicy
from squirrel.wire.documents.values import Problems
from squirrel.wire.secret_texts import is_hidden, read_secret

_PLACE: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD: Final = re.compile(r"^Object (?P<what>contains unknown|missing required) field `(?P<name>[^`]*)`$", re.DOTALL)


class ReadConfig(NamedTuple):
    """The configuration as it is stored, secrets in their stored form; and as it was sent, for what must see them."""

    stored: dict[str, Any]
    plain: Any


def read_config(
    cls: type[msgspec.Struct],
    secrets: frozenset[str],
    given: tuple[str, Mapping[str, Any]],
    policy: TargetPolicy | None,
    problems: Problems,
    before: Mapping[str, Any] | None = None,
) -> ReadConfig | None:
    """`given` is (field, JSON object). `policy` None trusts what an earlier door has read and sealed.

    `before` is the stored configuration that this one replaces: its secrets are kept where the mark stands.
    """
    field, value = given
    count = len(problems)
    stored, plain = dict(value), dict(value)
    was = before or {}
    for name in secrets & value.keys():
        if policy is None or (isinstance(value[name], str) and is_hidden(value[name]) and was.get(name) == value[name]):
            continue  # what an earlier door sealed, or what stands there
        sealed = read_secret(f"{field}.{name}", value[name], policy.door, problems, str(was.get(name) or ""))
        if sealed is None:
            continue
        stored[name] = sealed
        if not isinstance(value[name], str) or value[name] == "" or is_hidden(str(was.get(name) or "")):
            plain[name] = sealed
    problems.extend(
        Problem(f"{field}.{name}", "must not end with a line break")
        for name in value.keys() & _patterned(cls)
        if any(isinstance(each, str) and each.endswith("\n") for each in _each(value[name]))
    )
    if len(problems) > count:
        return None
    try:
        made = msgspec.convert(plain, cls)
        msgspec.convert(stored, cls)
    except msgspec.ValidationError as error:
        problems.append(problem_of(field, error))
        return None
    return ReadConfig(stored, made)


@lru_cache
def _patterned(cls: type[msgspec.Struct]) -> frozenset[str]:
    """Fields whose texts have a pattern: msgspec takes `$` as Python does, which also matches before a last line break."""
    _, schemas = msgspec.json.schema_components([cls])
    fields = schemas[cls.__name__]["properties"].items()
    return frozenset(name for name, each in fields if "pattern" in each or "pattern" in each.get("items", {}))


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def problem_of(field: str, error: msgspec.ValidationError) -> Problem:
    """msgspec's sentence as a problem of ours: ``Expected `int`, got `str` - at `$.port` `` -> (field.port, ...)."""
    match = _PLACE.match(str(error))
    assert match is not None, "the pattern takes any text"
    what, path = match.group("what"), match.group("path") or ""
    place = field + path.replace("[...]", "[]")
    unknown = _FIELD.match(what)
    if unknown is not None:
        missing = unknown.group("what") == "missing required"
        return Problem(
            f"{place}.{unknown.group('name')}", "is missing" if missing else "is no known field; leave it out"
        )
    told = what.replace("`", "")
    return Problem(place, told[:1].lower() + told[1:])
