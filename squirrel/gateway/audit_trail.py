"""One audit record for every changing call that was let in, on Kafka before its answer goes out.

Records of calls that end together are appended together, by one task, in the order of the chain. While Kafka takes none, answers
wait WAIT_SECONDS_MAX and then go out; the records stay here and are tried again, and once WAITING_MAX of them wait no further
change is let in. A gateway that is killed between a change and its answer may leave that change without a record: its caller has
no answer either.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from starlette.types import Scope

from squirrel.gateway.actor import address_of, cleaned, fingerprint
from squirrel.gateway.audit_notes import OPERATION, Notes
from squirrel.gateway.kafka_writer import Record
from squirrel.model.clock import Clock
from squirrel.model.errors import Unavailable
from squirrel.model.ids import DEFAULT_NAMESPACE
from squirrel.model.instants import format_instant
from squirrel.model.schedule import decode_row_head
from squirrel.wire.audit import AuditRecord, sign

Append = Callable[[int, Sequence[Record]], Awaitable[int]]
WAIT_SECONDS_MAX: Final = 2.0
WAITING_MAX: Final = 20_000  # records; then changes are refused rather than made without a trace
APPEND_RECORDS_MAX: Final = 500
RETRY_SECONDS: Final = 0.5
CLOSE_SECONDS_MAX: Final = 1.5
PATH_CHARS_MAX: Final = 512
_ID_PARAMETERS: Final = ("id", "run", "pattern", "name", "operation", "key")
_LOCATION: Final = b"location"
_ETAG: Final = b"etag"
log = logging.getLogger(__name__)


class AuditTrail:
    """The chain of this process. `append` goes to the audit topic; `partitions` is that topic's count."""

    def __init__(self, append: Append, clock: Clock, writer: str, partitions: int, key: bytes = b"") -> None:
        self._append = append
        self._clock = clock
        self._writer = writer
        self._partition = crc32(writer.encode()) % partitions
        self._key = key
        self._seq = 0
        self._prev = ""
        self._waiting: deque[tuple[Record, asyncio.Future[None]]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._closed = False
        self.written = 0

    @property
    def is_full(self) -> bool:
        """Whether changes must be refused."""
        return len(self._waiting) >= WAITING_MAX

    @property
    def waiting(self) -> int:
        """Records that Kafka has not acknowledged."""
        return len(self._waiting)

    async def record(self, scope: Scope, notes: Notes, status: int, headers: Mapping[bytes, bytes]) -> None:
        """Returns when the record is stored, or when Kafka has not taken it for WAIT_SECONDS_MAX. `headers` are the answer's."""
        notes.is_open = False
        made = self._made(scope, notes, status, headers)
        signed = sign(made, self._key)
        self._seq, self._prev = self._seq + 1, signed.hash
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        record = ((made.id or made.operation).encode(), signed.value, (("content-type", b"application/json"),))
        self._waiting.append((record, stored))
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._flush(), name="audit")
        await stored

    async def close(self) -> None:
        """Writes what waits, within CLOSE_SECONDS_MAX."""
        self._closed = True
        if self._flushing is not None:
            _, late = await asyncio.wait({self._flushing}, timeout=CLOSE_SECONDS_MAX)
            for task in late:
                task.cancel()
        if self._waiting:
            log.error("%d audit records were not written before the end", len(self._waiting))

    async def _flush(self) -> None:
        """Until nothing waits. A batch that failed is sent again as it is: a repeat is known by its hash."""
        try:
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(len(self._waiting), APPEND_RECORDS_MAX))]
                try:
                    async with asyncio.timeout(WAIT_SECONDS_MAX):
                        await self._append(self._partition, [record for record, _ in batch])
                except (Unavailable, TimeoutError) as error:
                    log.warning("audit records wait for Kafka: %s", str(error) or "no acknowledgement in time")
                    self._let_go()
                    if self._closed:
                        return
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                self.written += len(batch)
                for _ in batch:
                    _release(self._waiting.popleft()[1])
        finally:
            self._flushing = None
            self._let_go()

    def _let_go(self) -> None:
        """Answers do not wait any longer; the records do."""
        for _, stored in self._waiting:
            _release(stored)

    def _made(self, scope: Scope, notes: Notes, status: int, headers: Mapping[bytes, bytes]) -> AuditRecord:
        now_ms = self._clock.now_ms()
        given = dict(scope["headers"])
        many = notes.count > 1
        return AuditRecord(
            at=format_instant(now_ms),
            at_ms=now_ms,
            namespace=cleaned(given.get(b"squirrel-namespace", b"").decode("latin-1")) or DEFAULT_NAMESPACE,
            operation=scope[OPERATION],
            outcome=_outcome(status),
            status=status,
            writer=self._writer,
            seq=self._seq,
            prev=self._prev,
            id="" if many else _id(scope.get("path_params") or {}, notes, headers),
            revision=_revision(notes, headers),
            ids=notes.ids if many else [],
            count=notes.count if many else 0,
            refused=notes.refused if many else 0,
            actor=cleaned((given.get(b"x-user") or given.get(b"x-actor") or b"").decode("latin-1")),
            credential=fingerprint(given.get(b"authorization")),
            address=address_of(scope),
            method=scope["method"],
            path=cleaned(scope["path"])[:PATH_CHARS_MAX],
        )


def _release(stored: asyncio.Future[None]) -> None:
    if not stored.done():
        stored.set_result(None)


def _outcome(status: int) -> str:
    if status == 202:
        return "accepted"
    if status < 400:
        return "done"
    return "refused" if status < 500 else "failed"


def _id(path: Mapping[str, Any], notes: Notes, headers: Mapping[bytes, bytes]) -> str:
    """What the path names, else the schedule that the command was for, else what the answer points to."""
    for name in _ID_PARAMETERS:
        if value := path.get(name):
            head, colon, verb = str(value).rpartition(":")
            return cleaned(head if colon and verb.isalpha() and head else str(value))
    if notes.ids:
        return notes.ids[0]
    return cleaned(headers.get(_LOCATION, b"").decode("latin-1").rpartition("/")[2])


def _revision(notes: Notes, headers: Mapping[bytes, bytes]) -> int:
    etag = headers.get(_ETAG, b"").strip(b'"')
    if etag.isdigit():
        return int(etag)
    if notes.count == 1 and notes.decided is not None and notes.decided.row is not None:
        return int(decode_row_head(notes.decided.row).revision)
    return 0
