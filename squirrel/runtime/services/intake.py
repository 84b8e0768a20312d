"""The intake service: the public inbox becomes commands or refusals."""

from __future__ import annotations

from collections.abc import Mapping

from squirrel.intake.shell import IntakeLane
from squirrel.intake.step import Surroundings
from squirrel.runtime.service import Context
from squirrel.runtime.services.parts import (
    definitions_of,
    group_of,
    stop_all,
    target_policy,
    topics_of,
    watchdog_of,
    writer_of,
)
from squirrel.streams.app import lane_app
from squirrel.streams.lanes import LaneSettings
from squirrel.wire.calendar_book import CalendarBook
from squirrel.wire.route_book import RouteBook
from squirrel.wire.template_book import TemplateBook


class IntakeService:
    """Wired by `build`; see `squirrel.intake` for what it promises."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        topics = topics_of(settings)
        self.definitions = definitions_of(context)
        self.writer = writer_of(context)
        calendars = CalendarBook(self.definitions).lookup
        policy = target_policy(settings)
        expanded = TemplateBook(self.definitions, policy.vault).expanded
        routes = RouteBook(self.definitions)
        around = Surroundings(routes.matches, policy, calendars, expanded, routes.best)
        self.lane = IntakeLane(self.writer, topics, settings.partitions, around, context.clock)
        self.app = lane_app(
            LaneSettings(
                group=group_of(settings, "intake"),
                brokers=settings.kafka,
                client_id=settings.worker_name("intake"),
                lanes={topics.inbox: self.lane.process},
                datadir=settings.data_dir / "intake",
                clock=context.clock,
                on_fatal=context.crash,
                instance_id=settings.worker_name("intake"),
                session_seconds=settings.session_timeout_seconds,
                heartbeat_seconds=settings.heartbeat_seconds,
                commit_seconds=settings.commit_interval_seconds,
            )
        )
        self.watchdog = watchdog_of(context, self.app)

    async def start(self) -> None:
        """Join the group."""
        await self.definitions.start()
        await self.definitions.ready()
        await self.writer.start()
        self.app.settings.datadir.mkdir(parents=True, exist_ok=True)  # Faust makes its own level only
        await self.app.start()
        self.watchdog.start()

    async def stop(self) -> None:
        """Finish the batch in hand, commit, leave."""
        await self.watchdog.stop()
        await self.app.stop()
        await stop_all(self.writer.stop, self.definitions.stop)

    def ready(self) -> str | None:
        """Ready when the group is settled."""
        return "the consumer group is rebalancing" if self.app.rebalancing_since is not None else None

    def values(self) -> Mapping[str, float]:
        """What was taken and refused."""
        return {"accepted": self.lane.accepted, "refused": self.lane.refused}


def build(context: Context) -> IntakeService:
    """The service of `squirrel intake`."""
    return IntakeService(context)
