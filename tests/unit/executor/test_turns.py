"""Whose turn it is among those who wait for the same host."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squirrel.executor.turns import Turns
from squirrel.executor.window import Window


def test_a_lone_call_waits_for_one_of_each_other_tenant() -> None:
    turns: Turns[str] = Turns()
    for n in range(1000):
        turns.put("busy", "newsletter", f"n{n}")
    turns.put("busy", "invoice", "i0")
    turns.put("quiet", "reminder", "r0")
    assert [turns.pop() for _ in range(5)] == ["n0", "r0", "i0", "n1", "n2"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"))))
def test_nothing_is_lost_and_each_queue_keeps_its_order(puts: list[tuple[str, str]]) -> None:
    turns: Turns[tuple[str, str, int]] = Turns()
    for n, (tenant, event) in enumerate(puts):
        turns.put(tenant, event, (tenant, event, n))
    out = []
    while turns:
        out.append(turns.pop())
    assert sorted(n for _, _, n in out) == list(range(len(puts)))
    for queue in {(tenant, event) for tenant, event, _ in out}:
        order = [n for *where, n in out if tuple(where) == queue]
        assert order == sorted(order)


def test_the_window_gives_a_free_place_to_the_tenant_whose_turn_it_is() -> None:
    window: Window[str] = Window(1, 1)
    assert window.enter("host", "first", "busy", "e")
    for n in range(5):
        assert not window.enter("host", f"busy{n}", "busy", "e")
    assert not window.enter("host", "quiet", "quiet", "e")
    came = []
    for _ in range(3):
        window.leave("host")
        came.append(window.next())
    assert came == ["busy0", "quiet", "busy1"]
