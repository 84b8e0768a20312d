"""Changes: a command is appended, acknowledged by Kafka, and its outcome asked of the partition's owner.

After the acknowledgement nothing is lost any more: what can still fail is only the news of it, and then the caller is told 202.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from squirrel.gateway.audit_notes import NOTES
from squirrel.gateway.owner_link import OwnerLink
from squirrel.gateway.producing import CommandLog
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, decode_row
from squirrel.wire.owner_link import CREATED, Await, Decided, Found, Get
from squirrel.wire.records import Command, encode_command


class Order(NamedTuple):
    """A command and the partition it belongs to."""

    command: Command
    partition: int


class Writes:
    """Sends commands. An outcome of None means: stored, and not known to be applied yet."""

    def __init__(self, log: CommandLog, link: OwnerLink) -> None:
        self._log = log
        self._link = link

    async def send(self, order: Order, *, wait: bool = True) -> Decided | None:
        """Appends one command and waits for its outcome. Raises Unavailable when Kafka did not take it."""
        return (await self.send_all([order], wait=wait))[0]

    async def send_all(self, orders: Sequence[Order], *, wait: bool = True) -> list[Decided | None]:
        """The outcomes of several commands of one partition, in order; Kafka takes all of them or the call raises."""
        partition = orders[0].partition
        records = [(order.command.id.encode(), encode_command(order.command), ()) for order in orders]
        last = await self._log.write(partition, records)
        outcomes: list[Decided | None] = [None] * len(orders)
        if wait:
            outcomes = await self._outcomes(partition, orders, last)
        if (notes := NOTES.get()) is not None:
            notes.touched([order.command.id for order in orders], outcomes)
        return outcomes

    async def _outcomes(self, partition: int, orders: Sequence[Order], last: int) -> list[Decided | None]:
        first = last - len(orders) + 1
        timeout_ms = int(self._link.answer_seconds * 1000)
        asks = [Await(partition, first + index, timeout_ms) for index in range(len(orders))]
        try:
            answers = await self._link.ask_many(partition, asks)
        except Unavailable:
            return [None] * len(orders)
        outcomes: list[Decided | None] = [each if isinstance(each, Decided) else None for each in answers]
        unknown = [
            index for index, outcome in enumerate(outcomes) if outcome is None and orders[index].command.op == "create"
        ]
        if unknown:
            found = await asyncio.gather(*(self._created(orders[index]) for index in unknown))
            for index, outcome in zip(unknown, found, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def _created(self, order: Order) -> Decided | None:
        """An owner that took over does not remember outcomes; the row says whether this very command made it."""
        command = order.command
        try:
            answer = await self._link.ask(order.partition, Get(order.partition, command.namespace, command.id))
        except Unavailable:
            return None
        if not isinstance(answer, Found) or answer.row is None:
            return None
        row: Row = decode_row(answer.row)
        return Decided(CREATED, answer.row) if row.command_id == command.command_id else None
