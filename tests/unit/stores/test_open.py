"""The history's address: what is taken, what stops the start, and that a password is never shown."""

from __future__ import annotations

import pytest

from squirrel.model.errors import Refused, SettingsError
from squirrel.model.limits import INSTANT_MS_MAX, PAGE_ITEMS_MAX
from squirrel.stores.cassandra_address import CassandraAddress, parse_address
from squirrel.stores.cursors import NEWEST, Position, decode_cursor, encode_cursor, page_limit
from squirrel.stores.open import open_history
from squirrel.stores.sqlite import SqliteHistory


@pytest.mark.parametrize("url", ["sqlite:history.db", "sqlite:/var/x/history.db", "sqlite:///var/x/history.db"])
def test_sqlite(url: str) -> None:
    assert isinstance(open_history(url), SqliteHistory)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("db/squirrel", CassandraAddress(("db",), 9042, "squirrel")),
        ("127.0.0.1:19042/s_1", CassandraAddress(("127.0.0.1",), 19042, "s_1")),
        ("a,b:9043,c/k", CassandraAddress(("a", "b", "c"), 9043, "k")),
        ("[::1]:9043/k", CassandraAddress(("::1",), 9043, "k")),
        ("u:p%40%3A@a/k", CassandraAddress(("a",), 9042, "k", "u", "p@:")),
        (
            "a/k?replication=3&datacenter=dc-1&tls=1&ca=/x.pem",
            CassandraAddress(("a",), 9042, "k", replication=3, datacenter="dc-1", tls=True, ca="/x.pem"),
        ),
    ],
)
def test_cassandra(text: str, expected: CassandraAddress) -> None:
    assert parse_address(text) == expected


BAD = [
    "", "sqlite", "sqlite:", "sqlite://", "sqlite:a\0b", "postgres://x/y", "cassandra:db/k", "cassandra://db",
    "cassandra://db/", "cassandra:///k", "cassandra://db/Upper", "cassandra://db/1k", "cassandra://db/k;DROP",
    "cassandra://db:0/k", "cassandra://db:99999/k", "cassandra://a:1,b:2/k", "cassandra://a b/k", "cassandra://user@db/k",
    "cassandra://db/k?replication=0", "cassandra://db/k?replication=x", "cassandra://db/k?tls=yes",
    "cassandra://db/k?datacenter='", "cassandra://db/k?what=1", "cassandra://me:hunter2@a b/k", "cassandra://me:hunter2/k?x@a/k", "cassandra://me:hunter2@db/K",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD)
def test_what_is_no_address_stops_the_start_with_one_sentence(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^history: ") as stopped:
        open_history(url)
    assert "hunter2" not in str(stopped.value)
    assert "\n" not in str(stopped.value)


def test_the_text_of_an_address_holds_no_secret() -> None:
    assert parse_address("me:hunter2@db/k").text == "cassandra db:9042/k"


@pytest.mark.parametrize("position", [Position(0, ""), Position(INSTANT_MS_MAX, "run_☃\0"), NEWEST])
def test_cursors_come_back(position: Position) -> None:
    text = encode_cursor(position)
    assert decode_cursor(text) == position
    assert text.isascii()
    assert "=" not in text


def test_cursors_beyond_time_are_refused() -> None:
    for instant_ms in (-1, INSTANT_MS_MAX + 2, 10**30):
        with pytest.raises(Refused, match="cursor"):
            decode_cursor(encode_cursor(Position(instant_ms, "")))


def test_limits_are_cut() -> None:
    assert [page_limit(each) for each in (-5, 0, 1, PAGE_ITEMS_MAX, 10**9)] == [1, 1, 1, PAGE_ITEMS_MAX, PAGE_ITEMS_MAX]
