"""The timeline store: what is true now, per partition, and the order in which it comes due.

Every call names its partition, which must be open; nothing opens one by accident. All calls run on the event loop and are
short: RocksDB holds the interpreter's lock, so a batch is bounded by its caller (`model/limits.py`: DUE_BATCH_MAX).
A RocksDB iterator used after its database was closed crashes the process, so none outlives the call that made it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from struct import Struct
from typing import Any, Final, NamedTuple

from rocksdict import WriteBatch

from squirrel.model.errors import Fatal
from squirrel.streams.timeline.changes import Change
from squirrel.streams.timeline.keys import META_KEY, TIMELINE_PREFIX, d_due_ms, d_s_key, d_start, prefix_end
from squirrel.streams.timeline.rocks import (
    CACHE_BYTES_DEFAULT,
    WRITE_BUFFER_BYTES_DEFAULT,
    below,
    broken,
    keys_below,
    open_rocks,
    property_of,
    rocks_options,
    wipe_rocks,
    without_log,
)

NO_OFFSET: Final = -1
FLUSH_IDLE_MS: Final = (
    600_000  # a partition where nothing changes notes on disk at least this often that it was current
)
_RECREATED: Final = "it was emptied or recreated under a running engine. Restore the topic, and start again"
_META: Final = Struct(">QQqQ")
_D: Final = TIMELINE_PREFIX[0]
_TIMELINE_END: Final = prefix_end(TIMELINE_PREFIX)
_FIRST: Final = d_start(0)


class Meta(NamedTuple):
    """The C row: the cursor, the wall clock of the last write, the last changelog offset applied (NO_OFFSET: none)."""

    cursor_ms: int
    wall_ms: int
    changelog_offset: int


class Due(NamedTuple):
    """One schedule whose instant has come: the instant, the row's key, the row."""

    due_ms: int
    s_key: bytes
    row: bytes


class PartitionStats(NamedTuple):
    """`pending` is exact (keys on the timeline); `keys` is RocksDB's estimate over all kinds."""

    pending: int
    keys: int
    disk_bytes: int
    memtable_bytes: int


class _Partition:
    """One open database and what is known of its timeline without asking it.

    `cursor`: no live D key is below it. `taken`: keys the last walk returned that are still there, up to `walked`; when they are
    all gone the cursor moves past `walked`, so a walk never meets its own tombstones (measured: 8 ms per 20,000).
    `next_key`: the first D key; None when the timeline is empty; unknown while `next_known` is False.
    """

    __slots__ = (
        *("cursor", "db", "flushed_wall_ms", "meta", "next_key", "next_known"),
        "origin",
        "path",
        "pending",
        "taken",
        "unflushed",
        "walked",
    )

    def __init__(self, path: Path, db: Any) -> None:
        self.path = path
        self.db = db
        raw = db.get(META_KEY)
        cursor_ms, wall_ms, offset, pending = _META.unpack_from(raw) if raw else (0, 0, NO_OFFSET, 0)
        self.origin: bytes = raw[_META.size :] if raw else b""
        self.flushed_wall_ms: int = wall_ms
        self.pending: int = pending
        self.meta = Meta(cursor_ms, wall_ms, offset)
        self.cursor = d_start(cursor_ms)
        self.taken: set[bytes] = set()
        self.walked = b""
        self.unflushed = False  # something is in memory only
        self.next_key: bytes | None = None
        self.next_known = False

    def added(self, keys: Sequence[bytes]) -> None:
        """New D keys, ascending."""
        if not keys:
            return
        first = keys[0]
        self.pending += len(keys)
        self.cursor = min(self.cursor, first)
        if self.taken and first <= self.walked:
            self.taken.update(key for key in keys if key <= self.walked)
        if self.next_known and (self.next_key is None or first < self.next_key):
            self.next_key = first

    def removed(self, key: bytes) -> None:
        self.pending -= 1
        if self.taken:
            self.taken.discard(key)
            if not self.taken:
                self.cursor = max(self.cursor, self.walked + b"\0")
        if key == self.next_key:
            self.next_known = False


class TimelineStore:
    """RocksDBs under one directory, `<path>/<partition>`, with shared budgets; see the module for the rules."""

    def __init__(
        self,
        path: Path,
        *,
        cache_bytes: int = CACHE_BYTES_DEFAULT,
        write_buffer_bytes: int = WRITE_BUFFER_BYTES_DEFAULT,
        on_wiped: Callable[[int, str], None] | None = None,
    ) -> None:
        """`on_wiped(partition, reason)` is told when an open found a corrupted database and removed it."""
        self.path = path
        self._options = rocks_options(cache_bytes, write_buffer_bytes)
        self._no_wal = without_log()
        self._on_wiped = on_wiped
        self._open: dict[int, _Partition] = {}

    # --- life ---------------------------------------------------------------------------------------------------

    def open(self, partition: int) -> Meta:
        """Opens an assigned partition, empty when it was never here; takes 10 to 40 ms. Opening an open one is an error."""
        if partition in self._open:
            raise Fatal(f"partition {partition} of the timeline was opened twice")
        path = self._path(partition)
        had_files = next(path.glob("*.sst"), None) is not None
        db, wiped = open_rocks(path, self._options)
        try:
            opened = _Partition(path, db)
        except Exception as error:
            db.close()
            raise broken(path, error) from error
        if wiped is None and had_files and opened.meta.changelog_offset == NO_OFFSET:
            wiped = "the database has files but knows of none (a cut MANIFEST)"
        if wiped is not None and self._on_wiped is not None:
            self._on_wiped(partition, f"{path}: {wiped}")
        self._open[partition] = opened
        return opened.meta

    def close(self, partition: int) -> None:
        """Closes a partition; harmless when it is not open."""
        found = self._open.pop(partition, None)
        if found is None:
            return
        try:
            if found.unflushed:
                found.db.flush()
        except Exception as error:
            raise broken(found.path, error) from error
        finally:
            found.db.close()

    def close_all(self) -> None:
        for partition in list(self._open):
            self.close(partition)

    def wipe(self, partition: int) -> None:
        """Removes everything of an open partition and opens it empty."""
        self.close(partition)
        wipe_rocks(self._path(partition))
        self.open(partition)

    def is_open(self, partition: int) -> bool:
        return partition in self._open

    def partitions(self) -> list[int]:
        """The open partitions, ascending."""
        return sorted(self._open)

    # --- reading ------------------------------------------------------------------------------------------------

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.get_many(partition, [key])[0]

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        """Values in the order of `keys`, None where there is none; about 1 us each."""
        found = self._of(partition)
        if not keys:
            return []
        try:
            values: list[bytes | None] = found.db.get(list(keys))
        except Exception as error:
            raise broken(found.path, error) from error
        return values

    def scan(self, partition: int, prefix: bytes, after: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """Up to `limit` (key, value) under `prefix`, ascending, those behind the key `after` (None: from the start)."""
        found = self._of(partition)
        start = prefix if after is None or after < prefix else after + b"\0"
        end = prefix_end(prefix)  # a name of its own: the iterator points into these bytes, and does not keep them
        out: list[tuple[bytes, bytes]] = []
        try:
            cursor = found.db.iter(below(end))
            cursor.seek(start)
            while len(out) < limit and cursor.valid():
                out.append((cursor.key(), cursor.value()))
                cursor.next()
            cursor.status()
        except Exception as error:
            raise broken(found.path, error) from error
        return out

    def due(self, partition: int, until_ms: int, limit: int, from_ms: int | None = None) -> list[Due]:
        """Up to `limit` schedules due at or before `until_ms`, earliest first.

        They stay on the timeline until `apply` takes them off, so asking again before that gives the same ones. `from_ms` looks
        beyond what still waits before it, and moves no cursor.
        """
        found = self._of(partition)
        start = found.cursor if from_ms is None else max(found.cursor, d_start(from_ms))
        try:
            keys = keys_below(found.db, start, d_start(until_ms + 1), limit)
        except Exception as error:
            raise broken(found.path, error) from error
        if from_ms is None and not keys:
            # Nothing is left up to that instant; whatever is added below it later lowers the cursor again.
            found.cursor = max(found.cursor, d_start(until_ms + 1))
            found.taken = set()
        elif from_ms is None:
            found.cursor, found.walked, found.taken = keys[0], keys[-1], set(keys)
            found.next_key, found.next_known = keys[0], True
        out = []
        for key, row in zip(keys, self.get_many(partition, [d_s_key(key) for key in keys]), strict=True):
            if row is None:
                raise Fatal(
                    f"{found.path} names {d_s_key(key)!r} on the timeline but has no such row: remove the directory"
                )
            out.append(Due(d_due_ms(key), d_s_key(key), row))
        return out

    def next_due_ms(self, partition: int) -> int | None:
        """The earliest instant on the timeline, past or future; None when it is empty. Kept, so asking often is free."""
        found = self._of(partition)
        if not found.next_known:
            try:
                keys = keys_below(found.db, found.cursor, _TIMELINE_END, 1)
            except Exception as error:
                raise broken(found.path, error) from error
            found.next_key = keys[0] if keys else None
            found.next_known = True
            if keys and not found.taken:
                found.cursor = keys[0]
        next_key: bytes | None = found.next_key
        return None if next_key is None else d_due_ms(next_key)

    def meta(self, partition: int) -> Meta:
        """The C row as of the last apply."""
        return self._of(partition).meta

    def pending(self, partition: int) -> int:
        """How many schedules stand on the timeline."""
        return self._of(partition).pending

    def stats(self, partition: int) -> PartitionStats:
        found = self._of(partition)
        return PartitionStats(
            pending=found.pending,
            keys=property_of(found.db, "estimate-num-keys"),
            disk_bytes=property_of(found.db, "live-sst-files-size"),
            memtable_bytes=property_of(found.db, "cur-size-all-mem-tables"),
        )

    # --- writing ------------------------------------------------------------------------------------------------

    def apply(
        self,
        partition: int,
        changes: Iterable[Change],
        *,
        wall_ms: int,
        changelog_offset: int | None = None,
        cursor_ms: int | None = None,
    ) -> None:
        """Writes rows, derived keys and the C row in one WriteBatch. A row's key comes once among `changes`.

        `changelog_offset` is the last offset the changes have in the log, None when they have none. `cursor_ms`, where the
        owner's walk stands, can only lower the cursor: the store moves it forward itself, never past a key that is there.
        RocksDB's own log is never written: the changelog is one already, and what a kill takes from memory is replayed from
        it. A C row in that log would outlive the rows it speaks of (a kill, a cut MANIFEST) and hide that they are gone.
        """
        found = self._of(partition)
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        arrived: list[bytes] = []
        for key, value, old, new in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
            if not old:
                arrived += new
            elif old != new:
                arrived += [derived for derived in new if derived not in old]
                for derived in old:
                    if derived not in new:
                        delete(derived)
                        if derived[0] == _D:
                            found.removed(derived)
        # In order, which saves the memtable half of its search (3.4 -> 2.5 us a row of four keys); D keys come first.
        arrived.sort()
        for derived in arrived:
            put(derived, b"")
        found.added(arrived[: bisect_left(arrived, _TIMELINE_END)])
        if cursor_ms is not None:
            found.cursor = min(found.cursor, d_start(cursor_ms))
        offset = found.meta.changelog_offset if changelog_offset is None else changelog_offset
        if offset < found.meta.changelog_offset:
            raise Fatal(f"the changelog of {found.path} went back to offset {offset}: {_RECREATED}")
        meta = Meta(d_due_ms(found.cursor), max(wall_ms, found.meta.wall_ms), max(offset, found.meta.changelog_offset))
        put(META_KEY, _META.pack(*meta, found.pending) + found.origin)
        found.unflushed = True
        try:
            found.db.write(batch, self._no_wal)
        except Exception as error:
            raise broken(found.path, error) from error
        found.meta = meta

    def note_current(self, partition: int, wall_ms: int) -> None:
        """Nothing changed, and the state was current at `wall_ms`: local state that looks old is rebuilt."""
        found = self._of(partition)
        self.apply(partition, (), wall_ms=wall_ms)
        if wall_ms - found.flushed_wall_ms >= FLUSH_IDLE_MS:
            self.flush(partition)

    def hold_compactions(self, partition: int, *, hold: bool) -> None:
        """While a whole changelog comes in, files are only written: merging them meanwhile takes a third of all CPU time."""
        found = self._of(partition)
        try:
            found.db.set_options({"disable_auto_compactions": "true" if hold else "false"})
        except Exception as error:
            raise broken(found.path, error) from error

    def flush(self, partition: int) -> None:
        """Memtables to disk: what is there survives a kill without being replayed."""
        found = self._of(partition)
        try:
            found.db.flush()
        except Exception as error:
            raise broken(found.path, error) from error
        found.unflushed = False
        found.flushed_wall_ms = found.meta.wall_ms

    def origin(self, partition: int) -> bytes:
        """Whose copy this is, as `claim` said, in the C row; empty when nobody has said yet."""
        return self._of(partition).origin

    def claim(self, partition: int, origin: bytes) -> None:
        """From the next write on, the C row says that this is a copy of `origin` (recovery: partition, installation, log)."""
        self._of(partition).origin = origin

    def _path(self, partition: int) -> Path:
        return self.path / str(partition)

    def _of(self, partition: int) -> _Partition:
        try:
            return self._open[partition]
        except KeyError:
            raise Fatal(f"partition {partition} of the timeline is not open in this process") from None
