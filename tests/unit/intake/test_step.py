"""One inbox record: a command, the same on every reading, or a refusal that names reason, field and fix."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.intake import Accepted, InboxRecord, Refusal, Surroundings, decide
from squirrel.model.ids import id_from_idempotency_key
from squirrel.model.limits import INBOX_RECORD_BYTES_MAX
from squirrel.model.when import Parent, When
from squirrel.wire.documents import apply_patch
from squirrel.wire.documents.template import encode_template, parse_template, template_key
from squirrel.wire.records import Command
from squirrel.wire.template_book import TemplateBook
from tests.unit.wire.door import AT, AT_MS, NOW_MS, PLAIN, POLICY

Headers = list[tuple[str, bytes | None]]


def routes(namespace: str, event: str) -> bool:
    return (namespace, event.partition(".")[0]) in (("default", "email"), ("team-a", "sms"))


def record_of(value: Any, *, offset: int = 7, headers: Headers | None = None, timestamp_ms: int = 1) -> InboxRecord:
    encoded = value if value is None or isinstance(value, bytes) else orjson.dumps(value)
    return InboxRecord("squirrel.inbox", 2, offset, b"any", encoded, headers or [], timestamp_ms)


def decided(value: Any, **record: Any) -> Accepted | Refusal:
    return decide(record_of(value, **record), now_ms=NOW_MS, around=Surroundings(routes, POLICY))


def command(value: Any, **record: Any) -> Command:
    accepted = decided(value, **record)
    assert isinstance(accepted, Accepted), accepted
    return accepted.command


def refusal(value: Any, **record: Any) -> Refusal:
    refused = decided(value, **record)
    assert isinstance(refused, Refusal), refused
    return refused


def test_a_schedule_becomes_a_create() -> None:
    made = command(PLAIN)
    assert (made.op, made.namespace, made.accepted_ms, made.park, made.reply) == (
        "create",
        "default",
        NOW_MS,
        False,
        False,
    )
    assert made.spec is not None
    assert (made.spec.when, made.spec.message) == (When(at_ms=AT_MS), b'{"subject":"Reminder"}')
    assert made.source == ("squirrel.inbox", 2, 7)
    assert made.fingerprint == ""


def test_a_record_read_again_is_the_same_command_and_a_namesake_is_not() -> None:
    first = command(PLAIN)
    assert command(PLAIN) == first
    for other in (command(PLAIN, offset=8), command(PLAIN, timestamp_ms=2), command({**PLAIN, "name": "x"})):
        assert other.id != first.id
        assert other.command_id != first.command_id


def test_ids_and_keys_of_the_sender() -> None:
    assert command({**PLAIN, "id": "mine"}).id == "mine"
    assert len(command({**PLAIN, "id": "mine"}).fingerprint) == 32
    keyed = command(PLAIN, headers=[("Idempotency-Key", b"order-1")])
    assert (keyed.id, len(keyed.fingerprint)) == (id_from_idempotency_key("default", "order-1"), 32)
    assert command(PLAIN, headers=[("idempotency-key", b"order-1")], offset=8).id == keyed.id


def test_namespaces_are_claimed_by_header_or_field() -> None:
    sms = {**PLAIN, "event": "sms.send"}
    assert command({**sms, "namespace": "team-a"}).namespace == "team-a"
    assert command(sms, headers=[("squirrel-namespace", b"team-a")]).namespace == "team-a"
    assert refusal(sms).field == "target", "routes are the namespace's own"
    assert refusal({**sms, "namespace": "team-b"}, headers=[("namespace", b"team-a")]).field == "namespace"
    assert refusal({**sms, "namespace": "Team A"}).reason == "invalid"
    assert refusal({**sms, "namespace": 3}).field == "namespace"


def test_a_child_and_an_explicit_create() -> None:
    made = command(
        {"op": "create", "event": "email.x", "after": [{"schedule": "a", "on": "success"}], "delay_seconds": 2}
    )
    assert made.spec is not None
    assert made.spec.when == When(after=(Parent("a"),), delay_seconds=2)


@pytest.mark.parametrize("force", ["next", "now"])
def test_an_update_may_be_forced_as_a_patch_is(force: str) -> None:
    assert command({"op": "update", "id": "a", "force": force, "name": "n"}).force == force


@pytest.mark.parametrize("operation", ["cancel", "pause", "resume", "trigger"])
def test_changes_wait_for_their_create(operation: str) -> None:
    made = command({"op": operation, "id": "a", "namespace": "team-a", "if_revision": 3})
    assert (made.op, made.id, made.namespace, made.park, made.if_revision) == (operation, "a", "team-a", True, 3)
    assert made.source == ("squirrel.inbox", 2, 7)


def test_an_update_carries_only_what_changes_byte_for_byte() -> None:
    raw = (
        b'{"op":"update","id":"a","force":"next","sendAt":"'
        + AT.encode()
        + b'","message":{ "n": 12345678901234567890 }}'
    )
    made = command(raw)
    assert (made.op, made.force, made.park) == ("retime", "next", True)
    assert made.patch == b'{"sendAt":"' + AT.encode() + b'","message":{ "n": 12345678901234567890 }}'
    before = command({**PLAIN, "sendAt": "2027-05-01T00:00:00Z"}).spec
    assert before is not None
    after = apply_patch(before, made.patch, schedule_id="a", now_ms=NOW_MS)
    assert (after.when.at_ms, after.message, after.event) == (AT_MS, b'{ "n": 12345678901234567890 }', PLAIN["event"])


@pytest.mark.parametrize(
    ("value", "reason", "field", "says"),
    [
        (None, "empty", "body", "null"),
        (b"", "not_json", "body", "JSON"),
        (b"hello", "not_json", "body", "JSON"),
        (b"\xff\xfe", "not_json", "body", "UTF-8"),
        (b"[]", "invalid", "body", "object"),
        (b"x" * (INBOX_RECORD_BYTES_MAX + 1), "too_large", "body", "1048576"),
        ({"op": "delete", "id": "a"}, "unknown_op", "op", "create, update, cancel"),
        ({"op": ["cancel"], "id": "a"}, "unknown_op", "op", "known are"),
        ({"op": None, "id": "a"}, "unknown_op", "op", "known are"),
        ({"op": "cancel"}, "missing_id", "id", "missing"),
        ({"op": "update", "id": None, "name": "x"}, "missing_id", "id", "missing"),
        ({"op": "cancel", "id": "a b"}, "invalid", "id", "letters"),
        ({"op": "cancel", "id": "a", "why": 1}, "invalid", "why", "no known field"),
        ({"op": "cancel", "id": "a", "if_revision": 0}, "invalid", "if_revision", "from 1"),
        ({"op": "trigger", "id": "a", "force": "now"}, "invalid", "force", "leave it out of a trigger"),
        ({"op": "update", "id": "a", "name": "x", "force": "soon"}, "invalid", "force", '"next", for the runs after'),
        ({"op": "update", "id": "a"}, "invalid", "op", "nothing to change"),
        ({"op": "update", "id": "a", "when": {"at": "soon"}}, "invalid", "when.at", "RFC 3339"),
        ({"op": "update", "id": "a", "colour": 1}, "invalid", "colour", "no known field"),
        ({"op": "update", "id": "a", "name": "x", "message": "m" * 600_000}, "too_large", "body", "524288"),
        ({**PLAIN, "sendAt": "2027-02-01T10:00:00"}, "invalid", "sendAt", "no zone"),
        ({**PLAIN, "colour": 1}, "invalid", "colour", "no known field"),
        ({**PLAIN, "message": "m" * 300_000}, "too_large", "message", "262144"),
        ({**PLAIN, "sendAt": "x", "name": "a\x00"}, "invalid", "name", "sendAt: is not an RFC 3339"),
    ],
)
def test_refused_with_reason_field_and_fix(value: Any, reason: str, field: str, says: str) -> None:
    refused = refusal(value)
    assert (refused.reason, refused.field) == (reason, field)
    assert says in refused.detail
    assert refused.record == record_of(value)


def test_headers_that_are_no_text_are_refused_by_name() -> None:
    assert refusal(PLAIN, headers=[("idempotency-key", b"\xff")]).field == "idempotency-key"
    assert refusal(PLAIN, headers=[("idempotency-key", b"a\x00")]).field == "idempotency-key"
    assert command(PLAIN, headers=[("other", b"\xff"), ("idempotency-key", None)]).op == "create"


def test_a_group_is_the_home_of_its_schedules_and_of_changes_that_name_it() -> None:
    homes = [
        decided({**PLAIN, "id": "a", "group": "g"}),
        decided({"op": "cancel", "id": "a", "group": "g"}),
        decided({"op": "update", "id": "a", "group": "g", "name": "x"}),
        decided({"op": "cancel", "id": "a"}),
    ]
    assert [home.home for home in homes if isinstance(home, Accepted)] == ["g", "g", "g", "a"]
    assert refusal({"op": "cancel", "id": "a", "group": 7}).field == "group"


def test_a_past_instant_is_taken() -> None:
    assert command({**PLAIN, "sendAt": "2020-01-01T00:00:00Z"}).op == "create"


fields = st.dictionaries(
    st.sampled_from(["op", "id", "event", "when", "sendAt", "message", "target", "tags", "namespace", "retry", "after"])
    | st.text(max_size=3),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-5, 2**63 - 1)
        | st.text(max_size=5)
        | st.sampled_from(["update", "cancel", AT, "a", "email.x"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["at", "cron", "url", "type", "schedule", "every", "x"]), inner, max_size=3
            )
        ),
        max_leaves=6,
    ),
    max_size=6,
)


@given(st.binary(max_size=60) | fields.map(orjson.dumps))
def test_whatever_is_sent_one_answer_comes_back(value: bytes) -> None:
    answer = decided(value)
    if isinstance(answer, Refusal):
        assert answer.reason
        assert answer.field.encode()
        assert answer.detail.encode()
    else:
        assert answer.home


class _Definitions:
    """The definitions topic as it stands."""

    def __init__(self, values: dict[bytes, bytes]) -> None:
        self.values = values
        self.next_offset = len(values)

    async def ready(self) -> None:
        """At once."""

    async def reached(self, offset: int) -> None:
        """At once."""


def test_a_schedule_is_made_from_a_template() -> None:
    template = {
        "schedule": {**PLAIN, "event": "email.{{kind}}", "message": {"to": "{{to}}"}},
        "parameters": [{"name": "kind", "default": "hello"}, {"name": "to"}],
    }
    stored = encode_template(parse_template("mail", orjson.dumps(template), NOW_MS))
    book = TemplateBook(_Definitions({template_key("default", "mail").encode(): stored}))
    around = Surroundings(routes, POLICY, expanded=book.expanded)

    def made(value: Any) -> Accepted | Refusal:
        return decide(record_of(value), now_ms=NOW_MS, around=around)

    accepted = made({"op": "create", "template": "mail", "parameters": {"to": "ada"}, "id": "t1", "name": "mine"})
    assert isinstance(accepted, Accepted), accepted
    spec = accepted.command.spec
    assert spec is not None
    assert (accepted.command.id, spec.event, spec.message, spec.name) == ("t1", "email.hello", b'{"to":"ada"}', "mine")
    assert "template:mail" in spec.tags
    missing = made({"template": "mail", "parameters": {}})
    assert isinstance(missing, Refusal)
    assert (missing.field, missing.record.value) == ("parameters.to", b'{"template":"mail","parameters":{}}')
    for nobody in ({"template": "other"}, {"template": "mail", "namespace": "team-a"}):
        refused = made(nobody)
        assert isinstance(refused, Refusal)
        assert refused.field == "template"
