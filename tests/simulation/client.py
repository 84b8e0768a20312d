"""Those who use the installation: creates and changes through the log as a gateway does it, through the inbox, and reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import orjson

from squirrel.gateway.kafka_writer import KafkaWriter
from squirrel.model.errors import Unavailable
from squirrel.model.schedule import Row, State, decode_row
from squirrel.streams.writer import BatchWriter
from squirrel.wire import owner_link as codes
from squirrel.wire.owner_link import (
    Answer,
    Ask,
    Await,
    Decided,
    Found,
    Get,
    ListRows,
    NotMine,
    Page,
    Undecided,
    decode_answers,
    encode_asks,
)
from squirrel.wire.partitioner import partition_of
from squirrel.wire.records import Command, encode_command
from tests.simulation.loop import pause
from tests.simulation.process import Process

NAMESPACE = "default"
STATUS = {
    codes.CREATED: 201,
    codes.REPEATED: 201,
    codes.CONFLICT: 409,
    codes.CHANGED: 200,
    codes.CANCELLED: 204,
    codes.TRIGGERED: 201,
    codes.NOT_FOUND: 404,
    codes.TOO_LATE: 409,
    codes.STALE_REVISION: 412,
    codes.REFUSED: 422,
    codes.PARKED: 202,
}
ANSWER_SECONDS = 5.0
ASK_AGAIN_SECONDS = 0.5
WRITE_SECONDS = 8.0  # gateway/limits.py: a caller is told that its write is indeterminate
OVER = frozenset({State.CANCELLED, State.FINISHED, State.FAILED})


class Client:
    """One gateway's worth of callers. `ledger` is what the judge reads: a line before each call and one with its end."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.process = Process(world, "client", "client", -1)
        self.ledger: list[dict[str, Any]] = []
        self.homes: dict[str, str] = {}  # schedule -> group
        self._numbers = count()
        self._writer = KafkaWriter(self._new_writer, self.process.clock)

    def _new_writer(self) -> BatchWriter:
        return BatchWriter("simulated:1", client_id="client")

    def run(self, work: Any) -> Any:
        return self.process.run(work)

    # --- the ledger -------------------------------------------------------------------------------------------------

    def invoke(self, op: str, schedule: str, asked: dict[str, Any]) -> int:
        i = next(self._numbers)
        self._line(i, op, "invoke", schedule, asked)
        return i

    def ended(self, i: int, op: str, outcome: str, schedule: str, answer: dict[str, Any]) -> None:
        self._line(i, op, outcome, schedule, answer)

    def _line(self, i: int, op: str, kind: str, schedule: str, value: dict[str, Any]) -> None:
        line = {"i": i, "mono_ns": self.world.boot_ns(), "actor": "client", "op": op, "type": kind, "id": schedule}
        self.ledger.append({**line, "value": value})

    # --- calls ------------------------------------------------------------------------------------------------------

    async def command(self, op: str, command: Command, asked: dict[str, Any]) -> dict[str, Any] | None:
        """As the REST API does it: append, wait for the owner's answer. None: nobody knows."""
        i = self.invoke(op, command.id, asked)
        group = command.home or self.homes.get(command.id, "")
        partition = partition_of(NAMESPACE, group or command.id, self.world.partitions)
        record = (command.id.encode(), encode_command(command), ())
        offset = await self._append(self.world.topics.commands, partition, record)
        if offset is None:
            self.ended(i, op, "info", command.id, {"status": 503})
            return None
        decided = await self._outcome(partition, offset)
        answer = _answer_of(decided)
        outcome = "ok" if answer["status"] < 300 else "fail"
        self.ended(i, op, outcome, command.id, answer)
        return answer

    async def inbox(self, op: str, schedule: str, document: dict[str, Any], asked: dict[str, Any]) -> None:
        """Through the public topic, in whatever partition: acknowledged when Kafka has it."""
        i = self.invoke(op, schedule, asked)
        log = self.world.broker.topics[self.world.topics.inbox]
        partition = hash_of(schedule) % len(log)
        offset = await self._append(self.world.topics.inbox, partition, (b"", orjson.dumps(document), ()))
        if offset is None:
            self.ended(i, op, "info", schedule, {"status": 503})
        else:
            self.ended(i, op, "ok", schedule, {"status": 202})

    async def poison(self, topic: str, partition: int, value: bytes) -> None:
        """A record that is none of ours, in a topic of ours."""
        i = self.invoke("poison", topic, {"what": value[:40].hex()})
        offset = await self._append(topic, partition, (b"poison", value, ()))
        if offset is None:
            self.ended(i, "poison", "info", topic, {})
        else:
            self.ended(i, "poison", "ok", topic, {"topic": topic, "partition": partition, "offset": offset})

    async def get(self, schedule: str) -> None:
        i = self.invoke("get", schedule, {})
        partition = partition_of(NAMESPACE, self.homes.get(schedule) or schedule, self.world.partitions)
        found = await self._ask(partition, Get(partition, NAMESPACE, schedule))
        if not isinstance(found, Found):
            self.ended(i, "get", "info", schedule, {"status": 503})
            return
        row = None if found.row is None else decode_row(found.row)
        answer = shown(row)
        self.ended(i, "get", "ok" if answer["status"] == 200 else "fail", schedule, answer)

    async def list_tag(self, tag: str) -> None:
        i = self.invoke("list", "", {"tag": tag})
        ids: list[str] = []
        served: set[int] = set()
        for service in self._engines():
            before = set(service.engine.owners)
            answers = await self._post(service, [ListRows(NAMESPACE, tag=tag, limit=1000)])
            if answers is None or not isinstance(answers[0], Page) or before != set(service.engine.owners):
                continue
            served |= before
            ids += [decode_row(value).id for _, value in answers[0].rows]
        if served != set(range(self.world.partitions)):
            self.ended(i, "list", "info", "", {"status": 503})
        else:
            self.ended(i, "list", "ok", "", {"status": 200, "ids": ids})

    # --- the way there ------------------------------------------------------------------------------------------------

    async def _append(self, topic: str, partition: int, record: Any) -> int | None:
        task = self.run(self._written(topic, partition, record))
        deadline = self.world.loop.time() + WRITE_SECONDS
        while not task.done():
            if self.world.loop.time() > deadline:
                self.world.count("write_indeterminate")
                return None
            await pause(0.002)
        found: int | None = task.result()
        return found

    async def _written(self, topic: str, partition: int, record: Any) -> int | None:
        try:
            return await self._writer.append(topic, partition, [record])
        except Unavailable:
            return None

    async def _outcome(self, partition: int, offset: int) -> Decided | None:
        found = await self._ask(partition, Await(partition, offset, int(ANSWER_SECONDS * 1000)))
        return found if isinstance(found, Decided) else None

    async def _ask(self, partition: int, ask: Ask) -> Answer | None:
        """Whoever owns the partition is asked; a gateway looks for the owner anew when it was another one."""
        deadline = self.world.loop.time() + ANSWER_SECONDS
        while self.world.loop.time() < deadline:
            for service in self._engines():
                if partition not in service.engine.owners:
                    continue
                answers = await self._post(service, [ask])
                if answers is not None and not isinstance(answers[0], NotMine | Undecided):
                    return answers[0]
            await pause(ASK_AGAIN_SECONDS)
        return None

    def _engines(self) -> list[Any]:
        found = []
        for name, service in sorted(self.world.services.items()):
            process = self.world.processes[name]
            reachable = not process.dead and process.stopped_at is None
            if process.role == "engine" and reachable:
                found.append(service)
        return found

    async def _post(self, service: Any, asks: list[Ask]) -> list[Answer] | None:
        """Over the internal door. None when the owner dies or hangs meanwhile."""
        process = self.world.processes[service.context.settings.worker]
        await pause(self.world.latency())
        if process.dead or process.door.answer is None:
            return None
        answer: Callable[[bytes], Awaitable[bytes]] = process.door.answer
        task = process.run(answer(encode_asks(asks)))
        deadline = self.world.loop.time() + ANSWER_SECONDS + 2
        while not task.done():
            if process.dead or self.world.loop.time() > deadline:
                return None
            await pause(0.002)
        if task.cancelled() or task.exception() is not None:
            return None
        return decode_answers(task.result())


def hash_of(text: str) -> int:
    """The same in every process; Python's own is not."""
    return sum((place + 1) * ord(letter) for place, letter in enumerate(text))


def shown(row: Row | None) -> dict[str, Any]:
    """What a GET says of a row."""
    if row is None or row.state is State.UNKNOWN:
        return {"status": 404}
    return {"status": 200, "state": str(row.state), "revision": row.revision}


def _answer_of(decided: Decided | None) -> dict[str, Any]:
    if decided is None:
        return {"status": 202}
    answer: dict[str, Any] = {"status": STATUS[decided.code], "code": decided.code}
    if decided.row is not None:
        row = decode_row(decided.row)
        answer |= {"id": row.id, "revision": row.revision, "state": str(row.state), "created_at": row.created_ms}
    if decided.code == codes.TRIGGERED and decided.open_run is not None:
        answer["run"] = decided.open_run.id
    return answer
