"""How it ended: what is left to read, what the API says, and whether disk and log are one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from squirrel.model.errors import Fatal
from squirrel.streams.timeline.changes import changes_of, row_keys
from squirrel.streams.timeline.store import TimelineStore
from tests.chaos.asking import API
from tests.chaos.http import Http, NoAnswer
from tests.chaos.installation import GROUPS, PARTITIONS, Installation
from tests.chaos.plan import ENGINES
from tests.chaos.taps import read_all

ASKERS: Final = 8
ASK_TRIES: Final = 5
SCAN_KEYS: Final = 10_000
KINDS_OF_KEYS: Final = (b"S", b"W", b"D", b"X")  # streams/timeline/keys.py


async def lags(on: Installation) -> list[dict[str, Any]]:
    """What each group has not committed yet. A partition without a commit and without a record has none."""
    topics = on.topics
    read = {
        "engine": (topics.commands, topics.results),
        "executor": (topics.executions,),
        "intake": (topics.inbox,),
        "recorder": (topics.results, topics.completions, topics.dead_letters),
    }
    admin = AIOKafkaAdminClient(bootstrap_servers=on.kafka.bootstrap, request_timeout_ms=5000)
    consumer = AIOKafkaConsumer(bootstrap_servers=on.kafka.bootstrap, enable_auto_commit=False)
    found = []
    try:
        await admin.start()
        await consumer.start()
        for group in GROUPS:
            committed = await admin.list_consumer_group_offsets(f"squirrel-{group}")
            for topic in read[group]:
                parts = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
                for tp, end in (await consumer.end_offsets(parts)).items():
                    offset = committed[tp].offset if tp in committed else 0
                    lag = max(0, end - max(0, offset))
                    found.append({"what": "lag", "group": group, "topic": topic, "partition": tp.partition, "lag": lag})
    finally:
        await consumer.stop()
        await admin.close()
    return found


async def lag_total(on: Installation) -> int:
    """Of all groups; a large number while the broker does not say."""
    try:
        async with asyncio.timeout(10):
            return sum(record["lag"] for record in await lags(on))
    except (KafkaError, TimeoutError, OSError):
        return 1 << 30


async def schedules(port: int, names: list[str]) -> list[dict[str, Any]]:
    """What GET says of each, at the end."""
    waiting = list(dict.fromkeys(names))
    found: list[dict[str, Any]] = []

    async def asker() -> None:
        http = Http(port)
        while waiting:
            name = waiting.pop()
            for _ in range(ASK_TRIES):
                try:
                    answer = await http.call("GET", f"{API}/{name}")
                except NoAnswer:
                    continue
                if answer.status in (200, 404):
                    said = answer.body if answer.status == 200 else {}
                    shown = {key: said.get(key) for key in ("state", "revision")}
                    found.append({"what": "schedule", "id": name, "status": answer.status, **shown})
                    break
        http.close()

    await asyncio.gather(*(asker() for _ in range(ASKERS)))
    return found


def resources(on: Installation) -> list[dict[str, Any]]:
    """Memory and open files of each service, from /proc."""
    found = []
    for service in on.services.values():
        pid = service.pid
        if pid is None:
            continue
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        files = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        for name, value, limit in (("rss_mb", pages * 4096 / 2**20, 700), ("open_files", files, 2_000)):
            found.append({"what": "resource", "service": service.name, "name": name, "value": value, "limit": limit})
    return found


async def states(on: Installation) -> list[dict[str, Any]]:
    """For each partition: its keys on the disk of the engine that had it last, and those that the changelog makes of nothing.

    The engines must have ended. Both hold rows, timeline and lists, so that derived keys are compared too.
    """
    folder = on.folder / "replayed"
    replayed = TimelineStore(folder)
    for partition in range(PARTITIONS):
        replayed.open(partition)

    def take(batch: list[Any]) -> None:
        if batch:
            partition = batch[0].partition
            records = [(record.key or b"", record.value) for record in batch]
            keys = row_keys(records)
            old = dict(zip(keys, replayed.get_many(partition, keys), strict=True))
            replayed.apply(partition, changes_of(records, old), wall_ms=1, changelog_offset=batch[-1].offset)

    await read_all(on.kafka.bootstrap, on.topics.timeline_changelog, take)
    found = []
    for partition in range(PARTITIONS):
        log = _content(replayed, partition)
        disk = _newest_disk(on, partition)
        for source, content in (("log", log), ("disk", disk)):
            found.append(_state(partition, source, content))
        if disk != log:
            differing = sorted(key for key in disk.keys() | log.keys() if disk.get(key) != log.get(key))
            found.append({"what": "note", "detail": f"partition {partition}: {[repr(key) for key in differing[:5]]}"})
    replayed.close_all()
    shutil.rmtree(folder)
    return found


def _state(partition: int, source: str, content: dict[bytes, bytes]) -> dict[str, Any]:
    digest = f"{hash(frozenset(content.items())) & (1 << 64) - 1:016x}"
    return {"what": "state", "partition": partition, "source": source, "rows": len(content), "digest": digest}


def _newest_disk(on: Installation, partition: int) -> dict[bytes, bytes]:
    """The copy with the greatest changelog offset: whoever had the partition last. A damage nobody has read shows here first."""
    newest: tuple[int, dict[bytes, bytes]] = (-1, {})
    for engine in ENGINES:
        store = TimelineStore(on.store_of(engine))
        if (on.store_of(engine) / str(partition)).is_dir():
            try:
                meta = store.open(partition)
                if meta.changelog_offset > newest[0]:
                    newest = (meta.changelog_offset, _content(store, partition))
            except Fatal as error:
                if "Corruption" not in str(error):
                    raise
            finally:
                store.close_all()
    return newest[1]


def _content(store: TimelineStore, partition: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for prefix in KINDS_OF_KEYS:
        after: bytes | None = None
        while page := store.scan(partition, prefix, after, SCAN_KEYS):
            found.update(page)
            after = page[-1][0]
    return found
