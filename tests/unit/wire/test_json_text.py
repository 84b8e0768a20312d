"""Strict JSON: what is none, and what is JSON that nobody can keep."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.errors import Refused
from squirrel.model.limits import JSON_DEPTH_MAX
from squirrel.wire.documents.json_text import NotJson, read_document, read_json
from tests.unit.wire.door import assert_told

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xef\xbb\xbf{}",
        b'{"a": 1} x',
        b'{"a": "\x00"}',
        b"{a:1}",
    ],
)
def test_what_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(NotJson) as refused:
        read_document(body, MIB)
    assert refused.value.code == "not_json"
    assert refused.value.problems[0].field == "body"
    assert "not JSON" in refused.value.problems[0].reason or "not UTF-8" in refused.value.problems[0].reason


def test_bytes_that_are_no_utf_8_are_named_by_their_place() -> None:
    with pytest.raises(NotJson, match="byte 9"):
        read_document(b'{"ev": "a\xff"}', MIB)


@pytest.mark.parametrize(
    ("body", "field", "word"),
    [
        (b'{"a": {"b": ["\\ud800"]}}', "a.b[0]", "surrogate"),
        (b'{"a\\udc00": 1}', "a\\udc00", "surrogate"),
        (b'{"a": [1, 1e400]}', "a[1]", "1.8e308"),
        (b'{"a": -' + b"9" * 400 + b"}", "a", "1.8e308"),
        (b'{"a": 1, "b": 2, "a": 3}', "a", "twice"),
        (b"[1]", "body", "object"),
        (b'"text"', "body", "object"),
    ],
)
def test_what_nobody_can_keep_is_named_by_its_field(body: bytes, field: str, word: str) -> None:
    with pytest.raises(Refused) as refused:
        read_document(body, MIB)
    problem = refused.value.problems[0]
    assert (problem.field, refused.value.code) == (field, "invalid")
    assert word in problem.reason


def nested(depth: int) -> bytes:
    return b'{"m": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_depth_has_a_limit_and_brackets_in_text_are_no_depth() -> None:
    assert read_json(nested(JSON_DEPTH_MAX), MIB)
    with pytest.raises(Refused, match=f"m: is nested deeper than {JSON_DEPTH_MAX}"):
        read_json(nested(JSON_DEPTH_MAX + 1), MIB)
    assert read_json(b'{"m": "' + b"[" * 1000 + b'"}', MIB)


@pytest.mark.parametrize("depth", [1000, 5000, 400_000])
def test_depth_that_breaks_parsers_is_refused_not_raised(depth: int) -> None:
    with pytest.raises(Refused, match="nested deeper"):
        read_json(nested(depth), MIB)


def test_a_body_above_its_limit_is_too_large() -> None:
    with pytest.raises(Refused, match="11 bytes, the limit is 10") as refused:
        read_json(b'"123456789"', 10)
    assert refused.value.code == "too_large"


def test_so_many_keys_that_looking_for_repeats_would_cost_are_refused() -> None:
    with pytest.raises(Refused, match="201 fields"):
        read_document(json.dumps({f"k{index}": 1 for index in range(201)}).encode(), MIB)


def test_a_key_inside_a_value_is_no_repeat() -> None:
    body = b'{"event": "event", "message": {"event": {"event": "event"}}}'
    assert read_document(body, MIB).raw("message") == b'{"event": {"event": "event"}}'


def test_raw_values_keep_order_of_keys_and_digits() -> None:
    raw = b'{"z": 123456789012345678901234567890, "a": 1.10, "b": [ ]}'
    assert read_document(b'{"message": ' + raw + b"}", MIB).raw("message") == raw


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_refusals(body: bytes) -> None:
    try:
        read_document(body, MIB)
    except Refused as refused:
        assert_told(refused)


texts = st.text(max_size=8) | st.sampled_from(["\x00", "\ud800", '"', "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(texts, values, max_size=5), st.booleans())
def test_what_the_standard_library_writes_is_read_the_same_or_refused(
    document: dict[str, object], ascii_only: bool
) -> None:
    body = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        read = read_document(body, MIB)
    except Refused as refused:
        assert_told(refused)
        return
    assert {key: json.loads(read.raw(key)) for key in read.values} == json.loads(body)
