"""The byte layout: what sorts where, and that every key can be read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.schedule import State
from squirrel.streams.timeline.keys import (
    EVENT_KIND,
    RUN_KIND,
    STATE_KIND,
    TAG_KIND,
    d_due_ms,
    d_key,
    d_namespace,
    d_prefix,
    d_prefix_of,
    d_s_key,
    d_start,
    derived_keys,
    prefix_end,
    s_key,
    s_key_parts,
    s_prefix,
    w_child,
    w_key,
    w_prefix,
    x_after,
    x_entry,
    x_prefix,
)
from tests.unit.streams.rows import NOW_MS, row

INSTANTS = st.integers(0, 253_402_300_799_999)
IDS = st.text("abcXYZ019_.:@~+=-", min_size=1, max_size=12)
NAMESPACES = st.sampled_from(["a", "a-b", "ab", "default"])
WORDS = st.text(st.characters(codec="utf-8"), max_size=8)


@given(st.lists(st.tuples(INSTANTS, NAMESPACES, IDS)))
def test_timeline_keys_sort_by_instant_in_each_namespace(places: list[tuple[int, str, str]]) -> None:
    keys = sorted(d_key(*place) for place in places)
    assert [(d_namespace(d_prefix_of(key)), d_due_ms(key)) for key in keys] == sorted(
        (namespace, due_ms) for due_ms, namespace, _ in places
    )


@given(INSTANTS, NAMESPACES, IDS)
def test_a_timeline_key_names_its_row(due_ms: int, namespace: str, schedule_id: str) -> None:
    key = d_key(due_ms, namespace, schedule_id)
    assert d_s_key(key) == s_key(namespace, schedule_id)
    assert s_key_parts(d_s_key(key)) == (namespace, schedule_id)
    assert d_start(d_prefix(namespace), due_ms) <= key < d_start(d_prefix(namespace), due_ms + 1)


@given(st.lists(st.tuples(NAMESPACES, IDS)), NAMESPACES)
def test_a_namespace_sees_only_its_own(rows: list[tuple[str, str]], asked: str) -> None:
    prefix = s_prefix(asked)
    seen = {key for key in (s_key(*each) for each in rows) if prefix <= key < prefix_end(prefix)}
    assert seen == {s_key(*each) for each in rows if each[0] == asked}


@given(st.lists(st.tuples(IDS, INSTANTS)), WORDS)
def test_lists_are_newest_first_then_by_id(entries: list[tuple[str, int]], tag: str) -> None:
    prefix = x_prefix("default", TAG_KIND, tag)
    keys = sorted({x_after(prefix, created_ms, schedule_id) for schedule_id, created_ms in entries})
    assert [x_entry(prefix, key) for key in keys] == sorted(
        {(created_ms, schedule_id) for schedule_id, created_ms in entries}, key=lambda entry: (-entry[0], entry[1])
    )


@given(WORDS, WORDS)
def test_one_value_is_never_the_start_of_another(value: str, other: str) -> None:
    prefix, entry = x_prefix("default", EVENT_KIND, value), x_after(x_prefix("default", EVENT_KIND, other), NOW_MS, "a")
    assert entry.startswith(prefix) == (value == other)


def test_waiters_of_one_parent_stand_together() -> None:
    keys = sorted([w_key("default", "a", "x"), w_key("default", "a", "y"), w_key("default", "ab", "x")])
    mine = [key for key in keys if key.startswith(w_prefix("default", "a"))]
    assert [w_child(key) for key in mine] == ["x", "y"]


def test_what_a_row_is_found_by() -> None:
    found = derived_keys(row("a", tags=("red", "blue", "red"), runs=("run_1",)))
    assert found == [
        d_key(NOW_MS, "default", "a"),
        x_after(x_prefix("default", STATE_KIND, "active"), NOW_MS, "a"),
        x_after(x_prefix("default", EVENT_KIND, "email.send"), NOW_MS, "a"),
        x_after(x_prefix("default", TAG_KIND, "red"), NOW_MS, "a"),
        x_after(x_prefix("default", TAG_KIND, "blue"), NOW_MS, "a"),
        x_after(x_prefix("default", RUN_KIND, "run_1"), NOW_MS, "a"),
    ]


def test_a_row_that_sleeps_is_not_on_the_timeline_and_one_that_is_unknown_in_no_list() -> None:
    assert not [key for key in derived_keys(row(wake_ms=None)) if key.startswith(b"D")]
    assert derived_keys(row(state=State.UNKNOWN, tags=("red",))) == [d_key(NOW_MS, "default", "a")]


def test_an_instant_before_1970_is_due_at_once() -> None:
    assert d_due_ms(derived_keys(row(wake_ms=-5))[0]) == 0
