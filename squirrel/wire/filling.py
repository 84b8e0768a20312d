"""Messages with places: `{{ parent.body.id }}` becomes what the parent answered. Names and indexes only; no code is run. Pure.

A string that is one place alone becomes the value itself, whatever its type; inside other text a value is written out, and
what is not there is null, or nothing inside a text. A place whose first name is none of the roots stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from squirrel.model.limits import PAYLOAD_BYTES_MAX

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+|\[-?[0-9]{1,6}\])*)\s*\}\}", re.ASCII)
_STEP: Final = re.compile(r"([A-Za-z0-9_-]+)|\[(-?[0-9]{1,6})\]", re.ASCII)
MARK: Final = b"{{"  # a message without it has no places


class TooLarge(ValueError):
    """The filled message is larger than a message may be."""


def fill(message: bytes, values: Mapping[str, Any], bytes_max: int = PAYLOAD_BYTES_MAX) -> bytes:
    """The JSON `message` with its places filled. Raises TooLarge. Numbers keep their digits."""
    if MARK not in message:
        return message
    filled = json.dumps(filled_value(json.loads(message), values, bytes_max), ensure_ascii=False, separators=(",", ":"))
    encoded = filled.encode("utf-8", "surrogatepass")
    if len(encoded) > bytes_max:
        raise TooLarge(_too_large(len(encoded), bytes_max))
    return encoded


def filled_value(value: Any, values: Mapping[str, Any], bytes_max: int = PAYLOAD_BYTES_MAX) -> Any:
    """A plain value with its places filled. Raises TooLarge before much is made of it."""
    return _Filling(values, bytes_max).of(value)


def places_of(value: Any, field: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(field, path) of every place in a plain value."""
    if isinstance(value, str):
        for found in _PLACE.finditer(value):
            yield field, tuple(name or f"[{index}]" for name, index in _STEP.findall(found[1]))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from places_of(inner, f"{field}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places_of(inner, f"{field}[{index}]")


def _too_large(size: int, bytes_max: int) -> str:
    return f"the filled message has at least {size} bytes, the limit is {bytes_max}"


class _Filling:
    """Fills places and counts what they take: one long value may stand in a thousand places."""

    def __init__(self, values: Mapping[str, Any], bytes_max: int) -> None:
        self._values = values
        self._bytes_max = bytes_max
        self._taken = 0

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value) if "{{" in value else value
        if isinstance(value, dict):
            return {key: self.of(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.of(inner) for inner in value]
        return value

    def _text(self, text: str) -> Any:
        whole = _PLACE.fullmatch(text)
        if whole is not None and self._is_ours(whole[1]):
            value = self._looked_up(whole[1])
            self._take(len(json.dumps(value)))
            return value
        return _PLACE.sub(lambda found: self._written(found[0], found[1]), text)

    def _is_ours(self, path: str) -> bool:
        return _STEP.findall(path)[0][0] in self._values

    def _written(self, place: str, path: str) -> str:
        if not self._is_ours(path):
            return place
        value = self._looked_up(path)
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self._take(len(text))
        return text

    def _looked_up(self, path: str) -> Any:
        value: Any = self._values
        for name, index in _STEP.findall(path):
            if name and isinstance(value, Mapping):
                value = value.get(name)
            elif index and isinstance(value, list):
                number = int(index)
                value = value[number] if -len(value) <= number < len(value) else None
            else:
                return None
        return value

    def _take(self, size: int) -> None:
        self._taken += size
        if self._taken > self._bytes_max:
            raise TooLarge(_too_large(self._taken, self._bytes_max))
