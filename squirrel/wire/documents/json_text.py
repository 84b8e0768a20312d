"""Strict reading of JSON text: what is no JSON, and what is JSON but cannot be kept, named with its field.

orjson decides; only when it refuses does the standard library's reader look a second time, to say where and why. Raw bytes of
the top level's values come from msgspec, so that big integers and the order of keys survive.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from squirrel.model.errors import Problem, Refused
from squirrel.model.limits import JSON_DEPTH_MAX

Raws = dict[str, msgspec.Raw]
_decode_raws = msgspec.json.Decoder(Raws).decode
KEYS_MAX: Final = 200  # above all names we know; each one costs a look through the body
_DIGITS_MAX: Final = 309  # the longest integer a double still holds


class NotJson(Refused):
    """The bytes are no JSON at all: 400 over REST, reason `not_json` in the refused topic."""

    def __init__(self, reason: str) -> None:
        super().__init__("not_json", [Problem("body", reason)])


class Document(NamedTuple):
    """One JSON object: its values as plain Python, and each value's bytes as they were sent."""

    values: dict[str, Any]
    raws: Raws
    size: int = 0  # bytes of the whole
    has_null: bool = True  # False only when no null stands anywhere, which spares a look at every field

    def raw(self, key: str) -> bytes:
        return bytes(self.raws[key])


def read_json(body: bytes, limit: int) -> Any:
    """Any JSON value of at most `limit` bytes as plain Python. Raises NotJson, or Refused with the field that is at fault."""
    if len(body) > limit:
        raise Refused.one("body", f"has {len(body)} bytes, the limit is {limit}; send less at once", code="too_large")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _diagnosis(body, error) from None
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX:
        _check_depth(value)
    return value


def read_document(body: bytes, limit: int) -> Document:
    """One JSON object. A key that is written twice is refused: readers disagree on which of the two counts."""
    values = read_json(body, limit)
    if not isinstance(values, dict):
        raise Refused.one("body", 'must be a JSON object such as {"event": "email.send", "when": {"in_seconds": 5}}')
    try:
        raws = _decode_raws(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NotJson(f"is not JSON: {error}") from None
    if len(values) > KEYS_MAX:
        raise Refused.one("body", f"has {len(values)} fields, the limit is {KEYS_MAX}; put your own data into message")
    for key in values:
        needle = _needle(key) if len(key) <= 64 else b'"%b"' % key.encode()  # a cache of long keys would be an attack
        if body.count(needle) > 1:
            _check_repeated(key, needle, body, raws)
    return Document(values, raws, len(body), b"null" in body)


@lru_cache(maxsize=4096)
def _needle(key: str) -> bytes:
    return b'"%b"' % key.encode()


def _check_repeated(key: str, needle: bytes, body: bytes, raws: Raws) -> None:
    """Occurrences inside the values that were kept are other objects' keys; only one more than those is worth a slow look."""
    if body.count(needle) - sum(bytes(raw).count(needle) for raw in raws.values()) <= 1:
        return
    pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=lambda each: each, parse_int=str)
    if sum(name == key for name, _ in pairs) > 1:
        raise Refused.one(visible(key), "is sent twice in one object; send it once")


def _check_depth(value: Any) -> None:
    """Names the outermost key under which the document is too deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if _is_deeper(inner, JSON_DEPTH_MAX - 1):
                raise Refused.one(visible(key), _too_deep())
    elif _is_deeper(value, JSON_DEPTH_MAX):
        raise Refused.one("body", _too_deep())


def _is_deeper(value: Any, depth_max: int) -> bool:
    """Walks by level, so that depth itself costs no recursion."""
    level: list[Any] = [value] if isinstance(value, (dict, list)) else []
    for _ in range(depth_max):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _too_deep() -> str:
    return f"is nested deeper than {JSON_DEPTH_MAX} levels; flatten it, or send the inner part as a string"


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON value")


def _diagnosis(body: bytes, error: orjson.JSONDecodeError) -> Refused:
    """Why orjson refused `body`: bad bytes, bad grammar, too deep, or good grammar around a value nobody can keep."""
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        return NotJson(f"is not UTF-8: byte {fault.start} cannot be read; encode the document as UTF-8")
    try:
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_int=lambda digits: math.inf if len(digits) > _DIGITS_MAX else 0,
        )
    except RecursionError:
        return Refused.one("body", _too_deep())
    except ValueError as fault:
        return NotJson(f"is not JSON: {fault}")
    found = _unkeepable(value)
    if found is not None:
        return Refused("invalid", [found])
    if body.count(b"[") + body.count(b"{") > JSON_DEPTH_MAX:
        return Refused.one("body", _too_deep())
    return NotJson(f"is not JSON: {error.msg} at character {error.pos}")


def _unkeepable(document: Any) -> Problem | None:
    """The first lone surrogate or endless number, with its path."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                name = f"{path}.{key}" if path else key
                if not _encodable(key):
                    return Problem(visible(name), _SURROGATE)
                waiting.append((name, inner))
        elif isinstance(value, list):
            waiting.extend((f"{path}[{index}]", inner) for index, inner in enumerate(value))
        elif isinstance(value, str) and not _encodable(value):
            return Problem(path or "body", _SURROGATE)
        elif isinstance(value, float) and math.isinf(value):
            return Problem(
                path or "body", "is a number beyond 1.8e308, which most readers cannot hold; send it as a string"
            )
    return None


_SURROGATE = (
    "holds a lone surrogate (\\ud800 to \\udfff without its other half), which is no character; send valid Unicode"
)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def visible(text: str) -> str:
    """`text` with what cannot be encoded or printed written as an escape, cut to a size that an error may quote."""
    if not text:
        return '""'
    shown = text.encode("ascii", "backslashreplace").decode() if not _encodable(text) else text
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in shown)
    return shown if len(shown) <= 120 else f"{shown[:100]}... ({len(text)} characters)"
