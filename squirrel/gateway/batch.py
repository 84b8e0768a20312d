"""`POST /api/v1/schedules:batch`: up to 1,000 schedules, each with its own outcome; one bad item spoils nothing."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from starlette.responses import Response

from squirrel.gateway.call import Call
from squirrel.gateway.crowding import MINUTE_MS, Crowding
from squirrel.gateway.idempotency import key_reused
from squirrel.gateway.outcomes import DONE, problem_of
from squirrel.gateway.problems import Answered, of_refused, of_unavailable
from squirrel.gateway.schedules import Schedules
from squirrel.gateway.writes import Order, Writes
from squirrel.model.clock import Clock
from squirrel.model.errors import Refused, Unavailable
from squirrel.model.when import is_plain
from squirrel.wire.documents import answer_json, parse_batch
from squirrel.wire.owner_link import CONFLICT, CREATED, PARKED, Decided

READ_AT_ONCE: Final = 50  # items between two breaths, so that single calls do not wait for a whole batch to be read


class _Item(NamedTuple):
    """An item that was read: where its result goes, and its command."""

    place: int
    order: Order
    warnings: list[str]


class Batch:
    """The handler of `:batch`."""

    def __init__(self, schedules: Schedules, writes: Writes, crowding: Crowding, clock: Clock) -> None:
        self._schedules = schedules
        self._writes = writes
        self._crowding = crowding
        self._clock = clock

    async def create(self, call: Call) -> Response:
        """POST /schedules:batch."""
        bodies = parse_batch(call.body)
        results: list[dict[str, Any]] = [{} for _ in bodies]
        by_partition: dict[int, list[_Item]] = {}
        for item in await self._read(call, bodies, results):
            by_partition.setdefault(item.order.partition, []).append(item)
        keyed = call.idempotency_key is not None
        wait = not call.respond_async
        sent = (self._send(items, results, wait=wait, keyed=keyed) for items in by_partition.values())
        created = [each for part in await asyncio.gather(*sent) for each in part]
        await self._warn_of_crowds(call.namespace, created, results)
        return Response(answer_json({"results": results}), 200, media_type="application/json")

    async def _read(self, call: Call, bodies: list[bytes], results: list[dict[str, Any]]) -> list[_Item]:
        """The items that can be taken; the others get their result here."""
        now_ms = self._clock.now_ms()
        key = call.idempotency_key
        items: list[_Item] = []
        for index, body in enumerate(bodies):
            if index and index % READ_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                new = self._schedules.read_new(
                    body, call.namespace, now_ms, None if key is None else _item_key(key, index)
                )
            except Refused as refused:
                results[index] = _failed(None, of_refused(refused))
            else:
                order = self._schedules.create_order(new, call.namespace, now_ms, brief=True)
                items.append(_Item(index, order, new.warnings))
        return items

    async def _send(
        self, items: list[_Item], results: list[dict[str, Any]], *, wait: bool, keyed: bool
    ) -> list[tuple[_Item, Decided]]:
        """One append and one question per partition; the items that are new."""
        try:
            outcomes = await self._writes.send_all([item.order for item in items], wait=wait)
        except (Unavailable, Refused) as error:
            problem = of_refused(error) if isinstance(error, Refused) else of_unavailable(error)
            for item in items:
                results[item.place] = _failed(item.order.command.id, problem)
            return []
        pairs = list(zip(items, outcomes, strict=True))
        for item, decided in pairs:
            results[item.place] = _result(item, decided, keyed=keyed)
        return [(item, decided) for item, decided in pairs if decided is not None and decided.code == CREATED]

    async def _warn_of_crowds(
        self, namespace: str, created: list[tuple[_Item, Decided]], results: list[dict[str, Any]]
    ) -> None:
        """Minute by minute, once all are on the timeline; each item of a crowded one is told."""
        minutes: dict[int, list[_Item]] = {}
        for item, decided in created:
            if (due_ms := self._due_ms(item, decided)) is not None:
                minutes.setdefault(due_ms // MINUTE_MS, []).append(item)
        for minute, items in minutes.items():
            if said := await self._crowding.warnings_at(namespace, minute * MINUTE_MS, runs=len(items)):
                for item in items:
                    results[item.place]["warnings"] = [*item.warnings, *said]

    def _due_ms(self, item: _Item, decided: Decided) -> int | None:
        """A plain one-shot says by itself when it is due, so its row need not be read again."""
        spec = item.order.command.spec
        if spec is not None and is_plain(spec.when) and spec.when.at_ms is not None:
            return spec.when.at_ms
        return self._crowding.due_ms(decided)


def _result(item: _Item, decided: Decided | None, *, keyed: bool) -> dict[str, Any]:
    schedule_id = item.order.command.id
    if decided is None or decided.code == PARKED:
        result: dict[str, Any] = {"id": schedule_id, "status": 202}
    elif decided.code in DONE:
        result = {"id": schedule_id, "status": 201}
    elif decided.code == CONFLICT and keyed and schedule_id.startswith("idem_"):
        return _failed(schedule_id, key_reused())
    else:
        return _failed(schedule_id, problem_of(schedule_id, decided))
    return result | {"warnings": item.warnings} if item.warnings else result


def _failed(schedule_id: str | None, problem: Answered) -> dict[str, Any]:
    return {"id": schedule_id, "status": problem.status, "error": problem.document()}


def _item_key(key: str, index: int) -> str:
    """Each item has a key of its own: the call's, and its place."""
    return f"{blake2b(key.encode(), digest_size=16).hexdigest()}#{index}"
