"""The store against a dictionary, and what it refuses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from squirrel.model.errors import Fatal
from squirrel.model.schedule import State, decode_row
from squirrel.streams.timeline.changes import changes_of, row_keys
from squirrel.streams.timeline.keys import STATE_KIND, TAG_KIND, derived_keys, s_key, s_prefix, w_key, x_entry, x_prefix
from squirrel.streams.timeline.store import NO_OFFSET, Meta, TimelineStore
from tests.unit.streams.rows import NOW_MS, encoded

SMALL = {"cache_bytes": 1 << 20, "write_buffer_bytes": 1 << 20}


def put(
    store: TimelineStore, records: list[tuple[bytes, bytes | None]], offset: int | None = None, **rest: int
) -> None:
    """As an owner does: look up what is replaced, derive, apply."""
    keys = row_keys(records)
    changes = changes_of(records, dict(zip(keys, store.get_many(0, keys), strict=True)))
    store.apply(0, changes, wall_ms=rest.pop("wall_ms", NOW_MS), changelog_offset=offset, **rest)


def due_of(
    store: TimelineStore, until_ms: int, limit: int, from_ms: int | None = None
) -> list[tuple[int | None, bytes]]:
    """(instant, the row's key) of what is due."""
    found = store.due(0, "default", until_ms, limit, from_ms)
    return [(decode_row(row).wake_ms, key) for key, row in found]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TimelineStore]:
    opened = TimelineStore(tmp_path, **SMALL)
    opened.open(0)
    yield opened
    opened.close_all()


class StoreAgainstModel(RuleBasedStateMachine):
    """Random creates, moves, deletes, walks and restarts; after each the store must tell what a dictionary tells."""

    ids = st.sampled_from([f"id{number}" for number in range(12)])
    wakes = st.one_of(st.none(), st.integers(0, 60))
    states = st.sampled_from([State.ACTIVE, State.PAUSED, State.UNKNOWN])

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.store = TimelineStore(Path(self.directory.name), **SMALL)
        self.store.open(0)
        self.rows: dict[bytes, bytes] = {}
        self.offset = NO_OFFSET

    @rule(batch=st.lists(st.tuples(ids, wakes, states, st.booleans()), min_size=1, max_size=6))
    def write(self, batch: list[tuple[str, int | None, State, bool]]) -> None:
        records: list[tuple[bytes, bytes | None]] = []
        for schedule_id, wake_ms, state, kept in batch:
            tags = ("red",) if wake_ms is not None and wake_ms % 2 else ()
            value = encoded(schedule_id, wake_ms=wake_ms, state=state, tags=tags) if kept else None
            records.append((s_key("default", schedule_id), value))
        self.offset += len(records)
        put(self.store, records, self.offset)
        for key, value in records:
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    @rule(until_ms=st.integers(0, 70), limit=st.integers(1, 5), taken=st.booleans())
    def walk(self, until_ms: int, limit: int, taken: bool) -> None:
        due = due_of(self.store, until_ms, limit)
        assert due == self.timeline(until_ms)[:limit]
        assert self.store.due(0, "default", until_ms, limit) == [(key, self.rows[key]) for _, key in due]
        assert self.store.ready(0, until_ms) == (["default"] if due else [])
        if taken and due:
            self.take([key for _, key in due])

    @rule(from_ms=st.integers(0, 70), until_ms=st.integers(0, 70), limit=st.integers(1, 5), taken=st.booleans())
    def look_beyond(self, from_ms: int, until_ms: int, limit: int, taken: bool) -> None:
        due = due_of(self.store, until_ms, limit, from_ms)
        assert due == [each for each in self.timeline(until_ms) if each[0] >= from_ms][:limit]
        if taken and due:
            self.take([key for _, key in due])

    def take(self, keys: list[bytes]) -> None:
        self.offset += len(keys)
        put(self.store, [(key, None) for key in keys], self.offset)
        for key in keys:
            del self.rows[key]

    @rule()
    def restart(self) -> None:
        self.store.close(0)
        assert self.store.open(0).changelog_offset == self.offset

    def timeline(self, until_ms: int = 10**9) -> list[tuple[int, bytes]]:
        heads = [(decode_row(value).wake_ms, key) for key, value in self.rows.items()]
        return sorted((wake_ms, key) for wake_ms, key in heads if wake_ms is not None and wake_ms <= until_ms)

    @invariant()
    def tells_the_same(self) -> None:
        if not hasattr(self, "store"):
            return
        timeline = self.timeline()
        assert self.store.pending(0) == len(timeline)
        assert self.store.next_due_ms(0) == (timeline[0][0] if timeline else None)
        assert dict(self.store.scan(0, s_prefix("default"), None, 100)) == self.rows
        expected = sorted(key for value in self.rows.values() for key in derived_keys(decode_row(value)))
        found = [key for kind in (b"D", b"X") for key, _ in self.store.scan(0, kind, None, 1000)]
        assert found == expected

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close_all()
            self.directory.cleanup()


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_due_is_limited_and_in_order(store: TimelineStore) -> None:
    put(store, [(s_key("default", f"id{n}"), encoded(f"id{n}", wake_ms=100 - n)) for n in range(50)], 49)
    assert [due_ms for due_ms, _ in due_of(store, 80, 5)] == [51, 52, 53, 54, 55]
    assert due_of(store, 50, 5) == []
    assert store.next_due_ms(0) == 51


def test_an_earlier_instant_after_the_walk_is_found(store: TimelineStore) -> None:
    put(store, [(s_key("default", "late"), encoded("late", wake_ms=500))], 0)
    assert due_of(store, 499, 5) == []
    put(store, [(s_key("default", "early"), encoded("early", wake_ms=10))], 1)
    assert [due_ms for due_ms, _ in due_of(store, 499, 5)] == [10]


def test_an_id_that_begins_like_the_last_one_taken_is_not_passed_over(store: TimelineStore) -> None:
    put(store, [(s_key("default", name), encoded(name, wake_ms=7)) for name in ("id1", "id10")], 1)
    put(store, [(key, None) for _, key in due_of(store, 7, 1)], 2)
    assert due_of(store, 7, 1) == [(7, s_key("default", "id10"))]


def test_an_instant_put_among_those_being_taken_is_not_passed_over(store: TimelineStore) -> None:
    put(store, [(s_key("default", name), encoded(name, wake_ms=wake)) for name, wake in (("a", 5), ("b", 9))], 1)
    taken = due_of(store, 10, 2)
    put(store, [(s_key("default", "between"), encoded("between", wake_ms=7))], 2)
    put(store, [(key, None) for _, key in taken], 4)
    assert [due_ms for due_ms, _ in due_of(store, 10, 2)] == [7]


def test_the_walk_goes_past_what_it_took(store: TimelineStore) -> None:
    keys = [s_key("default", f"id{n:05}") for n in range(4000)]
    put(store, [(key, encoded(f"id{n:05}", wake_ms=7)) for n, key in enumerate(keys)], 3999)
    for _ in range(2):
        put(store, [(key, None) for _, key in due_of(store, 7, 2000)])
    assert due_of(store, 7, 10) == []
    assert store.meta(0).changelog_offset == 3999
    put(store, [], wall_ms=NOW_MS + 1)
    assert store.meta(0) == Meta(8, NOW_MS + 1, 3999)


def test_each_namespace_has_a_timeline_of_its_own(store: TimelineStore) -> None:
    rows = [("busy", f"id{n}", 5) for n in range(9)] + [
        ("b", "early", 3),
        ("busy-too", "late", 9),
        ("quiet", "none", None),
    ]
    put(store, [(s_key(space, name), encoded(name, namespace=space, wake_ms=wake)) for space, name, wake in rows], 11)
    for _ in range(2):  # as it was put, and as it is found again
        assert sorted(store.ready(0, 5)) == ["b", "busy"]
        assert [key for key, _ in store.due(0, "b", 5, 100)] == [s_key("b", "early")]
        assert len(store.due(0, "busy", 5, 100)) == 9
        assert store.due(0, "busy-too", 5, 100) == store.due(0, "unheard", 5, 100) == []
        assert (store.next_due_ms(0), store.next_due_ms(0, "busy-too"), store.next_due_ms(0, "quiet")) == (3, 9, None)
        store.close(0)
        store.open(0)
    put(store, [(key, None) for key, _ in store.due(0, "b", 5, 100)], 12)
    assert (store.ready(0, 4), store.next_due_ms(0)) == ([], 5)
    assert store.meta(0).cursor_ms <= 5


def test_lists_page_by_their_last_key(store: TimelineStore) -> None:
    rows = [(s_key("default", f"id{n}"), encoded(f"id{n}", created_ms=n, tags=("red",))) for n in range(7)]
    put(store, rows, 6)
    prefix = x_prefix("default", TAG_KIND, "red")
    first = store.scan(0, prefix, None, 4)
    second = store.scan(0, prefix, first[-1][0], 4)
    assert [x_entry(prefix, key)[1] for key, _ in first + second] == ["id6", "id5", "id4", "id3", "id2", "id1", "id0"]


def test_waiters_are_kept_and_removed(store: TimelineStore) -> None:
    put(store, [(w_key("default", "p", "c"), b"success")], 0)
    assert store.get(0, w_key("default", "p", "c")) == b"success"
    put(store, [(w_key("default", "p", "c"), None)], 1)
    assert store.get(0, w_key("default", "p", "c")) is None


def test_a_key_twice_in_one_batch_leaves_the_last(store: TimelineStore) -> None:
    key = s_key("default", "a")
    put(store, [(key, encoded("a", wake_ms=5)), (key, encoded("a", wake_ms=9, state=State.PAUSED))], 1)
    assert store.next_due_ms(0) == 9
    assert store.pending(0) == 1
    assert store.scan(0, x_prefix("default", STATE_KIND, "active"), None, 9) == []


def test_an_unassigned_partition_is_refused(store: TimelineStore) -> None:
    with pytest.raises(Fatal, match="partition 3 of the timeline is not open"):
        store.get_many(3, [b"S"])
    with pytest.raises(Fatal, match="opened twice"):
        store.open(0)
    store.close(3)


def test_two_processes_cannot_share_a_directory(store: TimelineStore, tmp_path: Path) -> None:
    with pytest.raises(Fatal, match="held by another process"):
        TimelineStore(tmp_path, **SMALL).open(0)


def test_a_corrupted_database_is_wiped_and_said(tmp_path: Path) -> None:
    wiped: list[tuple[int, str]] = []
    store = TimelineStore(tmp_path, **SMALL, on_wiped=lambda partition, reason: wiped.append((partition, reason)))
    store.open(0)
    put(store, [(s_key("default", "a"), encoded("a"))], 5)
    store.close(0)
    (tmp_path / "0" / "CURRENT").write_text("garbage")
    assert store.open(0) == Meta(0, 0, NO_OFFSET)
    assert wiped[0][0] == 0
    assert "CURRENT" in wiped[0][1]
    store.close_all()


def test_what_was_marked_broken_while_open_is_wiped_by_the_next_start(tmp_path: Path) -> None:
    store = TimelineStore(tmp_path, **SMALL)
    store.open(0)
    put(store, [(s_key("default", "a"), encoded("a"))], 5)
    store.close(0)
    (tmp_path / "0.corrupt").write_text("Corruption: block checksum mismatch")
    assert store.open(0).changelog_offset == NO_OFFSET
    assert not (tmp_path / "0.corrupt").exists()
    store.close_all()


def test_unlogged_writes_survive_a_flush(store: TimelineStore, tmp_path: Path) -> None:
    put(store, [(s_key("default", "a"), encoded("a"))], 0)
    store.flush(0)
    assert store.stats(0).pending == 1
    assert store.stats(0).disk_bytes > 0
    store.close(0)
    store.open(0)
    assert store.get(0, s_key("default", "a")) is not None
