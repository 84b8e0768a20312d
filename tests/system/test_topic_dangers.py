"""A topic that could eat a pending schedule stops an engine before it takes anything, with the sentence that says which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from squirrel.model.errors import SettingsError
from squirrel.runtime.dev import environment_of
from squirrel.runtime.settings import Settings, load
from squirrel.runtime.topics import apply_topics, check_topics, refuse_dangers
from squirrel.wire.topics import Topics
from tests.eventually import eventually

NO_FILE = Path("/nonexistent/.env")


@pytest.fixture
def settings(kafka: str, topic_prefix: str, tmp_path: Path) -> Settings:
    found = {"kafka": kafka, "topic_prefix": topic_prefix, "partitions": 2, "data_dir": str(tmp_path)}
    return load(found, environment={}, env_file=NO_FILE)[0]


async def alter(settings: Settings, topic: str, **configs: str) -> None:
    """What an operator's hand on the broker does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    try:
        answers = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    finally:
        await admin.close()
    assert [code for response in answers for code, *_ in map(tuple, response.resources)] == [0], answers


async def test_topics_as_they_were_created_are_fine(settings: Settings) -> None:
    assert {row["state"] for row in await apply_topics(settings)} == {"created"}
    await refuse_dangers(settings)
    assert {row["state"] for row in await apply_topics(settings)} == {"fine"}


async def test_topics_that_do_not_exist_are_named(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=rf"topic {settings.topic_prefix}squirrel\.\S+: it does not exist"):
        await refuse_dangers(settings)
    assert {row["state"] for row in await check_topics(settings)} == {"missing"}


async def test_another_partition_count_is_refused(settings: Settings) -> None:
    await apply_topics(settings)
    with pytest.raises(SettingsError, match="it has 2 partitions, the setting says 3, and the count is fixed"):
        await refuse_dangers(settings.model_copy(update={"partitions": 3}))


async def test_an_engine_does_not_start_on_a_changelog_that_is_deleted_by_time(settings: Settings) -> None:
    await apply_topics(settings)
    changelog = Topics(settings.topic_prefix).timeline_changelog
    await alter(settings, changelog, **{"cleanup.policy": "delete"})

    async def dangerous() -> bool:  # the broker takes a moment to know its own change
        rows = {row["topic"]: row["state"] for row in await check_topics(settings)}
        return rows.pop(changelog) == "dangerous" and set(rows.values()) == {"fine"}

    await eventually(dangerous)

    environment = {**os.environ, **environment_of(settings, 0)}
    argv = [sys.executable, "-m", "squirrel", "engine"]
    ended = subprocess.run(argv, check=False, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    lines = [json.loads(line) for line in (ended.stdout + ended.stderr).splitlines() if line.startswith("{")]
    reasons = [line["reason"] for line in lines if "reason" in line]
    assert any(changelog in reason and "cleanup.policy" in reason for reason in reasons), reasons
