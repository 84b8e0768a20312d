"""What several services are made of: names, groups, the followed definitions, target policy, the watchdog."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from squirrel.model.addresses import parse_host_patterns, parse_networks
from squirrel.model.errors import Problem, Refused, SettingsError
from squirrel.model.namespace_rules import parse_namespace_rules
from squirrel.model.target import Target
from squirrel.runtime.service import Context
from squirrel.runtime.settings import Settings
from squirrel.streams.tail import DefinitionsTail
from squirrel.streams.watchdog import LANE_SECONDS_MAX, Watchdog
from squirrel.streams.writer import BatchWriter
from squirrel.wire.documents import TargetPolicy
from squirrel.wire.documents.plugin_target import parse_plugin
from squirrel.wire.documents.target import parse_target_object
from squirrel.wire.target_types.registry import installed_notifiers, installed_types
from squirrel.wire.topics import Topics
from squirrel.wire.vault import Vault, parse_keys


def topics_of(settings: Settings) -> Topics:
    """The installation's topic names."""
    return Topics(settings.topic_prefix)


def group_of(settings: Settings, service: str) -> str:
    """The consumer group of a service."""
    return f"{settings.topic_prefix}squirrel-{service}"


def writer_of(context: Context) -> BatchWriter:
    """A producer of this process."""
    return BatchWriter(context.settings.kafka, client_id=context.settings.worker_name(context.name))


def target_policy(settings: Settings) -> TargetPolicy:
    """Where targets may be, as the settings say. Raises SettingsError."""
    try:
        return TargetPolicy(
            allowed_hosts=parse_host_patterns(",".join(settings.target_hosts()), "allowed_target_hosts"),
            allow_cidrs=parse_networks(",".join(settings.cidrs()), "targets_allow_cidrs"),
            topic_prefix=settings.topic_prefix,
            vault=vault_of(settings),
            by_namespace=parse_namespace_rules(settings.targets_by_namespace),
        )
    except Refused as refused:
        raise SettingsError(str(refused)) from None


def vault_of(settings: Settings) -> Vault:
    """What seals and opens secrets; without keys it refuses to seal. Raises SettingsError."""
    try:
        return Vault(parse_keys(settings.keys()))
    except Refused as refused:
        raise SettingsError(str(refused)) from None


def notify_targets(settings: Settings) -> tuple[Target, ...]:
    """Where notifications go: a JSON list of targets, those of `squirrel.notifiers` too. Raises SettingsError."""
    text = settings.notify.get_secret_value().strip()
    if not text:
        return ()
    problems: list[Problem] = []
    made: list[Target | None] = []
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, list):
        raise SettingsError('notify must be a JSON list of targets, such as [{"type": "slack", "url": "https://..."}]')
    # Secrets stand in the setting itself, or by name in the namespace default; nothing of this is stored.
    policy = replace(target_policy(settings), vault=None, namespace="default")
    for index, each in enumerate(given):
        field, kind = f"notify[{index}]", each.get("type") if isinstance(each, dict) else None
        found = None if installed_types().get(kind) else installed_notifiers().get(kind)
        if found is not None:
            entries = {name: (f"{field}.{name}", value) for name, value in each.items()}
            made.append(parse_plugin(found, entries, field, policy, problems, None))
        else:
            made.append(parse_target_object(field, each, policy, problems))
    if problems:
        raise SettingsError("; ".join(f"{problem.field}: {problem.reason}" for problem in problems))
    return tuple(target for target in made if target is not None)


def watchdog_of(
    context: Context, app: Any, *, lane_seconds: float = LANE_SECONDS_MAX, silent_seconds: float | None = None
) -> Watchdog:
    """Ends the process from its own thread when nothing moves: the loop may be what stands still.

    `silent_seconds`: end, too, when Kafka took no heartbeat for so long; another may own our partitions by then.
    """

    def end(error: BaseException) -> None:
        context.crash(error)
        context.log.error("ended by the watchdog", reason=str(error))
        os._exit(1)

    watchdog = Watchdog(context.clock, end, stall_seconds=context.settings.session_timeout_seconds / 2)
    watchdog.watch_app(app, lane_seconds=lane_seconds, silent_seconds=silent_seconds)
    return watchdog


def definitions_of(context: Context, changed: Callable[[bytes, bytes | None], None] | None = None) -> DefinitionsTail:
    """The definitions topic, followed from its beginning."""
    settings = context.settings
    return DefinitionsTail(
        settings.kafka,
        topics_of(settings).definitions,
        client_id=settings.worker_name(context.name),
        fail=context.crash,
        changed=changed,
    )


def operations_of(context: Context) -> DefinitionsTail:
    """The operations topic, followed from its beginning."""
    settings = context.settings
    name = settings.worker_name(context.name)
    return DefinitionsTail(settings.kafka, topics_of(settings).operations, client_id=name, fail=context.crash)


async def stop_all(*stops: Any) -> None:
    """Await every stop although one may fail; the first failure is raised afterwards."""
    failures = [
        outcome
        for outcome in await asyncio.gather(*(stop() for stop in stops), return_exceptions=True)
        if isinstance(outcome, BaseException)
    ]
    if failures:
        raise failures[0]
