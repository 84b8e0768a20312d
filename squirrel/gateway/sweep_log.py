"""Where operations are kept: the operations topic, written by the gateway that works on one and followed by all of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from squirrel.gateway.producing import CommandLog
from squirrel.wire.operations import KIND, StoredOperation, decode_operation, encode_operation, operation_key
from squirrel.wire.route_book import DEFINITIONS_PARTITION, Definitions

VISIBLE_SECONDS_MAX: Final = 5.0  # for our own reading of the topic to reach what we wrote
FINISHED_KEPT_MAX: Final = 200  # newest ones, of all namespaces
log = logging.getLogger(__name__)


class SweepLog:
    """Operations as of the newest records. `gateway` is this process's own name among all gateways."""

    def __init__(self, records: CommandLog, followed: Definitions, gateway: str) -> None:
        self._records = records
        self._followed = followed
        self._parsed: dict[bytes, tuple[bytes, StoredOperation | None]] = {}
        self.gateway = gateway

    def get(self, namespace: str, operation_id: str) -> StoredOperation | None:
        """One operation."""
        key = operation_key(namespace, operation_id).encode()
        value = self._followed.values.get(key)
        return None if value is None else self._read(key, value)

    def all(self) -> Iterator[StoredOperation]:
        """All of them."""
        for key, value in list(self._followed.values.items()):
            if key.split(b"/", 2)[1:2] == [KIND.encode()] and (operation := self._read(key, value)) is not None:
                yield operation

    async def save(self, operation: StoredOperation) -> StoredOperation:
        """Writes it as ours and returns it once it is read back. Raises Unavailable."""
        operation = replace(operation, beats=operation.beats + 1)
        await self._write(_key(operation), encode_operation(operation))
        return operation

    async def ask_cancel(self, operation: StoredOperation) -> None:
        """A record of its own: whoever works on the operation goes on writing that one's."""
        await self._write(_cancel_key(operation), b"{}")

    def is_cancelled(self, operation: StoredOperation) -> bool:
        """Whether somebody asked for its end."""
        return _cancel_key(operation) in self._followed.values

    async def forget_cancel(self, operation: StoredOperation) -> None:
        """The wish was heard, or came too late."""
        if self.is_cancelled(operation):
            await self._write(_cancel_key(operation), None)

    async def drop_oldest(self) -> None:
        """Forgets finished ones beyond FINISHED_KEPT_MAX."""
        finished = sorted(
            (each for each in self.all() if each.finished_ms is not None), key=lambda each: each.finished_ms or 0
        )
        for each in finished[: max(0, len(finished) - FINISHED_KEPT_MAX)]:
            await self._write(_key(each), None)
            await self.forget_cancel(each)

    async def _write(self, key: bytes, value: bytes | None) -> None:
        offset = await self._records.write(DEFINITIONS_PARTITION, [(key, value, ())])
        try:
            async with asyncio.timeout(VISIBLE_SECONDS_MAX):
                await self._followed.reached(offset)
        except TimeoutError:
            log.warning("the operations topic is read with more than %g s delay", VISIBLE_SECONDS_MAX)

    def _read(self, key: bytes, value: bytes) -> StoredOperation | None:
        known = self._parsed.get(key)
        if known is None or known[0] is not value:
            try:
                known = (value, decode_operation(value))
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                log.error("the operation %r cannot be read and is left out: %s", key, error)
                known = (value, None)
            self._parsed[key] = known
            if len(self._parsed) > 2 * len(self._followed.values) + 16:
                self._parsed = {each: self._parsed[each] for each in self._followed.values if each in self._parsed}
        return known[1]


def _key(operation: StoredOperation) -> bytes:
    return operation_key(operation.namespace, operation.id).encode()


def _cancel_key(operation: StoredOperation) -> bytes:
    return f"{operation.namespace}/cancel/{operation.id}".encode()
