"""Creating and verifying the topics: the only place that does either."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka.errors import KafkaError

from squirrel.model.errors import Fatal, SettingsError
from squirrel.runtime.settings import Settings
from squirrel.streams.topics_admin import TopicDescription, TopicRefused, TopicsAdmin
from squirrel.wire.topics import TopicPlan, catalogue, dangers

LOOK_SECONDS: Final = 10.0


def plans_of(settings: Settings) -> tuple[TopicPlan, ...]:
    """What every topic of this installation must be."""
    return catalogue(settings.topic_prefix, settings.partitions, settings.replication)


def planned_topics(settings: Settings) -> list[dict[str, Any]]:
    """The plans as rows for people."""
    return [
        {"topic": plan.name, "partitions": plan.partitions, "replication": plan.replication, "what": plan.what}
        for plan in plans_of(settings)
    ]


async def apply_topics(settings: Settings) -> list[dict[str, Any]]:
    """Create what is missing; what exists and differs is reported. Raises SettingsError when work could be lost."""
    async with TopicsAdmin(settings.kafka) as admin:
        reports = await admin.apply([_description(plan) for plan in plans_of(settings)])
        created = {report.name for report in reports if report.outcome == "created"}
        return await _judge(admin, settings, created)


async def check_topics(settings: Settings) -> list[dict[str, Any]]:
    """One row per topic: state is fine, differs, missing, wrong or dangerous."""
    async with TopicsAdmin(settings.kafka) as admin:
        return await _judge(admin, settings, set())


async def refuse_dangers(settings: Settings) -> None:
    """Stop the start when a topic is missing, has another partition count, or could eat a pending schedule."""
    for row in await check_topics(settings):
        if row["state"] in ("missing", "wrong", "dangerous"):
            raise SettingsError(f"topic {row['topic']}: {row['detail']}; see `squirrel topics check`")


async def watch_topics(settings: Settings, crash: Callable[[BaseException], None]) -> None:
    """Looks again and again, and ends the process when a topic was deleted, changed or given partitions under it.

    The next start finds the same and is not tried again. What is missing must be missing twice: a broker that has just started
    may not know all yet.
    """
    missed: set[str] = set()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            rows = await check_topics(settings)
        except (KafkaError, TopicRefused):
            continue  # Kafka is away: whoever needs it says so
        missing = {row["topic"] for row in rows if row["state"] == "missing"}
        for row in rows:
            if row["state"] in ("wrong", "dangerous") or row["topic"] in missing & missed:
                crash(Fatal(f"topic {row['topic']}: {row['detail']}; see `squirrel topics check`"))
                return
        missed = missing


async def _judge(admin: TopicsAdmin, settings: Settings, created: set[str]) -> list[dict[str, Any]]:
    plans = plans_of(settings)
    found = await admin.describe([plan.name for plan in plans])
    rows = []
    for plan in plans:
        actual = found.get(plan.name)
        if actual is None and plan.name in created:
            state, detail = "created", ""  # too new to be described
        elif actual is None:
            state, detail = "missing", "it does not exist; `squirrel topics apply` creates it"
        elif plan.partitions_fixed and actual.partitions != plan.partitions:
            state = "wrong"
            detail = (
                f"it has {actual.partitions} partitions, the setting says {plan.partitions}, and the count is fixed"
            )
        elif reasons := dangers(plan, actual.configs):
            state, detail = "dangerous", " ".join(reasons)
        else:
            state, detail = ("created" if plan.name in created else "fine"), ""
        partitions = plan.partitions if actual is None else actual.partitions
        rows.append({"topic": plan.name, "state": state, "partitions": partitions, "detail": detail})
    return rows


def _description(plan: TopicPlan) -> TopicDescription:
    return TopicDescription(plan.name, plan.partitions, plan.replication, plan.configs)
