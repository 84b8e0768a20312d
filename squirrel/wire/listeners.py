"""Schedules with `on_event`: listeners, known to every engine through the definitions topic.

A completion may happen in any partition, so each engine holds all patterns of a namespace and orders a run where one matches.
Key: `ns/listener/<schedule id>`; value: what must match and where the listener lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from squirrel.model.limits import LISTENERS_MAX
from squirrel.wire.documents import pattern_matches

_KIND = "listener"


class Listener(Struct, frozen=True):
    """One listening schedule: the pattern of event names, the outcome it waits for, and its group."""

    schedule: str
    event: str
    on: str
    group: str = ""
    wants: bool = False  # it asks for the answer


_encode = Encoder().encode
_decode = Decoder(Listener).decode


def listener_key(namespace: str, schedule_id: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{_KIND}/{schedule_id}"


def listener_value(listener: Listener) -> bytes:
    """The value on the definitions topic."""
    return _encode(listener)


class Definitions(Protocol):
    """The compacted definitions topic, followed; `streams.tail.DefinitionsTail` is one."""

    @property
    def values(self) -> Mapping[bytes, bytes]:
        """The newest value of each key."""
        ...

    @property
    def next_offset(self) -> int:
        """Grows with every change."""
        ...


class ListenerBook:
    """All listeners as of the newest definitions; which ones an event has is remembered."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._followed = -1
        self._listeners: dict[str, list[Listener]] = {}
        self._matching: dict[tuple[str, str], tuple[Listener, ...]] = {}

    def of(self, namespace: str, event: str) -> tuple[Listener, ...]:
        """Those whose pattern takes this event name."""
        if self._followed != self._definitions.next_offset:
            self._follow()
        key = (namespace, event)
        found = self._matching.get(key)
        if found is None:
            all_of = self._listeners.get(namespace, ())
            found = tuple(listener for listener in all_of if pattern_matches(listener.event, event))
            if len(self._matching) >= LISTENERS_MAX:
                self._matching.clear()
            self._matching[key] = found
        return found

    def _follow(self) -> None:
        self._followed = self._definitions.next_offset
        self._matching.clear()
        self._listeners.clear()
        for key, value in self._definitions.values.items():
            namespace, _, rest = key.decode("utf-8", "replace").partition("/")
            if not rest.startswith(f"{_KIND}/"):
                continue
            try:
                listener = _decode(value)
            except MsgspecError:
                continue  # written by a stranger; it can match nothing
            listeners = self._listeners.setdefault(namespace, [])
            if len(listeners) < LISTENERS_MAX:
                listeners.append(listener)
