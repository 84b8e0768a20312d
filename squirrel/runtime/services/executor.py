"""The executor service: executions of its partitions become calls, outcomes become results."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import partial
from urllib.parse import urlsplit

from squirrel.executor.callers import Callers
from squirrel.executor.circuits import Circuits, write_definition
from squirrel.executor.guard import Guard, GuardPolicy
from squirrel.executor.network import Ways
from squirrel.executor.notices import Notices
from squirrel.executor.parts import ExecutorParts
from squirrel.executor.reported import ReportedAttempts
from squirrel.executor.secrets import Secrets
from squirrel.executor.shell import Executor
from squirrel.executor.targets.http import HttpCaller
from squirrel.executor.targets.kafka import KafkaCaller, Refuses
from squirrel.executor.targets.plugin import PluginCaller
from squirrel.executor.targets.secured import SecuredHttp
from squirrel.executor.tokens import Tokens
from squirrel.model.clock import Clock
from squirrel.model.completion_token import completion_key
from squirrel.model.errors import Refused, SettingsError
from squirrel.model.limits import TIMEOUT_SECONDS_MAX
from squirrel.model.signing import parse_secrets
from squirrel.runtime.service import Context
from squirrel.runtime.services.parts import (
    definitions_of,
    group_of,
    notify_targets,
    stop_all,
    target_policy,
    topics_of,
    vault_of,
    watchdog_of,
    writer_of,
)
from squirrel.runtime.settings import Settings
from squirrel.streams.app import lane_app
from squirrel.streams.lanes import LaneSettings
from squirrel.wire.target_types.registry import installed_notifiers
from squirrel.wire.topics import Topics

# A full executor holds its lane back until calls end, and calls may take an hour: that is no lane that stands still.
LANE_SECONDS_MAX = 2.0 * TIMEOUT_SECONDS_MAX


class ExecutorService:
    """Wired by `build`; see `squirrel.executor` for what it promises."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        topics = topics_of(settings)
        name = settings.worker_name("executor")
        self.writer = writer_of(context)
        self.guard = Guard(guard_policy(context), context.clock)
        self.definitions = definitions_of(context)
        callers = callers_of(
            self.guard,
            context.clock,
            Secrets(vault_of(settings), self.definitions, context.clock),
            KafkaCaller(settings.kafka, f"{name}-targets", context.clock, refuses_of(topics)),
        )
        notices = Notices(callers, notify_targets(settings), context.clock, context.log)
        circuits = Circuits(
            context.clock,
            self.definitions,
            partial(write_definition, self.writer.append, topics.definitions),
            notices.tell,
            round(settings.disable_after_days * 86_400_000),
        )
        context.door.answer_asks(circuits.answer)
        self.executor = Executor(
            ExecutorParts(
                clock=context.clock,
                callers=callers,
                append=self.writer.append,
                reported=ReportedAttempts(settings.kafka, topics.results, f"{name}-reported").since,
                executions=topics.executions,
                results=topics.results,
                refused=topics.refused,
                refused_partitions=settings.partitions,
                window=settings.window,
                window_per_host=settings.window_per_host,
                signing_keys=_signing_keys(settings),
                circuits=circuits,
                completion_key=completion_key(settings.completions()),
                crash=context.crash,
                log=context.log,
            )
        )
        self.app = lane_app(
            LaneSettings(
                group=group_of(settings, "executor"),
                brokers=settings.kafka,
                client_id=name,
                lanes={topics.executions: self.executor.take},
                datadir=settings.data_dir / "executor",
                clock=context.clock,
                on_fatal=context.crash,
                owner=self.executor,
                url=context.door.url,
                instance_id=name,
                auto_mark=False,
                session_seconds=settings.session_timeout_seconds,
                heartbeat_seconds=settings.heartbeat_seconds,
                commit_seconds=settings.commit_interval_seconds,
            )
        )
        self.watchdog = watchdog_of(context, self.app, lane_seconds=LANE_SECONDS_MAX)

    async def start(self) -> None:
        """Join the group; calls begin as soon as what is finished is known, partition by partition."""
        self.app.settings.datadir.mkdir(parents=True, exist_ok=True)
        await self.writer.start()
        await self.definitions.start()
        await self.definitions.ready()
        self.executor.join(self.app)
        await self.app.start()
        self.watchdog.start()

    async def stop(self) -> None:
        """Let calls in flight end for a few seconds, report and commit them, leave. What is held is the next owner's."""
        self.executor.leave()
        await self.watchdog.stop()
        await self.app.stop()
        await stop_all(self.executor.close, self.writer.stop, self.definitions.stop)
        self.guard.close()

    def ready(self) -> str | None:
        """Ready when the group is settled and every partition of this process flows."""
        if self.app.rebalancing_since is not None:
            return "the consumer group is rebalancing"
        waiting = sorted(set(self.app.assigned()) - set(self.app.ready()))
        return f"opening partitions {waiting}" if waiting else None

    def values(self) -> Mapping[str, float]:
        """Counters and gauges."""
        return self.executor.values()


def callers_of(guard: Guard, clock: Clock, secrets: Secrets, kafka: KafkaCaller) -> Callers:
    """Every kind of target behind one guard and one store of tokens."""
    ways = Ways(guard, Tokens(clock), ssl.create_default_context())
    http = HttpCaller(guard, clock, ways.tls)
    secured = SecuredHttp(http, lambda tls: HttpCaller(guard, clock, tls), secrets, ways, clock)
    return Callers(http, secured, kafka, PluginCaller(installed_notifiers(), ways, secrets, clock))


def guard_policy(context: Context) -> GuardPolicy:
    """What the settings allow; our own doors, the brokers and the history stay closed even where loopback is open."""
    settings = context.settings
    policy = target_policy(settings)
    places = [context.door.url, settings.history_url(), *(f"kafka://{each}" for each in settings.kafka.split(","))]
    ports = {settings.port, settings.internal_port, *(_port(place) for place in places)}
    own_ports = frozenset(ports - {0}) | settings.ports()
    return GuardPolicy(policy.allow_cidrs, policy.allowed_hosts, own_ports, policy.by_namespace)


def _port(place: str) -> int:
    try:
        return urlsplit(place.strip()).port or 0
    except ValueError:
        return 0


def refuses_of(topics: Topics) -> Refuses:
    """Which topics no target may write to: Kafka's own and ours, the inbox left out. The doors have said so already."""

    def refuses(topic: str) -> str | None:
        internal = topic.startswith(topics.named("squirrel.")) and topic != topics.inbox
        if internal or topic.startswith("__"):
            return f"the topic {topic} is internal and takes no records of targets; choose one of your own"
        return None

    return refuses


def _signing_keys(settings: Settings) -> tuple[bytes, ...]:
    try:
        return parse_secrets(settings.secrets(), "webhook_secrets")
    except Refused as refused:
        raise SettingsError(str(refused)) from None


def build(context: Context) -> ExecutorService:
    """The service of `squirrel executor`."""
    return ExecutorService(context)
