"""The fence: one owner writes a partition's changelog, and the broker itself refuses everybody who was it before.

Kafka gives a name (a transactional id) one producer id, and a higher producer epoch to each that asks for it. A partition's
leader refuses a batch whose producer epoch is below the newest it has seen of that producer id. That holds for plain idempotent
batches too: no transaction is begun, no control record is written, and nothing is asked of the broker per record. So a new owner
takes the name, writes one record of its own, and from that record on a stalled owner's appends are refused at the leader,
however long they lay in a socket. What came before that record the new owner reads.

aiokafka knows one producer id per producer; the id stands in each batch, so ours is stamped there (`tests/system/faults`, which
holds the broker to it). Kafka forgets an unused name after `transactional.id.expiration.ms` (7 days) and a silent producer after
`producer.id.expiration.ms` (1 day): an owner takes its name anew every RENEW_SECONDS.
"""

# ruff: noqa: SLF001 - the producer's state of a batch has no public door

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import ConcurrentTransactions, KafkaError, TransactionalIdAuthorizationFailed, for_code
from aiokafka.protocol.transaction import InitProducerIdRequest

from squirrel.model.errors import Fatal

RENEW_SECONDS: Final = 6 * 3600.0
RETRY_SECONDS: Final = 0.1
TRANSACTION_MS: Final = 60_000  # asked for by the request; no transaction is ever begun
_SEQUENCES: Final = 1 << 31


class Fence:
    """One taking of the name: every batch of the partition carries it, numbered from 0."""

    __slots__ = ("epoch", "producer_id", "sequence")

    def __init__(self, producer_id: int, epoch: int) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.sequence = 0

    def put_on(self, batch: Any) -> None:
        """The batch (aiokafka's BatchBuilder) will carry this producer instead of the one of the process."""
        batch._set_producer_state = partial(self._stamp, batch._builder, batch.record_count())

    def _stamp(self, builder: Any, count: int, *_: object) -> None:
        # Called when the batch leaves, in order; a batch that is sent again keeps what it was given.
        builder.set_producer_state(self.producer_id, self.epoch, self.sequence)
        self.sequence = (self.sequence + count) % _SEQUENCES


async def take(client: Any, name: str) -> Fence:
    """Takes the name from whoever had it. Waits out a coordinator that is away or busy; Fatal when we may not have it."""
    while True:
        try:
            node = await client.coordinator_lookup(CoordinationType.TRANSACTION, name)
            if await client.ready(node, group=ConnectionGroup.COORDINATION):
                request = InitProducerIdRequest(name, TRANSACTION_MS)
                answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
                if answer.error_code == 0:
                    return Fence(answer.producer_id, answer.producer_epoch)
                raise for_code(answer.error_code)
        except TransactionalIdAuthorizationFailed as error:
            raise Fatal(
                f"Kafka does not let us be the transactional id {name!r}, which fences the changelog: allow this user WRITE on it"
            ) from error
        except KafkaError as error:
            if not (error.retriable or isinstance(error, ConcurrentTransactions)):
                raise Fatal(f"Kafka does not give the transactional id {name!r}: {error!r}") from error
            await client.force_metadata_update()
        await asyncio.sleep(RETRY_SECONDS)
