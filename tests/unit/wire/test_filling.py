"""Messages with places: what they become, byte-exact where nothing is filled, and bounded."""

from __future__ import annotations

import json

import pytest

from squirrel.wire.filling import TooLarge, fill, places_of

VALUES = {
    "parent": {
        "status": 200,
        "body": {"id": 7, "name": "Ada", "tags": ["a", "b"], "big": 123456789012345678901234567890},
    }
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ parent.body.id }}", 7),
        ("{{parent.body.tags}}", ["a", "b"]),
        ("{{ parent.body.tags[1] }} and {{ parent.body.tags[-1] }}", "b and b"),
        ("order {{ parent.body.id }} of {{ parent.body.name }}", "order 7 of Ada"),
        ("tags: {{ parent.body.tags }}", 'tags: ["a", "b"]'),
        ("{{ parent.body.nothing.at.all }}", None),
        ("none: {{ parent.body.tags[9] }}.", "none: ."),
        ("{{ parent.status.x }}", None),
        ("{{ email }}", "{{ email }}"),
        ("{{ other.body }}", "{{ other.body }}"),
        ("{{ parent.__class__ }}", None),
        ("{{ parent.body.big }}", 123456789012345678901234567890),
    ],
)
def test_places(text: str, expected: object) -> None:
    message = json.dumps({"deep": [{"text": text}]}).encode()
    assert json.loads(fill(message, VALUES)) == {"deep": [{"text": expected}]}


def test_a_message_without_places_is_kept_byte_for_byte() -> None:
    message = b'{ "a" : 1.50, "b":"\\u00e4" }'
    assert fill(message, VALUES) is message


def test_what_is_filled_is_bounded() -> None:
    message = json.dumps(["{{ parent.text }}"] * 1000).encode()
    with pytest.raises(TooLarge, match="the limit is"):
        fill(message, {"parent": {"text": "x" * 10_000}})


def test_places_are_found_with_their_fields() -> None:
    found = list(places_of({"a": ["{{ steps.one.body.x }} {{ input.y }}"], "b": 1}, "message"))
    assert found == [("message.a[0]", ("steps", "one", "body", "x")), ("message.a[0]", ("input", "y"))]
