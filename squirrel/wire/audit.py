"""The audit records: who changed what, when, from where and with which outcome, chained so that a changed one is found.

Each gateway process is a writer with a name of its own and writes to one partition. Its records are numbered, each holds the
hash of the one before, and its own hash is over every other byte of it: a SHA-256, or an HMAC when the installation has an audit
key (then nobody without it can make a chain that holds). Source: shared/reference/reliability.md, 3.3, "Audit".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder, Encoder

IDS_KEPT_MAX: Final = 1000  # of one batch
REMEMBERED_MAX: Final = 100_000  # records that a verifier knows again; an append has 500 at most
_HASH_CHARS: Final = 64
_TAIL: Final = b',"hash":"'


class AuditRecord(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One changing call. `ids` are those of a batch; `actor` is what the call says of itself, `credential` what it held."""

    at: str
    at_ms: int
    namespace: str
    operation: str  # the operationId of the API
    outcome: str  # done, accepted (its effect is not known yet), refused, failed
    status: int
    writer: str
    seq: int
    prev: str = ""  # the hash of this writer's record before
    id: str = ""
    revision: int = 0
    ids: list[str] = []
    count: int = 0  # of a batch: schedules it was about, `ids` holds IDS_KEPT_MAX of them
    refused: int = 0  # of those
    actor: str = ""
    credential: str = ""
    address: str = ""
    method: str = ""
    path: str = ""


class Signed(NamedTuple):
    """A record as it is written, and its hash."""

    value: bytes
    hash: str


class Fault(NamedTuple):
    """A record, or the lack of one, that breaks a chain."""

    partition: int
    offset: int
    writer: str
    what: str  # unreadable, changed, unlinked, missing


class Stored(NamedTuple):
    """A record of the topic. `is_oldest`: nothing stands before it in its partition, because of its retention."""

    partition: int
    offset: int
    value: bytes


_encode = Encoder().encode
_decode = Decoder(AuditRecord).decode


def sign(record: AuditRecord, key: bytes = b"") -> Signed:
    """The record with its hash as the last member."""
    body = _encode(record)
    digest = _digest(body, key)
    return Signed(body[:-1] + _TAIL + digest.encode() + b'"}', digest)


def read_audit(value: bytes) -> AuditRecord:
    """The record without judging it. Raises ValueError."""
    try:
        record: AuditRecord = _decode(value)
    except MsgspecError as error:
        raise ValueError(f"not an audit record: {error}") from None
    return record


def split(value: bytes) -> tuple[bytes, str]:
    """(what the hash is over, the hash). Raises ValueError when it has none at its end."""
    at = len(value) - _HASH_CHARS - len(_TAIL) - 2
    if at < 1 or value[at : at + len(_TAIL)] != _TAIL or not value.endswith(b'"}'):
        raise ValueError("has no hash at its end")
    return value[:at] + b"}", value[at + len(_TAIL) : -2].decode("ascii", "replace")


class _Chain:
    """What is known of one writer."""

    __slots__ = ("hash", "seq")

    def __init__(self) -> None:
        self.seq = -1
        self.hash = ""


class Verifier:
    """Judges records in the order of their offsets, partition by partition; keeps where each writer is, and the newest hashes."""

    def __init__(self, key: bytes = b"", *, beginnings: dict[int, int] | None = None) -> None:
        """`beginnings`: the first offset that each partition still has; above 0 older records left their retention."""
        self._key = key
        self._beginnings = beginnings or {}
        self._chains: dict[tuple[int, str], _Chain] = {}  # a writer has one partition
        self._seen: dict[tuple[int, str, int], str] = {}  # the newest, oldest first
        self.records = 0
        self.repeats = 0  # the same record twice: an append that was sent again because nobody heard of it

    @property
    def writers(self) -> int:
        """How many gateways have written."""
        return len({writer for _, writer in self._chains})

    def check(self, records: Iterable[Stored]) -> Iterator[Fault]:
        """What is wrong with them."""
        for stored in records:
            self.records += 1
            yield from self._one(stored)

    def _one(self, stored: Stored) -> Iterator[Fault]:
        def fault(writer: str, what: str) -> Fault:
            return Fault(stored.partition, stored.offset, writer, what)

        try:
            body, digest = split(stored.value)
            record = read_audit(stored.value)
        except ValueError:
            yield fault("", "unreadable")
            return
        chain = self._chains.get((stored.partition, record.writer))
        if chain is None:
            chain = self._chains[stored.partition, record.writer] = _Chain()
            if record.seq > 0 and self._beginnings.get(stored.partition, 0) > 0:
                chain.seq, chain.hash = record.seq - 1, record.prev  # the ones before are gone as they should be
        if not hmac.compare_digest(digest, _digest(body, self._key)):
            yield fault(record.writer, "changed")
        elif record.seq <= chain.seq and self._seen.get((stored.partition, record.writer, record.seq)) == digest:
            self.repeats += 1  # a whole append may come twice, so any of the last records may
            return
        elif record.seq != chain.seq + 1:
            yield fault(record.writer, "missing")
        elif record.prev != chain.hash:
            yield fault(record.writer, "unlinked")
        chain.seq, chain.hash = record.seq, digest
        self._seen[stored.partition, record.writer, record.seq] = digest
        if len(self._seen) > REMEMBERED_MAX:
            del self._seen[next(iter(self._seen))]


def _digest(body: bytes, key: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest() if key else hashlib.sha256(body).hexdigest()
