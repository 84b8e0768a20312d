"""Who gets which partition: number p of all topics to one member, former owners first, balanced to within one.

It replaces Faust's assignor, which asserts on a surprise and leaves a dead coordinator behind (reference faust.md, section 3).
A member's user data is JSON: `{"url": ..., "owned": [...], "generation": n, "copies": [...]}`, so that outsiders can find an
owner; `copies`, of members that keep standby copies, are partitions whose state is on their disk and young. The leader answers
each of those with the partitions it is to keep a copy of: JSON too, in the assignment's user data.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.errors import for_code

from squirrel.model.errors import Unavailable

PROTOCOL: Final = "squirrel"
_VERSION: Final = 0


class Member(NamedTuple):
    """What one member said when it joined."""

    id: str
    topics: frozenset[str]
    url: str
    owned: frozenset[int]
    generation: int
    copies: frozenset[int] | None = None  # None: it keeps none


def read_member(member_id: str, topics: Iterable[str], user_data: bytes | None) -> Member:
    """User data that is not ours claims nothing; it is no reason to fail a whole group."""
    try:
        said = json.loads(user_data or b"{}")
        owned = frozenset(int(number) for number in said.get("owned", ()))
        copies = frozenset(int(number) for number in said["copies"]) if "copies" in said else None
        generation = int(said.get("generation", -1))
        return Member(member_id, frozenset(topics), str(said.get("url", "")), owned, generation, copies)
    except (ValueError, TypeError, AttributeError):
        return Member(member_id, frozenset(topics), "", frozenset(), -1)


def share_out(members: Sequence[Member], counts: Mapping[str, int]) -> dict[str, dict[str, list[int]]]:
    """Member id -> topic -> partitions. `counts`: partitions per topic.

    A former owner keeps its partition while that leaves the shares within one of each other; of two claims the later
    generation is believed. A topic that an owner does not subscribe to goes to the next member that does.
    """
    out: dict[str, dict[str, list[int]]] = {member.id: defaultdict(list) for member in members}
    if not members:
        return out
    ordered = _in_order(members)
    owner_of = _owners(ordered, max(counts.values(), default=0))
    for number, owner in owner_of.items():
        first = ordered.index(owner)
        for topic in sorted(counts):
            if number >= counts[topic]:
                continue
            for step in range(len(ordered)):
                member = ordered[(first + step) % len(ordered)]
                if topic in member.topics:
                    out[member.id][topic].append(number)
                    break
    return out


def share_copies(members: Sequence[Member], shares: Mapping[str, Mapping[str, Sequence[int]]]) -> dict[str, list[int]]:
    """Member id -> partitions whose standby copy it keeps: one copy of each, not at its owner, where one is already."""
    keepers = [member for member in _in_order(members) if member.copies is not None]
    owned = {member: {number for numbers in topics.values() for number in numbers} for member, topics in shares.items()}
    out: dict[str, list[int]] = {member.id: [] for member in keepers}
    for number in sorted(set().union(*owned.values())) if owned else ():
        others = [member for member in keepers if number not in owned[member.id]]
        if others and len(keepers) > 1:
            most = -(-len(set().union(*owned.values())) // len(keepers)) + 1
            has = [m for m in others if number in (m.copies or ()) or number in m.owned]
            fit = [member for member in has if len(out[member.id]) < most] or others
            out[min(fit, key=lambda member: len(out[member.id])).id].append(number)
    return out


def _in_order(members: Sequence[Member]) -> list[Member]:
    return sorted(members, key=lambda member: member.id)


def _owners(ordered: list[Member], count: int) -> dict[int, Member]:
    small, larger = divmod(count, len(ordered))  # `larger` members have one more than `small`
    shares: dict[str, int] = dict.fromkeys((member.id for member in ordered), 0)
    owner_of: dict[int, Member] = {}

    def give(claims: Mapping[int, Sequence[Member]]) -> None:
        """Each to the first who claims it and has room; what only one claims goes first, for others have a choice."""
        nonlocal larger
        for rank in range(len(ordered)):
            for number in sorted(claims, key=lambda number: (len(claims[number]) > 1, number)):
                if number in owner_of or rank >= len(claims[number]):
                    continue
                member = claims[number][rank]
                extra = shares[member.id] == small and larger > 0
                if shares[member.id] < small or extra:
                    larger -= extra
                    shares[member.id] += 1
                    owner_of[number] = member

    by_generation = sorted(ordered, key=lambda each: -each.generation)
    numbers = range(count)
    # Whoever runs it keeps it, before anybody who only has a copy of it gets anything.
    give({number: [member for member in by_generation if number in member.owned] for number in numbers})
    give({number: [member for member in ordered if number in (member.copies or ())] for number in numbers})
    for number in numbers:
        if number not in owner_of:
            fewest = min(ordered, key=lambda member: shares[member.id])
            shares[fewest.id] += 1
            owner_of[number] = fewest
    return dict(sorted(owner_of.items()))


class LaneAssignor(AbstractPartitionAssignor):
    """Faust's class setting `PartitionAssignor`, given to aiokafka as it is. Called in the consumer's thread."""

    name = PROTOCOL

    def __init__(self, app: Any, replicas: int = 0) -> None:
        self._app = app
        self._url: str = app.settings.url
        self._owned: frozenset[int] = frozenset(app.settings.held)
        self._copies: frozenset[int] = frozenset()
        self._generation = -1  # what is only on disk yields to what somebody runs

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        said: dict[str, Any] = {"url": self._url, "owned": sorted(self._owned), "generation": self._generation}
        if self._app.settings.on_follow is not None:
            said["copies"] = sorted(self._copies)
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), json.dumps(said).encode())

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        said = [read_member(member_id, data.subscription, data.user_data) for member_id, data in members.items()]
        topics = {topic for member in said for topic in member.topics}
        # A topic the cluster does not know yet has no partitions; its creation starts the next rebalance.
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        shared = share_out(said, counts)
        copies = share_copies(said, shared)
        return {
            member_id: ConsumerProtocolMemberAssignment(
                _VERSION, sorted(shares.items()), json.dumps(copies.get(member_id, [])).encode()
            )
            for member_id, shares in shared.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self._owned = frozenset(tp.partition for tp in assignment.partitions())
        self._generation = self._app.generation_in_thread()
        if self._app.settings.on_follow is not None:
            self._copies = frozenset(json.loads(assignment.user_data or b"[]"))
            self._app.follow_from_thread(self._copies)


class OwnerDirectory:
    """Partition -> owner's URL of one group, asked of its coordinator. One connection, kept."""

    def __init__(self, brokers: str, group: str, *, client_id: str = "squirrel-owners") -> None:
        self._brokers = brokers
        self._group = group
        self._client_id = client_id
        self._admin: Any = None

    async def owners(self) -> dict[int, str]:
        """Every partition that has an owner; empty while the group rebalances or has no member.

        Raises Unavailable when Kafka cannot be asked.
        """
        try:
            if self._admin is None:
                admin = AIOKafkaAdminClient(bootstrap_servers=self._brokers, client_id=self._client_id)
                await admin.start()
                self._admin = admin
            (response,) = await self._admin.describe_consumer_groups([self._group])
        except Exception as error:
            await self.close()
            raise Unavailable(f"the owners of group {self._group} cannot be asked of Kafka: {error!r}") from error
        return owners_in(response)

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.close()


def owners_in(response: Any) -> dict[int, str]:
    """Partition -> URL in a DescribeGroups response of one group."""
    out: dict[int, str] = {}
    for group in response.groups:
        error_code, _, state, _, protocol, members = tuple(group)[:6]
        if error_code:
            raise Unavailable(f"Kafka cannot describe the group: {for_code(error_code).__name__}")
        if state != "Stable" or protocol != PROTOCOL:
            continue
        for member_id, _, _, metadata, assignment in (tuple(member)[-5:] for member in members):
            said = ConsumerProtocolMemberMetadata.decode(metadata)
            url = read_member(member_id, said.subscription, said.user_data).url
            for tp in ConsumerProtocolMemberAssignment.decode(assignment).partitions():
                out[tp.partition] = url
    return out


async def owners(brokers: str, group: str) -> dict[int, str]:
    """`OwnerDirectory.owners` once, with a connection of its own."""
    directory = OwnerDirectory(brokers, group)
    try:
        return await directory.owners()
    finally:
        await directory.close()
