"""One inbox record -> a command and where it goes, or a refusal. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from squirrel.intake.change import CHANGES, decide_change
from squirrel.intake.envelope import Envelope, read_envelope
from squirrel.model.errors import Refused
from squirrel.model.limits import INBOX_RECORD_BYTES_MAX
from squirrel.model.target import Route
from squirrel.recurrence import CalendarLookup, no_calendars
from squirrel.wire.documents import check_calendars
from squirrel.wire.documents.flow import at_home
from squirrel.wire.documents.json_text import Document, read_document, visible
from squirrel.wire.documents.schedule import parse_collected
from squirrel.wire.documents.target import TargetPolicy
from squirrel.wire.records import Command

PROBLEMS_TOLD_MAX: Final = 20
DETAIL_CHARS_MAX: Final = 8_000
OPS: Final = ("create", *CHANGES)


class InboxRecord(NamedTuple):
    """What was received, where and when; `timestamp_ms` is the broker's, so it is the same on every reading."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int


class Accepted(NamedTuple):
    """A command, and the group or id whose partition it goes to."""

    command: Command
    home: str


class Refusal(NamedTuple):
    """Why a record was not taken: a stable word, the first field at fault, sentences; and the record."""

    reason: str
    field: str
    detail: str
    record: InboxRecord


class Surroundings(Struct, frozen=True):
    """What a decision needs from outside: whether a namespace has a route for an event, where targets may be,
    which calendars exist, what a create that names a template becomes (raises Refused), and the route of an event."""

    routes: Callable[[str, str], bool]
    policy: TargetPolicy
    calendars: Callable[[str], CalendarLookup] = lambda _: no_calendars
    expanded: Callable[[bytes, str], bytes] = lambda body, _: body
    route: Callable[[str, str], Route | None] = lambda namespace, event: None


def decide(record: InboxRecord, *, now_ms: int, around: Surroundings) -> Accepted | Refusal:
    """The command that `record` stands for, or why there is none. Never raises for what a record holds."""
    try:
        return _accepted(record, now_ms, around)
    except Refused as refused:
        told = refused.problems[:PROBLEMS_TOLD_MAX]
        detail = told[0].reason if len(told) == 1 else "; ".join(f"{each.field}: {each.reason}" for each in told)
        return Refusal(refused.code, told[0].field, detail[:DETAIL_CHARS_MAX], record)


def _accepted(record: InboxRecord, now_ms: int, around: Surroundings) -> Accepted:
    if record.value is None:
        raise Refused.one(
            "body", "is null; send a schedule, or {'op': 'cancel', 'id': ...} to cancel one", code="empty"
        )
    document = read_document(record.value, INBOX_RECORD_BYTES_MAX)
    envelope = read_envelope(document, record.headers)
    operation = document.values.get("op", "create")
    if operation not in OPS:
        shown = visible(str(operation))
        raise Refused.one("op", f"{shown} is no known operation; known are {', '.join(OPS)}", code="unknown_op")
    identity = _identity(record)
    if operation == "create":
        if "template" in document.values:
            document = read_document(around.expanded(record.value, envelope.namespace), INBOX_RECORD_BYTES_MAX)
        created = _create(document, envelope, identity, record, (now_ms, around))
        group = created.spec.group if created.spec is not None else None
        return Accepted(created, group or created.id)
    change = decide_change(
        document,
        operation,
        envelope,
        command_id=identity,
        now_ms=now_ms,
        policy=around.policy.of(envelope.namespace),
        calendars=around.calendars(envelope.namespace),
    )
    change = replace(change, source=(record.topic, record.partition, record.offset))
    return Accepted(change, document.values.get("group") or change.id)


def _create(
    document: Document, envelope: Envelope, identity: str, record: InboxRecord, at: tuple[int, Surroundings]
) -> Command:
    now_ms, around = at
    made = parse_collected(
        document,
        now_ms=now_ms,
        new_id=lambda: f"in_{identity}",
        routes=lambda event: around.routes(envelope.namespace, event),
        policy=around.policy.of(envelope.namespace),
        key=(envelope.namespace, envelope.idempotency_key),
        skip=frozenset({"op", "namespace"}),
    )
    check_calendars(made.spec.when, around.calendars(envelope.namespace), now_ms)
    return Command(
        op="create",
        namespace=envelope.namespace,
        id=made.id,
        command_id=identity,
        accepted_ms=now_ms,
        spec=at_home(made.spec, partial(around.route, envelope.namespace)),
        fingerprint=made.fingerprint,
        actor="inbox",
        source=(record.topic, record.partition, record.offset),
    )


def _identity(record: InboxRecord) -> str:
    """The same for the same record however often it is read; other for its namesake in a topic that was made anew."""
    place = f"{record.topic}\0{record.partition}\0{record.offset}\0{record.timestamp_ms}\0"
    return blake2b(place.encode() + (record.value or b""), digest_size=16).hexdigest()
