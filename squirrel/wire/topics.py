"""The topic catalogue: `topics/*.yaml` as typed plans, their names under a prefix, and what a broker's settings endanger.

The files are data that other programs may read too; they travel in the wheel as `squirrel/_topics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml
from msgspec import Struct, convert

PARTITIONS_LOCAL: Final = 8
PARTITIONS_DEFAULT: Final = 64
_PACKAGE: Final = Path(__file__).resolve().parent.parent
_FOLDERS: Final = (_PACKAGE / "_topics", _PACKAGE.parent / "topics")  # installed, or a checkout


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """A record that today's code must decode. msgpack values are shown as arrays, their bytes as base64."""

    what: str
    key: str | None
    value: Any
    headers: dict[str, str] = {}


class TopicFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file of `topics/`. `partitions` is common (one count for the installation), free, or a number."""

    topic: str
    what: str
    key: str
    value: Literal["json", "msgpack"]
    noun: str  # the type that decodes it
    writers: list[str]
    readers: list[str]
    partitions: Literal["common", "free"] | int
    configs: dict[str, str]
    retention_ms_least: int | None  # below it records may vanish unread; None for compacted topics
    examples: list[Example]


class TopicPlan(Struct, frozen=True):
    """What a topic must be. `partitions_fixed`: another count breaks the partitioner, so it is an error and no choice."""

    name: str
    partitions: int
    replication: int
    configs: dict[str, str]
    partitions_fixed: bool
    retention_ms_least: int | None
    what: str


class Topics(Struct, frozen=True):
    """The names under one installation's prefix."""

    prefix: str = ""

    def named(self, base: str) -> str:
        """`prefix` before a catalogue name."""
        return f"{self.prefix}{base}"

    @property
    def inbox(self) -> str:
        return self.named("squirrel.inbox")

    @property
    def refused(self) -> str:
        return self.named("squirrel.refused")

    @property
    def commands(self) -> str:
        return self.named("squirrel.commands")

    @property
    def timeline_changelog(self) -> str:
        return self.named("squirrel.timeline-changelog")

    @property
    def executions(self) -> str:
        return self.named("squirrel.executions")

    @property
    def results(self) -> str:
        return self.named("squirrel.results")

    @property
    def completions(self) -> str:
        return self.named("squirrel.completions")

    @property
    def dead_letters(self) -> str:
        return self.named("squirrel.dead-letters")

    @property
    def audit(self) -> str:
        return self.named("squirrel.audit")

    @property
    def definitions(self) -> str:
        return self.named("squirrel.definitions")

    @property
    def operations(self) -> str:
        return self.named("squirrel.operations")


@lru_cache(maxsize=1)
def topic_files() -> tuple[TopicFile, ...]:
    """All files of the catalogue, by topic name. A malformed file is a defect of the package, so it raises."""
    folder = next((each for each in _FOLDERS if each.is_dir()), None)
    if folder is None:
        raise FileNotFoundError("the topic catalogue is missing from the package; install squirrel again")
    files = [
        convert(yaml.safe_load(path.read_text(encoding="utf-8")), TopicFile) for path in sorted(folder.glob("*.yaml"))
    ]
    return tuple(sorted(files, key=lambda file: file.topic))


def catalogue(prefix: str = "", partitions: int = PARTITIONS_LOCAL, replication: int = 1) -> tuple[TopicPlan, ...]:
    """The plan of every topic for an installation of this size."""
    return tuple(
        TopicPlan(
            name=f"{prefix}{file.topic}",
            partitions=file.partitions if isinstance(file.partitions, int) else partitions,
            replication=replication,
            configs={
                **file.configs,
                # An acknowledged record is on two brokers where there are three, and a stale one never leads again.
                "min.insync.replicas": "2" if replication >= 3 else "1",
                "unclean.leader.election.enable": "false",
            },
            partitions_fixed=file.partitions != "free",
            retention_ms_least=file.retention_ms_least,
            what=file.what,
        )
        for file in topic_files()
    )


def dangers(plan: TopicPlan, actual: Mapping[str, str]) -> list[str]:
    """What a topic's settings on the broker could lose, a sentence each; settings that `actual` lacks are not judged."""
    found = [*_cleanup_dangers(plan, actual), *_retention_dangers(plan, actual)]
    if _number(actual, "max.message.bytes", 2**62) < int(plan.configs["max.message.bytes"]):
        found.append(_sentence(plan, actual, "max.message.bytes", "is too small for the largest record or batch"))
    if _number(actual, "min.insync.replicas", 99) < int(plan.configs["min.insync.replicas"]):
        found.append(
            _sentence(plan, actual, "min.insync.replicas", "acknowledges records that one broker's death loses")
        )
    if actual.get("unclean.leader.election.enable", "false") == "true":
        found.append(
            _sentence(plan, actual, "unclean.leader.election.enable", "lets acknowledged records be discarded")
        )
    return found


def _cleanup_dangers(plan: TopicPlan, actual: Mapping[str, str]) -> list[str]:
    planned = plan.configs["cleanup.policy"]
    policy = {part.strip() for part in actual.get("cleanup.policy", planned).split(",") if part.strip()}
    if policy == {planned}:
        return []
    if planned == "compact":
        return [
            _sentence(plan, actual, "cleanup.policy", "deletes rows by age or size: pending schedules would vanish")
        ]
    return [_sentence(plan, actual, "cleanup.policy", "keeps only a key's newest record: unread ones would vanish")]


def _retention_dangers(plan: TopicPlan, actual: Mapping[str, str]) -> list[str]:
    found = []
    least_ms = plan.retention_ms_least
    if least_ms is None:
        if _number(actual, "delete.retention.ms", 2**62) < int(plan.configs["delete.retention.ms"]):
            found.append(
                _sentence(plan, actual, "delete.retention.ms", "forgets deletions before a copy has seen them")
            )
        return found
    retention_ms = _number(actual, "retention.ms", -1)
    if 0 <= retention_ms < least_ms:
        found.append(_sentence(plan, actual, "retention.ms", f"is below {least_ms}: records may vanish unread"))
    if _number(actual, "retention.bytes", -1) >= 0:
        found.append(_sentence(plan, actual, "retention.bytes", "drops unread records when many arrive"))
    planned_stamp = plan.configs.get("message.timestamp.type")
    if planned_stamp is not None and actual.get("message.timestamp.type", planned_stamp) != planned_stamp:
        found.append(
            _sentence(
                plan,
                actual,
                "message.timestamp.type",
                "lets a producer's wrong clock make a record old enough to delete",
            )
        )
    return found


def _number(actual: Mapping[str, str], key: str, absent: int) -> int:
    return int(actual[key]) if key in actual else absent


def _sentence(plan: TopicPlan, actual: Mapping[str, str], key: str, why: str) -> str:
    planned = plan.configs.get(key, "-1")
    return f"{plan.name}: {key}={actual[key]} {why}; set it to {planned}"
