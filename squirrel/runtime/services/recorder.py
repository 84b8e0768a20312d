"""The recorder service: results and completions go into the history."""

from __future__ import annotations

from collections.abc import Mapping

from squirrel.recorder.shell import RecorderLane
from squirrel.recorder.step import Poison
from squirrel.runtime.service import Context
from squirrel.runtime.services.parts import group_of, stop_all, topics_of, watchdog_of, writer_of
from squirrel.stores.history import HistoryUnavailable
from squirrel.stores.open import open_history
from squirrel.streams.app import lane_app
from squirrel.streams.lanes import LaneSettings

# A history that is away for hours holds its batches; that is no standstill of this process.
# The history is read by people: a twentieth of a second later costs them nothing, and one write of fifty results costs a tenth
# of fifty writes.
FETCH_WAIT_MS = 50
FETCH_BYTES_MIN = 128 * 1024
LANE_SECONDS_MAX = 7 * 86_400.0


class RecorderService:
    """Wired by `build`; see `squirrel.recorder` for what it promises."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        topics = topics_of(settings)
        self.context = context
        self.topics = topics
        self.writer = writer_of(context)
        self.history = open_history(settings.history_url())
        self.lane = RecorderLane(
            self.history,
            {topics.results: "results", topics.completions: "completions", topics.dead_letters: "dead-letters"},
            self._refuse,
            context.clock,
        )
        self.app = lane_app(
            LaneSettings(
                group=group_of(settings, "recorder"),
                brokers=settings.kafka,
                client_id=settings.worker_name("recorder"),
                lanes=dict.fromkeys((topics.results, topics.completions, topics.dead_letters), self.lane.process),
                datadir=settings.data_dir / "recorder",
                clock=context.clock,
                on_fatal=context.crash,
                instance_id=settings.worker_name("recorder"),
                session_seconds=settings.session_timeout_seconds,
                heartbeat_seconds=settings.heartbeat_seconds,
                commit_seconds=settings.commit_interval_seconds,
                fetch_wait_ms=FETCH_WAIT_MS,
                fetch_bytes_min=FETCH_BYTES_MIN,
            )
        )
        self.watchdog = watchdog_of(context, self.app, lane_seconds=LANE_SECONDS_MAX)

    async def start(self) -> None:
        """Join the group. The history may be away: records wait on Kafka until it is back."""
        try:
            await self.history.start()
        except HistoryUnavailable as error:
            self.context.log.warning("the history store is away; records wait", reason=str(error))
        await self.writer.start()
        await self.lane.start()
        self.app.settings.datadir.mkdir(parents=True, exist_ok=True)  # Faust makes its own level only
        await self.app.start()
        self.watchdog.start()

    async def stop(self) -> None:
        """Write the batch in hand, commit, leave."""
        await self.watchdog.stop()
        await self.app.stop()
        await self.lane.stop()
        await stop_all(self.writer.stop, self.history.close)

    def ready(self) -> str | None:
        """Ready while the group is settled and the store takes writes."""
        if self.app.rebalancing_since is not None:
            return "the consumer group is rebalancing"
        state = self.lane.state
        return None if state.ready else f"the history store is away: {state.last_error}"

    def values(self) -> Mapping[str, float]:
        """What was written, and whether the store is there."""
        state = self.lane.state
        return {
            "written": state.written_total,
            "refused": state.refused_total,
            "history_failures": state.failures_total,
            "history_up": float(state.ready),
        }

    async def _refuse(self, poison: Poison) -> None:
        partition = poison.partition % self.context.settings.partitions
        await self.writer.append(self.topics.refused, partition, [(b"", poison.refused(), ())])


def build(context: Context) -> RecorderService:
    """The service of `squirrel recorder`."""
    return RecorderService(context)
