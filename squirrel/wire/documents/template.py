"""Templates: a schedule's document with `{{parameter}}` in its strings, and what becomes of it with values. No code is run.

Secrets are found by `template_secrets`, and sealed before a template is stored.
A string that is one placeholder alone becomes the value itself, whatever its type; inside other text a value is written out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import BODY_BYTES_MAX, KIB, REQUEST_BYTES_MAX
from squirrel.wire.documents.calendar import name_problem
from squirrel.wire.documents.json_text import read_document, visible
from squirrel.wire.documents.names import TOP_PLACES, unknown
from squirrel.wire.documents.template_secrets import (
    PLACE,
    Change,
    Door,
    filling,
    masked,
    opening,
    restoring,
    sealing,
    with_secrets,
)
from squirrel.wire.documents.values import Problems, read_bool, read_prose, read_text, shown
from squirrel.wire.secret_texts import is_hidden

KIND: Final = "template"
TAG: Final = "template:"  # of the schedules made from it, before its name
TEMPLATE_BYTES_MAX: Final = 128 * KIB
PARAMETERS_MAX: Final = 50
PARAMETER_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
PARAMETER_CHARS_MAX: Final = 100
_PARAMETER: Final = re.compile(PARAMETER_NAME, re.ASCII)
_NAMES: Final = ("name", "description", "schedule", "parameters")
_SHOWN: Final = frozenset({"created_at", "updated_at"})
_CALLERS: Final = frozenset({"template", "parameters"})
_read_exactly: Final = msgspec.json.Decoder().decode  # keeps integers of any size, which message may hold

assert TEMPLATE_BYTES_MAX <= REQUEST_BYTES_MAX <= BODY_BYTES_MAX, "a template arrives through the door"


class Parameter(Struct, frozen=True, omit_defaults=True):
    """One parameter; without a default it must be given when it is required, and is left empty text when not."""

    name: str
    required: bool = True
    default: Any = None
    description: str = ""


class StoredTemplate(Struct, frozen=True, omit_defaults=True):
    """A template on the definitions topic, under `ns/template/<name>`; secrets stand in it sealed."""

    name: str
    schedule: dict[str, Any]
    parameters: list[Parameter] = []
    description: str = ""
    created_ms: int = 0
    updated_ms: int = 0


encode_template = msgspec.json.Encoder().encode
decode_template = msgspec.json.Decoder(StoredTemplate).decode


def template_key(namespace: str, name: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{KIND}/{name}"


def parse_template(
    name: str, body: bytes, now_ms: int, before: StoredTemplate | None = None, door: Door = (None, "")
) -> StoredTemplate:
    """Raises NotJson or Refused. `before` is the template it replaces: it keeps the creation, and the secrets that are marked."""
    read_document(body, TEMPLATE_BYTES_MAX)
    values = {key: value for key, value in _read_exactly(body).items() if value is not None and key not in _SHOWN}
    problems: Problems = [unknown(visible(key), key, _NAMES) for key in values if key not in _NAMES]
    if (reason := name_problem(name)) is not None:
        problems.append(Problem("name", reason))
    if values.get("name", name) != name:
        problems.append(Problem("name", "differs from the one in the path; leave it out"))
    description = read_prose("description", values.get("description", ""), problems, 4096) or ""
    parameters = _parameters(values.get("parameters", []), problems)
    schedule = values.get("schedule")
    if not isinstance(schedule, dict):
        problems.append(Problem("schedule", "must be a schedule's document, with {{parameter}} in its strings"))
        raise Refused("invalid", problems)
    created_ms = now_ms if before is None else before.created_ms
    sent = StoredTemplate(name, schedule, parameters, description, created_ms, now_ms)
    stood = {} if before is None else _secrets(opened_template(before, door))
    plain = _changed(sent, restoring(stood, problems))
    problems.extend(unknown(f"schedule.{visible(key)}", key, TOP_PLACES) for key in schedule if key not in TOP_PLACES)
    known = {each.name for each in parameters}
    for field, used in _places(plain.schedule, "schedule"):
        if used not in known and len(problems) < PARAMETERS_MAX:
            problems.append(Problem(field, f"uses {{{{{used}}}}}, which parameters does not name"))
    stored = plain if problems else _changed(plain, sealing(door, problems))
    if problems:
        raise Refused("invalid", problems)
    return stored


def opened_template(template: StoredTemplate, door: Door) -> StoredTemplate:
    """The template with its secrets as they were sent. Raises Refused when no key opens one."""
    return _changed(template, opening(door, template.name))


def shown_template(template: StoredTemplate) -> StoredTemplate:
    """The template as answers show it."""
    return _changed(template, masked)


def _changed(template: StoredTemplate, change: Change) -> StoredTemplate:
    """Every secret changed: those of the schedule, and the defaults of parameters that fill such places."""
    schedule = with_secrets(template.schedule, change)
    fills = filling(template.schedule) | filling(schedule)

    def of(each: Parameter) -> Parameter:
        text = each.default
        if not isinstance(text, str) or not text or not (each.name in fills or is_hidden(text)):
            return each
        return replace(each, default=change(f"parameters.{each.name}.default", text))

    return replace(template, schedule=schedule, parameters=[of(each) for each in template.parameters])


def _secrets(template: StoredTemplate) -> dict[str, str]:
    found: dict[str, str] = {}

    def note(field: str, text: str) -> str:
        found[field] = text
        return text

    _changed(template, note)
    return found


def _parameters(given: Any, problems: Problems) -> list[Parameter]:
    if not isinstance(given, list) or len(given) > PARAMETERS_MAX:
        problems.append(
            Problem("parameters", f'must be a list of at most {PARAMETERS_MAX} such as {{"name": "email"}}')
        )
        return []
    found: dict[str, Parameter] = {}
    for index, each in enumerate(given):
        field = f"parameters[{index}]"
        if not isinstance(each, dict):
            problems.append(Problem(field, f'must be an object such as {{"name": "email"}}, is {shown(each)}'))
            continue
        known = ("name", "required", "default", "description")
        problems.extend(unknown(f"{field}.{visible(key)}", key, known) for key in each if key not in known)
        name = each.get("name")
        if not isinstance(name, str) or len(name) > PARAMETER_CHARS_MAX or _PARAMETER.fullmatch(name) is None:
            problems.append(Problem(f"{field}.name", "must be letters, digits and _, beginning with a letter or _"))
            continue
        if name in found:
            problems.append(Problem(f"{field}.name", f"{name} is named twice"))
        required = read_bool(f"{field}.required", each.get("required", each.get("default") is None), problems)
        said = read_prose(f"{field}.description", each.get("description") or "", problems, 1024) or ""
        found[name] = Parameter(name, bool(required), each.get("default"), said)
    return list(found.values())


def _places(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """(field, parameter) of every placeholder."""
    if isinstance(value, str):
        for found in PLACE.finditer(value):
            yield field, found[1]
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, f"{field}.{visible(key)}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, f"{field}[{index}]")


def template_of(body: bytes) -> dict[str, Any] | None:
    """The body of a create that names a template, as plain values; None for an ordinary one, or for what is no JSON."""
    if b'"template"' not in body:
        return None
    try:
        values = _read_exactly(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # the reader of schedules says what is wrong with it
    return values if isinstance(values, dict) and "template" in values else None


def expand_template(template: StoredTemplate, values: Mapping[str, Any]) -> bytes:
    """The document of one schedule: the template with its parameters, then the fields that the create names itself.

    Raises Refused naming `parameters.<name>`; also when the whole grows beyond what one call may send.
    """
    given = values.get("parameters")
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise Refused.one("parameters", 'must be an object such as {"email": "a@example.com"}')
    known = {each.name: each for each in template.parameters}
    problems: Problems = [
        unknown(f"parameters.{visible(key)}", key, known, "parameters.") for key in given if key not in known
    ]
    chosen: dict[str, Any] = {}
    for name, parameter in known.items():
        value = given.get(name)
        if value is None:
            value = parameter.default
        if value is None and parameter.required:
            said = f": {parameter.description}" if parameter.description else ""
            problems.append(Problem(f"parameters.{name}", f"is missing; {template.name} needs it{said}"))
        chosen[name] = "" if value is None else value
    if problems:
        raise Refused("invalid", problems)
    document = _Expansion(chosen).of(template.schedule)
    document |= {key: value for key, value in values.items() if key not in _CALLERS}
    tags = document.get("tags")
    tag = f"{TAG}{template.name}"
    if tags is None:
        document["tags"] = [tag]
    elif isinstance(tags, list) and tag not in tags:
        document["tags"] = [*tags, tag]
    return msgspec.json.encode(document)


class _Expansion:
    """Puts values in the places, and counts what they take: a value may stand in a thousand places."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._sizes = {name: len(msgspec.json.encode(value)) for name, value in values.items()}
        self._left = REQUEST_BYTES_MAX

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {key: self.of(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner) for inner in value]
        return value

    def _text(self, text: str) -> Any:
        whole = PLACE.fullmatch(text)
        if whole is not None:
            self._take(whole[1])
            return self._values[whole[1]]
        return PLACE.sub(lambda found: self._written(found[1]), text)

    def _written(self, name: str) -> str:
        self._take(name)
        value = self._values[name]
        if isinstance(value, (dict, list)):
            raise Refused.one(f"parameters.{name}", f"stands inside a text, so it must be one value, is {shown(value)}")
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _take(self, name: str) -> None:
        self._left -= self._sizes[name]
        if self._left < 0:
            reason = f"makes the schedule larger than {REQUEST_BYTES_MAX} bytes; send a shorter value"
            raise Refused.one(f"parameters.{name}", reason, code="too_large")


def template_name(values: Mapping[str, Any]) -> str:
    """The template that a create names. Raises Refused."""
    problems: Problems = []
    name = read_text("template", values["template"], problems, 255)
    if name is None:
        raise Refused("invalid", problems)
    return name
