"""`GET /api/v1/schedules`: one list out of all owners' pages, newest first."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import msgspec

from squirrel.gateway.cursors import cursor_text, place_of_sort_key, read_cursor, sort_key_of
from squirrel.gateway.owner_link import OwnerLink
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, decode_row
from squirrel.wire.owner_link import ListRows, Page


class Listed(NamedTuple):
    """A page of rows; `cursor` None ends the list. `cut` says that a filter gave up before it found more."""

    rows: list[Row]
    cursor: str | None
    cut: bool = False


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
    cursor = cursor_text(place_of_sort_key(rows[-1][0])) if more and rows and not cut else None
    return Listed([decode_row(value) for _, value in rows], cursor, cut)


async def list_rows(link: OwnerLink, where: ListRows, cursor: str | None) -> Listed:
    """One page. Raises Answered for a bad cursor, Unavailable when an owner is away: a part of a list is no list."""
    where = msgspec.structs.replace(where, after=sort_key_of(read_cursor(cursor)))
    answers = await link.ask_all(where)
    pages = [each for each in answers if isinstance(each, Page)]
    if len(pages) != len(answers):
        raise Unavailable("an engine did not answer in time; send again", 1)
    return merge(where, pages)
