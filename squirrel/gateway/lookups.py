"""Reading schedules from their owners: one by id, or the schedule that a run belongs to."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.problems import Answered
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, State, decode_row
from squirrel.wire.owner_link import Answer, FindRun, Found, Get
from squirrel.wire.partitioner import partition_of


class Located(NamedTuple):
    """A schedule's row and the partition that holds it."""

    row: Row
    partition: int


class Lookups:
    """Asks the owners; all methods raise Unavailable when a partition that matters has none."""

    def __init__(self, link: OwnerLink, partitions: int) -> None:
        self._link = link
        self._partitions = partitions

    def home(self, namespace: str, key: str) -> int:
        """Where the schedule (or the group) `key` belongs."""
        return partition_of(namespace, key, self._partitions)

    async def find(self, namespace: str, schedule_id: str) -> Located | None:
        """A schedule by id. One in a group lives where its group does, so what is not at home is looked for everywhere."""
        home = self.home(namespace, schedule_id)
        row = _row(await self._link.ask(home, Get(home, namespace, schedule_id)))
        if row is not None:
            return Located(row, home)
        others = [partition for partition in range(self._partitions) if partition != home]
        answers = await asyncio.gather(*(self._link.ask(each, Get(each, namespace, schedule_id)) for each in others))
        for partition, answer in zip(others, answers, strict=True):
            if (row := _row(answer)) is not None:
                return Located(row, partition)
        return None

    async def get(self, namespace: str, schedule_id: str) -> Located:
        """As `find`. Raises Answered 404."""
        located = await self.find(namespace, schedule_id)
        if located is None:
            raise no_schedule(schedule_id)
        return located

    async def of_run(self, namespace: str, run: str) -> Row | None:
        """The schedule that has this run open or as its last."""
        for answer in await self._link.ask_all(FindRun(namespace, run)):
            if (row := _row(answer)) is not None:
                return row
        return None


def _row(answer: Answer) -> Row | None:
    if not isinstance(answer, Found):
        raise Unavailable("the engine did not answer in time; send again", 1)
    if answer.row is None:
        return None
    row: Row = decode_row(answer.row)
    return None if row.state is State.UNKNOWN else row  # changes that wait for their create are no schedule yet


def no_schedule(schedule_id: str) -> Answered:
    """404 for a schedule."""
    return Answered(
        "not_found", f"there is no schedule {schedule_id} in this namespace; it may have ended and left its retention"
    )
