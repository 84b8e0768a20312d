"""The watchdog service: reads the topics itself and tells what should have run and did not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from squirrel.executor.guard import Guard
from squirrel.executor.notices import Notices
from squirrel.executor.secrets import Secrets
from squirrel.executor.targets.kafka import KafkaCaller
from squirrel.runtime.service import Context
from squirrel.runtime.services.executor import callers_of, guard_policy, refuses_of
from squirrel.runtime.services.parts import definitions_of, notify_targets, stop_all, topics_of, vault_of
from squirrel.streams.whole_topics import WholeTopics
from squirrel.watchdog.ledger import Ledger
from squirrel.watchdog.shell import Watch, WatchParts
from squirrel.wire.calendar_book import CalendarBook

NAMESPACE = "default"  # of notices: they are about the installation
LAG_MS_MAX = 30_000  # beyond it what it says is old


class WatchdogService:
    """Wired by `build`; see `squirrel.watchdog` for what it promises."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        topics = topics_of(settings)
        name = settings.worker_name("watchdog")
        self.context = context
        self.definitions = definitions_of(context)
        calendars = CalendarBook(self.definitions)
        kafka = KafkaCaller(settings.kafka, f"{name}-targets", context.clock, refuses_of(topics))
        secrets = Secrets(vault_of(settings), self.definitions, context.clock)
        self.callers = callers_of(Guard(guard_policy(context), context.clock), context.clock, secrets, kafka)
        notices = Notices(self.callers, notify_targets(settings), context.clock, context.log)
        followed = (topics.timeline_changelog, topics.executions, topics.results, topics.completions)
        self.watch = Watch(
            WatchParts(
                clock=context.clock,
                ledger=Ledger(settings.data_dir / "watchdog" / "ledger.db"),
                source=WholeTopics(settings.kafka, followed, from_beginning=topics.timeline_changelog, client_id=name),
                kinds={
                    topics.timeline_changelog: "changelog",
                    topics.executions: "executions",
                    topics.results: "results",
                    topics.completions: "completions",
                },
                calendars=calendars.lookup,
                tell=lambda title, text: notices.tell(NAMESPACE, title, text),
                threshold_ms=round(settings.watchdog_threshold_seconds * 1000),
                log=context.log,
            )
        )
        context.door.answer_asks(self.watch.answer)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Opens the ledger and reads on from there."""
        await self.definitions.start()
        await self.definitions.ready()
        await self.watch.start()
        self._running = asyncio.get_running_loop().create_task(self.watch.run(), name="watch")
        self._running.add_done_callback(self._ended)

    async def stop(self) -> None:
        """What was read since the last look is read again next time."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
        await stop_all(self.watch.stop, self.callers.close, self.definitions.stop)

    def ready(self) -> str | None:
        """Ready while it has read all there is."""
        if not self.watch.is_ready:
            return "the topics are still being read"
        lag_ms = self._lag_ms()
        return None if lag_ms <= LAG_MS_MAX else f"reading is {lag_ms} ms behind"

    def values(self) -> Mapping[str, float]:
        """What is missing, and how far it looks."""
        watch = self.watch
        return {
            "expected_overdue": watch.overdue,
            "expected_unanswered": watch.unanswered,
            "expected_overdue_ms_max": watch.overdue_ms_max,
            "watchdog_lag_ms": self._lag_ms(),
            "watchdog_read": watch.read,
            "watchdog_unreadable": watch.unreadable,
            "watchdog_notices": watch.notices,
        }

    def _lag_ms(self) -> int:
        return max(0, self.context.clock.now_ms() - self.watch.as_of_ms) if self.watch.is_ready else 0

    def _ended(self, running: asyncio.Task[None]) -> None:
        if not self.context.stopping.is_set():
            error = None if running.cancelled() else running.exception()
            self.context.crash(error or "the watchdog ended by itself")


def build(context: Context) -> WatchdogService:
    """The service of `squirrel watchdog`."""
    return WatchdogService(context)
