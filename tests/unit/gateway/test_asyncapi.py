"""The AsyncAPI document: every public topic, references that lead somewhere, examples that fit."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from squirrel.gateway.asyncapi import document_of
from squirrel.wire.topics import topic_files


async def test_it_is_served_without_a_token(api: httpx.AsyncClient) -> None:
    answer = await api.get("/asyncapi.json")
    assert answer.json() == json.loads(json.dumps(document_of("", answer.json()["info"]["version"])))
    assert answer.json()["asyncapi"] == "3.0.0"


def test_every_topic_that_anyone_reads_or_writes_is_a_channel() -> None:
    document = document_of("acme.", "1")
    public = {each.topic for each in topic_files() if "anyone" in (*each.readers, *each.writers)}
    assert {each["address"] for each in document["channels"].values()} == {f"acme.{topic}" for topic in public}
    actions = {name: each["action"] for name, each in document["operations"].items()}
    assert [name for name, action in actions.items() if action == "receive"] == ["receive-inbox"]


def test_every_reference_leads_somewhere() -> None:
    document = document_of("", "1")
    pointers = set(re.findall(r"'\$ref': '#/([^']+)'", str(document)))
    assert len(pointers) > 20
    for pointer in pointers:
        at: Any = document
        for key in pointer.split("/"):
            at = at[key]


def test_every_example_has_what_its_schema_requires() -> None:
    document = document_of("", "1")
    messages, schemas = document["components"]["messages"], document["components"]["schemas"]
    shown = [(name, each["payload"]) for name, message in messages.items() for each in message.get("examples", ())]
    assert {name for name, _ in shown} >= {
        "Schedule",
        "ScheduleChange",
        "Result",
        "Completion",
        "DeadLetter",
        "AuditRecord",
    }
    for name, payload in shown:
        schema = schemas[name]
        assert set(schema["required"]) <= payload.keys(), name
        if name not in ("Schedule", "ScheduleChange"):  # those two take further fields
            assert payload.keys() <= schema["properties"].keys(), name
