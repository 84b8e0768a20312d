"""Where a page ended, as opaque text: the instant and the run after which the next page begins."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import msgspec

from squirrel.model.errors import Refused
from squirrel.model.limits import INSTANT_MS_MAX, PAGE_ITEMS_MAX

_CURSOR_CHARS_MAX = 1024  # an instant and a run id, encoded


class Position(NamedTuple):
    """The last item already given: the next page holds what lies strictly below it."""

    instant_ms: int
    run: str


NEWEST = Position(INSTANT_MS_MAX + 1, "")
_decode = msgspec.json.Decoder(tuple[int, str]).decode


def encode_cursor(position: Position) -> str:
    """Text for a URL."""
    return urlsafe_b64encode(msgspec.json.encode(tuple(position))).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> Position:
    """None begins at the newest. Raises Refused naming `cursor`."""
    if cursor is None:
        return NEWEST
    try:
        if len(cursor) > _CURSOR_CHARS_MAX:
            raise ValueError
        position = Position(*_decode(urlsafe_b64decode(cursor.encode("ascii") + b"==")))
        position.run.encode()
    except (ValueError, msgspec.MsgspecError):
        raise Refused.one("cursor", "is none of ours; send `next_cursor` of the page before, or leave it out") from None
    if not 0 <= position.instant_ms <= INSTANT_MS_MAX + 1:
        raise Refused.one("cursor", "is none of ours; send `next_cursor` of the page before, or leave it out")
    return position


def page_limit(limit: int) -> int:
    """Cut to 1..PAGE_ITEMS_MAX."""
    return max(1, min(limit, PAGE_ITEMS_MAX))
