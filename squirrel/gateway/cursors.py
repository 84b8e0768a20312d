"""Cursors: where a page ended, as `<instant>.<id>` of its last item. Any of that form is a place in any list.

The stores and the owners have forms of their own; callers see this one, in every list.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from squirrel.gateway.problems import invalid
from squirrel.model.limits import ID_CHARS_MAX, INSTANT_MS_MAX
from squirrel.stores import cursors as stored
from squirrel.streams.timeline.keys import x_after, x_entry

CURSOR: Final = rf"^[0-9]{{1,15}}\.[A-Za-z0-9_.:@~+=-]{{0,{ID_CHARS_MAX}}}$"
_FORM: Final = re.compile(CURSOR, re.ASCII)


class Place(NamedTuple):
    """The last item of the page before: its instant (creation or slot, epoch ms) and its id."""

    instant_ms: int
    id: str


def read_cursor(text: str | None) -> Place | None:
    """Raises Answered naming `cursor`."""
    if text is None:
        return None
    if _FORM.fullmatch(text) is None:
        raise invalid("cursor", "is none of ours; send `next_cursor` of the page before, or leave it out")
    instant, _, name = text.partition(".")
    return Place(min(int(instant), INSTANT_MS_MAX), name)


def cursor_text(place: Place) -> str:
    """The cursor of a place."""
    return f"{place.instant_ms}.{place.id}"


def sort_key_of(place: Place | None) -> bytes:
    """The place as an owner's lists are sorted; empty for the beginning."""
    return b"" if place is None else x_after(b"", place.instant_ms, place.id)


def place_of_sort_key(sort_key: bytes) -> Place:
    """The inverse of `sort_key_of`."""
    return Place(*x_entry(b"", sort_key))


def to_history(text: str | None) -> str | None:
    """A caller's cursor as the history stores read it. Raises Answered naming `cursor`."""
    place = read_cursor(text)
    return None if place is None else stored.encode_cursor(stored.Position(place.instant_ms, place.id))


def from_history(cursor: str | None) -> str | None:
    """A history store's cursor as callers see it."""
    return None if cursor is None else cursor_text(Place(*stored.decode_cursor(cursor)))
