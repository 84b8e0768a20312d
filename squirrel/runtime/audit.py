"""The audit topic read whole and judged, without asking a gateway: an auditor trusts the records only."""

from __future__ import annotations

from typing import Any, Final

from squirrel.runtime.settings import Settings
from squirrel.streams.topic_pages import TopicPages
from squirrel.wire.audit import Stored, Verifier
from squirrel.wire.topics import Topics

FAULTS_SHOWN_MAX: Final = 100


async def verify_audit(settings: Settings) -> dict[str, Any]:
    """{"records", "writers", "repeats", "faults", "first": [...]}. Raises Unavailable when Kafka cannot be read."""
    topic = Topics(settings.topic_prefix).audit
    pages = TopicPages(settings.kafka, topic, client_id="squirrel-audit")
    faults = 0
    shown: list[dict[str, Any]] = []
    try:
        verifier = Verifier(settings.audit_key.get_secret_value().encode(), beginnings=await pages.beginnings())
        async for records in pages.forwards():
            for fault in verifier.check(Stored(each.partition, each.offset, each.value) for each in records):
                faults += 1
                if len(shown) < FAULTS_SHOWN_MAX:
                    shown.append(fault._asdict())
    finally:
        await pages.stop()
    return {
        "topic": topic, "records": verifier.records, "writers": verifier.writers, "repeats": verifier.repeats,
        "faults": faults, "first": shown,
    }  # fmt: skip
