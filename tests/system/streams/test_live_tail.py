"""Topics from their end on: what came before is not seen, what comes after is, from every partition."""

from __future__ import annotations

import asyncio

from squirrel.streams.live_tail import LiveTail
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.streams.writer import BatchWriter


async def test_it_begins_at_the_end_of_every_partition(kafka: str, topic_prefix: str) -> None:
    results, completions = f"{topic_prefix}results", f"{topic_prefix}completions"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(name, 3, 1, {}) for name in (results, completions)])
    async with BatchWriter(kafka, client_id="test") as writer:
        await writer.append(results, 1, [(b"k", b"before", ())])
        tail = LiveTail(kafka, (results, completions), client_id="test")
        await tail.start()
        try:
            await writer.append(results, 1, [(b"k", b"after", ())])
            await writer.append(completions, 2, [(b"k", b"too", ()), (b"k", None, ())])
            seen: set[tuple[str, bytes]] = set()
            async with asyncio.timeout(10):
                while len(seen) < 2:
                    seen.update(await tail.records())
            assert seen == {(results, b"after"), (completions, b"too")}
        finally:
            await tail.stop()
            await tail.stop()
