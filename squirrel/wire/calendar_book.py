"""Calendars by namespace, from the records of the definitions topic: what `exclude` names, compiled once.

Key: `ns/calendar/<name>`; value: the days off as they hold, whatever document they came from (dates, iCalendar, a country).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

from squirrel.recurrence import Calendar, CalendarLookup

KIND = "calendar"


class StoredCalendar(Struct, frozen=True, omit_defaults=True):
    """A calendar as stored: ISO dates, weekdays (Monday is 0), and the document as it was put, for answers."""

    name: str
    dates: list[str] = []
    weekend: list[int] = []
    created_ms: int = 0
    updated_ms: int = 0
    document: dict[str, Any] = {}


encode_calendar = Encoder().encode
decode_calendar = Decoder(StoredCalendar).decode


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


def calendar_key(namespace: str, name: str) -> str:
    """The key on the definitions topic."""
    return f"{namespace}/{KIND}/{name}"


class CalendarBook:
    """All calendars as of the newest definitions."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._followed = -1
        self._stored: dict[str, StoredCalendar] = {}
        self._calendars: dict[str, Calendar] = {}

    def lookup(self, namespace: str) -> CalendarLookup:
        """Name -> days off, within one namespace; what `compile_rule` takes."""

        def find(name: str) -> Calendar | None:
            self._follow()
            return self._calendars.get(calendar_key(namespace, name))

        return find

    def get(self, namespace: str, name: str) -> StoredCalendar | None:
        """One calendar, for answers."""
        self._follow()
        return self._stored.get(calendar_key(namespace, name))

    def all(self, namespace: str) -> list[StoredCalendar]:
        """The calendars of a namespace, by name."""
        self._follow()
        prefix = calendar_key(namespace, "")
        return [self._stored[key] for key in sorted(self._stored) if key.startswith(prefix)]

    def _follow(self) -> None:
        if self._followed == self._definitions.next_offset:
            return
        self._followed = self._definitions.next_offset
        self._stored.clear()
        self._calendars.clear()
        for raw_key, value in self._definitions.values.items():
            key = raw_key.decode("utf-8", "replace")
            if key.partition("/")[2].startswith(f"{KIND}/"):
                try:
                    stored = decode_calendar(value)
                    dates = frozenset(date.fromisoformat(day) for day in stored.dates)
                except (MsgspecError, ValueError):
                    continue  # not ours: a rule that names it says that there is no such calendar
                self._stored[key] = stored
                self._calendars[key] = Calendar(dates, frozenset(stored.weekend))
