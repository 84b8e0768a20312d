"""The byte layout of a partition's state. Sorted bytes are the index, so every order that matters is in the key.

    S ns 00 id                               schedule row (msgpack `Row`)             in the changelog, under this key
    W ns 00 parent 00 child                  who waits for the parent, on which outcome   in the changelog, likewise
    D ns 00 due(8 BE) id                     the timeline, derived from S             local
    X ns 00 kind value 00 inverted_ms(8) id  lists, newest first, derived from S      local
    M                                        marker: the id of this changelog         in the changelog only
    E                                        marker: an owner took over               in the changelog only
    C                                        cursor, wall clock, changelog offset     local

Each namespace has a timeline of its own, so that a million runs of one that are due never stand before those of another.
D has no value: it is written and removed in the same batch as its S row, so a revision beside it could never differ.
Ids and namespaces cannot hold NUL (model/ids.py); events and tags are escaped, in case a door once lets one through.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from squirrel.model.schedule import Row, RowHead, State

STATE_KIND: Final = b"s"
TAG_KIND: Final = b"t"
EVENT_KIND: Final = b"e"
RUN_KIND: Final = b"r"  # open runs, so that a run can be found without its schedule
META_KEY: Final = b"C"
MARKER_KEY: Final = b"M"
TAKEN_KEY: Final = b"E"
TIMELINE_PREFIX: Final = b"D"
_DUE: Final = Struct(">Q").pack
_DUE_OF: Final = Struct(">Q").unpack_from
_INVERTED_MAX: Final = 2**63 - 1
_DUE_BYTES: Final = 8


def s_key(namespace: str, schedule_id: str) -> bytes:
    """The key of a schedule's row, locally and in the changelog."""
    return s_prefix(namespace) + schedule_id.encode()


def s_key_parts(key: bytes) -> tuple[str, str]:
    """(namespace, schedule id) of an S key."""
    namespace, _, schedule_id = key[1:].partition(b"\0")
    return namespace.decode(), schedule_id.decode()


@lru_cache(maxsize=1024)
def s_prefix(namespace: str) -> bytes:
    """All rows of a namespace, by id."""
    return b"S%b\0" % namespace.encode()


def w_key(namespace: str, parent: str, child: str) -> bytes:
    """The key of one subscription: `child` waits for `parent`. Its value is the outcome awaited."""
    return b"W%b\0%b\0%b" % (namespace.encode(), parent.encode(), child.encode())


def w_prefix(namespace: str, parent: str) -> bytes:
    """All who wait for `parent`."""
    return b"W%b\0%b\0" % (namespace.encode(), parent.encode())


def w_child(key: bytes) -> str:
    """The child's id of a W key."""
    return key.rpartition(b"\0")[2].decode()


@lru_cache(maxsize=8192)
def d_prefix(namespace: str) -> bytes:
    """The timeline of a namespace."""
    return b"D%b\0" % namespace.encode()


def d_namespace(prefix: bytes) -> str:
    """Whose timeline a prefix names."""
    return prefix[1:-1].decode()


def d_key(due_ms: int, namespace: str, schedule_id: str) -> bytes:
    """Where the timeline holds a schedule."""
    return d_start(d_prefix(namespace), due_ms) + schedule_id.encode()


def d_start(prefix: bytes, due_ms: int) -> bytes:
    """The first possible timeline key of that instant, on the timeline that `prefix` names; at least that of 1970."""
    return prefix + _DUE(due_ms if due_ms > 0 else 0)


def d_prefix_of(key: bytes) -> bytes:
    """The timeline that a key stands on."""
    return key[: key.index(0) + 1]


def d_due_ms(key: bytes) -> int:
    """The instant of a timeline key, epoch milliseconds."""
    due_ms: int = _DUE_OF(key, key.index(0) + 1)[0]
    return due_ms


def d_s_key(key: bytes) -> bytes:
    """The row a timeline key stands for."""
    end = key.index(0) + 1
    return b"S" + key[1:end] + key[end + _DUE_BYTES :]


@lru_cache(maxsize=8192)
def x_prefix(namespace: str, kind: bytes, value: str) -> bytes:
    """One list: all schedules of a namespace whose state, tag, event or open run is `value`, newest first."""
    escaped = value.encode("utf-8", "surrogatepass").replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return b"X%b\0%b%b\0" % (namespace.encode(), kind, escaped)


@lru_cache(maxsize=8192)
def _prefixes_of_all(namespace: str, state: State, event: str) -> tuple[bytes, bytes, bytes]:
    """The timeline and the two lists that every row is in; one look-up for all."""
    return d_prefix(namespace), x_prefix(namespace, STATE_KIND, state), x_prefix(namespace, EVENT_KIND, event)


def x_after(prefix: bytes, created_ms: int, schedule_id: str) -> bytes:
    """The key of one entry in a list; given as `after` to a scan it makes the next page."""
    return prefix + _DUE(_INVERTED_MAX - created_ms) + schedule_id.encode()


def x_entry(prefix: bytes, key: bytes) -> tuple[int, str]:
    """(created_ms, schedule id) of an entry in the list that `prefix` names."""
    start = len(prefix)
    return _INVERTED_MAX - int(_DUE_OF(key, start)[0]), key[start + _DUE_BYTES :].decode()


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all keys that begin with `prefix`, which must not be all FF."""
    head = prefix.rstrip(b"\xff")
    return head[:-1] + bytes((head[-1] + 1,))


Shape = tuple[int | None, State, str, tuple[str, ...], tuple[str, ...]]


def shape_of(head: RowHead | Row) -> Shape:
    """What the local keys of a row depend on and may change: wake, state, event, tags, open runs."""
    runs = tuple([run.id for run in head.runs]) if head.runs else ()
    return head.wake_ms, head.state, head.event, head.tags, runs


def derived_keys(head: RowHead | Row) -> list[bytes]:
    """The D key (when something is to wake it) and the X keys of a row, D first."""
    return _keys(head, head.wake_ms, head.state, head.event, head.tags, [run.id for run in head.runs])


def keys_of_shape(head: RowHead | Row, shape: Shape) -> list[bytes]:
    """The keys this row had when it was of that shape."""
    return _keys(head, *shape)


def _keys(
    head: RowHead | Row, wake_ms: int | None, state: State, event: str, tags: tuple[str, ...], runs: Sequence[str]
) -> list[bytes]:
    """A row that only holds parked changes (UNKNOWN) is in no list."""
    on_timeline, by_state, by_event = _prefixes_of_all(head.namespace, state, event)
    schedule_id = head.id.encode()
    entry = _DUE(_INVERTED_MAX - head.created_ms) + schedule_id
    keys = [] if state is State.UNKNOWN else [by_state + entry, by_event + entry]
    if wake_ms is not None:
        keys.insert(0, d_start(on_timeline, wake_ms) + schedule_id)
    if (tags or runs) and state is not State.UNKNOWN:
        keys.extend([x_prefix(head.namespace, TAG_KIND, tag) + entry for tag in dict.fromkeys(tags)])
        prefix = run_prefix(head.namespace)
        keys.extend([_run_key(prefix, run, entry) for run in runs])
    return keys


def differing(old: list[bytes], new: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """(keys to remove, keys to add) where all keys of the row before and after are known."""
    if old == new:
        return [], []
    return [key for key in old if key not in new], [key for key in new if key not in old]


def changed_keys(before: Shape, row: Row) -> tuple[list[bytes], list[bytes]]:
    """(keys to remove, keys to add) when a row of that shape became `row`. Most steps move it and open or close a run."""
    wake_ms, state, event, tags, runs = before
    now_state, now_wake_ms = row.state, row.wake_ms
    if event != row.event or tags != row.tags or state is State.UNKNOWN or now_state is State.UNKNOWN:
        return differing(keys_of_shape(row, before), derived_keys(row))
    namespace = row.namespace
    old, new = [], []
    if wake_ms != now_wake_ms:
        if wake_ms is not None:
            old.append(d_key(wake_ms, namespace, row.id))
        if now_wake_ms is not None:
            new.append(d_key(now_wake_ms, namespace, row.id))
        if old == new:  # two instants before 1970 stand at the same place
            old, new = [], []
    entry = _DUE(_INVERTED_MAX - row.created_ms) + row.id.encode()
    if state is not now_state:
        old.append(x_prefix(namespace, STATE_KIND, state) + entry)
        new.append(x_prefix(namespace, STATE_KIND, now_state) + entry)
    if runs or row.runs:
        prefix, open_now = run_prefix(namespace), [run.id for run in row.runs]
        old += [_run_key(prefix, run, entry) for run in runs if run not in open_now]
        new += [_run_key(prefix, run, entry) for run in open_now if run not in runs]
    return old, new


def _run_key(prefix: bytes, run: str, entry: bytes) -> bytes:
    """Where an open run is found by its id. Not cached: a run id is used once."""
    return b"%b%b\0%b" % (prefix, run.encode(), entry)


@lru_cache(maxsize=1024)
def run_prefix(namespace: str) -> bytes:
    """All open runs of a namespace."""
    return b"X%b\0%b" % (namespace.encode(), RUN_KIND)


def run_s_key(namespace: str, key: bytes) -> bytes:
    """The row that an open run's key stands for."""
    return s_prefix(namespace) + key[len(run_prefix(namespace)) :].partition(b"\0")[2][8:]
