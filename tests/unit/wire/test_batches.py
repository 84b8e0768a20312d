"""What is no batch."""

from __future__ import annotations

import pytest

from squirrel.model.errors import Refused
from squirrel.wire.documents import NotJson, parse_batch


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        (b"[]", "body", "schedules"),
        (b"{}", "schedules", "must be a list"),
        (b'{"schedules": {}}', "schedules", "must be a list"),
        (b'{"schedules": []}', "schedules", "1 to 1000"),
        (b'{"schedules": [' + b"{}," * 1000 + b"{}]}", "schedules", "holds 1001"),
        (b'{"schedules": [{}], "atomic": true}', "atomic", "no known field"),
    ],
)
def test_refused_with_field_and_limit(body: bytes, field: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_batch(body)
    assert refused.value.problems[0].field == field
    assert says in refused.value.problems[0].reason


@pytest.mark.parametrize(
    "body", [b"", b'{"schedules": [', b'{"schedules": [{}]} {}', b'{"schedules": [{}], "\xff": 1}']
)
def test_no_json(body: bytes) -> None:
    with pytest.raises(NotJson):
        parse_batch(body)


def test_bytes_that_are_no_text_are_their_items_fault() -> None:
    assert parse_batch(b'{"schedules": ["\xff", {}]}') == [b'"\xff"', b"{}"]
