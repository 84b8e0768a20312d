"""Creates topics and says where an existing one differs from its description. It changes and deletes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Self, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from squirrel.model.errors import SquirrelError

KNOWN_TRIES_MAX: Final = 200
KNOWN_POLL_SECONDS: Final = 0.05
ASKED_TRIES_MAX: Final = 60
ASKED_AGAIN_SECONDS: Final = 0.25

T = TypeVar("T")


class TopicRefused(SquirrelError):
    """Kafka would not create or describe a topic; the message is the broker's."""


@dataclass(frozen=True, slots=True)
class TopicDescription:
    """What a topic should be; `configs` are Kafka's own names and values as text."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str] = field(default_factory=dict)


class TopicFound(NamedTuple):
    """What a topic is; `configs` holds all of them, defaults included."""

    name: str
    partitions: int
    replication: int
    configs: dict[str, str]


class TopicReport(NamedTuple):
    """`differences`: one sentence each, naming the setting, what it is and what it should be."""

    name: str
    outcome: Literal["created", "unchanged", "differs", "missing"]
    differences: tuple[str, ...] = ()


class TopicsAdmin:
    """One admin connection; use it as `async with TopicsAdmin(brokers) as admin`."""

    def __init__(self, brokers: str, *, client_id: str = "squirrel-topics") -> None:
        self._admin: Any = AIOKafkaAdminClient(bootstrap_servers=brokers, client_id=client_id)

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
        except BaseException:
            await self._admin.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._admin.close()

    async def apply(self, descriptions: Sequence[TopicDescription]) -> list[TopicReport]:
        """Creates what is missing, leaves what exists; twice is the same as once. In the order given."""
        found = await self.describe([description.name for description in descriptions])
        missing = [description for description in descriptions if description.name not in found]
        created = await self._create(missing) if missing else set()
        await self._until_known(created)
        appeared = [description.name for description in missing if description.name not in created]
        found |= await self.describe(appeared) if appeared else {}
        return [
            TopicReport(description.name, "created")
            if description.name in created
            else _report(description, found.get(description.name))
            for description in descriptions
        ]

    async def check(self, descriptions: Sequence[TopicDescription]) -> list[TopicReport]:
        """Says of each whether it is as described; creates nothing."""
        found = await self.describe([description.name for description in descriptions])
        return [_report(description, found.get(description.name)) for description in descriptions]

    async def describe(self, names: Sequence[str]) -> dict[str, TopicFound]:
        """Those that exist, by name, with all their settings."""
        if not names:
            return {}
        existing = set(await patiently(self._admin.list_topics)) & set(names)
        if not existing:
            return {}
        topics = await patiently(lambda: self._admin.describe_topics(sorted(existing)))
        configs = await self._configs(sorted(existing))
        out = {}
        for topic in topics:
            if topic["error_code"]:
                raise TopicRefused(f"{topic['topic']}: {for_code(topic['error_code']).__name__}")
            partitions = topic["partitions"]
            replicas = [len(partition["replicas"]) for partition in partitions]
            name = topic["topic"]
            out[name] = TopicFound(name, len(partitions), min(replicas, default=0), configs.get(name, {}))
        return out

    async def _create(self, descriptions: Sequence[TopicDescription]) -> set[str]:
        wanted = [
            NewTopic(item.name, item.partitions, item.replication, topic_configs=dict(item.configs))
            for item in descriptions
        ]
        response = await patiently(lambda: self._admin.create_topics(wanted))
        created = set()
        for name, code, message in (tuple(error)[:3] for error in response.topic_errors):
            if code == 0:
                created.add(name)
            elif code != TopicAlreadyExistsError.errno:  # somebody else was quicker: described like any other
                raise TopicRefused(f"{name}: {message or for_code(code).__name__}")
        return created

    async def _until_known(self, names: set[str]) -> None:
        """A broker answers "created" before its metadata knows the topic; whoever uses it next must find it."""
        for _ in range(KNOWN_TRIES_MAX):
            if names <= set(await patiently(self._admin.list_topics)):
                return
            await asyncio.sleep(KNOWN_POLL_SECONDS)
        raise TopicRefused(f"{sorted(names)} were created but the brokers do not show them")

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        out: dict[str, dict[str, str]] = {}
        for response in await patiently(lambda: self._admin.describe_configs(wanted)):
            for code, message, _, name, entries in (tuple(resource)[:5] for resource in response.resources):
                if code:
                    raise TopicRefused(f"{name}: {message or for_code(code).__name__}")
                out[name] = {entry[0]: entry[1] for entry in (tuple(entry) for entry in entries)}
        return out


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What the broker answers, asked again while it says that it is not ready yet.

    aiokafka's admin client, unlike its producer and consumer, raises what would go by itself (NodeNotReadyError while a broker
    that has just started takes its first connection). All that is asked here may be asked twice.
    """
    for _ in range(ASKED_TRIES_MAX - 1):
        try:
            return await ask()
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(ASKED_AGAIN_SECONDS)
    return await ask()


def _report(description: TopicDescription, found: TopicFound | None) -> TopicReport:
    if found is None:
        return TopicReport(description.name, "missing")
    pairs = [
        ("partitions", str(found.partitions), str(description.partitions)),
        ("replication", str(found.replication), str(description.replication)),
        *((key, found.configs.get(key, ""), value) for key, value in sorted(description.configs.items())),
    ]
    differences = tuple(f"{key} is {actual}, should be {wanted}" for key, actual, wanted in pairs if actual != wanted)
    return TopicReport(description.name, "differs" if differences else "unchanged", differences)
