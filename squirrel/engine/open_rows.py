"""The rows of a partition that have a run open, found by the index of open runs; bounded."""

from __future__ import annotations

from collections.abc import Iterator

from squirrel.model.schedule import Row, decode_row
from squirrel.streams.timeline.keys import prefix_end, run_prefix, run_s_key, s_key_parts, s_prefix
from squirrel.streams.timeline.store import TimelineStore

PAGE = 500


def open_rows(store: TimelineStore, partition: int, limit: int) -> Iterator[Row]:
    """Rows with open runs, namespace by namespace, at most `limit`; one with several runs may come several times."""
    left = limit
    for namespace in namespaces(store, partition):
        after: bytes | None = None
        while left > 0:
            page = store.scan(partition, run_prefix(namespace), after, min(PAGE, left))
            if not page:
                break
            after = page[-1][0]
            left -= len(page)
            keys = [run_s_key(namespace, key) for key, _ in page]
            yield from (decode_row(value) for value in store.get_many(partition, keys) if value is not None)


def namespaces(store: TimelineStore, partition: int) -> Iterator[str]:
    """The namespaces that have rows here; one seek each."""
    after: bytes | None = None
    while found := store.scan(partition, b"S", after, 1):
        namespace = s_key_parts(found[0][0])[0]
        yield namespace
        after = prefix_end(s_prefix(namespace))
