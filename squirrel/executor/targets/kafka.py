"""Records on a topic of the same cluster, acknowledged by every in-sync replica.

What Kafka says, and whether another attempt may mend it: an unknown topic and everything that is away may (a topic can be made
any moment, as a name can be put into DNS); an invalid name, a record that is too large and a missing permission may not, like
their 4xx twins. A timeout leaves open whether the record will still be written; the run's id is in its headers either way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from squirrel.executor.targets.request import traceparent
from squirrel.model.clock import Clock
from squirrel.model.instants import format_instant
from squirrel.model.limits import RECORD_BYTES_MAX, TIMEOUT_SECONDS_MAX
from squirrel.model.target import KafkaTarget
from squirrel.wire.attempt import Attempt, ErrorType, Outcome

Refuses = Callable[[str], str | None]  # topic -> why no target may write to it, or None
_HOPELESS: Final = (
    InvalidTopicError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    ValueError,
    TypeError,
)
_BROKEN: Final = (
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    ProducerFenced,
)  # this producer will never write again
LINGER_MS: Final = 0  # a due record leaves at once; those of one millisecond still share a request


class KafkaCaller:
    """Calls `KafkaTarget`s. One per process; its producer connects with the first call."""

    def __init__(self, brokers: str, client_id: str, clock: Clock, refuses: Refuses) -> None:
        self._brokers = brokers
        self._client_id = client_id
        self._clock = clock
        self._refuses = refuses
        self._producer: Any = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Sends what is on its way and disconnects. Safe twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def call(self, attempt: Attempt) -> Outcome:
        """One record, one outcome, by `target.timeout_ms` from now."""
        started_ms = self._clock.now_ms()
        target = attempt.target
        assert isinstance(target, KafkaTarget), "the registry sends each target type to its own caller"
        reason = self._refuses(target.topic)
        if reason is not None:
            return self._failed(started_ms, "refused_by_guard", reason, False)
        try:
            async with asyncio.timeout(target.timeout_ms / 1000):
                producer = self._producer or await self._open()
                await (await self._send(producer, attempt, target))
        except TimeoutError:
            return self._failed(started_ms, "timeout", "Kafka did not acknowledge the record within the timeout", True)
        except UnknownTopicOrPartitionError:
            return self._failed(started_ms, "produce", f"the topic {target.topic} does not exist", True)
        except (KafkaError, ValueError, TypeError) as error:
            if isinstance(error, _BROKEN):
                await self.close()
            return self._failed(started_ms, "produce", _explain(error), not isinstance(error, _HOPELESS))
        return Outcome("succeeded", started_ms, self._clock.now_ms())

    async def _send(self, producer: Any, attempt: Attempt, target: KafkaTarget) -> Any:
        key = None if target.key is None else target.key.encode()
        return await producer.send(target.topic, attempt.message, key=key, headers=headers_of(attempt, target))

    async def _open(self) -> Any:
        async with self._opening:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._brokers,
                    client_id=self._client_id,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=LINGER_MS,
                    max_request_size=RECORD_BYTES_MAX,
                    request_timeout_ms=TIMEOUT_SECONDS_MAX * 1000,  # each call's own timeout comes first
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    def _failed(self, started_ms: int, error_type: ErrorType, detail: str, retryable: bool) -> Outcome:
        return Outcome(
            "failed",
            started_ms,
            self._clock.now_ms(),
            error_type=error_type,
            error_detail=detail,
            retryable=retryable,
        )


def headers_of(attempt: Attempt, target: KafkaTarget) -> list[tuple[str, bytes]]:
    """The target's own headers, then the same facts that a webhook is told; values are UTF-8."""
    run = attempt.run_id.encode()
    return [
        *((name, value.encode()) for name, value in target.headers),
        ("content-type", b"application/json"),
        ("webhook-id", run),
        ("idempotency-key", run),
        ("squirrel-schedule-id", attempt.schedule_id.encode()),
        ("squirrel-event", attempt.event.encode()),
        ("squirrel-attempt", str(attempt.number).encode()),
        ("squirrel-scheduled-for", format_instant(attempt.due_ms).encode()),
        ("traceparent", traceparent(attempt).encode()),
    ]


def _explain(error: Exception) -> str:
    if isinstance(error, TopicAuthorizationFailedError):
        return "Squirrel may not write to that topic"
    if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
        return "the record is larger than Kafka takes"
    if isinstance(error, InvalidTopicError):
        return "is no name that Kafka allows for a topic"
    return f"Kafka did not take the record ({type(error).__name__})"
