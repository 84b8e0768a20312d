"""The engine service: the timeline's partitions of one process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

from squirrel.engine.parts import Counters, EngineParts, TopicNames
from squirrel.engine.queries import stats_of
from squirrel.engine.shell import Engine
from squirrel.model.limits import MIB
from squirrel.runtime.service import Context
from squirrel.runtime.services.parts import (
    definitions_of,
    group_of,
    stop_all,
    topics_of,
    watchdog_of,
    writer_of,
)
from squirrel.runtime.topics import refuse_dangers, watch_topics
from squirrel.streams.app import lane_app
from squirrel.streams.fence import RENEW_SECONDS
from squirrel.streams.lanes import LaneSettings
from squirrel.streams.timeline.recovery import Recovery, RecoverySettings
from squirrel.streams.timeline.standby import Standby
from squirrel.streams.timeline.store import TimelineStore
from squirrel.streams.topic_end import TopicEnd
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.listeners import ListenerBook
from squirrel.wire.public import refused_record
from squirrel.wire.route_book import RouteBook
from squirrel.wire.workflow_book import WorkflowBook


class EngineService:
    """Wired by `build`; see `squirrel.engine` for what it promises."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.settings = context.settings
        self.topics = topics_of(context.settings)
        self.folder = context.settings.data_dir / "timeline" / context.settings.worker_name("engine")
        self.definitions = definitions_of(context, self._definition_changed)
        self._replanning: set[asyncio.Task[None]] = set()
        self.writer = writer_of(context)
        self.store = self._store()
        self.parts = self._parts()
        self.recovery = Recovery(self._recovery_settings(), self.store, self.writer)
        self.engine = Engine(self.parts, self._recover, context.crash, TopicEnd(self.recovery.reader).read_back)
        context.door.answer_asks(self.engine.answer)
        self.app = lane_app(self._lane_settings())
        ownership = self.app.ownership
        self.standby = Standby(
            self.recovery,
            self.store,
            ownership.holds,
            ownership.lifecycle,
            context.crash,
            complete=self._standing_by,
            busy=lambda: len(self.app.ready()) < len(self.app.assigned()) or not self.app.assigned(),
        )
        self.watchdog = watchdog_of(context, self.app, silent_seconds=context.settings.session_timeout_seconds)
        self._renewing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._told_at = 0.0

    def _store(self) -> TimelineStore:
        half = self.settings.store_memory_mb * MIB // 2
        return TimelineStore(self.folder, cache_bytes=half, write_buffer_bytes=half, on_wiped=self._rebuilding)

    def _parts(self) -> EngineParts:
        topics = self.topics
        return EngineParts(
            store=self.store,
            writer=self.writer,
            topics=TopicNames(
                commands=topics.commands,
                results=topics.results,
                changelog=topics.timeline_changelog,
                executions=topics.executions,
                completions=topics.completions,
                dead_letters=topics.dead_letters,
                refused=topics.refused,
                definitions=topics.definitions,
            ),
            partitions=self.settings.partitions,
            refused_partitions=self.settings.partitions,
            clock=self.context.clock,
            route=RouteBook(self.definitions).best,
            calendars=CalendarBook(self.definitions).lookup,
            listeners=ListenerBook(self.definitions).of,
            workflows=WorkflowBook(self.definitions).newest,
            draw=random.random,
            counters=Counters(),
            emit_ahead_ms=self.settings.emit_ahead_ms,
            emit_window=self.settings.emit_window,
            observe_lateness=self.context.metrics.observe_lateness_ms,
            log=self.context.log,
            gone=self._gone,
        )

    def _gone(self) -> str | None:
        heartbeat_at = self.app.heartbeat_at()
        if heartbeat_at is None:
            return None  # the group rebalances: lanes and loops end before this process rejoins
        silent_seconds = self.context.clock.monotonic() - heartbeat_at
        if silent_seconds < self.settings.session_timeout_seconds - self.settings.heartbeat_seconds:
            return None
        return f"Kafka has taken no heartbeat for {silent_seconds:.1f} s and may have given it away"

    def _recovery_settings(self) -> RecoverySettings:
        return RecoverySettings(
            brokers=self.settings.kafka,
            changelog=self.topics.timeline_changelog,
            client_id=self.settings.worker_name("engine"),
            delete_retention_ms=int(self.settings.changelog_retention_hours * 3_600_000),
            clock=self.context.clock,
            progress=self._progress,
            noted=self._rebuilding,
            committed=self._committed,
            set_aside=self._set_aside,
        )

    def _lane_settings(self) -> LaneSettings:
        name = self.settings.worker_name("engine")
        return LaneSettings(
            group=group_of(self.settings, "engine"),
            brokers=self.settings.kafka,
            client_id=name,
            bare_records=True,
            lanes={self.topics.commands: self.engine.take_commands, self.topics.results: self.engine.take_results},
            datadir=self.folder / "faust",
            clock=self.context.clock,
            on_fatal=self.context.crash,
            owner=self.engine,
            url=self.context.door.url,
            instance_id=name,
            held=self._held(),
            on_follow=self._follow,
            refuse_gaps=True,
            session_seconds=self.settings.session_timeout_seconds,
            heartbeat_seconds=self.settings.heartbeat_seconds,
            commit_seconds=self.settings.commit_interval_seconds,
        )

    async def start(self) -> None:
        """Join the group; partitions are recovered in the background, one by one."""
        await refuse_dangers(self.context.settings)
        self.store.path.mkdir(parents=True, exist_ok=True)
        await self.definitions.start()
        await self.definitions.ready()
        await self.writer.start()
        await self.app.start()
        self.watchdog.start()
        self.standby.start()
        self._renewing = asyncio.get_running_loop().create_task(self._renew(), name="renew-fences")
        self._renewing.add_done_callback(self._replanned)
        self._looking = asyncio.get_running_loop().create_task(watch_topics(self.settings, self.context.crash))
        self._looking.add_done_callback(self._replanned)

    async def stop(self) -> None:
        """Finish what is in flight, commit, leave."""
        await self.watchdog.stop()
        for task in (self._renewing, self._looking):
            if task is not None:
                task.cancel()
        await self.standby.stop()
        await self.app.stop()
        self.store.close_all()
        await stop_all(self.writer.stop, self.definitions.stop)

    def ready(self) -> str | None:
        """Ready when the group is settled and every partition of this process flows."""
        if self.app.rebalancing_since is not None:
            return "the consumer group is rebalancing"
        waiting = sorted(set(self.app.assigned()) - set(self.app.ready()))
        if waiting:
            return f"recovering partitions {waiting}"
        return None

    def values(self) -> Mapping[str, float]:
        """Counters, backlog and recovery."""
        running = self.recovery.running.values()
        done = {"recovery_done": sum(each[0] for each in running), "recovery_total": sum(each[1] for each in running)}
        copies = {"standby_copies": len(self.standby.behind), "standby_behind": sum(self.standby.behind.values())}
        return {**stats_of(self.parts, self.engine.owners).values, **done, **copies}

    async def _recover(self, partition: int) -> int:
        began = self.context.clock.monotonic()
        recovered = await self.recovery.recover(partition)
        seconds = self.context.clock.monotonic() - began
        self.context.log.info(
            "partition recovered", partition=partition, records=recovered.records, seconds=round(seconds, 3)
        )
        return recovered.epoch

    async def _renew(self) -> None:
        """Kafka forgets names that nobody asks for: the changelogs are taken over again in time (streams/fence.py)."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            for owner in list(self.engine.owners.values()):
                async with owner.lock:
                    if owner.active:
                        await self.recovery.renew(owner.partition)

    def _definition_changed(self, key: bytes, value: bytes | None) -> None:
        namespace, kind, name = [*key.decode("utf-8", "replace").split("/", 2), "", ""][:3]
        if kind == "calendar":
            task = asyncio.get_running_loop().create_task(self.engine.calendar_changed(namespace, name))
            self._replanning.add(task)
            task.add_done_callback(self._replanned)

    def _replanned(self, task: asyncio.Task[None]) -> None:
        """Of a task in the background: what it raises ends the process."""
        self._replanning.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.context.crash(error)

    async def _set_aside(self, partition: int, offset: int, key: bytes, value: bytes | None, reason: str) -> None:
        self.parts.counters.poison += 1
        source = (self.topics.timeline_changelog, partition, offset)
        refused = refused_record("poison", "", reason, source, value)
        await self.writer.append(self.topics.refused, partition % self.settings.partitions, [(key, refused, ())])
        self.context.log.warning("set aside", topic=source[0], partition=partition, offset=offset, reason=reason)

    async def _committed(self, partition: int) -> int | None:
        return (await self.app.committed(self.parts.topics.commands, partition)).offset

    def _follow(self, partitions: frozenset[int]) -> None:
        self.standby.follow(partitions)

    def _standing_by(self, partitions: list[int]) -> None:
        self.context.log.info("standing by", partitions=partitions)

    def _progress(self, partition: int, done: int, total: int) -> None:
        now = self.context.clock.monotonic()
        if now - self._told_at >= 1:
            self._told_at = now
            self.context.log.info("recovering", partition=partition, done=done, total=total)

    def _rebuilding(self, partition: int, reason: str) -> None:
        self.context.log.warning("local state is rebuilt from the changelog", partition=partition, reason=reason)

    def _held(self) -> tuple[int, ...]:
        names = (path.name for path in self.store.path.iterdir()) if self.store.path.is_dir() else ()
        return tuple(sorted(int(name) for name in names if name.isdigit()))


def build(context: Context) -> EngineService:
    """The service of `squirrel engine`."""
    return EngineService(context)
