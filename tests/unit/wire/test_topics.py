"""The catalogue: every example decodes with today's code, and settings that could eat a schedule are told."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from squirrel.intake import Accepted, InboxRecord, Surroundings, decide
from squirrel.model.limits import INBOX_RECORD_BYTES_MAX, RECORD_BYTES_MAX
from squirrel.model.schedule import Row, decode_row, encode_row
from squirrel.wire.audit import read_audit
from squirrel.wire.documents.route import read_route_value
from squirrel.wire.letter_marks import decode_letter_record
from squirrel.wire.operations import decode_operation
from squirrel.wire.public import decode_completion, decode_refused, decode_result
from squirrel.wire.records import (
    Command,
    Execution,
    decode_command,
    decode_execution,
    encode_command,
    encode_execution,
)
from squirrel.wire.topics import Example, TopicPlan, Topics, catalogue, dangers, topic_files
from tests.unit.wire.door import NOW_MS, POLICY

EXAMPLES = [(file.noun, file.topic, example) for file in topic_files() for example in file.examples]
JSON_NOUNS: dict[str, Any] = {
    "Result": decode_result,
    "Completion": decode_completion,
    "DeadLetter or DeadLetterMark": decode_letter_record,
    "StoredOperation": decode_operation,
    "RefusedRecord": decode_refused,
    "definition": read_route_value,
    "AuditRecord": read_audit,
}
ROUND_TRIPS: dict[str, Any] = {
    "Command": (Command, encode_command, decode_command),
    "Execution": (Execution, encode_execution, decode_execution),
    "Row": (Row, encode_row, decode_row),
}


def begins_with(today: Any, example: Any) -> bool:
    """Equal, but for fields that were appended since: that is how our records may change."""
    if isinstance(today, list) and isinstance(example, list):
        return len(today) >= len(example) and all(map(begins_with, today, example))
    return bool(today == example)


def test_appended_fields_are_no_change_and_inserted_ones_are() -> None:
    assert begins_with([1, [2, 3], 4], [1, [2]])
    assert not begins_with([1, 9, [2, 3]], [1, [2, 3]])


@pytest.mark.parametrize(("noun", "topic", "example"), EXAMPLES, ids=lambda each: getattr(each, "what", each))
def test_every_example_decodes(noun: str, topic: str, example: Example) -> None:
    if noun in ROUND_TRIPS:
        kind, encode, decode = ROUND_TRIPS[noun]
        value = msgspec.convert(example.value, kind)
        today = json.loads(msgspec.json.encode(decode(encode(value))))
        assert begins_with(today, example.value), f"{topic}: the noun has changed and reads old records differently"
        return
    value = json.dumps(example.value).encode()
    if noun == "Schedule":
        headers = [(name, text.encode()) for name, text in example.headers.items()]
        record = InboxRecord(topic, 0, 1, None, value, headers, NOW_MS)
        assert isinstance(decide(record, now_ms=NOW_MS, around=Surroundings(lambda _, __: True, POLICY)), Accepted)
    else:
        JSON_NOUNS[noun](value)


def test_every_topic_has_examples_and_a_name() -> None:
    names = {name for name in dir(Topics) if isinstance(getattr(Topics, name), property)}
    assert {getattr(Topics(), name) for name in names} == {file.topic for file in topic_files()}
    assert all(file.examples for file in topic_files())


def test_the_plan_follows_the_installation() -> None:
    plans = {plan.name: plan for plan in catalogue("prod-", partitions=64, replication=3)}
    assert plans["prod-squirrel.commands"].partitions == 64
    assert plans["prod-squirrel.definitions"].partitions == 1
    assert not plans["prod-squirrel.inbox"].partitions_fixed
    assert plans["prod-squirrel.commands"].configs["min.insync.replicas"] == "2"
    assert catalogue()[0].configs["min.insync.replicas"] == "1"
    assert Topics("prod-").timeline_changelog in plans


@pytest.mark.parametrize("plan", catalogue(replication=3), ids=lambda plan: plan.name)
def test_records_fit_and_the_plan_itself_is_no_danger(plan: TopicPlan) -> None:
    largest = INBOX_RECORD_BYTES_MAX if plan.name == Topics().inbox else RECORD_BYTES_MAX
    assert int(plan.configs["max.message.bytes"]) > largest
    assert dangers(plan, plan.configs) == []
    assert dangers(plan, {}) == []


@pytest.mark.parametrize(
    ("topic", "setting", "value", "says"),
    [
        ("timeline_changelog", "cleanup.policy", "delete", "pending schedules would vanish"),
        ("timeline_changelog", "cleanup.policy", "compact,delete", "pending schedules would vanish"),
        ("timeline_changelog", "delete.retention.ms", "1000", "forgets deletions"),
        ("timeline_changelog", "max.message.bytes", "1000012", "too small"),
        ("definitions", "cleanup.policy", "delete", "vanish"),
        ("commands", "cleanup.policy", "compact", "newest record"),
        ("commands", "retention.ms", "3600000", "vanish unread"),
        ("executions", "retention.bytes", "1000000", "many arrive"),
        ("inbox", "message.timestamp.type", "CreateTime", "wrong clock"),
        ("results", "min.insync.replicas", "1", "one broker"),
        ("results", "unclean.leader.election.enable", "true", "discarded"),
    ],
)
def test_settings_that_could_lose_something_are_told(topic: str, setting: str, value: str, says: str) -> None:
    name = getattr(Topics(), topic)
    plan = next(plan for plan in catalogue(replication=3) if plan.name == name)
    told = dangers(plan, {**plan.configs, setting: value})
    assert len(told) == 1
    assert told[0].startswith(f"{name}: {setting}={value} ")
    assert says in told[0]


def test_endless_retention_is_no_danger() -> None:
    plan = next(plan for plan in catalogue() if plan.name == Topics().commands)
    assert dangers(plan, {**plan.configs, "retention.ms": "-1"}) == []
