"""Where a template's document holds secrets, sealed where they rest, and opened only while a schedule is made of it.

The places are those of a schedule: headers, `auth`, `signing`, `tls`, and the fields that a target type marks. A text that is one
`{{parameter}}` alone is no secret; the default of a parameter that fills such a place is one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from squirrel.model.errors import Problem, Refused
from squirrel.wire.documents.json_text import visible
from squirrel.wire.documents.names import TARGET_NAMES, TOP_PLACES
from squirrel.wire.documents.security import AUTH_SECRETS
from squirrel.wire.documents.target import TYPES, is_secret_name
from squirrel.wire.documents.values import Problems
from squirrel.wire.secret_texts import NO_KEY_REASON, SEALED, SHOWN, hide
from squirrel.wire.target_types.registry import installed_types
from squirrel.wire.vault import CannotOpen, NoKey, Vault

PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}", re.ASCII)
Door = tuple[Vault | None, str]  # the vault, and the namespace that secrets are bound to
Change = Callable[[str, str], str]  # (field, text of a secret) -> what stands instead


def with_secrets(schedule: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """The document with every secret text changed; all else is as it was."""
    made = dict(schedule)
    for key, value in schedule.items():
        field, place = f"schedule.{visible(key)}", TOP_PLACES.get(key)
        if place == ("target", "headers"):
            made[key] = _headers(field, value, change)
        elif place == ("top", "target"):
            made[key] = _target(field, value, change)
        elif place == ("top", "fallback"):
            several = isinstance(value, list)
            made[key] = _targets(field, value, change) if several else _target(field, value, change)
    return made


def _targets(field: str, value: list[Any], change: Change) -> list[Any]:
    return [_target(f"{field}[{index}]", each, change) for index, each in enumerate(value)]


def _target(field: str, value: Any, change: Change) -> Any:
    if not isinstance(value, dict):
        return value
    made, secrets = dict(value), _secrets_of(value.get("type", "http"))
    for key, inner in value.items():
        where, name = f"{field}.{visible(key)}", TARGET_NAMES.get(key, key)
        if key in secrets:
            made[key] = _text(where, inner, change)
        elif name == "headers":
            made[key] = _headers(where, inner, change)
        elif name == "signing":
            made[key] = _signing(where, inner, change)
        elif name in ("auth", "tls") and isinstance(inner, dict):
            held = AUTH_SECRETS if name == "auth" else frozenset({"key"})
            made[key] = {
                each: _text(f"{where}.{visible(each)}", text, change) if each in held else text
                for each, text in inner.items()
            }
    return made


def _secrets_of(kind: Any) -> frozenset[str]:
    """The secret fields of a type; of one that is unknown here, or a parameter, those of all types but an address."""
    if kind in (*TYPES, "webhook"):
        return frozenset()
    found = installed_types().get(kind)
    if found is not None:
        return found.secrets
    return frozenset().union(*(each.secrets for each in installed_types())) - {"url"}


def _headers(field: str, value: Any, change: Change) -> Any:
    if not isinstance(value, dict):
        return value
    made = dict(value)
    for name, text in value.items():
        where = f"{field}.{visible(name)}"
        if isinstance(text, dict) and set(text) == {"hidden"}:
            made[name] = {"hidden": _text(where, text["hidden"], change)}
        elif is_secret_name(name):
            made[name] = _text(where, text, change)
    return made


def _signing(field: str, value: Any, change: Change) -> Any:
    if isinstance(value, dict) and isinstance(value.get("secrets"), list):
        kept = [_text(f"{field}.secrets[{index}]", each, change) for index, each in enumerate(value["secrets"])]
        return value | {"secrets": kept}
    return _text(field, value, change)


def _text(field: str, value: Any, change: Change) -> Any:
    """References and whatever is no text are left to the door that reads the schedule."""
    return change(field, value) if isinstance(value, str) and value != "" else value


def filling(schedule: Mapping[str, Any]) -> frozenset[str]:
    """The parameters that stand in a secret's place."""
    found: set[str] = set()

    def note(_: str, text: str) -> str:
        found.update(PLACE.findall(text))
        return text

    with_secrets(schedule, note)
    return frozenset(found)


def masked(_: str, text: str) -> str:
    """As answers show a secret, also one of a release that did not seal it."""
    return text if PLACE.fullmatch(text) is not None else SHOWN


def sealing(door: Door, problems: Problems) -> Change:
    """What was sent -> as it is stored."""

    def seal(field: str, text: str) -> str:
        if PLACE.fullmatch(text) is not None:
            return text
        try:
            return hide(text, *door)
        except NoKey:
            problems.append(Problem(field, NO_KEY_REASON))
            return ""

    return seal


def opening(door: Door, name: str) -> Change:
    """What is stored -> the secret itself. The change raises Refused when no key opens it."""
    vault, namespace = door

    def opened(field: str, text: str) -> str:
        if not text.startswith(SEALED) or vault is None:
            return text
        try:
            return vault.open(text.removeprefix(SEALED), namespace)
        except CannotOpen as error:
            reason = f"{name} holds a secret at {field} that cannot be decrypted: {error}; put the template again"
            raise Refused.one("template", reason) from None

    return opened


def restoring(before: Mapping[str, str], problems: Problems) -> Change:
    """What was sent, with the mark of answers replaced by the secret that stood at the same field `before`."""

    def restore(field: str, text: str) -> str:
        if "\0" in text:
            problems.append(Problem(field, "holds NUL; leave it out"))
        elif text == SHOWN:
            if field in before:
                return before[field]
            reason = f"holds the mark {SHOWN} that answers show for a secret; send the secret itself"
            problems.append(Problem(field, reason))
        return text

    return restore
