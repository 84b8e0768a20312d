"""`GET /api/v1/schedules`: one list out of all owners' pages, newest first, with a cursor that fits its filter only."""

from __future__ import annotations

import heapq
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from squirrel.gateway.limits import CURSOR_CHARS_MAX
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import invalid
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, decode_row
from squirrel.wire.owner_link import ListRows, Page

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode
_DIGEST_BYTES: Final = 8


class Listed(NamedTuple):
    """A page of rows; `cursor` None ends the list. `cut` says that a filter gave up before it found more."""

    rows: list[Row]
    cursor: str | None
    cut: bool = False


def encode_cursor(where: ListRows, sort_key: bytes) -> str:
    """Opaque text that goes on after `sort_key` in the list of the same filter."""
    return urlsafe_b64encode(_encode((_digest(where), sort_key))).rstrip(b"=").decode()


def decode_cursor(where: ListRows, cursor: str) -> bytes:
    """The sort key to go on after. Raises Answered naming `cursor`."""
    try:
        if len(cursor) > CURSOR_CHARS_MAX:
            raise ValueError
        digest, sort_key = _decode(urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except (ValueError, msgspec.MsgspecError):
        raise invalid("cursor", "is none of ours; send `next_cursor` of the page before, or leave it out") from None
    if digest != _digest(where):
        raise invalid("cursor", "belongs to a list with other filters; begin that list again without it")
    return sort_key


def _digest(where: ListRows) -> bytes:
    filters = (where.namespace, where.states, where.event, where.tag, where.text)
    return blake2b(_encode(filters), digest_size=_DIGEST_BYTES).digest()


def merge(where: ListRows, pages: list[Page]) -> Listed:
    """The first `limit` rows over all pages. Sort keys ascend, newest first.

    An owner that has more than it sent knows rows after its last one only, so the merged page ends there.
    """
    ends = [page.rows[-1][0] for page in pages if page.more and page.rows]
    end = min(ends, default=None)
    ordered = heapq.merge(*(page.rows for page in pages), key=lambda each: each[0])
    rows = [each for each in ordered if end is None or each[0] <= end]
    more = end is not None or len(rows) > where.limit
    rows = rows[: where.limit]
    cut = any(page.more and not page.rows for page in pages)
    cursor = encode_cursor(where, rows[-1][0]) if more and rows and not cut else None
    return Listed([decode_row(value) for _, value in rows], cursor, cut)


async def list_rows(link: OwnerLink, where: ListRows, cursor: str | None) -> Listed:
    """One page. Raises Answered for a bad cursor, Unavailable when an owner is away: a part of a list is no list."""
    if cursor is not None:
        where = msgspec.structs.replace(where, after=decode_cursor(where, cursor))
    answers = await link.ask_all(where)
    pages = [each for each in answers if isinstance(each, Page)]
    if len(pages) != len(answers):
        raise Unavailable("an engine did not answer in time; send again", 1)
    return merge(where, pages)
