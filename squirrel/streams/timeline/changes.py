"""The one function that turns changelog records into changes of the store: the live path and recovery share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from squirrel.model.schedule import decode_row_head
from squirrel.streams.timeline.keys import derived_keys, differing

_NONE: Final[Sequence[bytes]] = ()


# (key, value, lost, gained): one record as the store takes it. No value deletes; `lost` and `gained` are the derived keys that
# go and come with it. A plain tuple: a step makes thousands.
Change = tuple[bytes, bytes | None, Sequence[bytes], Sequence[bytes]]


def changes_of(records: Iterable[tuple[bytes, bytes | None]], old: Mapping[bytes, bytes | None]) -> list[Change]:
    """Changes for (key, value) records in log order.

    `old` maps every S key among them to the value the store holds (None: no row). Of a key that comes twice only the last
    record counts. Records that are neither S nor W (the markers) change nothing. Raises MsgspecError or ValueError when one is
    no row of ours.
    """
    out: list[Change] = []
    for key, value in dict(records).items():
        kind = key[:1]
        if kind == b"S":
            held = old.get(key) if old else None
            before = [] if held is None else derived_keys(decode_row_head(held))
            after = [] if value is None else derived_keys(decode_row_head(value))
            lost, gained = differing(before, after) if before and after else (before, after)
            out.append((key, value, lost, gained))
        elif kind == b"W":
            if value is not None:
                value.decode()  # what a child waits for is text
            out.append((key, value, _NONE, _NONE))
    return out


def row_keys(records: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
    """The distinct S keys among records, in order: what must be looked up before `changes_of`."""
    return list(dict.fromkeys([key for key, _ in records if key[:1] == b"S"]))
