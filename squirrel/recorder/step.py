"""Records of results, completions and dead letters -> nouns of the history; what is none of these is set aside. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct

from squirrel.model.instants import parse_instant
from squirrel.model.limits import INSTANT_MS_MAX, RETENTION_MS_MAX
from squirrel.model.schedule import RUN_FINAL
from squirrel.stores.history import AttemptRecord, CompletionRecord, DeadLetterRecord, HistoryBatch, LetterMark
from squirrel.wire.letter_marks import MARKS, DeadLetterMark, decode_letter_record
from squirrel.wire.public import (
    AttemptError,
    Completion,
    DeadLetter,
    Result,
    decode_completion,
    decode_result,
    refused_record,
)

Kind = Literal["results", "completions", "dead-letters"]
Noun = AttemptRecord | CompletionRecord | DeadLetterRecord | LetterMark
NAME_CHARS_MAX: Final = 1024  # of run, schedule, namespace, event: keys of the stores; far above what our doors let in
INT32_MAX: Final = 2**31 - 1  # attempt numbers and statuses are that wide in every store
_ATTEMPT_STATES: Final = frozenset({"succeeded", "failed", "sent", "promised", "deferred"})
_NO_ERROR: Final = AttemptError("", "")


class Received(Protocol):
    """What a consumer hands over; aiokafka's ConsumerRecord is one."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp(self) -> int: ...


class Item(Struct, frozen=True):
    """A noun and the record it came from."""

    noun: Noun
    received: Any  # Received; msgspec cannot check a Protocol

    @property
    def size(self) -> int:
        """Bytes of the record's value."""
        return len(self.received.value or b"")


class Poison(Struct, frozen=True):
    """A record that can never be written, and why."""

    topic: str
    partition: int
    offset: int
    field: str
    reason: str
    value: bytes | None = None

    def refused(self) -> bytes:
        """The value of the record for the `refused` topic."""
        return refused_record(
            "not_recorded", self.field, self.reason, (self.topic, self.partition, self.offset), self.value
        )


class _Unfit(ValueError):
    """A field that no store takes."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def read(records: Iterable[Received], kind: Kind) -> tuple[list[Item], list[Poison]]:
    """Every record becomes an item or a poison; nothing is raised, nothing is left out."""
    noun_of = _NOUNS[kind]
    items: list[Item] = []
    poison: list[Poison] = []
    for record in records:
        try:
            items.append(Item(noun_of(record.value or b""), record))
        except _Unfit as error:
            poison.append(poisoned(record, error.field, str(error)))
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            poison.append(poisoned(record, "", f"not one of {kind}: {error}"))
    return items, poison


def poisoned(record: Received, field: str, reason: str) -> Poison:
    """The record set aside."""
    return Poison(record.topic, record.partition, record.offset, field, reason, record.value)


def batch_of(items: Iterable[Item]) -> HistoryBatch:
    """What one write takes."""
    attempts: list[AttemptRecord] = []
    completions: list[CompletionRecord] = []
    letters: list[DeadLetterRecord] = []
    marks: list[LetterMark] = []
    for item in items:
        noun = item.noun
        if isinstance(noun, AttemptRecord):
            attempts.append(noun)
        elif isinstance(noun, CompletionRecord):
            completions.append(noun)
        elif isinstance(noun, DeadLetterRecord):
            letters.append(noun)
        else:
            marks.append(noun)
    return HistoryBatch(tuple(attempts), tuple(completions), tuple(letters), tuple(marks))


def attempt_of(value: bytes) -> AttemptRecord:
    """A result's JSON -> the attempt. Raises ValueError or msgspec's errors."""
    result: Result = decode_result(value)
    _check_names(result)
    if result.state not in _ATTEMPT_STATES:
        raise _Unfit("state", f"must be one of {sorted(_ATTEMPT_STATES)}, is {result.state!r:.100}")
    error = result.error or _NO_ERROR
    return AttemptRecord(
        result.namespace,
        result.schedule_id,
        result.run,
        _within(result.attempt, 1, INT32_MAX, "attempt"),
        result.event,
        _instant(result.slot_ms, result.slot, "slot"),
        _instant(result.due_ms, result.due, "due"),
        _instant(0, result.emitted, "emitted"),
        _instant(0, result.picked_up, "picked_up"),
        _instant(result.started_ms, result.started, "started"),
        _instant(result.finished_ms, result.finished, "finished"),
        result.state,
        msgspec.json.encode(result.target),
        _status(result.status),
        msgspec.json.encode(result.headers),
        result.body,
        result.body_truncated,
        error.type,
        error.detail,
        _within(result.stage, 0, INT32_MAX, "stage"),
        result.replay_of,
        _within(result.retention_ms, 0, RETENTION_MS_MAX, "retention_ms"),
    )


def completion_of(value: bytes) -> CompletionRecord:
    """A completion's JSON -> the outcome. Raises ValueError or msgspec's errors."""
    done: Completion = decode_completion(value)
    _check_names(done)
    if done.state not in RUN_FINAL:
        raise _Unfit("state", f"must be one of {sorted(RUN_FINAL)}, is {done.state!r:.100}")
    return CompletionRecord(
        done.namespace,
        done.schedule_id,
        done.run,
        done.event,
        _instant(done.slot_ms, done.slot, "slot"),
        _instant(done.due_ms, done.due, "due"),
        done.state,
        _within(done.attempts, 0, INT32_MAX, "attempts"),
        _instant(done.finished_ms, done.finished, "finished"),
        done.reason,
        _status(done.status),
        done.replay_of,
        done.tags,
        _within(done.retention_ms, 0, RETENTION_MS_MAX, "retention_ms"),
        done.triggered_by,
    )


def dead_letter_of(value: bytes) -> DeadLetterRecord | LetterMark:
    """A dead letter's JSON, or what was made of one -> the noun. Raises ValueError or msgspec's errors."""
    letter = decode_letter_record(value)
    if isinstance(letter, DeadLetterMark):
        return _mark_of(letter)
    _check_names(letter)
    return DeadLetterRecord(
        letter.namespace,
        letter.schedule_id,
        letter.run,
        letter.event,
        _instant(letter.slot_ms, letter.slot, "slot"),
        _instant(0, letter.due, "due"),
        _within(letter.attempts, 0, INT32_MAX, "attempts"),
        _instant(0, letter.finished, "finished"),
        letter.reason,
        msgspec.json.encode(letter.target),
        bytes(letter.message),
        msgspec.json.encode(letter.last),
        _within(letter.retention_ms, 0, RETENTION_MS_MAX, "retention_ms"),
    )


def _mark_of(mark: DeadLetterMark) -> LetterMark:
    _check_names(mark)
    if mark.mark not in MARKS:
        raise _Unfit("mark", f"must be one of {sorted(MARKS)}, is {mark.mark!r:.100}")
    return LetterMark(
        mark.namespace,
        mark.run,
        mark.mark,
        _within(mark.at_ms, 0, INSTANT_MS_MAX, "at_ms"),
        mark.reason,
        mark.actor,
        mark.replayed_as,
        _within(mark.retention_ms, 0, RETENTION_MS_MAX, "retention_ms"),
    )


_NOUNS: Final[dict[Kind, Callable[[bytes], Noun]]] = {
    "results": attempt_of,
    "completions": completion_of,
    "dead-letters": dead_letter_of,
}


def _check_names(record: Result | Completion | DeadLetter | DeadLetterMark) -> None:
    for field in ("namespace", "schedule_id", "run"):
        if not 1 <= len(getattr(record, field)) <= NAME_CHARS_MAX:
            raise _Unfit(field, f"must have 1 to {NAME_CHARS_MAX} characters")
    if not isinstance(record, DeadLetterMark) and len(record.event) > NAME_CHARS_MAX:
        raise _Unfit("event", f"must have at most {NAME_CHARS_MAX} characters")


def _within(number: int, least: int, most: int, field: str) -> int:
    if not least <= number <= most:
        raise _Unfit(field, f"must be {least} to {most}")
    return number


def _status(status: int | None) -> int | None:
    return None if status is None else _within(status, 0, INT32_MAX, "status")


def _instant(instant_ms: int, text: str, field: str) -> int:
    """The number when it is there, else the text; 0 stands for an instant that was never reached (empty text)."""
    if instant_ms:
        return _within(instant_ms, 0, INSTANT_MS_MAX, field)
    if not text:
        return 0
    try:
        second, dot, rest = text[:19], text[19:20], text[20:]
        if len(rest) == 4 and dot == "." and rest[3] == "Z" and rest[:3].isdecimal():  # as we write them
            return _second_ms(second) + int(rest[:3])
        return parse_instant(text)
    except ValueError as error:
        raise _Unfit(field, str(error)) from None


@lru_cache(maxsize=4096)
def _second_ms(text: str) -> int:
    return parse_instant(text + "Z")
