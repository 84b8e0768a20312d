"""One document's keys, sorted into the four places where their values belong, whatever their spelling."""

from __future__ import annotations

from typing import Any, NamedTuple

from squirrel.wire.documents.json_text import Document, visible
from squirrel.wire.documents.names import (
    PROBLEMS_MAX,
    RETRY_NAMES,
    TARGET_NAMES,
    TOP_PLACES,
    WHEN_NAMES,
    Entries,
    entries_of,
    twice,
    unknown,
)
from squirrel.wire.documents.target import target_names
from squirrel.wire.documents.values import Problems

_NESTED = (("when", WHEN_NAMES), ("retry", RETRY_NAMES), ("target", TARGET_NAMES))
_NO_KEYS: frozenset[str] = frozenset()


class Collected(NamedTuple):
    """Entries by place and by our own name; nulls are kept, for a change gives them a meaning."""

    top: Entries
    when: Entries
    retry: Entries
    target: Entries
    has_null: bool

    def without_nulls(self) -> Collected:
        """A new document's nulls say nothing: a message that is null is what it is without one."""
        if not self.has_null:
            return self
        top, when, retry, target = (
            {name: entry for name, entry in entries.items() if entry[1] is not None}
            for entries in (self.top, self.when, self.retry, self.target)
        )
        return Collected(top, when, retry, target, has_null=False)


def collect(document: Document, problems: Problems, skip: frozenset[str] = _NO_KEYS) -> Collected:
    """Sorts a schedule's keys; `skip` names those that the caller reads itself or ignores."""
    top: Entries = {}
    places: dict[str, Entries] = {"top": top, "when": {}, "retry": {}, "target": {}}
    collected = Collected(top, places["when"], places["retry"], places["target"], document.has_null)
    for key, value in document.values.items():
        place = TOP_PLACES.get(key)
        if place is None:
            if key not in skip and len(problems) < PROBLEMS_MAX:
                problems.append(unknown(visible(key), key, TOP_PLACES))
            continue
        if key in skip:
            continue
        entries = places[place[0]]
        if place[1] in entries:
            problems.append(twice(key, entries[place[1]][0]))
        else:
            entries[place[1]] = (key, value)
    for name, names in _NESTED:
        if name in collected.top:
            _unfold(name, names, collected, places[name], problems)
    return collected


def _unfold(name: str, names: Any, collected: Collected, into: Entries, problems: Problems) -> None:
    """A nested object's fields join those that were sent flat; a null stays at the top as the wish to have none."""
    field, value = collected.top[name]
    if value is None:
        return
    if name == "target" and isinstance(value, str):  # the Scheduler Service's `"target": "https://..."`
        inner: Entries = {"url": (field, value)}
    else:
        inner = entries_of(value, target_names(value) if name == "target" else names, field, problems)
    for key, entry in inner.items():
        if key in into:
            problems.append(twice(entry[0], into[key][0]))
        else:
            into[key] = entry
