"""Creating and verifying the topics: the only place that does either."""

from __future__ import annotations

from typing import Any

from squirrel.model.errors import SettingsError
from squirrel.runtime.settings import Settings
from squirrel.streams.topics_admin import TopicDescription, TopicsAdmin
from squirrel.wire.topics import TopicPlan, catalogue, dangers


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
