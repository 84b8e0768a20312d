"""Topics are created once, and differences are said."""

from __future__ import annotations

import pytest

from squirrel.streams.topics_admin import TopicDescription, TopicRefused, TopicReport, TopicsAdmin


async def test_apply_twice_is_once(kafka: str, topic_prefix: str) -> None:
    plan = [
        TopicDescription(f"{topic_prefix}a", 3, 1, {"cleanup.policy": "compact", "max.message.bytes": "2097152"}),
        TopicDescription(f"{topic_prefix}b", 1, 1),
    ]
    async with TopicsAdmin(kafka) as admin:
        assert [report.outcome for report in await admin.check(plan)] == ["missing", "missing"]
        assert [report.outcome for report in await admin.apply(plan[:1])] == ["created"]
        assert [report.outcome for report in await admin.apply(plan)] == ["unchanged", "created"]
        assert [report.outcome for report in await admin.check(plan)] == ["unchanged", "unchanged"]
        found = await admin.describe([f"{topic_prefix}a", f"{topic_prefix}none"])
        assert list(found) == [f"{topic_prefix}a"]
        assert found[f"{topic_prefix}a"].partitions == 3
        assert found[f"{topic_prefix}a"].configs["cleanup.policy"] == "compact"


async def test_differences_are_named(kafka: str, topic_prefix: str) -> None:
    name = f"{topic_prefix}a"
    async with TopicsAdmin(kafka) as admin:
        await admin.apply([TopicDescription(name, 3, 1)])
        wanted = [TopicDescription(name, 4, 1, {"cleanup.policy": "compact"})]
        expected = TopicReport(
            name, "differs", ("partitions is 3, should be 4", "cleanup.policy is delete, should be compact")
        )
        assert await admin.check(wanted) == [expected]
        assert await admin.apply(wanted) == [expected], "apply never changes a topic that is there"


async def test_what_the_broker_refuses_is_said(kafka: str, topic_prefix: str) -> None:
    async with TopicsAdmin(kafka) as admin:
        with pytest.raises(TopicRefused, match=r"odd.*retention\.ms"):
            await admin.apply([TopicDescription(f"{topic_prefix}odd", 1, 1, {"retention.ms": "soon"})])
