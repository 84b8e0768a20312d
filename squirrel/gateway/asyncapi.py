"""The AsyncAPI 3.0 document of the public topics, made from the catalogue in `topics/` and the types that decode it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from squirrel.gateway.schemas import ID, SENT, ref, text
from squirrel.model.limits import ID_CHARS_MAX
from squirrel.wire.audit import AuditRecord
from squirrel.wire.letter_marks import DeadLetterMark
from squirrel.wire.public import Completion, DeadLetter, RefusedRecord, Result
from squirrel.wire.topics import TopicFile, topic_files

ANYONE: Final = "anyone"
CHANGES: Final = ("update", "cancel", "pause", "resume", "trigger")  # as intake/change.py takes them
_NOUNS: Final = (Result, Completion, DeadLetter, DeadLetterMark, RefusedRecord, AuditRecord)
_MESSAGES: Final[dict[str, tuple[str, ...]]] = {
    "squirrel.inbox": ("Schedule", "FromTemplate", "ScheduleChange"),
    "squirrel.refused": ("RefusedRecord",),
    "squirrel.results": ("Result",),
    "squirrel.completions": ("Completion",),
    "squirrel.dead-letters": ("DeadLetter", "DeadLetterMark"),
    "squirrel.audit": ("AuditRecord",),
}
_CLOUD_EVENTS: Final = {
    "type": "object",
    "description": "CloudEvents 1.0, Kafka binding, binary mode",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "the run, and the attempt"},
        "ce_source": {"type": "string", "description": "/squirrel/<namespace>"},
        "ce_subject": {"type": "string", "description": "the schedule's id"},
        "ce_type": {"type": "string", "pattern": r"^squirrel\.(run\.\w+|attempt\.finished)$"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
    },
}
_INBOX_HEADERS: Final = {
    "type": "object",
    "properties": {
        "idempotency-key": {"type": "string", "description": "a second record with it makes nothing"},
        "squirrel-namespace": {"type": "string", "description": "the tenant; `default` when absent"},
    },
}
_HEADERS: Final = {
    **dict.fromkeys(("Schedule", "FromTemplate", "ScheduleChange"), _INBOX_HEADERS),
    **dict.fromkeys(("Result", "Completion"), _CLOUD_EVENTS),
}


def document_of(prefix: str, version: str) -> dict[str, Any]:
    """The whole document; plain values. `prefix` stands before every topic of the installation."""
    public = [each for each in topic_files() if each.topic in _MESSAGES]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Squirrel",
            "version": version,
            "description": "What Squirrel takes from Kafka, and what it says there. Operations are Squirrel's own.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {_name(each): _channel(each, prefix) for each in public},
        "operations": {_operation_name(each): _operation(each) for each in public},
        "components": {
            "messages": {name: _message(name, each) for each in public for name in _MESSAGES[each.topic]},
            "schemas": _schemas(),
        },
    }


def _name(topic: TopicFile) -> str:
    return topic.topic.removeprefix("squirrel.")


def _is_inbox(topic: TopicFile) -> bool:
    return ANYONE in topic.writers


def _operation_name(topic: TopicFile) -> str:
    return f"{'receive' if _is_inbox(topic) else 'send'}-{_name(topic)}"


def _channel(topic: TopicFile, prefix: str) -> dict[str, Any]:
    return {
        "address": prefix + topic.topic,
        "description": f"{topic.what} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _MESSAGES[topic.topic]},
        "bindings": {"kafka": {"topic": prefix + topic.topic, "topicConfiguration": _configs(topic.configs)}},
    }


def _configs(configs: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"cleanup.policy": configs["cleanup.policy"].split(",")}
    numbers = ("retention.ms", "retention.bytes", "max.message.bytes")
    return shown | {name: int(configs[name]) for name in numbers if name in configs}


def _operation(topic: TopicFile) -> dict[str, Any]:
    return {
        "action": "receive" if _is_inbox(topic) else "send",
        "channel": {"$ref": f"#/channels/{_name(topic)}"},
        "summary": topic.what,
    }


def _message(name: str, topic: TopicFile) -> dict[str, Any]:
    message: dict[str, Any] = {"name": name, "contentType": "application/json", "payload": ref(name)}
    if name in _HEADERS:
        message["headers"] = _HEADERS[name]
    shown = [each for each in topic.examples if _is_of(name, topic, each.value)]
    if shown:
        message["examples"] = [
            {"summary": each.what, "payload": each.value} | ({"headers": each.headers} if each.headers else {})
            for each in shown
        ]
    return message


def _is_of(name: str, topic: TopicFile, value: Any) -> bool:
    """Which of a topic's messages an example is."""
    if topic.topic == "squirrel.inbox":
        kind = "ScheduleChange" if "op" in value else "FromTemplate" if "template" in value else "Schedule"
        return name == kind
    if topic.topic == "squirrel.dead-letters":
        return (name == "DeadLetterMark") is ("mark" in value)
    return True


def _schemas() -> dict[str, Any]:
    shown = [_with_any_json(noun) if noun is DeadLetter else noun for noun in _NOUNS]
    _, made = msgspec.json.schema_components(shown, ref_template="#/components/schemas/{name}")
    made["AuditRecord"]["properties"]["hash"] = {"type": "string", "description": "over every other byte of the record"}
    return {
        **SENT,
        "Schedule": {
            **SENT["NewSchedule"],
            "required": ["event"],
            "additionalProperties": True,
            "description": "As POST /api/v1/schedules takes it. The Squirrel seed's names (`sendAt`, `maxRetries`, "
            "`fireAndForget`) are taken too, the fields of `when` may stand beside the others, and `target` may be left "
            "out when a route matches the event.",
        },
        "FromTemplate": {
            "type": "object",
            "properties": {"template": {"type": "string"}, "parameters": {"type": "object"}},
            "required": ["template"],
            "description": "Fields of a schedule beside these two stand instead of the template's.",
        },
        "ScheduleChange": {
            "type": "object",
            "properties": {
                "op": {"type": "string", "enum": list(CHANGES)},
                "id": text(ID_CHARS_MAX, ID),
                "group": {"type": "string", "description": "of a schedule that lives in one"},
                "namespace": {"type": "string"},
                "if_revision": {"type": "integer"},
                "force": {"type": "string", "enum": ["next", "now"], "description": "of an update"},
            },
            "required": ["op", "id"],
            "description": "With `update` beside these the fields of SchedulePatch.",
        },
        **made,
    }


def _with_any_json(noun: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same record where raw bytes of JSON are any JSON value, which a schema can say."""
    fields: list[Any] = []
    for each in msgspec.structs.fields(noun):
        kept = msgspec.field(default=None) if each.type is msgspec.Raw else msgspec.field(default=each.default)
        if each.default_factory is not msgspec.NODEFAULT:
            kept = msgspec.field(default_factory=each.default_factory)
        fields.append((each.encode_name, Any if each.type is msgspec.Raw else each.type, kept))
    return msgspec.defstruct(noun.__name__, fields, namespace={"__doc__": noun.__doc__}, kw_only=True)
