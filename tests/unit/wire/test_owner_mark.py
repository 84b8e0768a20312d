"""The mark of a new owner stands among orders and is none of them, to this release and to former ones."""

from __future__ import annotations

import pytest

from squirrel.model.target import HttpTarget
from squirrel.wire.owner_mark import OwnerMark, encode_owner_mark, owner_mark_of
from squirrel.wire.records import Execution, Undecodable, decode_execution, encode_execution


def test_a_mark_is_read_again_and_is_no_order() -> None:
    mark = OwnerMark(7, 1_800_000_000_000)
    assert owner_mark_of(encode_owner_mark(mark)) == mark
    with pytest.raises(Undecodable):
        decode_execution(encode_owner_mark(mark))


def test_a_field_that_a_later_release_appends_is_passed_over() -> None:
    assert owner_mark_of(b"\x94\xa5owner\x07\x09\xa4more") == OwnerMark(7, 9)


def test_nothing_else_is_a_mark() -> None:
    order = Execution("owner", 1, "default", "a", "paid", 5, 5, 4, 7, HttpTarget("https://hooks.example.com"), b"null")
    for value in (encode_execution(order), b"", None, b"\xc1", b"\x92\xa5owner\x07", b"\x93\xa5other\x07\x09", b"{}"):
        assert owner_mark_of(value) is None
