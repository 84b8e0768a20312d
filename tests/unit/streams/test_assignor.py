"""Who gets which partition: laws that hold whatever members say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squirrel.streams.assignor import Member, read_member, share_out

TOPICS = {"commands": 8, "results": 8}
BOTH = frozenset(TOPICS)


def member(name: str, owned: set[int] | None = None, generation: int = 1, topics: frozenset[str] = BOTH) -> Member:
    return Member(name, topics, f"http://{name}", frozenset(owned or ()), generation)


MEMBERS = st.lists(
    st.builds(
        member,
        st.sampled_from([f"m{number}" for number in range(6)]),
        st.sets(st.integers(-1, 20)),
        st.integers(-1, 3),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each.id,
)


@given(MEMBERS, st.integers(0, 17))
def test_every_partition_has_one_owner_and_shares_are_even(members: list[Member], count: int) -> None:
    shares = share_out(members, {"commands": count, "results": count})
    assert set(shares) == {each.id for each in members}
    numbers = sorted(number for share in shares.values() for number in share.get("commands", []))
    assert numbers == list(range(count))
    sizes = [len(share.get("commands", [])) for share in shares.values()]
    assert max(sizes) - min(sizes) <= 1
    assert all(share.get("commands") == share.get("results") for share in shares.values())


@given(MEMBERS, st.integers(0, 17), st.randoms())
def test_the_order_in_which_members_come_changes_nothing(members: list[Member], count: int, draw: object) -> None:
    first = share_out(members, {"commands": count})
    draw.shuffle(members)  # type: ignore[attr-defined]
    assert share_out(members, {"commands": count}) == first


@given(MEMBERS, st.integers(1, 17))
def test_a_settled_group_stays_as_it_is(members: list[Member], count: int) -> None:
    shares = share_out(members, {"commands": count, "results": count})
    settled = [each._replace(owned=frozenset(shares[each.id].get("commands", ())), generation=9) for each in members]
    assert share_out(settled, {"commands": count, "results": count}) == shares


def test_a_newcomer_takes_only_its_share() -> None:
    shares = share_out([member("a", set(range(8))), member("b")], TOPICS)
    assert shares["a"]["commands"] == [0, 1, 2, 3]
    assert shares["b"]["commands"] == [4, 5, 6, 7]


def test_of_two_claims_the_later_generation_is_believed() -> None:
    shares = share_out([member("a", {0, 1, 2, 3}, 3), member("b", {0, 1, 2, 3}, 4)], TOPICS)
    assert shares["b"]["commands"] == [0, 1, 2, 3]


def test_a_topic_goes_to_a_member_that_reads_it() -> None:
    old = member("a", topics=frozenset({"commands"}))
    shares = share_out([old, member("b")], TOPICS)
    assert "results" not in shares["a"]
    assert shares["b"]["results"] == list(range(8))


def test_user_data_that_is_not_ours_claims_nothing() -> None:
    for odd in (None, b"", b"\xff", b"[1]", b'{"owned": [null]}', b'{"generation": "x"}'):
        found = read_member("m", ["commands"], odd)
        assert (found.url, found.owned) == ("", frozenset())
