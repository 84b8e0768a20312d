"""Who gets which partition: laws that hold whatever members say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from squirrel.streams.assignor import Member, read_member, share_copies, share_out

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


def keeper(name: str, owned: set[int], copies: set[int] | None, generation: int = 1) -> Member:
    return Member(
        name, BOTH, f"http://{name}", frozenset(owned), generation, None if copies is None else frozenset(copies)
    )


KEEPERS = st.lists(
    st.builds(
        keeper,
        st.sampled_from([f"m{number}" for number in range(6)]),
        st.sets(st.integers(-1, 20)),
        st.none() | st.sets(st.integers(-1, 20)),
        st.integers(-1, 3),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda each: each.id,
)


@given(KEEPERS, st.integers(0, 17))
def test_every_partition_has_one_copy_and_not_at_its_owner(members: list[Member], count: int) -> None:
    shares = share_out(members, TOPICS | {"commands": count, "results": count})
    copies = share_copies(members, shares)
    keepers = {each.id for each in members if each.copies is not None}
    assert set(copies) == keepers
    kept = sorted(number for numbers in copies.values() for number in numbers)
    assert kept == sorted(set(kept)), "one copy of each"
    for name, numbers in copies.items():
        assert not set(numbers) & set(shares[name].get("commands", []))
    if len(keepers) > 1:
        assert len(kept) == count, "who can have a copy has one"
    else:
        assert kept == []


def test_a_copy_is_what_decides_who_takes_over() -> None:
    """Of a member that died nothing but its partitions is left: they go to who has them on disk."""
    left = [keeper("a", {0, 1}, {4, 2}), keeper("b", {2, 3}, {5, 0})]
    shares = share_out(left, {"commands": 6})
    assert shares["a"]["commands"] == [0, 1, 4]
    assert shares["b"]["commands"] == [2, 3, 5]


def test_what_somebody_runs_stays_although_he_has_copies_of_what_is_free() -> None:
    left = [keeper("a", {0, 1, 2}, {6, 7}), keeper("b", {3, 4, 5}, {0})]
    shares = share_out(left, {"commands": 8})
    assert shares["a"]["commands"] == [0, 1, 2, 6]
    assert shares["b"]["commands"] == [3, 4, 5, 7]


def test_an_owner_is_preferred_to_a_copy() -> None:
    joined = [keeper("a", {0, 1, 2, 3}, set()), keeper("b", set(), {0, 1, 2, 3}, generation=-1)]
    shares = share_out(joined, {"commands": 4})
    assert len(shares["a"]["commands"]) == len(shares["b"]["commands"]) == 2


def test_copies_stay_where_they_are() -> None:
    members = [keeper("a", {0}, {1}), keeper("b", {1}, {2}), keeper("c", {2}, {0})]
    copies = share_copies(members, share_out(members, {"commands": 3}))
    assert copies == {"a": [1], "b": [2], "c": [0]}


def test_members_of_a_former_release_keep_no_copies() -> None:
    assert read_member("m", ["t"], b'{"url": "u", "owned": [1], "generation": 3}').copies is None
    assert read_member("m", ["t"], b'{"copies": [1, 2]}').copies == frozenset({1, 2})
    assert read_member("m", ["t"], b'{"copies": "garbage"}').copies is None
