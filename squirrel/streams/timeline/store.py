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
from squirrel.streams.timeline.keys import (
    META_KEY,
    TIMELINE_PREFIX,
    d_due_ms,
    d_namespace,
    d_prefix,
    d_prefix_of,
    prefix_end,
    s_prefix,
)
from squirrel.streams.timeline.rocks import (
    CACHE_BYTES_DEFAULT,
    WRITE_BUFFER_BYTES_DEFAULT,
    below,
    broken,
    open_rocks,
    property_of,
    rocks_options,
    wipe_rocks,
    without_log,
)
from squirrel.streams.timeline.walk import Walk, walks_of

NO_OFFSET: Final = -1
FLUSH_IDLE_MS: Final = (
    600_000  # a partition where nothing changes notes on disk at least this often that it was current
)
_RECREATED: Final = "it was emptied or recreated under a running engine. Restore the topic, and start again"
_META: Final = Struct(">QQqQ")
_D: Final = TIMELINE_PREFIX[0]
_TIMELINE_END: Final = prefix_end(TIMELINE_PREFIX)


class Meta(NamedTuple):
    """The C row: the cursor, the wall clock of the last write, the last changelog offset applied (NO_OFFSET: none)."""

    cursor_ms: int
    wall_ms: int
    changelog_offset: int


class PartitionStats(NamedTuple):
    """`pending` is exact (keys on the timeline); `keys` is RocksDB's estimate over all kinds."""

    pending: int
    keys: int
    disk_bytes: int
    memtable_bytes: int


class _Partition:
    """One open database, and a walk over each namespace's timeline in it."""

    __slots__ = ("_walks", "db", "flushed_wall_ms", "meta", "moved", "origin", "path", "pending", "unflushed")

    def __init__(self, path: Path, db: Any) -> None:
        self.path = path
        self.db = db
        raw = db.get(META_KEY)
        cursor_ms, wall_ms, offset, pending = _META.unpack_from(raw) if raw else (0, 0, NO_OFFSET, 0)
        self.origin: bytes = raw[_META.size :] if raw else b""
        self.flushed_wall_ms: int = wall_ms
        self.pending: int = pending
        self.meta = Meta(cursor_ms, wall_ms, offset)
        self.moved = False  # a cursor may stand elsewhere than the C row says
        self.unflushed = False  # something is in memory only
        self._walks: dict[bytes, Walk] | None = None  # until something is asked of them: an open reads the C row only

    @property
    def walks(self) -> dict[bytes, Walk]:
        """By the timeline's prefix."""
        if self._walks is None:
            try:
                self._walks = walks_of(self.db, self.meta.cursor_ms)
            except Exception as error:
                raise broken(self.path, error) from error
        return self._walks

    def added(self, keys: Sequence[bytes]) -> None:
        """New D keys, ascending."""
        self.pending += len(keys)
        start = 0
        while start < len(keys):
            prefix = d_prefix_of(keys[start])
            # Almost always all of one namespace.
            end = len(keys) if keys[-1].startswith(prefix) else bisect_left(keys, prefix_end(prefix))
            walk = self.walks.get(prefix)
            if walk is None:  # no row of this namespace was ever here
                walk = self.walks[prefix] = Walk(prefix, keys[start], next_known=True)
            walk.added(keys[start:end])
            start = end
        self.moved = True

    def removed(self, keys: list[bytes]) -> None:
        """D keys that went, in any order."""
        self.pending -= len(keys)
        by_timeline: dict[bytes, list[bytes]] = {}
        for key in keys:
            by_timeline.setdefault(d_prefix_of(key), []).append(key)
        for prefix, gone in by_timeline.items():
            self.walks[prefix].removed(gone)
        self.moved = True

    def cursor_ms(self) -> int:
        """No key of any timeline is due before this."""
        if self.moved:
            self.moved = False
            return min((d_due_ms(walk.cursor) for walk in self.walks.values()), default=0)
        return self.meta.cursor_ms


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

    def namespaces(self, partition: int) -> list[str]:
        """Those that have, or had, something here; in no order."""
        return [d_namespace(prefix) for prefix in self._of(partition).walks]

    def ready(self, partition: int, until_ms: int) -> list[str]:
        """The namespaces with something due at or before `until_ms`, in no order."""
        found = self._of(partition)
        out = []
        try:
            for prefix, walk in found.walks.items():
                next_ms = walk.next_ms if walk.next_known else walk.look(found.db)
                if next_ms is not None and next_ms <= until_ms:
                    out.append(d_namespace(prefix))
        except Exception as error:
            raise broken(found.path, error) from error
        return out

    def due(
        self, partition: int, namespace: str, until_ms: int, limit: int, from_ms: int | None = None
    ) -> list[tuple[bytes, bytes]]:
        """Up to `limit` schedules of a namespace due at or before `until_ms`, earliest first: (the row's key, the row).

        They stay on the timeline until `apply` takes them off, so asking again before that gives the same ones. `from_ms` looks
        beyond what still waits before it, and moves no cursor.
        """
        found = self._of(partition)
        walk = found.walks.get(d_prefix(namespace))
        if walk is None:
            return []
        try:
            keys = walk.keys(found.db, until_ms, limit, from_ms)
        except Exception as error:
            raise broken(found.path, error) from error
        found.moved = True
        end = len(walk.prefix) + 8
        head = s_prefix(namespace)
        s_keys = [head + key[end:] for key in keys]
        rows = self.get_many(partition, s_keys)
        if None in rows:
            raise Fatal(
                f"{found.path} names {s_keys[rows.index(None)]!r} on the timeline but has no such row: remove the directory"
            )
        return list(zip(s_keys, rows, strict=True))  # type: ignore[arg-type]

    def next_due_ms(self, partition: int, namespace: str | None = None) -> int | None:
        """The earliest instant on the timeline (of a namespace), past or future; None when it is empty. Asking often is free."""
        found = self._of(partition)
        walks: Iterable[Walk] = found.walks.values()
        if namespace is not None:
            walk = found.walks.get(d_prefix(namespace))
            walks = () if walk is None else (walk,)
        try:
            dues = [walk.next_ms if walk.next_known else walk.look(found.db) for walk in walks]
        except Exception as error:
            raise broken(found.path, error) from error
        return min((due_ms for due_ms in dues if due_ms is not None), default=None)

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
    ) -> None:
        """Writes rows, derived keys and the C row in one WriteBatch. A row's key comes once among `changes`.

        `changelog_offset` is the last offset the changes have in the log, None when they have none.
        RocksDB's own log is never written: the changelog is one already, and what a kill takes from memory is replayed from
        it. A C row in that log would outlive the rows it speaks of (a kill, a cut MANIFEST) and hide that they are gone.
        """
        found = self._of(partition)
        batch = WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        arrived: list[bytes] = []
        gone: list[bytes] = []
        for key, value, lost, gained in changes:
            if value is None:
                delete(key)
            else:
                put(key, value)
            arrived += gained
            gone += lost
        for derived in gone:
            delete(derived)
        # In order, which saves the memtable half of its search (3.4 -> 2.5 us a row of four keys); D keys come first.
        arrived.sort()
        for derived in arrived:
            put(derived, b"")
        found.removed([derived for derived in gone if derived[0] == _D])
        found.added(arrived[: bisect_left(arrived, _TIMELINE_END)])
        offset = found.meta.changelog_offset if changelog_offset is None else changelog_offset
        if offset < found.meta.changelog_offset:
            raise Fatal(f"the changelog of {found.path} went back to offset {offset}: {_RECREATED}")
        meta = Meta(found.cursor_ms(), max(wall_ms, found.meta.wall_ms), max(offset, found.meta.changelog_offset))
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
